//! Processes, but for reading their outputs.

use http::{HeaderMap, StatusCode};
use podbay_protocol::agent::process::{Acknowledgement, ProcessList, SignalRequest, Taken};
use podbay_protocol::agent::{AgentError, AgentErrorCode as Code, READER_HEADER};
use podbay_protocol::{Offsets, ProcessId, ProcessSpec, ReaderId, TerminalSize};

use super::output;
use crate::process::{AcknowledgeError, ResizeError, SignalError, StartRefusal, StdinError, UnknownProcess};
use crate::server::Services;
use crate::server::answer::{self, Answer};
use crate::server::dispatch::Asked;
use crate::server::query::invalid;

/// Bytes of standard input in one request, at most: they wait in memory for the process.
const STDIN_LIMIT: usize = 256 << 10;

pub(super) fn list(services: &Services, asked: Asked) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    let processes = services.processes.list();
    Ok(answer::json(StatusCode::OK, &ProcessList { processes }))
}

/// Starts a process. The answer is what is known of it, or, for one who names himself as the reader of its outputs, these.
pub(super) async fn start(services: &Services, id: ProcessId, asked: Asked) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    let reader = reader(&asked.headers)?;
    let spec: ProcessSpec = asked.body.json().await?;
    if spec.id != id {
        let message = format!(
            "the specification is of process {}, and the path of process {id}",
            spec.id
        );
        return Err(invalid(message));
    }
    let started = services.processes.start(spec).map_err(|error| {
        let code = match error {
            StartRefusal::IdTaken { .. } | StartRefusal::Expired { .. } => Code::IdTaken,
            StartRefusal::Invalid { .. } => Code::InvalidRequest,
            StartRefusal::ShuttingDown { .. } => Code::Busy,
        };
        AgentError::new(code, error.to_string())
    })?;
    let status = if started.created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    match reader {
        None => Ok(answer::json(status, &started.info)),
        Some(reader) => {
            let mut outputs = output::from(services, &id, Offsets::default(), Some(reader))?;
            *outputs.status_mut() = status;
            Ok(outputs)
        }
    }
}

/// The reader that a start names.
fn reader(headers: &HeaderMap) -> Result<Option<ReaderId>, AgentError> {
    let Some(value) = headers.get(READER_HEADER) else {
        return Ok(None);
    };
    let reader = value.to_str().ok().and_then(|text| text.parse().ok());
    let reader = reader.ok_or_else(|| invalid(format!("the header {READER_HEADER} names no reader")))?;
    Ok(Some(reader))
}

pub(super) fn show(services: &Services, id: &ProcessId, asked: Asked) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    let info = services.processes.info(id);
    let info = info.ok_or_else(|| unknown(&UnknownProcess { id: id.clone() }))?;
    Ok(answer::json(StatusCode::OK, &info))
}

pub(super) fn forget(services: &Services, id: &ProcessId, asked: Asked) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    services.processes.forget(id).map_err(|error| unknown(&error))?;
    Ok(answer::nothing())
}

pub(super) async fn acknowledge(
    services: &Services,
    id: &ProcessId,
    asked: Asked,
) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    let taken: Acknowledgement = asked.body.json().await?;
    let done = services.processes.acknowledge(id, &taken.reader, taken.taken());
    done.map_err(|error| match &error {
        AcknowledgeError::Unknown(process) => unknown(process),
        AcknowledgeError::OtherReader { .. } => AgentError::new(Code::OtherReader, error.to_string()),
        AcknowledgeError::Ahead { .. } => invalid(error.to_string()),
    })?;
    Ok(answer::nothing())
}

pub(super) async fn write_stdin(
    services: &Services,
    id: &ProcessId,
    mut asked: Asked,
) -> Result<Answer, AgentError> {
    let offset = asked.query.read("offset")?;
    let offset = offset.ok_or_else(|| invalid("the parameter \"offset\" is missing"))?;
    asked.query.finish()?;
    // All of it is taken off the connection, however slow the process is: others use the connection, too.
    let bytes = asked.body.collect(STDIN_LIMIT).await?;
    let offset = services
        .processes
        .write_stdin(id, offset, bytes)
        .await
        .map_err(|error| stdin(&error))?;
    Ok(answer::json(StatusCode::OK, &Taken { offset }))
}

pub(super) async fn close_stdin(
    services: &Services,
    id: &ProcessId,
    asked: Asked,
) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    services
        .processes
        .close_stdin(id)
        .await
        .map_err(|error| stdin(&error))?;
    Ok(answer::nothing())
}

pub(super) async fn signal(services: &Services, id: &ProcessId, asked: Asked) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    let SignalRequest { signal, target } = asked.body.json().await?;
    services
        .processes
        .signal(id, signal, target)
        .map_err(|error| match &error {
            SignalError::Unknown(process) => unknown(process),
            SignalError::Ended { .. } => AgentError::new(Code::ProcessEnded, error.to_string()),
        })?;
    Ok(answer::nothing())
}

pub(super) async fn resize(services: &Services, id: &ProcessId, asked: Asked) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    let size: TerminalSize = asked.body.json().await?;
    services
        .processes
        .resize(id, size)
        .map_err(|error| match &error {
            ResizeError::Unknown(process) => unknown(process),
            ResizeError::NoTerminal { .. } => AgentError::new(Code::NoTerminal, error.to_string()),
            ResizeError::Ended { .. } => AgentError::new(Code::ProcessEnded, error.to_string()),
        })?;
    Ok(answer::nothing())
}

/// There is no such process.
pub(super) fn unknown(error: &UnknownProcess) -> AgentError {
    AgentError::new(Code::UnknownProcess, error.to_string())
}

fn stdin(error: &StdinError) -> AgentError {
    let (code, offset) = match error {
        StdinError::Unknown(process) => return unknown(process),
        StdinError::None { .. } => (Code::StdinClosed, None),
        StdinError::Closed { taken, .. } => (Code::StdinClosed, Some(*taken)),
        StdinError::Gap { taken, .. } => (Code::StdinGap, Some(*taken)),
    };
    let mut wire = AgentError::new(code, error.to_string());
    wire.offset = offset;
    wire
}
