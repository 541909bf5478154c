//! What can be wrong with a configuration.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::nearest::suggestion;
use crate::origin::{Origin, Place};

/// Everything that was wrong in one load, never empty. Display lists all of it, causes included, because a list
/// has no single source.
#[derive(Debug)]
pub struct ConfigError {
    faults: Vec<Fault>,
}

/// One thing that is wrong. Values of secret settings are left out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Fault {
    /// A configuration file cannot be read.
    #[error("cannot read the configuration file {}{}", path.display(), named_by.as_ref().map(|name| format!(" (named by {name})")).unwrap_or_default())]
    UnreadableFile {
        /// The file.
        path: PathBuf,
        /// The variable that names it, if one does.
        named_by: Option<String>,
        /// Why.
        #[source]
        source: io::Error,
    },

    /// A file is not TOML.
    #[error("{}:{line}:{column}: not valid TOML: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// In characters, counted from 1.
        column: usize,
        /// What the parser says, without the text it saw.
        message: String,
    },

    /// A file has something else where a section is expected.
    #[error("{place}: {section} must be a table: write [{section}]")]
    NotASection {
        /// Where.
        place: Place,
        /// The section.
        section: String,
    },

    /// A section that is almost one of ours; others that nobody knows are warned of.
    #[error("{place}: there is no section [{name}]; did you mean [{nearest}]?")]
    UnknownSection {
        /// Where.
        place: Place,
        /// The section as it stands there.
        name: String,
        /// The one of ours.
        nearest: &'static str,
    },

    /// There is no such setting.
    #[error("{place}: there is no setting {key}{}", setting_suggestion(key, nearest.as_deref()))]
    UnknownKey {
        /// Where.
        place: Place,
        /// The full key as it stands there, with control characters escaped.
        key: String,
        /// The closest key there is, or several of them with "or" between.
        nearest: Option<String>,
    },

    /// A value is not one that its setting accepts.
    #[error("{place}: {key} {}{}; allowed is {allowed}", is(value.as_deref()), detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default())]
    InvalidValue {
        /// Where.
        place: Place,
        /// The full key.
        key: String,
        /// The value, shortened; `None` for a secret.
        value: Option<String>,
        /// What is wrong with it, where more can be said than what is allowed.
        detail: Option<String>,
        /// What is allowed.
        allowed: &'static str,
    },

    /// A setting makes sense only together with another.
    #[error("{place}: {key} is set without {missing}; set both or neither")]
    Alone {
        /// Where the one that is set stands.
        place: Place,
        /// The one that is set.
        key: &'static str,
        /// The one that is not.
        missing: &'static str,
    },

    /// Two settings do not go together.
    #[error("{place}: {} does not go with {} ({other_place}): {reason}", assignment(key, value.as_deref()), assignment(other, other_value.as_deref()))]
    Contradiction {
        /// The setting that does not fit.
        key: &'static str,
        /// Its value as the file would have it; `None` when it is not set.
        value: Option<String>,
        /// Where it is from.
        place: Place,
        /// The setting that it does not fit.
        other: &'static str,
        /// The value of that.
        other_value: Option<String>,
        /// Where that is from.
        other_place: Place,
        /// Why, or what to do.
        reason: &'static str,
    },

    /// A number must be more than another one.
    #[error("{key} = {value} ({place}) must be more than {least_key} = {least} ({least_place})")]
    NotMore {
        /// The setting that is too small.
        key: &'static str,
        /// Its value.
        value: u64,
        /// Where it is from.
        place: Place,
        /// The setting it is compared with.
        least_key: &'static str,
        /// Its value.
        least: u64,
        /// Where that is from.
        least_place: Place,
    },
}

impl Fault {
    /// Where it is, if in a place at all.
    pub fn place(&self) -> Option<Place> {
        match self {
            Fault::UnreadableFile { .. } => None,
            Fault::Syntax {
                path, line, column, ..
            } => Some(Place {
                origin: Origin::File { path: path.clone() },
                line: Some(*line),
                column: Some(*column),
            }),
            Fault::NotASection { place, .. }
            | Fault::UnknownSection { place, .. }
            | Fault::UnknownKey { place, .. }
            | Fault::InvalidValue { place, .. }
            | Fault::Alone { place, .. }
            | Fault::Contradiction { place, .. }
            | Fault::NotMore { place, .. } => Some(place.clone()),
        }
    }

    /// The full keys of the settings that it is about, the one at fault first; none where no setting is.
    pub fn keys(&self) -> Vec<&str> {
        match self {
            Fault::UnreadableFile { .. }
            | Fault::Syntax { .. }
            | Fault::NotASection { .. }
            | Fault::UnknownSection { .. }
            | Fault::UnknownKey { .. } => Vec::new(),
            Fault::InvalidValue { key, .. } => vec![key],
            Fault::Alone { key, missing, .. } => vec![key, missing],
            Fault::Contradiction { key, other, .. } => vec![key, other],
            Fault::NotMore { key, least_key, .. } => vec![key, least_key],
        }
    }
}

/// Puts faults in the order of the file, and those that stand elsewhere after them.
pub(crate) fn sort(faults: &mut [Fault]) {
    faults.sort_by_key(|fault| {
        let position = fault.place().and_then(|place| place.position());
        (position.is_none(), position)
    });
}

impl ConfigError {
    /// An error when there are faults.
    pub(crate) fn check(faults: Vec<Fault>) -> Result<(), ConfigError> {
        if faults.is_empty() {
            Ok(())
        } else {
            Err(ConfigError { faults })
        }
    }

    /// A code for programs: always `config_invalid`.
    pub fn code(&self) -> &'static str {
        "config_invalid"
    }

    /// What is wrong, at least one: in the order of the file, and what stands elsewhere after that.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.faults.as_slice() {
            [fault] => write!(f, "invalid configuration: {}", WithCause(fault)),
            faults => {
                write!(f, "invalid configuration ({} errors):", faults.len())?;
                faults
                    .iter()
                    .try_for_each(|fault| write!(f, "\n  {}", WithCause(fault)))
            }
        }
    }
}

struct WithCause<'a>(&'a Fault);

impl fmt::Display for WithCause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        match std::error::Error::source(self.0) {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

/// A setting with its value, for messages.
pub(crate) fn assignment(key: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("{key} = {value}"),
        None => format!("{key} not set"),
    }
}

/// As [`suggestion`], which a name without a section would leave unclear in one.
fn setting_suggestion(key: &str, nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) if key.contains('.') && !nearest.contains('.') => {
            format!("; did you mean {nearest} at the top level of the file?")
        }
        nearest => suggestion(nearest),
    }
}

fn is(value: Option<&str>) -> String {
    match value {
        Some(value) => format!("is {value}"),
        None => "is not valid (its value is secret and not shown)".to_owned(),
    }
}
