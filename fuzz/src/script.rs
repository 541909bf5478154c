//! Inputs as text: a first line of options, then one step a line. A mutation in one line leaves the others be.

use std::sync::LazyLock;

/// An input taken apart.
#[derive(Clone, Debug)]
pub struct Script<'a> {
    /// The first line.
    pub options: &'a [u8],
    /// All that follows it.
    pub rest: &'a [u8],
}

impl<'a> Script<'a> {
    /// Takes an input apart.
    pub fn new(input: &'a [u8]) -> Self {
        let end = input.iter().position(|&byte| byte == b'\n');
        let (options, rest) = end.map_or((input, &b""[..]), |end| (&input[..end], &input[end + 1..]));
        Self { options, rest }
    }

    /// Whether an option is given: a letter.
    pub fn has(&self, option: u8) -> bool {
        self.options.contains(&option)
    }

    /// The number among the options, 0 without.
    pub fn number(&self) -> usize {
        number(self.options)
    }

    /// The steps; an empty text has none.
    pub fn steps(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let rest = self.rest.strip_suffix(b"\n").unwrap_or(self.rest);
        rest.split(|&byte| byte == b'\n')
            .take(if rest.is_empty() { 0 } else { usize::MAX })
    }
}

/// The first four digits of a text as a number, 0 without.
pub fn number(text: &[u8]) -> usize {
    text.iter()
        .filter(|byte| byte.is_ascii_digit())
        .take(4)
        .fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
}

/// `len` bytes that begin with the one after `start`, in a sequence that no shift by a block or a page maps onto
/// itself.
pub fn pattern(start: usize, len: usize) -> Vec<u8> {
    /// Of the sequence; longer than what any input asks for.
    const LENGTH: usize = 4 << 20;
    static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let byte = |at: usize| (at.wrapping_mul(31) ^ (at / 251)).to_le_bytes()[0];
        (0..LENGTH).map(byte).collect()
    });
    BYTES[start..start + len].to_vec()
}
