//! Label selectors, in Kubernetes' syntax (`labels.Parse` of apimachinery).

use std::collections::BTreeMap;
use std::str::FromStr;

/// A label selector: what an object's labels must all meet. The empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

/// One requirement of a selector.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    /// `key`
    Exists,
    /// `!key`
    Missing,
    /// `key=value`, `key==value`, `key in (a,b)`
    In(Vec<String>),
    /// `key!=value`, `key notin (a,b)`; an object without the key meets it.
    NotIn(Vec<String>),
    /// `key>number`
    Greater(i64),
    /// `key<number`
    Less(i64),
}

/// A label selector that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("label selector {selector:?}: expected {expected} at byte {position}")]
pub struct SelectorError {
    /// The whole selector.
    pub selector: String,
    /// Where it stopped making sense, in bytes.
    pub position: usize,
    /// What may stand there.
    pub expected: &'static str,
}

impl Selector {
    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        self.0.iter().all(|Requirement { key, test }| {
            let value = labels.and_then(|labels| labels.get(key));
            match test {
                Test::Exists => value.is_some(),
                Test::Missing => value.is_none(),
                Test::In(values) => value.is_some_and(|value| values.contains(value)),
                Test::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
                // A value that is no number is neither.
                Test::Greater(bound) => number(value).is_some_and(|number| number > *bound),
                Test::Less(bound) => number(value).is_some_and(|number| number < *bound),
            }
        })
    }
}

fn number(value: Option<&String>) -> Option<i64> {
    value?.parse().ok()
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut reader = Reader { text, position: 0 };
        let mut requirements = Vec::new();
        if reader.at_end() {
            return Ok(Self(requirements));
        }
        loop {
            requirements.push(reader.requirement()?);
            if reader.at_end() {
                return Ok(Self(requirements));
            }
            if !reader.take(",") {
                return Err(reader.expected("\",\" or the end"));
            }
        }
    }
}

/// Reads a selector from left to right.
struct Reader<'a> {
    text: &'a str,
    position: usize,
}

impl Reader<'_> {
    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        if self.take("!") {
            return Ok(Requirement {
                key: self.word("a label key")?,
                test: Test::Missing,
            });
        }
        let key = self.word("a label key or \"!\"")?;
        // `==` before `=`, which is its beginning.
        let test = if self.take("!=") {
            Test::NotIn(vec![self.value()])
        } else if self.take("==") || self.take("=") {
            Test::In(vec![self.value()])
        } else if self.take(">") {
            Test::Greater(self.number()?)
        } else if self.take("<") {
            Test::Less(self.number()?)
        } else if self.at_end() || self.rest().starts_with(',') {
            Test::Exists
        } else {
            let start = self.position;
            match self.word("an operator")?.as_str() {
                "in" => Test::In(self.set()?),
                "notin" => Test::NotIn(self.set()?),
                _ => {
                    self.position = start;
                    return Err(self.expected("\"=\", \"==\", \"!=\", \"in\", \"notin\", \",\" or the end"));
                }
            }
        };
        Ok(Requirement { key, test })
    }

    fn set(&mut self) -> Result<Vec<String>, SelectorError> {
        if !self.take("(") {
            return Err(self.expected("\"(\""));
        }
        let mut values = vec![self.value()];
        while self.take(",") {
            values.push(self.value());
        }
        if !self.take(")") {
            return Err(self.expected("\",\" or \")\""));
        }
        Ok(values)
    }

    fn number(&mut self) -> Result<i64, SelectorError> {
        self.skip_space();
        let start = self.position;
        self.value().parse().map_err(|_| {
            self.position = start;
            self.expected("an integer")
        })
    }

    fn word(&mut self, expected: &'static str) -> Result<String, SelectorError> {
        let word = self.value();
        if word.is_empty() {
            Err(self.expected(expected))
        } else {
            Ok(word)
        }
    }

    /// The letters of a key or value; none is a value too.
    fn value(&mut self) -> String {
        self.skip_space();
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/')))
            .unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default().to_owned();
        self.position += end;
        self.skip_space();
        word
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(token);
        if found {
            self.position += token.len();
        }
        found
    }

    fn at_end(&mut self) -> bool {
        self.skip_space();
        self.rest().is_empty()
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start().len();
    }

    fn rest(&self) -> &str {
        self.text.get(self.position..).unwrap_or_default()
    }

    fn expected(&self, expected: &'static str) -> SelectorError {
        SelectorError {
            selector: self.text.to_owned(),
            position: self.position,
            expected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selects_as_kubernetes_does() {
        let labels = BTreeMap::from([("app", "web"), ("tier", "a"), ("x.io/y", ""), ("n", "10")])
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect::<BTreeMap<_, _>>();
        for (selector, expected) in [
            ("", true),
            ("  ", true),
            ("app", true),
            ("!app", false),
            ("! other", true),
            ("other", false),
            ("app=web", true),
            ("app == web", true),
            ("app=db", false),
            ("app!=web", false),
            ("app!=db", true),
            ("other!=db", true),
            ("app in (db, web)", true),
            ("app in(db)", false),
            ("app notin (db,web)", false),
            ("other notin (db)", true),
            ("x.io/y=", true),
            ("x.io/y in (,z)", true),
            ("n>9", true),
            ("n > 10", false),
            ("n<11", true),
            ("app>1", false),
            ("other<1", false),
            ("app=web,tier=a", true),
            ("app=web, tier in (b), app", false),
        ] {
            let parsed = selector.parse::<Selector>().unwrap();
            assert_eq!(parsed.matches(Some(&labels)), expected, "{selector:?}");
        }
        assert!("a!=b".parse::<Selector>().unwrap().matches(None));
        assert!(!"a=b".parse::<Selector>().unwrap().matches(None));
    }

    #[test]
    fn says_where_it_stopped_making_sense() {
        for (selector, position, expected) in [
            (",", 0, "a label key or \"!\""),
            ("a,", 2, "a label key or \"!\""),
            ("a > b", 4, "an integer"),
            ("a ~ 1", 2, "an operator"),
            ("a in b", 5, "\"(\""),
            ("a in (b", 7, "\",\" or \")\""),
            ("a=b c", 4, "\",\" or the end"),
            (
                "a like (b)",
                2,
                "\"=\", \"==\", \"!=\", \"in\", \"notin\", \",\" or the end",
            ),
            ("!", 1, "a label key"),
        ] {
            let error = selector.parse::<Selector>().unwrap_err();
            assert_eq!(
                (error.position, error.expected),
                (position, expected),
                "{selector:?}"
            );
        }
    }
}
