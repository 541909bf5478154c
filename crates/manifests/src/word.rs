//! The configuration's choices as a specification stores them: by their words.

use podbay_config::{AgentLogLevel, CleanupPolicy, NetworkMode, PullPolicy, WorkloadKind};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A choice that is stored as its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word<T>(pub(crate) T);

/// What the configuration's choices have in common.
pub(crate) trait Choice: Copy + 'static {
    const ALL: &'static [Self];
    fn word(self) -> &'static str;
}

macro_rules! choices {
    ($($Choice:ty),+) => {
        $(impl Choice for $Choice {
            const ALL: &'static [Self] = <$Choice>::ALL;

            fn word(self) -> &'static str {
                self.as_str()
            }
        })+
    };
}
choices!(
    AgentLogLevel,
    CleanupPolicy,
    NetworkMode,
    PullPolicy,
    WorkloadKind
);

impl<T: Choice> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.word())
    }
}

impl<'de, T: Choice> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        T::ALL
            .iter()
            .find(|choice| choice.word() == word)
            .map(|choice| Self(*choice))
            .ok_or_else(|| {
                let known: Vec<_> = T::ALL.iter().map(|choice| choice.word()).collect();
                D::Error::custom(format!("{word:?} is none of {}", known.join(", ")))
            })
    }
}
