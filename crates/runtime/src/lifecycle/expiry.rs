//! Failed sessions go after their time: their records, and by garbage collection all that these own. Never a claim.

use std::time::Duration;

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use podbay_k8s_client::{DeleteOptions, ErrorKind};
use podbay_manifests::Record;

use super::close::{Closed, RetainedClaim};
use crate::context::SessionContext;
use crate::error::{Error, ForSession as _};

/// Whether the session of this record is failed, and has been so for `ttl` at `now`. One that is paused is to be kept.
pub(crate) fn is_expired(record: &Record, ttl: Duration, now: Timestamp) -> bool {
    let Some(failure) = &record.last_failure else {
        return false;
    };
    if record.paused || record.deleted.is_some() {
        return false;
    }
    // The time of a failure that can't be read is not known; it was not before the record was made.
    let created = record.created.as_ref().map(|created| created.0);
    let failed = created.map_or(failure.at, |created| created.max(failure.at));
    let ttl = SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX);
    now.duration_since(failed) >= ttl
}

/// Removes the session of this record, if the record is as it was read: not started again meanwhile, and no other of the same
/// name. Returns `None` if it is not, or gone.
pub(crate) fn remove<'a>(
    session: SessionContext<'a>,
    record: &'a Record,
) -> BoxFuture<'a, Result<Option<Closed>, Error>> {
    Box::pin(async move {
        let version = record.resource_version.clone().unwrap_or_default();
        let options = DeleteOptions::unchanged(&record.uid, version);
        match session.ctx.client.delete(&session.record_key(), options).await {
            Ok(false) => Ok(None),
            Err(error) if error.kind == ErrorKind::Conflict => Ok(None),
            Err(error) => Err(error).for_session(session.id),
            Ok(true) => Ok(Some(Closed {
                session: session.id.to_string(),
                existed: true,
                claim: record.spec.claim().map(|_| RetainedClaim {
                    name: record.spec.names().claim(),
                    namespace: session.ctx.namespace.clone(),
                    deleted: false,
                }),
            })),
        }
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use podbay_config::Config;
    use podbay_manifests::{SessionRequest, SessionSpec};
    use podbay_protocol::{Cause, PhaseTimes, StartFailure, Verdict};

    use super::*;
    use crate::lifecycle::creation_values;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A record written at second 1000, whose start failed at `failed`.
    fn record(failed: Option<i64>) -> Record {
        let request = SessionRequest {
            image: Some("debian:12".to_owned()),
            ..SessionRequest::default()
        };
        let spec = SessionSpec::validate("s".parse().unwrap(), "default", &Config::default(), request);
        let mut object = podbay_manifests::record::record(&spec.unwrap().0, &creation_values());
        object.metadata.uid = Some("uid".to_owned());
        object.metadata.creation_timestamp = Some(Time(at(1000)));
        let verdict = Verdict::new(Cause::ImageNotFound, "manifest unknown", "mend the name");
        Record {
            last_failure: failed
                .map(|failed| Box::new(StartFailure::new(verdict, PhaseTimes::default(), 1, at(failed)))),
            ..Record::parse(&object).unwrap()
        }
    }

    fn expired(record: &Record, ttl: u64, now: i64) -> bool {
        is_expired(record, Duration::from_secs(ttl), at(now))
    }

    #[test]
    fn only_what_has_failed_expires_and_only_after_its_time() {
        assert!(!expired(&record(None), 1, 1_000_000));
        assert!(!expired(&record(Some(1005)), 60, 1064));
        assert!(expired(&record(Some(1005)), 60, 1065));
        assert!(!expired(&record(Some(2000)), 60, 1000), "another clock's future");
    }

    #[test]
    fn what_is_paused_or_goes_already_does_not_expire() {
        let paused = Record {
            paused: true,
            ..record(Some(1005))
        };
        assert!(!expired(&paused, 60, 5000));
        let deleted = Record {
            deleted: Some(Time(at(1010))),
            ..record(Some(1005))
        };
        assert!(!expired(&deleted, 60, 5000));
    }

    #[test]
    fn a_failure_whose_time_can_not_be_read_counts_from_the_record_on() {
        assert!(!expired(&record(Some(0)), 60, 1059));
        assert!(expired(&record(Some(0)), 60, 1060));
    }

    #[test]
    fn a_time_longer_than_any_is_none() {
        assert!(!expired(&record(Some(1005)), u64::MAX, 1_000_000));
    }
}
