//! Kubernetes quantities (`apimachinery/pkg/api/resource`), exact to a billionth.

use std::fmt;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// An amount: what was parsed, in billionths, and how it is to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    nanos: i128,
    binary: bool,
}

/// Billionths in one.
const ONE: i128 = 1_000_000_000;

/// The suffixes with what they multiply by, in billionths.
const DECIMAL: [(&str, i128); 10] = [
    ("n", 1),
    ("u", 1_000),
    ("m", 1_000_000),
    ("", ONE),
    ("k", ONE * 1_000),
    ("M", ONE * 1_000_000),
    ("G", ONE * 1_000_000_000),
    ("T", ONE * 1_000_000_000_000),
    ("P", ONE * 1_000_000_000_000_000),
    ("E", ONE * 1_000_000_000_000_000_000),
];
const BINARY: [(&str, i128); 6] = [
    ("Ki", ONE << 10),
    ("Mi", ONE << 20),
    ("Gi", ONE << 30),
    ("Ti", ONE << 40),
    ("Pi", ONE << 50),
    ("Ei", ONE << 60),
];

impl Amount {
    /// A whole number.
    pub(crate) const fn of(number: i64) -> Self {
        Self {
            nanos: number as i128 * ONE,
            binary: false,
        }
    }

    /// Reads a quantity; none if it is none. Parts below a billionth are rounded up, as the API does.
    pub(crate) fn parse(quantity: &Quantity) -> Option<Self> {
        let text = quantity.0.trim();
        let end = text
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')))
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at_checked(end)?;
        let (scale, binary) = scale(suffix)?;
        let (negative, digits) = match number.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, number.strip_prefix('+').unwrap_or(number)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut nanos = parse_digits(whole)?.checked_mul(scale)?;
        let mut part = scale;
        let mut rest = 0;
        for digit in fraction.bytes() {
            let digit = i128::from(char::from(digit).to_digit(10)?);
            rest += digit * (part % 10);
            part /= 10;
            nanos = nanos.checked_add(digit * part)?;
        }
        // What integer division cut off, in tenths: one more billionth covers it.
        nanos += i128::from(rest > 0);
        Some(Self {
            nanos: if negative { -nanos } else { nanos },
            binary,
        })
    }

    /// The sum.
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            nanos: self.nanos.saturating_add(other.nanos),
            binary: self.binary || other.binary,
        }
    }

    /// The difference.
    pub(crate) const fn minus(self, other: Self) -> Self {
        Self {
            nanos: self.nanos.saturating_sub(other.nanos),
            binary: self.binary || other.binary,
        }
    }

    /// Whether it is larger.
    pub(crate) const fn exceeds(self, other: Self) -> bool {
        self.nanos > other.nanos
    }

    /// Whether it is more than nothing.
    pub(crate) const fn is_positive(self) -> bool {
        self.nanos > 0
    }
}

fn parse_digits(digits: &str) -> Option<i128> {
    if digits.is_empty() {
        return Some(0);
    }
    digits
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| digits.parse().ok())?
}

fn scale(suffix: &str) -> Option<(i128, bool)> {
    let find = |table: &[(&str, i128)]| table.iter().find(|(name, _)| *name == suffix).map(|(_, by)| *by);
    if let Some(by) = find(&DECIMAL) {
        return Some((by, false));
    }
    if let Some(by) = find(&BINARY) {
        return Some((by, true));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let power = u32::try_from(exponent.checked_add(9)?).ok()?;
    Some((10_i128.checked_pow(power)?, false))
}

/// The canonical form: the largest suffix that leaves a whole number.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |table: &[(&'static str, i128)]| {
            table
                .iter()
                .rev()
                .find(|(_, by)| self.nanos % by == 0)
                .map(|(suffix, by)| (self.nanos / by, *suffix))
        };
        let binary = if self.binary { whole(&BINARY) } else { None };
        match (self.nanos, binary.or_else(|| whole(&DECIMAL))) {
            (0, _) | (_, None) => f.write_str("0"),
            (_, Some((number, suffix))) => write!(f, "{number}{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(quantity: &str) -> Option<String> {
        Amount::parse(&Quantity(quantity.to_owned())).map(|amount| amount.to_string())
    }

    #[test]
    fn quantities_are_read_exactly_and_written_canonically() {
        for (quantity, expected) in [
            ("1", "1"),
            ("0", "0"),
            ("0.5", "500m"),
            ("1500m", "1500m"),
            ("2000m", "2"),
            ("1Gi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1024Mi", "1Gi"),
            ("1e3", "1k"),
            ("100M", "100M"),
            ("-1", "-1"),
            ("0.0000000001", "1n"),
        ] {
            assert_eq!(text(quantity).as_deref(), Some(expected), "{quantity}");
        }
        for wrong in ["", "x", "1x", "1 Gi", "--1", "1.2.3", "Gi"] {
            assert_eq!(text(wrong), None, "{wrong}");
        }
    }
}
