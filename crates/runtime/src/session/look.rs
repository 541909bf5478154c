//! What one look finds of a session: for a service, which asks often and wants little.

use std::sync::Arc;

use podbay_manifests::Record;
use podbay_protocol::{SessionState, StartPhase};

use crate::dial::SandboxAddress;
use crate::local::{LocalSession, Seen};
use crate::machine::Machine;

/// What one look found of a session.
#[derive(Clone, Debug)]
pub struct Look {
    /// Its record.
    pub record: Record,
    /// Its state. On a cluster its pods were not looked at: one that is neither paused nor failed is told as starting.
    pub state: SessionState,
    /// Where its sandbox is; on a cluster it was not looked for.
    pub address: Option<SandboxAddress>,
}

/// What a record tells by itself.
pub(crate) fn look_at_record(record: Record) -> Look {
    let state = match &record.last_failure {
        _ if record.deleted.is_some() => SessionState::Stopping,
        _ if record.paused => SessionState::Paused,
        Some(failure) => SessionState::Failed(failure.verdict.clone()),
        None => SessionState::Starting(StartPhase::Creating),
    };
    Look {
        record,
        state,
        address: None,
    }
}

/// What was seen of a session of this machine.
pub(crate) fn look_here(machine: &Arc<Machine>, seen: Seen) -> Look {
    let session = LocalSession::of(machine, &seen.record);
    Look {
        state: seen.state(),
        address: Some(session.address_of(&seen.record)),
        record: seen.record,
    }
}
