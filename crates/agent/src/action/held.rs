//! Where something begins in bytes that come in pieces, and how much of a piece's end may be its beginning.

/// Where `wanted` is, if all of it is there. Never, if it is empty.
pub(super) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| *byte == first) {
        if bytes[from + at..].starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// How many of the last bytes are the beginning of `wanted`: what is held back until more has come.
pub(super) fn overlap(bytes: &[u8], wanted: &[u8]) -> usize {
    (1..wanted.len().min(bytes.len() + 1))
        .rev()
        .find(|length| bytes.ends_with(&wanted[..*length]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_whole_is_found_and_what_may_become_it_is_counted() {
        for (bytes, wanted, at, kept) in [
            (&b"a--b--c"[..], &b"--c"[..], Some(4), 0),
            (b"---", b"--c", None, 2),
            (b"x", b"--c", None, 0),
            (b"", b"--c", None, 0),
            (b"--", b"", None, 0),
        ] {
            assert_eq!(
                (find(bytes, wanted), overlap(bytes, wanted)),
                (at, kept),
                "{bytes:?}"
            );
        }
    }
}
