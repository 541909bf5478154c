//! The parameters of a request. Each is read once; one that nobody reads is an error, so that a misspelt one is told.

use std::str::FromStr;

use podbay_protocol::agent::{AgentError, AgentErrorCode, path};

/// Parameters that were not read yet.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, Vec<u8>)>);

impl Query {
    /// Takes the query of a request's target apart.
    pub(super) fn parse(query: Option<&str>) -> Result<Self, AgentError> {
        let mut parameters: Vec<(String, Vec<u8>)> = Vec::new();
        for pair in query.unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = path::decoded(value).ok_or_else(|| {
                invalid(format!(
                    "the parameter {name:?} is not percent-encoded as it should be"
                ))
            })?;
            if parameters.iter().any(|(other, _)| other == name) {
                return Err(invalid(format!("the parameter {name:?} is there twice")));
            }
            parameters.push((name.to_owned(), value));
        }
        Ok(Self(parameters))
    }

    /// The bytes of a parameter.
    pub(super) fn bytes(&mut self, name: &str) -> Option<Vec<u8>> {
        let index = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.swap_remove(index).1)
    }

    /// The bytes of a parameter that must be there.
    pub(super) fn needed(&mut self, name: &str) -> Result<Vec<u8>, AgentError> {
        self.bytes(name)
            .ok_or_else(|| invalid(format!("the parameter {name:?} is missing")))
    }

    /// A parameter as something that is read from text.
    pub(super) fn read<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, AgentError> {
        let Some(bytes) = self.bytes(name) else {
            return Ok(None);
        };
        let text =
            String::from_utf8(bytes).map_err(|_| invalid(format!("the parameter {name:?} is no text")))?;
        text.parse()
            .map(Some)
            .map_err(|error: T::Err| invalid(format!("the parameter {name:?} is {text:?}: {error}")))
    }

    /// A parameter that is `true` or `false`; false if it is not there.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, AgentError> {
        Ok(self.read(name)?.unwrap_or(false))
    }

    /// Says that all was read.
    pub(super) fn finish(self) -> Result<(), AgentError> {
        match self.0.first() {
            None => Ok(()),
            Some((name, _)) => Err(invalid(format!("there is no parameter {name:?} here"))),
        }
    }
}

/// An error for a request that is not what the path takes.
pub(super) fn invalid(message: impl Into<String>) -> AgentError {
    AgentError::new(AgentErrorCode::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_once_and_all_of_them() {
        let mut query = Query::parse(Some("path=/a%20b%FF&offset=7&&complete=true&x")).unwrap();
        assert_eq!(query.needed("path").unwrap(), b"/a b\xff");
        assert_eq!(query.read::<u64>("offset").unwrap(), Some(7));
        assert!(query.flag("complete").unwrap());
        assert!(!query.flag("other").unwrap());
        assert!(query.needed("path").is_err());
        assert!(query.finish().unwrap_err().message.contains("\"x\""));
        assert!(Query::parse(None).unwrap().finish().is_ok());
    }

    #[test]
    fn what_can_not_be_read_is_told() {
        assert!(Query::parse(Some("a=%")).is_err());
        assert!(Query::parse(Some("a=1&a=2")).is_err());
        for wrong in ["n=", "n=-1", "n=x", "n=%FF", "n=99999999999999999999"] {
            let mut query = Query::parse(Some(wrong)).unwrap();
            assert!(query.read::<u64>("n").is_err(), "{wrong}");
        }
        assert!(Query::parse(Some("f=1")).unwrap().flag("f").is_err());
    }
}
