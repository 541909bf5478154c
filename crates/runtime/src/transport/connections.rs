//! Processes that live as long as the connection they were started by.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use podbay_k8s_client::{Error as ClientError, ErrorKind, ExecEnd, ExecProcess, ExecRequest, ExecStdin};
use podbay_protocol::{EndRecord, ProcessEnd, ProcessId, TerminalSize};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::DropGuard;

use super::capabilities::Capabilities;
use super::processes::AttachmentEnd;
use crate::error::{Error, Operation, ProcessError};
use crate::session::ClusterSession;

/// The processes that one transport has started and not given up, each with what is needed to look after it.
#[derive(Clone)]
pub(super) struct Connections<T>(Arc<Mutex<HashMap<ProcessId, Connection<T>>>>);

/// A process and its connection.
struct Connection<T> {
    stdin: Option<Arc<Input>>,
    resize: Option<watch::Sender<TerminalSize>>,
    signals: Option<mpsc::UnboundedSender<i32>>,
    /// Gives the process up when dropped.
    guard: Option<DropGuard>,
    own: T,
}

/// A standard input, and how much was written to it. Locked while a write waits: bytes keep their order.
type Input = tokio::sync::Mutex<(ExecStdin, u64)>;

/// Removes a process when dropped, which gives it up.
pub(super) struct Held<T> {
    connections: Connections<T>,
    id: ProcessId,
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        self.connections.forget(&self.id);
    }
}

impl<T> Default for Connections<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone> Connections<T> {
    /// Refuses an id that is in use.
    pub(super) fn require_free(&self, id: &ProcessId) -> Result<(), ProcessError> {
        if self.all().contains_key(id) {
            Err(ProcessError::IdTaken { id: id.clone() })
        } else {
            Ok(())
        }
    }

    /// Takes in all of a process but its outputs and its end. Dropping what is returned gives it up.
    pub(super) fn hold(&self, id: ProcessId, process: Handles, own: T) -> Held<T> {
        let Handles {
            stdin,
            resize,
            signals,
            guard,
        } = process;
        let connection = Connection {
            stdin: stdin.map(|stdin| Arc::new(Input::new((stdin, 0)))),
            resize,
            signals,
            guard: Some(guard),
            own,
        };
        self.all().insert(id.clone(), connection);
        Held {
            connections: self.clone(),
            id,
        }
    }

    /// What the transport itself keeps of a process.
    pub(super) fn own(&self, id: &ProcessId) -> Result<T, ProcessError> {
        self.with(id, |connection| connection.own.clone())
    }

    pub(super) async fn write(
        &self,
        id: &ProcessId,
        offset: u64,
        bytes: Bytes,
        capabilities: &Capabilities,
    ) -> Result<u64, ProcessError> {
        let stdin = self.with(id, |connection| connection.stdin.clone())?;
        let stdin = stdin.ok_or(ProcessError::InputClosed)?;
        let mut input = stdin.lock().await;
        let (writer, written) = &mut *input;
        if offset != *written {
            capabilities.require(Operation::WriteFromOffset)?;
        }
        let length = bytes.len() as u64;
        writer.write(bytes).await.map_err(|_| ProcessError::InputClosed)?;
        *written += length;
        Ok(*written)
    }

    pub(super) fn close_stdin(&self, id: &ProcessId) -> Result<(), ProcessError> {
        // The end of file comes when a write that waits is through, too.
        self.with(id, |connection| drop(connection.stdin.take()))
    }

    pub(super) fn resize(&self, id: &ProcessId, size: TerminalSize) -> Result<(), ProcessError> {
        self.with(id, |connection| {
            if let Some(resize) = &connection.resize {
                // Fails only when the process has ended already.
                let _ = resize.send(size);
            }
        })
    }

    /// Hands a signal to the connection. Returns whether it takes any.
    pub(super) fn pass_signal(&self, id: &ProcessId, number: i32) -> Result<bool, ProcessError> {
        self.with(id, |connection| {
            let Some(signals) = &connection.signals else {
                return false;
            };
            // One that has ended needs none.
            let _ = signals.send(number);
            true
        })
    }

    /// Gives the process up and keeps what is known of it.
    pub(super) fn give_up(&self, id: &ProcessId) -> Result<(), ProcessError> {
        self.with(id, |connection| drop(connection.guard.take()))
    }

    /// Gives the process up and forgets it.
    pub(super) fn forget_known(&self, id: &ProcessId) -> Result<(), ProcessError> {
        if self.forget(id) {
            Ok(())
        } else {
            Err(ProcessError::Unknown { id: id.clone() })
        }
    }

    fn with<R>(&self, id: &ProcessId, f: impl FnOnce(&mut Connection<T>) -> R) -> Result<R, ProcessError> {
        match self.all().get_mut(id) {
            Some(connection) => Ok(f(connection)),
            None => Err(ProcessError::Unknown { id: id.clone() }),
        }
    }
}

impl<T> Connections<T> {
    /// Gives the process up and forgets it. Returns whether it was there.
    fn forget(&self, id: &ProcessId) -> bool {
        let removed = self.all().remove(id);
        removed.is_some()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<ProcessId, Connection<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What of a command is not output.
pub(super) struct Handles {
    pub(super) stdin: Option<ExecStdin>,
    pub(super) resize: Option<watch::Sender<TerminalSize>>,
    pub(super) signals: Option<mpsc::UnboundedSender<i32>>,
    pub(super) guard: DropGuard,
}

/// How a command's connection ended, in the transport's terms.
pub(super) fn attachment_end(end: ExecEnd) -> AttachmentEnd {
    let end = match end {
        ExecEnd::Exited { code } => ProcessEnd::Exited { code },
        ExecEnd::Signaled { signal } => ProcessEnd::Signaled { signal },
        ExecEnd::NotStarted { reason, message } => ProcessEnd::NotStarted { reason, message },
        ExecEnd::Lost { message } => return AttachmentEnd::Lost { message },
    };
    AttachmentEnd::Ended(EndRecord::new(end))
}

/// Starts a command in the pod, once the session is ready.
pub(super) async fn begin(session: &ClusterSession, request: ExecRequest) -> Result<ExecProcess, Error> {
    match session.exec_request(request.clone()).await {
        Ok(process) => Ok(process),
        // A session that was begun and is not ready yet, by this or another client.
        Err(error) if may_be_starting(&error) => {
            session.wait_until_ready(error).await?;
            match session.exec_request(request).await {
                Ok(process) => Ok(process),
                Err(error) => Err(session.explain(error).await),
            }
        }
        Err(error) => Err(session.explain(error).await),
    }
}

/// Whether a refused exec may be due to a pod that is not running yet: 400 `container not found`, 404, or 500
/// from a kubelet that doesn't know the pod yet.
const fn may_be_starting(error: &ClientError) -> bool {
    matches!(
        error.kind,
        ErrorKind::NotFound | ErrorKind::Invalid | ErrorKind::Server { .. }
    )
}
