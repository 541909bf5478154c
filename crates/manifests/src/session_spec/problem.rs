//! One thing that is wrong with a specification, in the words of a surface.

use std::error::Error;
use std::fmt;

use podbay_protocol::{Field, Library, Words};

use super::reason::{Reason, ValueError};
use crate::api_object::ApiObjectError;
use crate::pod_template::PodTemplateError;

/// One thing that is wrong: which fields, and why. `Display` tells it in the words of the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecProblem {
    /// The fields it is about, the one to change first; never empty.
    pub fields: Vec<Field>,
    /// What is wrong with them.
    pub reason: Reason,
}

impl SpecProblem {
    /// A problem of one field or several.
    pub(crate) fn new(fields: impl Into<Vec<Field>>, reason: Reason) -> Self {
        Self {
            fields: fields.into(),
            reason,
        }
    }

    /// A value of `field` that can't be read.
    pub(crate) fn invalid(field: Field, source: impl Into<ValueError>) -> Self {
        let source = source.into();
        Self::new([field], Reason::Invalid { item: None, source })
    }

    /// The full key of the setting to change first, such as `kubernetes.affinity`; `None` if that is a field of the
    /// request.
    pub fn setting(&self) -> Option<&'static str> {
        self.fields.first()?.setting()
    }

    /// The keys of all settings that it is about, the one to change first.
    pub fn settings(&self) -> Vec<&'static str> {
        self.fields.iter().filter_map(|field| field.setting()).collect()
    }

    /// Whether it is about how several fields go together.
    pub fn is_relation(&self) -> bool {
        self.fields.len() > 1
    }

    /// Whether a field of the request is among those it is about: with another request it may not be there.
    pub fn concerns_request(&self) -> bool {
        self.fields.iter().any(|field| field.setting().is_none())
    }

    /// What is wrong, without its cause.
    pub fn message(&self, words: &dyn Words) -> String {
        let field = |index: usize| self.fields.get(index).map_or("", |field| words.field(*field));
        let (first, second) = (field(0), field(1));
        match &self.reason {
            Reason::Invalid { item: None, .. } => format!("{first} can't be used"),
            Reason::Invalid { item: Some(item), .. } => format!("{first} (item {item}) can't be used"),
            Reason::NotAllowed { value, expected } => format!("{first} can't be {value}: {expected}"),
            Reason::EntryNotAllowed { entry, expected } => {
                format!("{first} can't have {entry:?}: {expected}")
            }
            Reason::Reserved { name, why } => format!("{first} can't have {name}: {why}"),
            Reason::Empty { of } => format!("{first} must name at least one {of}"),
            Reason::Zero => format!("{first} must be more than 0"),
            Reason::Fraction { value } => format!(
                "{first} {value} is not a whole number of bytes: {}",
                value.how_to_write_bytes()
            ),
            Reason::AboveLimit { request, limit } => {
                format!("{first} {request} is more than {second} {limit}: a request is at most the limit")
            }
            Reason::TooLargeMultiple { amount, factor } => {
                format!("{first} {amount}, {factor} times, is more than the 2^63 - 1 that Kubernetes holds")
            }
            Reason::MountAtRoot => {
                format!("{first} can't be \"/\": the image's own files would be hidden; name a directory")
            }
            Reason::MountedTwice { path, first, second } => {
                format!("two volumes are mounted at {path}: {first} and {second}")
            }
            Reason::VolumeTwice { name } => {
                format!("{first} can't have a volume {name}: there is another of this name")
            }
            Reason::NoVolume { name } => format!("{first} mounts {name:?}, which is not among {second}"),
            Reason::ReadOnlyWorkspace => {
                format!("{first} mounts the workspace read-only: leave out \":ro\"")
            }
            Reason::Root { user } => format!(
                "{first} {user} is root, which the profile restricted forbids: {}",
                self.allow_root(words)
            ),
            Reason::NeedsProfile {
                asked,
                profile,
                needs,
            } => {
                format!("{first} {asked} is what the profile {profile} forbids: it needs the profile {needs}")
            }
            Reason::PodSecurity { profile, .. } => {
                format!("{first} makes a pod that the profile {profile} forbids")
            }
            Reason::ContradictsProfile { profile, advice } => {
                format!("{first} and the profile {profile} contradict each other: {advice}")
            }
            Reason::ContradictoryValues { value, other } => {
                format!("{first} {value} contradicts {second} = {other}: drop one of them")
            }
            Reason::Contradiction { advice } => {
                format!("{first} and {second} contradict each other: {advice}")
            }
            Reason::Needs { value, missing } => {
                let others: Vec<_> = self
                    .fields
                    .iter()
                    .skip(1)
                    .map(|other| words.field(*other))
                    .collect();
                format!(
                    "{} needs {}",
                    with_value(first, *value),
                    one_of(&others, *missing)
                )
            }
            Reason::NeedsServer => {
                format!("{first} needs an image with a server, which starts it: add {second}")
            }
            Reason::Same { value } => format!("{first} and {second} are both {value}: choose two"),
            Reason::TooMany { of, count, most } => {
                format!("{count} {of} are too many: a session may have {most}")
            }
            Reason::TooLarge { bytes, most } => format!(
                "the session's settings have {bytes} bytes, and its record holds {most}: make {first} or other tables smaller"
            ),
        }
    }

    /// What is wrong, with its cause.
    pub fn in_words(&self, words: &dyn Words) -> String {
        let message = self.message(words);
        let Some(source) = self.source() else {
            return message;
        };
        let instead = match &self.reason {
            Reason::Invalid {
                source:
                    ValueError::Template(PodTemplateError::Protected {
                        instead: Some(field), ..
                    }),
                ..
            } => format!(": use {}", words.field(*field)),
            _ => String::new(),
        };
        format!("{message}: {source}{instead}")
    }

    /// How to have root: where the user was asked for.
    fn allow_root(&self, words: &dyn Words) -> String {
        let baseline = "baseline";
        match self.setting() {
            Some(_) => format!(
                "set {} to {baseline}",
                words.field(Field::Setting("kubernetes.profile"))
            ),
            None => format!("add {} {baseline}", words.field(Field::Profile)),
        }
    }

    /// Where inside the setting's value it is, as `[1].effect`; empty for the value as a whole.
    pub(super) fn inside(&self) -> String {
        match &self.reason {
            Reason::Invalid {
                item,
                source: ValueError::ApiObject(source),
            } => {
                let item = item.map(|item| format!("[{}]", item.saturating_sub(1)));
                let (ApiObjectError::Unknown { path, .. }
                | ApiObjectError::Type { path, .. }
                | ApiObjectError::Word { path, .. }) = source;
                format!("{}.{path}", item.unwrap_or_default())
            }
            // A place inside that there is not is that of the whole value.
            Reason::EntryNotAllowed { entry: key, .. } | Reason::Reserved { name: key, .. } => {
                format!(".{key}")
            }
            _ => String::new(),
        }
    }
}

/// A field with the value that matters, as it is written in a file.
fn with_value(field: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("{field} = {value}"),
        None => field.to_owned(),
    }
}

/// `a`, or `one of a, b and c`.
fn one_of(fields: &[&str], value: Option<&str>) -> String {
    match fields {
        [] => String::new(),
        [field] => with_value(field, value),
        [first @ .., last] => format!("one of {} and {last}", first.join(", ")),
    }
}

impl fmt::Display for SpecProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message(&Library))
    }
}

impl Error for SpecProblem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.reason {
            Reason::Invalid { source, .. } => Some(source),
            Reason::PodSecurity { violation, .. } => Some(violation),
            _ => None,
        }
    }
}
