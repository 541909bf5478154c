//! The place of a session among those that a namespace may have at once.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use podbay_manifests::Record;
use podbay_manifests::labels::{LAST_FAILURE, OWNER, PAUSED};

/// What the limit on concurrent sessions looks at: all of it stands in the metadata of a session's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The record's UID.
    uid: String,
    /// Whom the session belongs to: the label of its owner.
    owner: Option<String>,
    /// Whether the session counts: one that is paused, failed or being closed holds no pod.
    counts: bool,
    /// When the record was created, in whole seconds, as the API has it.
    created: Option<Timestamp>,
    /// Of two records of one second, the one with the lower version is the older: versions count writes (KEP-5504 makes
    /// that official). `None` if it is anything but a number.
    version: Option<u64>,
}

/// Which other sessions count against one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CountedAgainst {
    /// Those that came before it: it is new.
    Earlier,
    /// All: it was paused or had failed, and gave up its place.
    All,
}

/// Whose sessions a limit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CountedOf {
    /// Everybody's.
    All,
    /// Those of the session's owner.
    Owner,
}

impl Place {
    /// The place of the session with this record.
    pub(crate) fn of(record: &ObjectMeta) -> Self {
        let gave_up = record.annotations.as_ref().is_some_and(|annotations| {
            [PAUSED, LAST_FAILURE]
                .iter()
                .any(|mark| annotations.contains_key(*mark))
        });
        Self {
            uid: record.uid.clone().unwrap_or_default(),
            owner: record
                .labels
                .as_ref()
                .and_then(|labels| labels.get(OWNER).cloned()),
            counts: record.deletion_timestamp.is_none() && !gave_up,
            created: record.creation_timestamp.as_ref().map(|time| time.0),
            version: record.resource_version.as_deref().and_then(number),
        }
    }

    /// The place of the session with this record, as it was read or written.
    pub(crate) fn of_record(record: &Record) -> Self {
        Self {
            uid: record.uid.clone(),
            owner: record.spec.owner().map(ToString::to_string),
            counts: record.deleted.is_none() && !record.paused && record.last_failure.is_none(),
            created: record.created.as_ref().map(|time| time.0),
            version: record.resource_version.as_deref().and_then(number),
        }
    }

    /// The same, as the record had it when `version` was written.
    pub(crate) fn at_version(self, version: Option<&str>) -> Self {
        Self {
            version: version.and_then(number),
            ..self
        }
    }

    /// Whether this is the same record as `other`, no older: then everything written before `other` was told before this.
    pub(crate) fn is_at_least(&self, other: &Self) -> bool {
        self.uid == other.uid
            && matches!((self.version, other.version), (Some(mine), Some(others)) if mine >= others)
    }

    /// Whom the session belongs to: the label of its owner.
    pub(crate) fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// The version of the record.
    #[cfg(test)]
    pub(crate) const fn version(&self) -> Option<u64> {
        self.version
    }

    /// In doubt, it is: too few sessions are better than too many.
    fn is_before(&self, mine: &Self) -> bool {
        if self.created != mine.created {
            return self.created < mine.created;
        }
        match (self.version, mine.version) {
            (Some(other), Some(mine)) => other < mine,
            _ => true,
        }
    }

    /// How many of `places` count against this one.
    pub(crate) fn others<'a>(
        &self,
        places: impl IntoIterator<Item = &'a Self>,
        against: CountedAgainst,
        of: CountedOf,
    ) -> usize {
        places
            .into_iter()
            .filter(|other| other.uid != self.uid && other.counts)
            .filter(|other| of == CountedOf::All || other.owner == self.owner)
            .filter(|other| against == CountedAgainst::All || other.is_before(self))
            .count()
    }
}

fn number(version: &str) -> Option<u64> {
    version.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn metadata(marks: &[&str]) -> ObjectMeta {
        let marks = marks.iter().map(|mark| ((*mark).to_owned(), "x".to_owned()));
        ObjectMeta {
            uid: Some("other".to_owned()),
            resource_version: Some("1".to_owned()),
            creation_timestamp: Some(Time(Timestamp::UNIX_EPOCH)),
            annotations: Some(marks.collect::<BTreeMap<_, _>>()),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn paused_failed_and_closed_sessions_hold_no_place() {
        let mine = Place::of(&ObjectMeta {
            uid: Some("mine".to_owned()),
            resource_version: Some("2".to_owned()),
            ..metadata(&[])
        });
        let counted = |other: &ObjectMeta| {
            [CountedAgainst::Earlier, CountedAgainst::All]
                .map(|against| mine.others([&Place::of(other)], against, CountedOf::All))
        };
        assert_eq!(counted(&metadata(&[])), [1, 1]);
        assert_eq!(counted(&metadata(&["podbay.dev/started-again"])), [1, 1]);
        for marks in [&[PAUSED][..], &[LAST_FAILURE], &[PAUSED, LAST_FAILURE]] {
            assert_eq!(counted(&metadata(marks)), [0, 0], "{marks:?}");
        }
        let closed = ObjectMeta {
            deletion_timestamp: Some(Time(Timestamp::UNIX_EPOCH)),
            ..metadata(&[])
        };
        assert_eq!(counted(&closed), [0, 0]);
    }

    #[test]
    fn another_owner_s_sessions_count_against_the_namespace_alone() {
        let of = |uid: &str, owner: Option<&str>| {
            Place::of(&ObjectMeta {
                uid: Some(uid.to_owned()),
                labels: owner.map(|owner| [(OWNER.to_owned(), owner.to_owned())].into()),
                ..metadata(&[])
            })
        };
        let others = [
            of("a", Some("x")),
            of("b", Some("y")),
            of("c", None),
            of("d", Some("x")),
        ];
        let counted = |mine: &Place, whose| mine.others(&others, CountedAgainst::All, whose);
        assert_eq!(counted(&of("m", Some("x")), CountedOf::All), 4);
        assert_eq!(counted(&of("m", Some("x")), CountedOf::Owner), 2);
        assert_eq!(counted(&of("m", None), CountedOf::Owner), 1);
    }
}
