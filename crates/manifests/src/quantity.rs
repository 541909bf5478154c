//! Kubernetes' resource quantities, compared exactly.
//!
//! Grammar: `apimachinery/pkg/api/resource/quantity.go`. A number with an optional fraction, then a binary
//! suffix (`Ki` … `Ei`), a decimal one (`n` `u` `m` `k` `M` `G` `T` `P` `E`) or an exponent (`e3`, `E-2`).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use serde::{Deserialize, Serialize};

/// Units of the smallest amount Kubernetes tells apart, 10⁻⁹.
const NANO: u128 = 1_000_000_000;
/// Largest amount Kubernetes holds, 2⁶³ − 1. It caps larger ones in silence; we refuse them.
const MAX_NANO: u128 = i64::MAX as u128 * NANO;
/// Decimal places of [`NANO`].
const NANO_PLACES: i64 = 9;

/// An amount of CPU (cores), memory or storage (bytes): not negative, exact to 10⁻⁹.
///
/// Compared by value, shown as it was written: `1Gi` equals `1024Mi` and both keep their text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Quantity {
    text: String,
    nano: u128,
}

/// Why a text is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not Kubernetes' grammar.
    #[error(
        "{0:?} is not a quantity: a number, then nothing, one of Ki Mi Gi Ti Pi Ei, one of n u m k M G T P E, or an \
         exponent such as e3"
    )]
    Syntax(String),
    /// A leading minus.
    #[error("{0:?} is negative")]
    Negative(String),
    /// More than 2⁶³ − 1, or more digits than any real amount has.
    #[error("{0:?} is too large: Kubernetes holds at most 2^63 - 1")]
    TooLarge(String),
}

impl Quantity {
    /// Whether the amount is zero.
    pub fn is_zero(&self) -> bool {
        self.nano == 0
    }

    /// Whether the amount is a whole number: bytes always are (`512m` of memory is half a byte, not 512 MiB).
    pub fn is_whole(&self) -> bool {
        self.nano.is_multiple_of(NANO)
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('-') {
            return Err(QuantityError::Negative(text.into()));
        }
        let syntax = || QuantityError::Syntax(text.into());
        let number = text.strip_prefix('+').unwrap_or(text);
        let end = number
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(number.len());
        let (number, suffix) = number.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return Err(syntax());
        }
        let unit = Unit::parse(suffix).ok_or_else(syntax)?;
        let nano = unit
            .nano(whole, fraction)
            .ok_or_else(|| QuantityError::TooLarge(text.into()))?;
        Ok(Self {
            text: text.into(),
            nano,
        })
    }
}

impl TryFrom<String> for Quantity {
    type Error = QuantityError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Quantity> for String {
    fn from(quantity: Quantity) -> Self {
        quantity.text
    }
}

impl From<&Quantity> for ApiQuantity {
    fn from(quantity: &Quantity) -> Self {
        Self(quantity.text.clone())
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

/// What a suffix multiplies with: `factor · 10^exponent`.
#[derive(Clone, Copy, Debug)]
struct Unit {
    factor: u128,
    exponent: i64,
}

impl Unit {
    fn parse(suffix: &str) -> Option<Self> {
        let binary = |power: u32| {
            Some(Self {
                factor: 1 << (10 * power),
                exponent: 0,
            })
        };
        let decimal = |exponent: i64| Some(Self { factor: 1, exponent });
        match suffix {
            "Ki" => binary(1),
            "Mi" => binary(2),
            "Gi" => binary(3),
            "Ti" => binary(4),
            "Pi" => binary(5),
            "Ei" => binary(6),
            "n" => decimal(-9),
            "u" => decimal(-6),
            "m" => decimal(-3),
            "" => decimal(0),
            "k" => decimal(3),
            "M" => decimal(6),
            "G" => decimal(9),
            "T" => decimal(12),
            "P" => decimal(15),
            "E" => decimal(18),
            // An `i32` so that sums with lengths of texts can't overflow an `i64`.
            _ => decimal(suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?.into()),
        }
    }

    /// The amount in 10⁻⁹, rounded up as Kubernetes does. `None` when it is too large.
    fn nano(self, whole: &str, fraction: &str) -> Option<u128> {
        let fraction = fraction.trim_end_matches('0');
        let digits = || {
            whole
                .bytes()
                .chain(fraction.bytes())
                .map(|digit| u128::from(digit - b'0'))
        };
        if digits().all(|digit| digit == 0) {
            return Some(0);
        }
        let number = digits().try_fold(0_u128, |sum, digit| sum.checked_mul(10)?.checked_add(digit))?;
        let number = number.checked_mul(self.factor)?;
        let places = self.exponent + NANO_PLACES - i64::try_from(fraction.len()).ok()?;
        let power = u32::try_from(places.unsigned_abs())
            .ok()
            .and_then(|places| 10_u128.checked_pow(places));
        let nano = match (places < 0, power) {
            (false, Some(power)) => number.checked_mul(power)?,
            (false, None) => return None,
            (true, Some(power)) => number.div_ceil(power),
            // A divisor beyond 128 bits leaves less than one unit of any number, and that rounds up to one.
            (true, None) => 1,
        };
        (nano <= MAX_NANO).then_some(nano)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quantity(text: &str) -> Quantity {
        text.parse().unwrap()
    }

    #[test]
    fn values_are_those_of_kubernetes() {
        for (text, nano) in [
            ("0", 0),
            ("1", NANO),
            ("+1", NANO),
            ("1.", NANO),
            (".5", NANO / 2),
            ("100m", NANO / 10),
            ("1u", 1_000),
            ("1n", 1),
            ("0.1n", 1),
            ("1e-40", 1),
            ("1.5Ki", 1_536 * NANO),
            ("0.1Ki", 102_400_000_000),
            ("1Gi", (1 << 30) * NANO),
            ("2k", 2_000 * NANO),
            ("1E", 10_u128.pow(18) * NANO),
            ("1E3", 1_000 * NANO),
            ("1e+3", 1_000 * NANO),
            ("12e-1", 1_200_000_000),
            ("0e2000000000", 0),
            ("9223372036854775807", MAX_NANO),
            ("7Ei", (7 << 60) * NANO),
        ] {
            assert_eq!(quantity(text).nano, nano, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "", "+", ".", "1..2", "1.2.3", "Ki", "1ki", "1K", "1g", "1 Gi", "1e", "1e3Ki", "1e1.5", "٣",
            "1GiB",
        ] {
            assert_eq!(text.parse::<Quantity>(), Err(QuantityError::Syntax(text.into())));
        }
        for text in ["-1", "-0", "-"] {
            assert_eq!(
                text.parse::<Quantity>(),
                Err(QuantityError::Negative(text.into()))
            );
        }
        for text in [
            "9223372036854775808",
            "8Ei",
            "10E",
            "1e19",
            "1e2000000000",
            &"9".repeat(50),
        ] {
            assert_eq!(
                text.parse::<Quantity>(),
                Err(QuantityError::TooLarge(text.into()))
            );
        }
    }

    #[test]
    fn compared_by_value_and_shown_as_written() {
        assert_eq!(quantity("1Gi"), quantity("1024Mi"));
        assert_ne!(quantity("1G"), quantity("1Gi"));
        assert!(quantity("999m") < quantity("1"));
        assert_eq!(quantity("1024Mi").to_string(), "1024Mi");
        assert!(quantity("0.000Ei").is_zero());
        assert!(!quantity("512m").is_whole());
        assert!(quantity("1.5Ki").is_whole());
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused_and_kept(text in "\\PC{0,24}|[+-]?[0-9.]{0,40}[eEinumkKMGTP]{0,2}[+-]?[0-9]{0,10}") {
            if let Ok(quantity) = text.parse::<Quantity>() {
                prop_assert_eq!(quantity.to_string(), text);
                prop_assert!(quantity.nano <= MAX_NANO);
            }
        }

        #[test]
        fn order_is_that_of_the_numbers(a in 0_u64..1 << 40, b in 0_u64..1 << 40) {
            prop_assert_eq!(quantity(&format!("{a}m")).cmp(&quantity(&format!("{b}m"))), a.cmp(&b));
            prop_assert_eq!(quantity(&format!("{a}Ki")), quantity(&(a * 1024).to_string()));
            prop_assert_eq!(quantity(&format!("{a}e-3")), quantity(&format!("{a}m")));
            prop_assert_eq!(quantity(&format!("{}.{:03}k", a / 1000, a % 1000)), quantity(&a.to_string()));
        }
    }
}
