//! A list or table in one text: JSON, or a Python literal as OpenHands reads it (`ast.literal_eval`): lists, tuples,
//! dicts with quoted names, quoted texts, numbers, `True`, `False` and `None`.
//!
//! The content may be secret, so errors tell positions, never values.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use thiserror::Error;

use crate::raw::Raw;

/// Why a text is no literal.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("neither JSON nor a Python literal: expected {expected} at character {position}")]
pub(crate) struct LiteralFault {
    position: usize,
    expected: &'static str,
}

/// How deep lists and tables may be inside one another: more than any setting has, and far from the end of a stack.
const MOST_LEVELS: usize = 32;

/// Reads either form. Where a name is repeated the last value holds, as in both languages.
pub(crate) fn parse(text: &str) -> Result<Raw, LiteralFault> {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value) => Ok(Raw::from(value)),
        // serde_json's message may quote a value, so the answer is the other parser's.
        Err(_) => PythonLiteral::new(text).parse(),
    }
}

struct PythonLiteral<'a> {
    rest: Peekable<Chars<'a>>,
    /// Of the next character, counted from 1 as people do.
    position: usize,
}

impl<'a> PythonLiteral<'a> {
    fn new(text: &'a str) -> Self {
        PythonLiteral {
            rest: text.chars().peekable(),
            position: 1,
        }
    }

    fn parse(mut self) -> Result<Raw, LiteralFault> {
        let value = self.value(0)?;
        self.skip_space();
        match self.rest.peek() {
            None => Ok(value),
            Some(_) => Err(self.fault("the end")),
        }
    }

    fn value(&mut self, level: usize) -> Result<Raw, LiteralFault> {
        self.skip_space();
        match self.rest.peek() {
            Some('{' | '[' | '(') if level == MOST_LEVELS => Err(self.fault("fewer levels")),
            Some('{') => self.dict(level),
            Some('[') => self.list(level, ']', "\",\" or \"]\""),
            Some('(') => self.list(level, ')', "\",\" or \")\""),
            Some('\'' | '"') => Ok(Raw::Text(self.quoted("a text in quotes")?)),
            _ => self.word(),
        }
    }

    fn dict(&mut self, level: usize) -> Result<Raw, LiteralFault> {
        let mut pairs = BTreeMap::new();
        self.punctuation('{', "\"{\"")?;
        while !self.at('}') {
            let name = self.quoted("a name in quotes or \"}\"")?;
            self.punctuation(':', "\":\"")?;
            let value = self.value(level + 1)?;
            pairs.insert(name, value);
            if !self.at('}') {
                self.punctuation(',', "\",\" or \"}\"")?;
            }
        }
        self.punctuation('}', "\"}\"")?;
        Ok(Raw::Table(pairs))
    }

    fn list(&mut self, level: usize, end: char, expected: &'static str) -> Result<Raw, LiteralFault> {
        let mut items = Vec::new();
        self.next();
        while !self.at(end) {
            items.push(self.value(level + 1)?);
            if !self.at(end) {
                self.punctuation(',', expected)?;
            }
        }
        self.punctuation(end, expected)?;
        Ok(Raw::Array(items))
    }

    /// A number or one of Python's three words.
    fn word(&mut self) -> Result<Raw, LiteralFault> {
        let unexpected = self.fault("a text in quotes, a number, a list or a dict");
        let mut word = String::new();
        while let Some(&c) = self.rest.peek() {
            if !(c.is_ascii_alphanumeric() || ['+', '-', '.', '_'].contains(&c)) {
                break;
            }
            word.push(c);
            self.next();
        }
        match word.as_str() {
            "True" => Ok(Raw::Bool(true)),
            "False" => Ok(Raw::Bool(false)),
            "None" => Ok(Raw::Null),
            word if word.starts_with(|c: char| c.is_ascii_digit() || ['+', '-', '.'].contains(&c)) => {
                match (word.parse(), word.parse()) {
                    (Ok(number), _) => Ok(Raw::Integer(number)),
                    (Err(_), Ok(number)) => Ok(Raw::Float(number)),
                    (Err(_), Err(_)) => Err(unexpected),
                }
            }
            _ => Err(unexpected),
        }
    }

    fn fault(&self, expected: &'static str) -> LiteralFault {
        LiteralFault {
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

    fn punctuation(&mut self, wanted: char, expected: &'static str) -> Result<(), LiteralFault> {
        if self.at(wanted) {
            self.next();
            Ok(())
        } else {
            Err(self.fault(expected))
        }
    }

    fn quoted(&mut self, expected: &'static str) -> Result<String, LiteralFault> {
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
    fn escape(&mut self, text: &mut String) -> Result<(), LiteralFault> {
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

    fn hex(&mut self, digits: usize) -> Result<char, LiteralFault> {
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
        let Raw::Table(table) = parse(text).unwrap() else {
            panic!("{text} is no table")
        };
        table
            .into_iter()
            .map(|(name, value)| match value {
                Raw::Text(text) => (name, text),
                other => panic!("{other:?}"),
            })
            .collect()
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
            assert_eq!(fault.position, position, "{text}: {fault}");
            assert!(!fault.to_string().contains("SECRET"), "{fault}");
        }
    }

    #[test]
    fn lists_numbers_and_words_are_read() {
        let expected = Raw::Array(vec![
            Raw::Integer(1),
            Raw::Integer(-2),
            Raw::Float(1.5),
            Raw::Bool(true),
            Raw::Null,
            Raw::Table(BTreeMap::from([("a".to_owned(), Raw::Array(vec![]))])),
        ]);
        assert_eq!(parse("[1, -2, 1.5, True, None, {'a': ()},]").unwrap(), expected);
        assert_eq!(parse("(1, -2, 1.5, True, None, {'a': []})").unwrap(), expected);
        assert_eq!(parse(r#"[1, -2, 1.5, true, null, {"a": []}]"#).unwrap(), expected);
    }

    #[test]
    fn depth_is_limited() {
        let nested = |levels: usize| format!("{}'a'{}", "(".repeat(levels), ",)".repeat(levels));
        assert!(parse(&nested(MOST_LEVELS)).is_ok());
        assert!(parse(&nested(MOST_LEVELS + 1)).is_err());
        assert!(parse(&nested(100_000)).is_err());
    }
}
