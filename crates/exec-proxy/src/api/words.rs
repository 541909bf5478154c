//! A command as one text, split into words as a POSIX shell splits them.
//!
//! Quotes and backslashes mean what they mean to a shell (POSIX.1-2024, Shell Command Language, 2.2); nothing is expanded, and
//! no shell runs. What a shell would do more than split (`;`, `|`, `$NAME`) is left as it stands in the words.

/// Why a text has no words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WordsError {
    /// A quote is not closed.
    #[error("a {0} quote is not closed")]
    Open(&'static str),
    /// A backslash is the last character.
    #[error("it ends with a backslash")]
    Backslash,
}

/// The words of a text.
pub(crate) fn words(text: &str) -> Result<Vec<String>, WordsError> {
    let mut words = Vec::new();
    // An empty word is one, if it was quoted.
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        Some('\'') => break,
                        Some(character) => word.push(character),
                        None => return Err(WordsError::Open("single")),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        Some('"') => break,
                        Some('\\') => match characters.next() {
                            Some(escaped @ ('$' | '`' | '"' | '\\')) => word.push(escaped),
                            // A line that goes on.
                            Some('\n') => {}
                            Some(other) => word.extend(['\\', other]),
                            None => return Err(WordsError::Open("double")),
                        },
                        Some(character) => word.push(character),
                        None => return Err(WordsError::Open("double")),
                    }
                }
            }
            '\\' => match characters.next() {
                Some('\n') => {}
                Some(escaped) => word.get_or_insert_default().push(escaped),
                None => return Err(WordsError::Backslash),
            },
            character => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_those_that_a_shell_makes() {
        for (text, expected) in [
            ("", &[][..]),
            (" \t\n ", &[]),
            (
                "/usr/local/bin/openhands-agent-server --port 60000",
                &["/usr/local/bin/openhands-agent-server", "--port", "60000"],
            ),
            ("a  'b c'\"d e\" f\\ g", &["a", "b cd e", "f g"]),
            ("'' \"\"", &["", ""]),
            (r#""\$x \a \" \\" '\n'"#, &[r#"$x \a " \"#, r"\n"]),
            ("a\\\nb \"c\\\nd\"", &["ab", "cd"]),
            // What only a shell would do is not done.
            ("echo $HOME; a|b *", &["echo", "$HOME;", "a|b", "*"]),
        ] {
            assert_eq!(words(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_text_that_can_not_be_split_is_refused() {
        assert_eq!(words("a 'b"), Err(WordsError::Open("single")));
        assert_eq!(words("a \"b'"), Err(WordsError::Open("double")));
        assert_eq!(words("a \"b\\"), Err(WordsError::Open("double")));
        assert_eq!(words("a\\"), Err(WordsError::Backslash));
    }

    proptest! {
        #[test]
        fn what_was_quoted_comes_back(argv in prop::collection::vec(".{0,12}", 0..6)) {
            let quoted: Vec<String> = argv.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
            prop_assert_eq!(words(&quoted.join(" ")), Ok(argv));
        }
    }
}
