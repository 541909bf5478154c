//! Which part of a file is asked for (RFC 9110, 14.1.2).

/// One range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// From the first byte named to the last one, or to the end of the file.
    From {
        /// The first byte.
        first: u64,
        /// The last one.
        last: Option<u64>,
    },
    /// So many bytes at the end of the file.
    Last(u64),
}

impl ByteRange {
    /// Reads a header. `None` for one that is to be ignored: another unit, several ranges, or none that can be read.
    pub fn parse(header: &str) -> Option<Self> {
        let (first, last) = header.strip_prefix("bytes=")?.trim().split_once('-')?;
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().unwrap_or(u64::MAX))
        };
        if first.is_empty() {
            return number(last).map(Self::Last);
        }
        let first = number(first)?;
        let last = if last.is_empty() {
            None
        } else {
            Some(number(last)?)
        };
        last.is_none_or(|last| last >= first)
            .then_some(Self::From { first, last })
    }

    /// Where it begins in a file of `size` bytes, and how many bytes it has, at least one. `None` if none of it is in
    /// the file.
    pub fn of(self, size: u64) -> Option<(u64, u64)> {
        let (first, end) = match self {
            Self::From { first, last } => (first, last.map_or(size, |last| last.saturating_add(1).min(size))),
            Self::Last(count) => (size.saturating_sub(count), size),
        };
        (first < end).then(|| (first, end - first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_the_file() {
        for (header, expected) in [
            ("bytes=0-", Some((0, 10))),
            ("bytes=3-5", Some((3, 3))),
            ("bytes=9-9", Some((9, 1))),
            ("bytes=3-99999999999999999999", Some((3, 7))),
            ("bytes=-4", Some((6, 4))),
            ("bytes=-40", Some((0, 10))),
            ("bytes=-0", None),
            ("bytes=10-", None),
            ("bytes=99999999999999999999-", None),
        ] {
            assert_eq!(ByteRange::parse(header).unwrap().of(10), expected, "{header}");
        }
        assert_eq!(ByteRange::Last(3).of(0), None);
    }

    #[test]
    fn what_is_no_single_range_is_ignored() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-3",
            "bytes=1-2,4-5",
            "lines=1-2",
            "bytes=a-",
            "bytes=+1-",
        ] {
            assert_eq!(ByteRange::parse(header), None, "{header}");
        }
    }
}
