//! Records of a pax extended header: `LENGTH KEY=VALUE\n`, the length counting all of the record.

/// What is used of an extended header; everything else in it (owners, times, extended attributes) is ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extension {
    /// `path`.
    pub path: Option<Vec<u8>>,
    /// `linkpath`.
    pub link: Option<Vec<u8>>,
    /// `size`, in bytes. It replaces the header's field, which is too small for 8 GiB.
    pub size: Option<u64>,
    /// Whether any `GNU.sparse.*` is there: the data is not the file's then.
    pub sparse: bool,
}

impl Extension {
    /// Reads all records; nothing if one of them is not well formed.
    pub(super) fn parse(mut records: &[u8]) -> Option<Self> {
        let mut extension = Self::default();
        while !records.is_empty() {
            let space = records.iter().position(|&byte| byte == b' ')?;
            let length = decimal(&records[..space])?;
            let record = records.get(..usize::try_from(length).ok()?)?;
            let (&newline, pair) = record.get(space + 1..)?.split_last()?;
            let equals = pair.iter().position(|&byte| byte == b'=')?;
            if newline != b'\n' {
                return None;
            }
            let value = &pair[equals + 1..];
            match &pair[..equals] {
                b"path" => extension.path = Some(value.to_vec()),
                b"linkpath" => extension.link = Some(value.to_vec()),
                b"size" => extension.size = Some(decimal(value)?),
                key if key.starts_with(b"GNU.sparse.") => extension.sparse = true,
                _ => {}
            }
            records = &records[record.len()..];
        }
        Some(extension)
    }

    /// Whether it says nothing of what an entry is.
    pub(super) fn is_harmless(&self) -> bool {
        *self == Self::default()
    }
}

/// A decimal number without a sign.
fn decimal(digits: &[u8]) -> Option<u64> {
    // `parse` would take a plus sign.
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_by_their_length_not_by_line() {
        let extension =
            Extension::parse(b"14 path=a\nb=c\n30 mtime=1700000000.123456789\n11 size=12\n").unwrap();
        assert_eq!(extension.path.as_deref(), Some(b"a\nb=c".as_slice()));
        assert_eq!(extension.size, Some(12));
        assert!(!extension.sparse && !extension.is_harmless());
        assert!(Extension::parse(b"18 comment=abcdef\n").unwrap().is_harmless());
        assert!(Extension::parse(b"22 GNU.sparse.major=1\n").unwrap().sparse);
    }

    #[test]
    fn what_is_not_well_formed_is_not_guessed_at() {
        for records in [
            b"8 path=a\n".as_slice(),
            b"99 path=a\n",
            b"0 ",
            b"2 ",
            b"+9 path=ab\n",
            b"9 pathaa\n",
            b"9 path=aa",
            b"11 size=-1\n",
            b"12 size=1x\n",
            b"29 size=18446744073709551616\n",
            b"99999999999999999999 path=a\n",
            b"path=a\n",
        ] {
            assert_eq!(Extension::parse(records), None, "{}", records.escape_ascii());
        }
    }
}
