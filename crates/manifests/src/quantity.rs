//! Kubernetes' resource quantities, compared exactly.
//!
//! Grammar: `apimachinery/pkg/api/resource/quantity.go`. A number with an optional fraction, then a binary
//! suffix (`Ki` … `Ei`), a decimal one (`n` `u` `m` `k` `M` `G` `T` `P` `E`) or an exponent (`e3`, `E-2`).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;
use serde::{Deserialize, Serialize};

mod canonical;

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

    /// The whole bytes of it.
    pub(crate) fn bytes(&self) -> u64 {
        // No amount is more than 2^63 - 1.
        u64::try_from(self.nano / NANO).unwrap_or(u64::MAX)
    }

    /// Whether it is written in multiples of one (`1.1Gi`, `0.5k`), so that a broken amount is a rounded one.
    pub(crate) fn is_in_multiples(&self) -> bool {
        let suffix = self.suffix();
        suffix.starts_with(['k', 'K', 'M', 'G', 'T', 'P']) || matches!(suffix, "E" | "Ei")
    }

    /// How to write the bytes that this was most likely meant to be.
    pub(crate) fn how_to_write_bytes(&self) -> &'static str {
        match self.suffix() {
            "m" => "\"m\" is a thousandth, write \"M\" or \"Mi\"",
            _ => "write a whole number, or a unit such as \"Mi\"",
        }
    }

    fn suffix(&self) -> &str {
        self.text
            .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '+')
    }

    /// This amount `factor` times, as exact as it is. Its text is Kubernetes' canonical form, except that once
    /// an amount is itself. `None` where Kubernetes holds no such amount.
    #[must_use]
    pub fn times(&self, factor: u32) -> Option<Self> {
        if factor == 1 {
            return Some(self.clone());
        }
        self.with_value(self.nano.checked_mul(factor.into())?)
    }

    /// The sum with `other`, in the notation of this one. `None` where Kubernetes holds no such amount.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Option<Self> {
        self.with_value(self.nano.checked_add(other.nano)?)
    }

    /// Another amount in the same notation.
    fn with_value(&self, nano: u128) -> Option<Self> {
        (nano <= MAX_NANO).then(|| Self {
            text: canonical::text(nano, canonical::Notation::of(&self.text)),
            nano,
        })
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
mod tests;
