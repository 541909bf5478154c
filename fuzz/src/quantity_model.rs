//! Kubernetes' resource quantities as exact numbers (`apimachinery/pkg/api/resource/quantity.go`).

use crate::decimal::Decimal;

/// What a text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// No quantity.
    Syntax,
    /// It begins with a minus.
    Negative,
    /// More than 2⁶³ − 1, or of more digits than fit 128 bits.
    TooLarge,
    /// The amount.
    Amount(Amount),
}

/// An amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount {
    /// As written.
    pub exact: Decimal,
    /// In units of 10⁻⁹, rounded up: what Kubernetes keeps.
    pub nano: Decimal,
}

/// What each suffix multiplies with: a power of 2, a power of 10.
const SUFFIXES: [(&str, u32, i64); 16] = [
    ("", 0, 0),
    ("Ki", 10, 0),
    ("Mi", 20, 0),
    ("Gi", 30, 0),
    ("Ti", 40, 0),
    ("Pi", 50, 0),
    ("Ei", 60, 0),
    ("n", 0, -9),
    ("u", 0, -6),
    ("m", 0, -3),
    ("k", 0, 3),
    ("M", 0, 6),
    ("G", 0, 9),
    ("T", 0, 12),
    ("P", 0, 15),
    ("E", 0, 18),
];

/// 2⁶³ − 1.
const LARGEST: &str = "9223372036854775807";
/// 2¹²⁸ − 1.
const MOST_DIGITS: &str = "340282366920938463463374607431768211455";

/// Reads a text.
pub fn read(text: &str) -> Reading {
    let mut rest = text.bytes().peekable();
    match rest.peek() {
        Some(b'-') => return Reading::Negative,
        Some(b'+') => {
            rest.next();
        }
        _ => {}
    }
    let mut whole = Vec::new();
    while let Some(digit) = rest.next_if(u8::is_ascii_digit) {
        whole.push(digit - b'0');
    }
    let mut fraction = Vec::new();
    if rest.next_if_eq(&b'.').is_some() {
        while let Some(digit) = rest.next_if(u8::is_ascii_digit) {
            fraction.push(digit - b'0');
        }
    }
    if whole.is_empty() && fraction.is_empty() {
        return Reading::Syntax;
    }
    let suffix: Vec<u8> = rest.collect();
    let Some((twos, tens)) = unit(&suffix) else {
        return Reading::Syntax;
    };
    while fraction.last() == Some(&0) {
        fraction.pop();
    }
    let places = i64::try_from(fraction.len()).expect("a text of such length");
    let mut number = Decimal::new(&[whole, fraction].concat(), 0);
    for _ in 0..twos {
        number = number.doubled();
    }
    let exact = number.shifted(tens - places);
    if exact > Decimal::whole(LARGEST) || number > Decimal::whole(MOST_DIGITS) {
        return Reading::TooLarge;
    }
    let nano = exact.shifted(9).ceil();
    Reading::Amount(Amount { exact, nano })
}

fn unit(suffix: &[u8]) -> Option<(u32, i64)> {
    let known = SUFFIXES.iter().find(|(name, ..)| name.as_bytes() == suffix);
    if let Some(&(_, twos, tens)) = known {
        return Some((twos, tens));
    }
    let [b'e' | b'E', exponent @ ..] = suffix else {
        return None;
    };
    let (negative, digits) = match exponent {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0_i64, |sum, digit| {
        sum.saturating_mul(10).saturating_add(i64::from(digit - b'0'))
    });
    let exponent = if negative { -size } else { size };
    // Kubernetes keeps exponents in 32 bits.
    i32::try_from(exponent).ok().map(|exponent| (0, exponent.into()))
}
