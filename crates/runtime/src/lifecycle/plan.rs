//! What opening a session comes to: a pure decision from what is there.

use podbay_manifests::Record;
use podbay_protocol::StartFailure;

use super::workload::Workload;

/// What to do about a session that exists, or does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OpenMode {
    /// Attach to it if it exists, else create it. One whose start has failed is started again.
    #[default]
    AttachOrCreate,
    /// Attach to it (OpenHands' `attach_to_existing`); never create one. One whose start has failed is started again.
    Attach,
    /// Close it if it exists, and create it anew.
    Replace,
}

/// The session's record, as this client found it.
#[derive(Clone, Debug)]
pub(super) enum RecordState {
    /// It does not exist, and this client has not tried to create it.
    Missing,
    /// This client has just created it.
    Created(Box<Record>),
    /// It was there.
    Existing(Box<Record>),
}

/// What runs the session, as this client found it.
#[derive(Clone, Debug, Default)]
pub(super) enum WorkloadState {
    /// There is none, or it is being deleted, or it belongs to an earlier record.
    #[default]
    Missing,
    /// It has ended for good and stands in the way of a new one.
    Ended {
        /// Its UID.
        uid: String,
    },
    /// It lives. A suspended Job does: its pod comes back.
    Live(Workload),
}

/// What exists beside the record.
#[derive(Clone, Debug, Default)]
pub(super) struct Present {
    pub(super) workload: WorkloadState,
    /// Whether the Secret exists, or this client knows all that is to be in it. Without it nobody but the session's
    /// creator can make the pod.
    pub(super) secret: bool,
}

/// How to open a session.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    /// It does not exist and is not to be created.
    NotFound,
    /// Close the session that exists, then look again.
    Replace(Box<Record>),
    /// Its start has failed: free it of what is left of that start and take its mark away. If nobody else does so first, start
    /// it as any other that has given up its place.
    StartAgain {
        /// The session.
        record: Box<Record>,
        /// The failure that its record tells.
        failure: Box<StartFailure>,
        /// The UID of a workload that was left: its opener died, or the clean-up policy kept it.
        leftover: Option<String>,
    },
    /// Its start has failed, and it can't be started again by this client: its environment was never written, and this
    /// client does not know it.
    StaysFailed(Box<StartFailure>),
    /// Make sure of its place under the limit, then do the step.
    Start {
        /// The session.
        record: Box<Record>,
        /// Whether it counts against the limit already.
        place: PlaceState,
        /// What is left to do.
        step: Step,
    },
}

/// The place of a session among those that the namespace may have at once.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum PlaceState {
    /// It is new and may be one too many.
    New,
    /// It has had its place since it was created.
    Held,
    /// It is paused, which gave its place away.
    GivenUp,
    /// It had failed, which gave its place away, and is started again by this client alone. With the earlier failure.
    Failed(Box<StartFailure>),
}

/// What is left to do until a session's pod can be waited for.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Nothing but to wake it up: its workload lives.
    Attach(Workload),
    /// Delete the workload that has ended, if there is one, and create all that is missing.
    Complete {
        /// The UID of the workload that has ended.
        ended: Option<String>,
    },
    /// Nothing: the session's creator, who alone knows its environment, is about to make the pod.
    AwaitCreator,
}

/// Whether the plan for a session that exists depends on what there is beside its record.
pub(super) const fn depends_on_objects(mode: OpenMode) -> bool {
    !matches!(mode, OpenMode::Replace)
}

/// Decides how to open a session. `present` counts only where [`depends_on_objects`] says so.
pub(super) fn plan(record: RecordState, present: Present, mode: OpenMode) -> Plan {
    match (record, mode) {
        (RecordState::Missing, _) => Plan::NotFound,
        (RecordState::Created(record), _) => Plan::Start {
            record,
            place: PlaceState::New,
            step: Step::Complete { ended: None },
        },
        (RecordState::Existing(record), OpenMode::Replace) => Plan::Replace(record),
        (RecordState::Existing(record), OpenMode::AttachOrCreate | OpenMode::Attach) => {
            match record.last_failure.clone() {
                Some(failure) => start_again(record, failure, present),
                None => go_on(record, present),
            }
        }
    }
}

/// A session that exists, and is none of a failed start.
fn go_on(record: Box<Record>, present: Present) -> Plan {
    Plan::Start {
        place: if record.paused {
            PlaceState::GivenUp
        } else {
            PlaceState::Held
        },
        record,
        step: match present.workload {
            WorkloadState::Live(workload) => Step::Attach(workload),
            WorkloadState::Ended { uid } if present.secret => Step::Complete { ended: Some(uid) },
            WorkloadState::Missing if present.secret => Step::Complete { ended: None },
            WorkloadState::Ended { .. } | WorkloadState::Missing => Step::AwaitCreator,
        },
    }
}

/// A session whose start has failed. What is there of a workload was judged then.
fn start_again(record: Box<Record>, failure: Box<StartFailure>, present: Present) -> Plan {
    if !present.secret {
        return Plan::StaysFailed(failure);
    }
    Plan::StartAgain {
        record,
        failure,
        leftover: match present.workload {
            WorkloadState::Live(workload) => Some(workload.uid().to_owned()),
            WorkloadState::Ended { uid } => Some(uid),
            WorkloadState::Missing => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use k8s_openapi::api::core::v1::Pod;
    use podbay_config::Config;
    use podbay_manifests::{SessionRequest, SessionSpec};
    use podbay_protocol::{Cause, PhaseTimes, Verdict};

    use super::*;
    use crate::lifecycle::creation_values;

    fn failure() -> StartFailure {
        let verdict = Verdict::new(Cause::ImageNotFound, "manifest unknown", "mend the name");
        StartFailure::new(verdict, PhaseTimes::default(), 2, Timestamp::UNIX_EPOCH)
    }

    fn failed(paused: bool) -> Box<Record> {
        Box::new(Record {
            last_failure: Some(Box::new(failure())),
            ..*record(paused)
        })
    }

    fn record(paused: bool) -> Box<Record> {
        let spec = SessionSpec::validate(
            "s".parse().unwrap(),
            "default",
            &Config::default(),
            SessionRequest {
                image: Some("debian:12".to_owned()),
                ..SessionRequest::default()
            },
        );
        let mut object = podbay_manifests::record::record(&spec.unwrap().0, &creation_values());
        object.metadata.uid = Some("uid".to_owned());
        Box::new(Record {
            paused,
            ..Record::parse(&object).unwrap()
        })
    }

    fn present(workload: WorkloadState, secret: bool) -> Present {
        Present { workload, secret }
    }

    fn workloads() -> [WorkloadState; 3] {
        [
            WorkloadState::Missing,
            WorkloadState::Ended {
                uid: "old".to_owned(),
            },
            WorkloadState::Live(Workload::Pod(Arc::new(Pod::default()))),
        ]
    }

    const MODES: [OpenMode; 3] = [OpenMode::AttachOrCreate, OpenMode::Attach, OpenMode::Replace];

    #[test]
    fn a_new_record_is_a_new_session_whatever_else_is_there() {
        for mode in MODES {
            for workload in workloads() {
                for secret in [false, true] {
                    let plan = plan(
                        RecordState::Created(record(false)),
                        present(workload.clone(), secret),
                        mode,
                    );
                    let right = matches!(
                        plan,
                        Plan::Start {
                            place: PlaceState::New,
                            step: Step::Complete { ended: None },
                            ..
                        }
                    );
                    assert!(right, "{mode:?}, {workload:?}: {plan:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_there_and_must_not_be_created_is_not_found() {
        let plan = plan(RecordState::Missing, Present::default(), OpenMode::Attach);
        assert!(matches!(plan, Plan::NotFound), "{plan:?}");
    }

    #[test]
    fn what_is_to_be_replaced_is_closed_paused_failed_or_not() {
        for record in [record(false), record(true), failed(false), failed(true)] {
            for workload in workloads() {
                let state = RecordState::Existing(record.clone());
                assert!(!depends_on_objects(OpenMode::Replace));
                let plan = plan(state, present(workload, true), OpenMode::Replace);
                assert!(matches!(plan, Plan::Replace(_)), "{plan:?}");
            }
        }
    }

    #[test]
    fn a_session_that_exists_is_attached_to_completed_or_left_to_its_creator() {
        for mode in [OpenMode::AttachOrCreate, OpenMode::Attach] {
            for paused in [false, true] {
                for workload in workloads() {
                    for secret in [false, true] {
                        let state = RecordState::Existing(record(paused));
                        assert!(depends_on_objects(mode));
                        let plan = plan(state, present(workload.clone(), secret), mode);
                        let Plan::Start { place, step, .. } = plan else {
                            panic!("{plan:?}");
                        };
                        assert_eq!(
                            place,
                            if paused {
                                PlaceState::GivenUp
                            } else {
                                PlaceState::Held
                            }
                        );
                        let right = match &step {
                            Step::Attach(_) => matches!(workload, WorkloadState::Live(_)),
                            Step::Complete { ended } => {
                                secret
                                    && match &workload {
                                        WorkloadState::Missing => ended.is_none(),
                                        WorkloadState::Ended { uid } => ended.as_ref() == Some(uid),
                                        WorkloadState::Live(_) => false,
                                    }
                            }
                            Step::AwaitCreator => !secret && !matches!(workload, WorkloadState::Live(_)),
                        };
                        assert!(right, "{workload:?}, secret {secret}: {step:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_failed_session_is_started_again_without_what_is_left_of_its_start() {
        for mode in [OpenMode::AttachOrCreate, OpenMode::Attach] {
            for paused in [false, true] {
                for workload in workloads() {
                    let state = RecordState::Existing(failed(paused));
                    let left = match &workload {
                        WorkloadState::Missing => None,
                        WorkloadState::Ended { uid } => Some(uid.clone()),
                        WorkloadState::Live(workload) => Some(workload.uid().to_owned()),
                    };
                    let plan = plan(state, present(workload, true), mode);
                    let Plan::StartAgain {
                        failure: told,
                        leftover,
                        ..
                    } = plan
                    else {
                        panic!("{mode:?}: {plan:?}");
                    };
                    assert_eq!((*told, leftover), (failure(), left));
                }
            }
        }
    }

    #[test]
    fn a_failed_session_whose_environment_nobody_knows_stays_failed() {
        for mode in [OpenMode::AttachOrCreate, OpenMode::Attach] {
            let state = RecordState::Existing(failed(false));
            let plan = plan(state, present(WorkloadState::Missing, false), mode);
            assert!(
                matches!(&plan, Plan::StaysFailed(told) if **told == failure()),
                "{plan:?}"
            );
        }
    }
}
