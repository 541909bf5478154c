//! How the command ended that a session's agent runs by itself, where it has.

use http::Method;
use podbay_protocol::agent::{AgentErrorCode, path};
use podbay_protocol::{Cause, Offsets, ProcessEnd, ProcessId, ProcessInfo, Verdict};

use super::handle::Session;
use crate::agent::request::{self, empty};
use crate::error::{AgentFailure, Error, Operation};
use crate::lifecycle::MAIN_COMMAND;
use crate::wait::{TAIL_BYTES, with_tail};

impl Session {
    /// Why what the session was started for does not run: its command, or on this machine its server, has ended, with the end of what it
    /// wrote ([`log_tail`](crate::log_tail)). `None` while it runs, and where the agent was asked to run none.
    pub async fn ended_command(&self) -> Result<Option<Verdict>, Error> {
        // The constant is one.
        let Ok(id) = MAIN_COMMAND.parse::<ProcessId>() else {
            return Ok(None);
        };
        let agent = self.agent_for(Operation::ReachProcess).await?;
        let asked = async {
            let request = request::request(Method::GET, &path::process(&id), empty())?;
            request::json::<ProcessInfo>(&agent, request).await
        };
        let info = match asked.await {
            Ok(info) => info,
            Err(AgentFailure::Refused { error, .. }) if error.code == AgentErrorCode::UnknownProcess => {
                return Ok(None);
            }
            Err(failure) => return Err(self.failed(Operation::ReachProcess, failure).await),
        };
        let Some(record) = &info.end else {
            return Ok(None);
        };
        let verdict = verdict(&record.end);
        Ok(Some(match self.last_words(id, &info).await {
            Ok(said) => with_tail(verdict, &said),
            Err(error) => {
                tracing::debug!(
                    session = self.id(),
                    error = error.chain(),
                    "what the command wrote can't be read"
                );
                verdict
            }
        }))
    }

    /// The end of what it wrote on standard error; on standard output, where there is nothing.
    async fn last_words(&self, id: ProcessId, info: &ProcessInfo) -> Result<Vec<u8>, Error> {
        let first = info.first.unwrap_or_default();
        let room = u64::try_from(TAIL_BYTES).unwrap_or(u64::MAX);
        let from = Offsets {
            stdout: first.stdout.max(info.written.stdout.saturating_sub(room)),
            stderr: first.stderr.max(info.written.stderr.saturating_sub(room)),
        };
        let outcome = self.attach(id).from(from).capture(TAIL_BYTES).output().await?;
        let (stdout, stderr) = (outcome.stdout_content.bytes, outcome.stderr_content.bytes);
        Ok(if stderr.trim_ascii().is_empty() {
            stdout
        } else {
            stderr
        })
    }
}

fn verdict(end: &ProcessEnd) -> Verdict {
    let (cause, how) = match end {
        ProcessEnd::Exited { code } => (Cause::Exited, format!("ended with exit code {code}")),
        ProcessEnd::Signaled { signal } => (Cause::Exited, format!("was ended by signal {signal}")),
        ProcessEnd::TimedOut { seconds } => (Cause::Exited, format!("was ended after {seconds} s")),
        ProcessEnd::OutOfMemory => (Cause::OutOfMemory, "was ended because memory ran out".to_owned()),
        ProcessEnd::Lost { message } => (Cause::Exited, format!("is gone: {message}")),
        ProcessEnd::NotStarted { message, .. } => {
            (Cause::ContainerStart, format!("could not be started: {message}"))
        }
        other => (
            Cause::Exited,
            format!("ended in a way that this version does not know: {other:?}"),
        ),
    };
    Verdict::new(
        cause,
        format!("its command {how}"),
        "resume the session to start it again, once what it complains of is mended",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_a_cause_and_is_told() {
        for (end, cause, told) in [
            (ProcessEnd::Exited { code: 0 }, Cause::Exited, "with exit code 0"),
            (ProcessEnd::Signaled { signal: 9 }, Cause::Exited, "by signal 9"),
            (ProcessEnd::OutOfMemory, Cause::OutOfMemory, "memory ran out"),
        ] {
            let verdict = verdict(&end);
            assert_eq!(verdict.cause, cause);
            assert!(verdict.message.starts_with("its command ") && verdict.message.ends_with(told));
        }
    }
}
