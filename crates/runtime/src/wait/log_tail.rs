//! What a program that ended said last. A failed start is rolled back, and the pod's log goes with it.

use std::time::Duration;

use futures::StreamExt as _;
use podbay_k8s_client::LogRequest;
use podbay_manifests::pod::CONTAINER;
use podbay_protocol::{Cause, Hint, Verdict};

use crate::context::SessionContext;

/// How much of the log is told: enough for the end of a stack trace, and no more than a screen.
const LINES: u32 = 10;
pub(crate) const BYTES: usize = 2048;

/// What stands before the end of the log in a verdict's message.
const BEFORE_LOG: &str = "; its log ends with:\n";

/// The end of the log of a program that ended, or did not answer, where a verdict has it.
pub fn log_tail(verdict: &Verdict) -> Option<&str> {
    verdict.message.split_once(BEFORE_LOG).map(|(_, log)| log)
}

/// How long reading it may take: the start has failed already, and its caller waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// The verdict with the last lines of the log of `container`, where its program ended, or runs and does not answer.
pub(super) async fn with_log_tail(
    session: SessionContext<'_>,
    pod: &str,
    container: &str,
    verdict: Verdict,
) -> Verdict {
    if !matches!(verdict.cause, Cause::Exited | Cause::Deadline) {
        return verdict;
    }
    let said = tokio::time::timeout(PATIENCE, read(session, pod, container)).await;
    let verdict = told(verdict, &said.unwrap_or_default());
    if container == CONTAINER && verdict.cause == Cause::Exited {
        return Verdict {
            hint: Hint::KeepToReadLog,
            ..verdict
        };
    }
    verdict
}

/// The end of the log; empty where it can't be read.
async fn read(session: SessionContext<'_>, pod: &str, container: &str) -> Vec<u8> {
    let request = LogRequest {
        container: container.to_owned(),
        tail_lines: Some(LINES),
        ..LogRequest::default()
    };
    let mut end = Vec::new();
    match session
        .ctx
        .client
        .logs(&session.ctx.namespace, pod, request)
        .await
    {
        Ok(mut log) => {
            while let Some(Ok(piece)) = log.next().await {
                end.extend_from_slice(&piece);
                // Lines may be of any length.
                let surplus = end.len().saturating_sub(BYTES);
                end.drain(..surplus);
            }
        }
        Err(error) => tracing::debug!(%error, "the log could not be read"),
    }
    end
}

/// The verdict with the end of what a program wrote.
pub(crate) fn told(verdict: Verdict, said: &[u8]) -> Verdict {
    let said: String = String::from_utf8_lossy(said)
        .chars()
        // Escape sequences would reach the terminal of whoever reads the verdict.
        .filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\t'))
        .collect();
    let said = said.trim();
    let message = if said.is_empty() {
        verdict.message
    } else {
        format!("{}{BEFORE_LOG}{said}", verdict.message)
    };
    Verdict { message, ..verdict }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_log_is_told_without_what_moves_a_terminal() {
        let exited = || Verdict::new(Cause::Exited, "exit code 1", "");
        let verdict = told(exited(), b"\x1b[31mTraceback\r\n\tboom\xff\n\n");
        assert_eq!(
            verdict.message,
            "exit code 1; its log ends with:\n[31mTraceback\n\tboom\u{fffd}"
        );
        assert_eq!(log_tail(&verdict), Some("[31mTraceback\n\tboom\u{fffd}"));
        assert_eq!(told(exited(), b" \n").message, "exit code 1");
        assert_eq!(log_tail(&exited()), None);
    }
}
