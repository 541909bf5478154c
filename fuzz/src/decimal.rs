//! Exact decimal numbers of any size, digit by digit.

use std::cmp::Ordering;

/// `0.d₁d₂d₃… · 10^point`, not negative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// Without zeros at either end; empty is zero.
    digits: Vec<u8>,
    /// 0 when there are no digits.
    point: i64,
}

impl Decimal {
    /// The number with these digits (0 to 9) before a decimal point that is then moved `exponent` places right.
    pub fn new(digits: &[u8], exponent: i64) -> Self {
        let leading = digits.iter().take_while(|&&digit| digit == 0).count();
        let mut kept = digits[leading..].to_vec();
        let point = i64::try_from(kept.len()).expect("a text of such length") + exponent;
        while kept.last() == Some(&0) {
            kept.pop();
        }
        let point = if kept.is_empty() { 0 } else { point };
        Self { digits: kept, point }
    }

    /// The whole number that a text of digits shows.
    pub fn whole(text: &str) -> Self {
        Self::new(&text.bytes().map(|digit| digit - b'0').collect::<Vec<_>>(), 0)
    }

    /// Twice the number.
    #[must_use]
    pub fn doubled(&self) -> Self {
        let mut carry = 0;
        let mut digits = vec![0; self.digits.len() + 1];
        for (at, digit) in self.digits.iter().enumerate().rev() {
            let sum = digit * 2 + carry;
            digits[at + 1] = sum % 10;
            carry = sum / 10;
        }
        digits[0] = carry;
        let count = i64::try_from(self.digits.len()).expect("a text of such length");
        Self::new(&digits, self.point - count)
    }

    /// The number with its point moved `places` right.
    #[must_use]
    pub fn shifted(&self, places: i64) -> Self {
        let point = if self.digits.is_empty() {
            0
        } else {
            self.point + places
        };
        Self {
            digits: self.digits.clone(),
            point,
        }
    }

    /// The smallest whole number that is not less.
    #[must_use]
    pub fn ceil(&self) -> Self {
        if self.is_whole() {
            return self.clone();
        }
        let kept = usize::try_from(self.point.max(0)).expect("less than there are digits");
        let mut digits = vec![0];
        digits.extend(&self.digits[..kept]);
        // One more than what is left of the point.
        for digit in digits.iter_mut().rev() {
            *digit = (*digit + 1) % 10;
            if *digit != 0 {
                break;
            }
        }
        Self::new(&digits, 0)
    }

    /// Whether nothing is right of the point.
    pub fn is_whole(&self) -> bool {
        usize::try_from(self.point.max(0)).is_ok_and(|point| point >= self.digits.len())
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// A whole number in digits.
    pub fn to_whole_text(&self) -> String {
        assert!(self.is_whole());
        if self.is_zero() {
            return "0".to_owned();
        }
        let mut text: String = self.digits.iter().map(|digit| char::from(digit + b'0')).collect();
        let length = usize::try_from(self.point).expect("a whole number");
        text.extend(std::iter::repeat_n('0', length - self.digits.len()));
        text
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            // The first digit is not zero, so the point tells the magnitude.
            (false, false) => (self.point, &self.digits).cmp(&(other.point, &other.digits)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thousandths(number: u32) -> Decimal {
        Decimal::whole(&number.to_string()).shifted(-3)
    }

    #[test]
    fn agrees_with_machine_numbers() {
        for a in (0..3000).step_by(7).chain([999, 1000, 1001, 9999, 10_000]) {
            let number = thousandths(a);
            assert_eq!(number.ceil().to_whole_text(), a.div_ceil(1000).to_string(), "{a}");
            assert_eq!(number.doubled(), thousandths(2 * a), "{a}");
            assert_eq!(number.is_whole(), a % 1000 == 0, "{a}");
            for b in [0, 1, 9, 10, 999, 1000, 1001, 2000] {
                assert_eq!(number.cmp(&thousandths(b)), a.cmp(&b), "{a} {b}");
            }
        }
        assert_eq!(Decimal::whole("0100").shifted(2).to_whole_text(), "10000");
    }
}
