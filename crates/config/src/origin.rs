//! Where a value is from.

use std::fmt;
use std::path::PathBuf;

/// The source of a setting's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// No source named it.
    Default,
    /// The configuration file.
    File {
        /// The file, as it was named or found.
        path: PathBuf,
    },
    /// An environment variable.
    Environment {
        /// The variable.
        name: String,
    },
    /// A command-line flag.
    Flag {
        /// The flag as a person types it: `--namespace`.
        name: String,
    },
}

/// A source and, in a file, the line and column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The source.
    pub origin: Origin,
    /// The line in a file, counted from 1.
    pub line: Option<usize>,
    /// The column in that line, in characters, counted from 1: of the value, or of the key where that is at fault.
    pub column: Option<usize>,
}

impl Place {
    /// Line and column, where it is one in a file.
    pub fn position(&self) -> Option<(usize, usize)> {
        self.line.zip(self.column)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path } => write!(f, "{}", path.display()),
            Origin::Environment { name } => write!(f, "environment variable {name}"),
            Origin::Flag { name } => f.write_str(name),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.origin)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        Ok(())
    }
}

impl From<Origin> for Place {
    fn from(origin: Origin) -> Self {
        Place {
            origin,
            line: None,
            column: None,
        }
    }
}
