//! The record of a process's end.

use std::io;

use podbay_protocol::{ProcessEnd, ResourceUsage, StreamName};
use sha2::{Digest as _, Sha256};

use super::driver::Watched;
use super::end::conclude;
use super::entry::Entry;
use super::kept::{KeptRecord, KeptStream};
use super::pump::Pumped;
use crate::supervise::reason;

/// The record of a process's end.
pub(super) fn record(
    entry: &Entry,
    watched: &Watched,
    outputs: &[(StreamName, Option<Pumped>)],
) -> KeptRecord {
    let end = match &watched.not_started {
        Some((reason, message)) => ProcessEnd::NotStarted {
            reason: reason.clone(),
            message: message.clone(),
        },
        // Before it was told that the command was started.
        None if watched.pid.is_none() && watched.seen.supervisor_lost => ProcessEnd::NotStarted {
            reason: "supervisor".to_owned(),
            message: "the process that should supervise it ended before it started it".to_owned(),
        },
        None => conclude(&watched.seen),
    };
    let mut record = KeptRecord::new(end);
    record.seconds = Some(entry.started.elapsed().as_secs_f64());
    record.oom_kills = watched.seen.oom_kills;
    record.usage = watched.usage.map(|used| {
        let mut usage = ResourceUsage::default();
        usage.user_seconds = used.user_seconds;
        usage.system_seconds = used.system_seconds;
        usage.max_resident_bytes = used.max_resident_bytes;
        usage
    });
    record.stdout = stream_end(entry, StreamName::Stdout, outputs);
    record.stderr = stream_end(entry, StreamName::Stderr, outputs);
    record
}

/// What there is to say of an output. A process that has no such stream, or was not started, has not written to it.
pub(super) fn stream_end(
    entry: &Entry,
    name: StreamName,
    outputs: &[(StreamName, Option<Pumped>)],
) -> KeptStream {
    let state = entry.lock();
    let log = &state.stream(name).log;
    let output = outputs.iter().find(|(this, _)| *this == name);
    let (sha256, was_cut) = match output.map(|(_, pumped)| pumped) {
        None => (Some(Sha256::digest([]).into()), false),
        Some(Some(pumped)) => (Some(pumped.sha256), pumped.was_cut),
        Some(None) => (None, true),
    };
    KeptStream {
        bytes: Some(log.written()),
        sha256,
        truncated: was_cut || log.is_truncated(),
        first: log.first(),
        spooled: log.went_on(),
    }
}

/// The record of a process whose supervisor could not be started.
pub(super) fn not_started(entry: &Entry, error: &io::Error) -> KeptRecord {
    let mut record = KeptRecord::new(ProcessEnd::NotStarted {
        reason: reason(error),
        message: format!("starting its supervisor: {error}"),
    });
    record.seconds = Some(entry.started.elapsed().as_secs_f64());
    record.stdout = stream_end(entry, StreamName::Stdout, &[]);
    record.stderr = stream_end(entry, StreamName::Stderr, &[]);
    record
}
