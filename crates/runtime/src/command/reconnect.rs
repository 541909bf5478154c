//! A process as one thing, over as many connections as it takes: what is lost is asked for again from the offset that was
//! reached, where the transport can do that.

use std::sync::Arc;
use std::time::Duration;

use podbay_protocol::{Offsets, ProcessId, ProcessSpec, StreamEnd};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::drain::{Drain, Interruption};
use crate::error::{Error, ProcessError};
use crate::transport::{Attachment, AttachmentEnd, ProcessTransport};

/// How long an answer may take to a try to attach.
const ATTACH_TIMEOUT: Duration = Duration::from_secs(10);

/// A process, and how it is reached.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) transport: Arc<dyn ProcessTransport>,
    pub(super) id: ProcessId,
    pub(super) argv: Vec<String>,
    pub(super) role: Role,
}

/// What whoever reads a process is to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The one who started it: it waits for him, and ends with him.
    Owner,
    /// Somebody who looks on: he holds nothing up, and it goes on without him.
    Onlooker,
}

impl Process {
    /// Starts one. Where an answer was lost and a repeated start makes no second process, it is asked for again.
    pub(super) async fn start(
        transport: Arc<dyn ProcessTransport>,
        spec: ProcessSpec,
    ) -> Result<(Self, Attachment), ProcessError> {
        let process = Self {
            id: spec.id.clone(),
            argv: spec.argv.clone(),
            transport,
            role: Role::Owner,
        };
        let again = process.transport.capabilities().repeated_start;
        let attachment = process
            .try_again(again, || process.transport.start(spec.clone()))
            .await?;
        Ok((process, attachment))
    }

    /// Carries both outputs until the process has ended, or the connection is lost for good. `attachment` is the one that
    /// there is; it is `None` only between two.
    pub(super) async fn follow(
        &self,
        attachment: &mut Option<Attachment>,
        stdout: &mut Drain,
        stderr: &mut Drain,
    ) -> Result<AttachmentEnd, Error> {
        let mut backoff = Backoff::default();
        let offsets = |stdout: &Drain, stderr: &Drain| Offsets {
            stdout: stdout.offset(),
            stderr: stderr.offset(),
        };
        loop {
            let before = offsets(stdout, stderr);
            let begun = Instant::now();
            let message = match attachment {
                Some(attachment) => match carry(attachment, stdout, stderr).await? {
                    AttachmentEnd::Ended(record)
                        if all_came(stdout, &record.stdout) && all_came(stderr, &record.stderr) =>
                    {
                        return Ok(AttachmentEnd::Ended(record));
                    }
                    AttachmentEnd::Ended(_) => "the process ended, and output is missing".to_owned(),
                    AttachmentEnd::Lost { message } => message,
                },
                None => "there is no connection".to_owned(),
            };
            if !self.transport.capabilities().reattach {
                return Ok(AttachmentEnd::Lost { message });
            }
            let reached = offsets(stdout, stderr);
            backoff.held(begun.elapsed(), reached != before);
            tracing::debug!(id = %self.id, message, ?reached, "the connection to a process was lost");
            // Two readers of one process would share its output.
            *attachment = None;
            match self.attach(reached, &mut backoff, message).await {
                Ok(found) => *attachment = Some(found),
                Err(NotAttached::Lost(message)) => return Ok(AttachmentEnd::Lost { message }),
                Err(NotAttached::Gone(error)) => return Err(error.into()),
            }
        }
    }

    /// Attaches from these offsets, as often as it takes.
    async fn attach(
        &self,
        from: Offsets,
        backoff: &mut Backoff,
        mut message: String,
    ) -> Result<Attachment, NotAttached> {
        while let Some(pause) = backoff.pause(Instant::now()) {
            tokio::time::sleep(pause).await;
            match tokio::time::timeout(ATTACH_TIMEOUT, self.attach_once(from)).await {
                Ok(Ok(attachment)) => return Ok(attachment),
                Ok(Err(error)) if error.may_pass() => message = error.chain(),
                // An onlooker who was too slow has lost nothing but what he did not read.
                Ok(Err(error @ ProcessError::OutputGone { .. })) if self.role == Role::Onlooker => {
                    return Err(NotAttached::Gone(error));
                }
                Ok(Err(error)) => return Err(NotAttached::Lost(error.chain())),
                Err(_) => message = format!("no answer within {} s", ATTACH_TIMEOUT.as_secs()),
            }
        }
        Err(NotAttached::Lost(message))
    }

    pub(super) async fn attach_once(&self, from: Offsets) -> Result<Attachment, ProcessError> {
        match self.role {
            Role::Owner => self.transport.attach(&self.id, from).await,
            Role::Onlooker => self.transport.watch(&self.id, from).await,
        }
    }

    /// Ends the standard input.
    pub(super) async fn close_stdin(&self) -> Result<(), ProcessError> {
        let again = self.transport.capabilities().stdin_offsets;
        self.try_again(again, || self.transport.close_stdin(&self.id))
            .await
    }

    /// Makes a call that may be made again, until it does not fail for the connection's sake.
    pub(super) async fn again<T, F>(&self, call: impl Fn() -> F) -> Result<T, ProcessError>
    where
        F: Future<Output = Result<T, ProcessError>>,
    {
        self.try_again(true, call).await
    }

    /// Makes a call; if it may be made `again`, until it does not fail for the connection's sake.
    async fn try_again<T, F>(&self, again: bool, call: impl Fn() -> F) -> Result<T, ProcessError>
    where
        F: Future<Output = Result<T, ProcessError>>,
    {
        let mut backoff = Backoff::default();
        loop {
            match call().await {
                Err(error) if again && error.may_pass() => match backoff.pause(Instant::now()) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(error),
                },
                answer => return answer,
            }
        }
    }
}

/// Why a process could not be attached to.
enum NotAttached {
    /// In words.
    Lost(String),
    /// What is to be read next is not kept any longer.
    Gone(ProcessError),
}

/// Carries both outputs to the end of one connection.
async fn carry(
    attachment: &mut Attachment,
    stdout: &mut Drain,
    stderr: &mut Drain,
) -> Result<AttachmentEnd, Error> {
    // A stream that can't be written ends the command now: it may never end by itself (`yes | head`).
    let carried = tokio::try_join!(
        stdout.take_all(&mut attachment.stdout),
        stderr.take_all(&mut attachment.stderr),
        async { Ok((&mut attachment.end).await) },
    );
    match carried {
        Ok(((), (), end)) => Ok(end),
        Err(Interruption::Gap) => Ok(AttachmentEnd::Lost {
            message: "bytes were missing within the output".to_owned(),
        }),
        Err(Interruption::Broken(error)) => Err(error),
    }
}

/// Whether as much of an output has come as there is to read.
fn all_came(drain: &Drain, told: &StreamEnd) -> bool {
    told.bytes.is_none_or(|bytes| drain.offset() >= bytes)
}

#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;
