//! The place of a session among those that a namespace may have at once.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use podbay_manifests::Record;
use podbay_manifests::labels::PAUSED;

/// What the limit on concurrent sessions looks at: all of it stands in the metadata of a session's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The record's UID.
    uid: String,
    /// Whether the session counts: one that is paused or being closed holds no pod.
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
    /// All: it was paused, and gave up its place.
    All,
}

impl Place {
    /// The place of the session with this record.
    pub(crate) fn of(record: &ObjectMeta) -> Self {
        let paused = record
            .annotations
            .as_ref()
            .is_some_and(|annotations| annotations.contains_key(PAUSED));
        Self {
            uid: record.uid.clone().unwrap_or_default(),
            counts: record.deletion_timestamp.is_none() && !paused,
            created: record.creation_timestamp.as_ref().map(|time| time.0),
            version: record.resource_version.as_deref().and_then(number),
        }
    }

    /// The place of the session with this record, as it was read or written.
    pub(crate) fn of_record(record: &Record) -> Self {
        Self {
            uid: record.uid.clone(),
            counts: record.deleted.is_none() && !record.paused,
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
    ) -> usize {
        places
            .into_iter()
            .filter(|other| other.uid != self.uid && other.counts)
            .filter(|other| against == CountedAgainst::All || other.is_before(self))
            .count()
    }
}

fn number(version: &str) -> Option<u64> {
    version.parse().ok()
}
