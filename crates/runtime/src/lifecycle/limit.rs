//! The limit on concurrent sessions of a namespace.
//!
//! The sessions are counted after the own record was written, so that two clients that come at once see each other: the
//! limit is never exceeded, and who came first stays.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use podbay_k8s_client::{Kind, Object};
use podbay_manifests::Record;
use podbay_manifests::labels::{PAUSED, selector_all};

use crate::context::SessionContext;
use crate::error::{Error, ForSession as _};

/// Which other sessions stand against one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CountedAgainst {
    /// Those that came before it: it is new.
    Earlier,
    /// All: it was paused, and gave up its place.
    All,
}

/// Refuses the session of `record` if `limit` others stand against it. Sessions that are paused or being closed hold no pod
/// and do not count.
pub(super) async fn check(
    session: SessionContext<'_>,
    record: &Record,
    against: CountedAgainst,
    limit: u32,
) -> Result<(), Error> {
    let (ctx, selector) = (session.ctx, selector_all());
    let records = ctx.client.list(Kind::ConfigMap, &ctx.namespace, &selector).await;
    let records = records.for_session(session.id)?;
    let mine = Place {
        created: record.created.as_ref().map(|time| time.0),
        version: record.resource_version.as_deref().and_then(number),
    };
    let others = records
        .iter()
        .map(Object::metadata)
        .filter(|other| other.uid.as_deref() != Some(&record.uid))
        .filter(|other| {
            holds_a_pod(other) && (against == CountedAgainst::All || Place::of(other).is_before(&mine))
        })
        .count();
    if others < usize::try_from(limit).unwrap_or(usize::MAX) {
        return Ok(());
    }
    Err(Error::TooManySessions {
        session: record.id().to_string(),
        namespace: ctx.namespace.clone(),
        limit,
    })
}

fn holds_a_pod(record: &ObjectMeta) -> bool {
    let paused = record
        .annotations
        .as_ref()
        .is_some_and(|annotations| annotations.contains_key(PAUSED));
    record.deletion_timestamp.is_none() && !paused
}

/// Where a record stands in the order of arrival.
struct Place {
    /// In whole seconds, as the API has it.
    created: Option<Timestamp>,
    /// Of two records of one second, the one with the lower version is the older: versions count writes (KEP-5504 makes
    /// that official). Anything but a number is left out of it.
    version: Option<u64>,
}

impl Place {
    fn of(record: &ObjectMeta) -> Self {
        Self {
            created: record.creation_timestamp.as_ref().map(|time| time.0),
            version: record.resource_version.as_deref().and_then(number),
        }
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
}

fn number(version: &str) -> Option<u64> {
    version.parse().ok()
}
