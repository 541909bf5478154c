//! One right, as rules of a Role have it.

use std::fmt;

/// One right, as rules of a Role have it: a verb, on a resource of an API group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Right {
    /// The API group; empty for the core's.
    pub group: &'static str,
    /// The resource, in the plural: `pods`.
    pub resource: &'static str,
    /// A subresource, such as `log`; empty for none.
    pub subresource: &'static str,
    /// What is done: `create`, `get`, `list`, `watch`, `patch`, `delete`.
    pub verb: &'static str,
}

impl fmt::Display for Right {
    /// As rules have it: `watch configmaps`, `get pods/log`, `create jobs.batch`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.subresource.is_empty() {
            write!(f, "/{}", self.subresource)?;
        }
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        Ok(())
    }
}
