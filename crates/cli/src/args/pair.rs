//! `KEY=VALUE`.

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// Parses `KEY=VALUE`; the value may be empty and may hold more equals signs.
pub(crate) fn pair(text: &str) -> Result<Pair, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(Pair {
            key: key.to_owned(),
            value: value.to_owned(),
        }),
        _ => Err("it is written KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_equals_sign_parts() {
        assert_eq!(
            pair("a=b=c"),
            Ok(Pair {
                key: "a".into(),
                value: "b=c".into()
            })
        );
        assert_eq!(
            pair("a="),
            Ok(Pair {
                key: "a".into(),
                value: String::new()
            })
        );
        assert!(pair("=b").is_err() && pair("a").is_err() && pair("").is_err());
    }
}
