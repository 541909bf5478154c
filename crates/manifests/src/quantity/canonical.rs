//! Kubernetes' canonical form (`Quantity.CanonicalizeBytes`): no fraction, and the largest suffix that needs none.

use super::NANO;

/// In which suffixes an amount is written: those it was first written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notation {
    Binary,
    Decimal,
    Exponent,
}

impl Notation {
    /// The notation of a valid quantity's text.
    pub(super) fn of(text: &str) -> Self {
        let suffix = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '+');
        if suffix.ends_with('i') {
            Self::Binary
        } else if suffix.starts_with(['e', 'E']) && suffix.len() > 1 {
            Self::Exponent
        } else {
            Self::Decimal
        }
    }
}

/// The text of `nano` · 10⁻⁹.
pub(super) fn text(nano: u128, notation: Notation) -> String {
    // Binary suffixes stand for whole numbers from 1024 on; what is smaller or broken is written in decimal ones.
    if notation == Notation::Binary && nano.is_multiple_of(NANO) && nano >= 1024 * NANO {
        return binary(nano / NANO);
    }
    decimal(nano, notation)
}

fn binary(mut number: u128) -> String {
    let mut suffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].into_iter();
    let mut suffix = suffixes.next().unwrap_or_default();
    while number.is_multiple_of(1024) {
        let Some(next) = suffixes.next() else { break };
        number /= 1024;
        suffix = next;
    }
    format!("{number}{suffix}")
}

fn decimal(mut number: u128, notation: Notation) -> String {
    if number == 0 {
        return "0".into();
    }
    let mut exponent = -9;
    while number.is_multiple_of(1000) && exponent < 18 {
        number /= 1000;
        exponent += 3;
    }
    match (exponent, notation) {
        (0, _) => number.to_string(),
        (_, Notation::Exponent) => format!("{number}e{exponent}"),
        (_, Notation::Binary | Notation::Decimal) => {
            let suffix = match exponent {
                -9 => "n",
                -6 => "u",
                -3 => "m",
                3 => "k",
                6 => "M",
                9 => "G",
                12 => "T",
                15 => "P",
                _ => "E",
            };
            format!("{number}{suffix}")
        }
    }
}
