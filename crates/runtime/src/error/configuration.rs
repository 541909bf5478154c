//! What is wrong with a configuration.

use std::fmt;

use podbay_config::Place;

/// Everything that is wrong with a configuration, never empty: in the order of the file, and what stands elsewhere after
/// that.
#[derive(Debug)]
pub struct ConfigurationProblems(pub(crate) Vec<ConfigurationProblem>);

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationProblem {
    /// Where, if in a place at all.
    pub place: Option<Place>,
    /// What is wrong and what is allowed, with the place.
    pub message: String,
}

impl ConfigurationProblems {
    /// The problems in order.
    pub fn iter(&self) -> std::slice::Iter<'_, ConfigurationProblem> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a ConfigurationProblems {
    type Item = &'a ConfigurationProblem;
    type IntoIter = std::slice::Iter<'a, ConfigurationProblem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for ConfigurationProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for ConfigurationProblems {
    /// A line each, where there are several.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [problem] => write!(f, "{problem}"),
            problems => {
                write!(f, "{} problems", problems.len())?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for ConfigurationProblems {}
