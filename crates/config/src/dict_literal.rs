//! A map of texts in one variable: a JSON object, or a Python dict literal as OpenHands reads it
//! (`ast.literal_eval`), of which the simple form is understood: quoted names and quoted values.
//!
//! The content is secret, so errors tell positions and names, never values.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use thiserror::Error;

/// Why a text is no map of texts.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum DictFault {
    #[error("the value of {name:?} is not text; put it in quotes")]
    NotText { name: String },
    #[error("neither a JSON object nor a Python dict of texts: expected {expected} at character {position}")]
    Syntax { position: usize, expected: &'static str },
}

/// Reads either form. Where a name is repeated the last value holds, as in both languages.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, String>, DictFault> {
    match serde_json::from_str::<BTreeMap<String, serde_json::Value>>(text) {
        Ok(object) => object
            .into_iter()
            .map(|(name, value)| match value {
                serde_json::Value::String(value) => Ok((name, value)),
                _ => Err(DictFault::NotText { name }),
            })
            .collect(),
        // serde_json's message may quote a value, so the answer is the other parser's.
        Err(_) => PythonDict::new(text).parse(),
    }
}

struct PythonDict<'a> {
    rest: Peekable<Chars<'a>>,
    /// Of the next character, counted from 1 as people do.
    position: usize,
}

impl<'a> PythonDict<'a> {
    fn new(text: &'a str) -> Self {
        PythonDict {
            rest: text.chars().peekable(),
            position: 1,
        }
    }

    fn parse(mut self) -> Result<BTreeMap<String, String>, DictFault> {
        let mut pairs = BTreeMap::new();
        self.punctuation('{', "\"{\"")?;
        while !self.at('}') {
            let name = self.quoted("a name in quotes or \"}\"")?;
            self.punctuation(':', "\":\"")?;
            let value = self.quoted("a value in quotes")?;
            pairs.insert(name, value);
            if !self.at('}') {
                self.punctuation(',', "\",\" or \"}\"")?;
            }
        }
        self.punctuation('}', "\"}\"")?;
        self.skip_space();
        match self.rest.peek() {
            None => Ok(pairs),
            Some(_) => Err(self.fault("the end")),
        }
    }

    fn fault(&self, expected: &'static str) -> DictFault {
        DictFault::Syntax {
            position: self.position,
            expected,
        }
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.position += usize::from(next.is_some());
        next
    }

    fn skip_space(&mut self) {
        while self.rest.peek().is_some_and(|c| c.is_whitespace()) {
            self.next();
        }
    }

    fn at(&mut self, wanted: char) -> bool {
        self.skip_space();
        self.rest.peek() == Some(&wanted)
    }

    fn punctuation(&mut self, wanted: char, expected: &'static str) -> Result<(), DictFault> {
        if self.at(wanted) {
            self.next();
            Ok(())
        } else {
            Err(self.fault(expected))
        }
    }

    fn quoted(&mut self, expected: &'static str) -> Result<String, DictFault> {
        self.skip_space();
        let Some(&quote @ ('\'' | '"')) = self.rest.peek() else {
            return Err(self.fault(expected));
        };
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(self.fault("the closing quote")),
                Some('\\') => self.escape(&mut text)?,
                Some(c) if c == quote => return Ok(text),
                Some(c) => text.push(c),
            }
        }
    }

    /// The escapes of Python's string literals, except octal ones and names (`\N{..}`), which are refused
    /// rather than misread. As in Python a backslash before any other character stays.
    fn escape(&mut self, text: &mut String) -> Result<(), DictFault> {
        match self.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('\n') => {}
            Some(c @ ('\\' | '\'' | '"')) => text.push(c),
            Some('x') => text.push(self.hex(2)?),
            Some('u') => text.push(self.hex(4)?),
            Some('U') => text.push(self.hex(8)?),
            Some('0'..='7' | 'N' | 'a' | 'b' | 'f' | 'v') => {
                return Err(
                    self.fault("one of the escapes \\n \\t \\r \\\\ \\' \\\" \\x \\u \\U before this point")
                );
            }
            Some(c) => text.extend(['\\', c]),
            None => return Err(self.fault("the closing quote")),
        }
        Ok(())
    }

    fn hex(&mut self, digits: usize) -> Result<char, DictFault> {
        let mut code = 0;
        for _ in 0..digits {
            match self.rest.peek().and_then(|c| c.to_digit(16)) {
                Some(digit) => code = code * 16 + digit,
                None => return Err(self.fault("a hexadecimal digit")),
            }
            self.next();
        }
        char::from_u32(code).ok_or_else(|| self.fault("the code of a character before this point"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().collect()
    }

    #[test]
    fn both_forms_are_read() {
        let expected = vec![
            ("A".to_owned(), "1".to_owned()),
            ("B".to_owned(), "it's".to_owned()),
        ];
        for text in [
            r#"{"A": "1", "B": "it's"}"#,
            r#"{'A': '1', 'B': "it's"}"#,
            r"{'A':'1','B':'it\'s',}",
            " { 'A' : '1' ,\n 'B' : 'it\\x27s' } ",
        ] {
            assert_eq!(pairs(text), expected, "{text}");
        }
        assert_eq!(pairs("{}"), []);
        assert_eq!(
            pairs(r"{'A': '\d\u00e9\n'}"),
            [("A".to_owned(), "\\dé\n".to_owned())]
        );
    }

    #[test]
    fn faults_tell_where_and_never_what() {
        for (text, position) in [
            ("", 1),
            ("SECRET", 1),
            ("{'A': SECRET}", 7),
            ("{'A': 'SECRET'", 15),
            ("{'A': 'SECRET", 14),
            ("{'A': 'SECRET' 'x'}", 16),
            ("{'A': 'SECRET'} x", 17),
            (r"{'A': '\xZZSECRET'}", 10),
            (r"{'A': '\ud800SECRET'}", 14),
            (r"{'A': '\0SECRET'}", 10),
        ] {
            let fault = parse(text).unwrap_err();
            assert!(
                matches!(fault, DictFault::Syntax { position: at, .. } if at == position),
                "{text}: {fault}"
            );
            assert!(!fault.to_string().contains("SECRET"), "{fault}");
        }
        assert_eq!(
            parse(r#"{"A": 1}"#),
            Err(DictFault::NotText { name: "A".to_owned() })
        );
        let array = parse(r#"["SECRET"]"#).unwrap_err();
        assert!(!array.to_string().contains("SECRET"), "{array}");
    }
}
