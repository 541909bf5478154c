//! YAML in a text, read as kubectl reads it.

use serde::de::DeserializeOwned;
use serde_saphyr::Error;

/// Reads the one document of a text. The error says in one line what is wrong and where, without an excerpt of the
/// text.
///
/// A number with a leading zero is octal (YAML 1.1), so that `defaultMode: 0400` is the mode that it looks like.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|fault| match fault.without_snippet() {
        Error::MultipleDocuments { .. } => {
            "it has more than one YAML document: leave out the line \"---\" and what follows it".to_owned()
        }
        fault => fault.to_string().lines().next().unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_leading_zero_makes_a_number_octal_as_for_kubectl() {
        let value: Value = parse("{a: 0400, b: 0o400, c: 256, d: '0400', e: 0.5, f: -010}").unwrap();
        assert_eq!(
            value,
            json!({ "a": 256, "b": 256, "c": 256, "d": "0400", "e": 0.5, "f": -8 })
        );
    }

    #[test]
    fn several_documents_are_refused_in_the_users_terms() {
        let said = parse::<Value>("a: 1\n---\nb: 2\n").unwrap_err();
        assert_eq!(
            said,
            "it has more than one YAML document: leave out the line \"---\" and what follows it"
        );
        assert_eq!(parse::<Value>("---\na: 1\n"), Ok(json!({ "a": 1 })));
    }

    #[test]
    fn faults_are_one_line_without_an_excerpt() {
        let said = parse::<Value>("{secret: [").unwrap_err();
        assert!(!said.contains("secret") && said.lines().count() == 1, "{said}");
    }
}
