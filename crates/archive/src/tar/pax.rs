//! Records of a pax extended header: `LENGTH KEY=VALUE\n`, the length counting all of the record.

use crate::left::{Left, LeftOut};

/// An entry that its sender left out: its name, a NUL, and why. In a global header at the end of the archive; who does not know it reads
/// over it, as pax(1) has it.
const LEFT: &[u8] = b"PODBAY.left";
/// How many more were left out.
const LEFT_MORE: &[u8] = b"PODBAY.left.more";
/// Bytes of an entry's name and reason that are told, at most.
const LEFT_LIMIT: usize = 4096;

/// The records that tell what was left out.
pub(super) fn left_out(left: &LeftOut) -> Vec<u8> {
    let mut records = Vec::new();
    for Left { entry, reason } in left.named() {
        let mut value = format!("{entry}\0{reason}").into_bytes();
        value.truncate(LEFT_LIMIT);
        records.extend(record(LEFT, &value));
    }
    let more = left.total() - left.named().len() as u64;
    if more > 0 {
        records.extend(record(LEFT_MORE, more.to_string().as_bytes()));
    }
    records
}

/// A record, whose length counts its own digits.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = [b" ".as_slice(), key, b"=", value, b"\n"].concat();
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length += 1;
    }
    [length.to_string().as_bytes(), &rest].concat()
}

/// What is used of an extended header; everything else in it (owners, times, extended attributes) is ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extension {
    /// `path`.
    pub path: Option<Vec<u8>>,
    /// `linkpath`.
    pub link: Option<Vec<u8>>,
    /// `size`, in bytes. It replaces the header's field, which is too small for 8 GiB.
    pub size: Option<u64>,
    /// What the archive lacks: see [`LEFT`].
    pub left: LeftOut,
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
                LEFT => {
                    let text = String::from_utf8_lossy(value);
                    let (entry, reason) = text.split_once('\0').unwrap_or((&text, ""));
                    extension.left.push(entry.to_owned(), reason.to_owned());
                }
                LEFT_MORE => extension.left.count(decimal(value)?),
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
        let Self {
            path,
            link,
            size,
            left: _,
            sparse,
        } = self;
        path.is_none() && link.is_none() && size.is_none() && !sparse
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
    fn what_was_left_out_is_read_as_it_was_told() {
        let mut left = LeftOut::default();
        for number in 0..150 {
            left.push(
                format!("d/{number}{}", "x".repeat(number)),
                "permission denied".to_owned(),
            );
        }
        let extension = Extension::parse(&left_out(&left)).unwrap();
        assert!(extension.is_harmless());
        assert_eq!(extension.left, left);
        assert_eq!((left.named().len(), left.total()), (100, 150));
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
