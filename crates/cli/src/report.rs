//! How a command ended: exit code, record, words.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use podbay_process::LINGER;
use podbay_protocol::outcome::{OUTCOME_SCHEMA_VERSION, StreamSummary};
use podbay_protocol::{Content, End, Outcome, OutcomeRecord, PhaseTimes, StreamRecord};

use crate::args::OutcomeArgs;
use crate::exit::{Failure, narrow, tell_verdict};
use crate::outcome_file::OutcomeFile;
use crate::output::{note, print};
use crate::words::CommandLine;

/// Lower-case hexadecimal SHA-256 of no bytes (FIPS 180-4).
const HASH_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What a command came to, or how far.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// The session, once it was there.
    pub(crate) session: Option<String>,
    /// What was to be run.
    pub(crate) argv: Vec<String>,
    /// The seconds of the session's start, where it was started.
    pub(crate) start: Option<PhaseTimes>,
    /// Seconds since the request.
    pub(crate) seconds: f64,
    /// What came of it.
    pub(crate) result: Result<Outcome, Failure>,
    /// What a signal to this process makes of the exit code.
    pub(crate) signalled: Option<u8>,
}

/// The channels on which a command's end is told, besides words on standard error.
#[derive(Debug)]
pub(crate) struct Channels {
    /// The record with the command's output goes to standard output.
    print: bool,
    /// The record without the output goes there.
    file: Option<OutcomeFile>,
}

impl Channels {
    /// Sees to it that they can be written.
    pub(crate) fn prepare(args: &OutcomeArgs) -> Result<Self, Failure> {
        Ok(Self {
            print: args.output.is_some(),
            file: args
                .outcome_file
                .as_deref()
                .map(OutcomeFile::prepare)
                .transpose()?,
        })
    }
}

/// Tells how a command ended on all channels that were asked for, and returns what to exit with.
pub(crate) fn report(attempt: &Attempt, channels: Channels) -> Result<u8, Failure> {
    let code = attempt.exit_code();
    match &attempt.result {
        Ok(outcome) => tell_outcome(outcome, attempt.signalled.is_some()),
        // A start that ended because of a signal was asked for.
        Err(_) if attempt.signalled.is_some() => {}
        Err(failure) => {
            failure.tell();
        }
    }
    if let Some(file) = channels.file {
        file.write(&line(&attempt.record(false))?)?;
    }
    if channels.print {
        print(line(&attempt.record(true))?.as_bytes())?;
    }
    Ok(code)
}

impl Attempt {
    fn exit_code(&self) -> u8 {
        match (&self.result, self.signalled) {
            // It had ended before the signal mattered.
            (Ok(outcome), Some(code)) if outcome.end == End::Cancelled => code,
            (Ok(outcome), _) => narrow(outcome.end.exit_code()),
            (Err(_), Some(code)) => code,
            (Err(failure), None) => failure.exit_code(),
        }
    }

    /// The record, with the streams' content or without.
    fn record(&self, with_content: bool) -> OutcomeRecord {
        let (end, stdout, stderr, seconds, verdict, error, transport) = match &self.result {
            Ok(outcome) => {
                let Outcome {
                    end,
                    stdout,
                    stderr,
                    stdout_content,
                    stderr_content,
                    seconds,
                    verdict,
                    transport,
                } = outcome;
                let stdout = stream(stdout, with_content.then_some(stdout_content));
                let stderr = stream(stderr, with_content.then_some(stderr_content));
                let verdict = verdict.clone();
                let transport = Some(transport.clone());
                (
                    Some(end.clone()),
                    stdout,
                    stderr,
                    *seconds,
                    verdict,
                    None,
                    transport,
                )
            }
            Err(failure) => (
                None,
                nothing(),
                nothing(),
                self.seconds,
                failure.verdict().cloned(),
                Some(failure.record()),
                None,
            ),
        };
        let verdict = verdict.map(|verdict| verdict.in_words(&CommandLine));
        OutcomeRecord {
            schema_version: OUTCOME_SCHEMA_VERSION,
            session: self.session.clone(),
            command: self.argv.clone(),
            end,
            exit_code: self.exit_code().into(),
            stdout,
            stderr,
            start: self.start,
            seconds,
            verdict,
            error,
            transport,
        }
    }
}

fn stream(summary: &StreamSummary, content: Option<&Content>) -> StreamRecord {
    let mut record = StreamRecord::from(summary.clone());
    if let Some(Content { bytes, capped }) = content {
        record.content_capped = Some(*capped);
        match text_of(bytes, *capped) {
            Some(text) => record.text = Some(text.to_owned()),
            None => record.base64 = Some(STANDARD.encode(bytes)),
        }
    }
    record
}

/// The bytes as text, if they are UTF-8. A cap may cut a character in two: its first bytes are left out.
fn text_of(bytes: &[u8], capped: bool) -> Option<&str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        // No length means that the input ended within a character.
        Err(error) if capped && error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

/// The stream of a command that never began.
fn nothing() -> StreamRecord {
    StreamSummary {
        bytes: 0,
        sha256: HASH_OF_NOTHING.to_owned(),
        truncated: false,
    }
    .into()
}

/// What a person should know of an end that the exit code alone doesn't tell.
fn tell_outcome(outcome: &Outcome, signalled: bool) {
    match &outcome.end {
        End::TimedOut { seconds } => {
            note(&format!(
                "podbay: timed out after {seconds} s; the command was killed with its descendants"
            ));
        }
        End::CannotExecute { message } => note(&format!("podbay: the command cannot be executed: {message}")),
        End::NotFound { message } => note(&format!("podbay: the command was not found: {message}")),
        End::Lost { message } if outcome.verdict.is_none() => {
            note(&format!(
                "podbay: the connection was lost, how the command ended is not known: {message}"
            ));
        }
        End::Cancelled if !signalled => note("podbay: cancelled"),
        End::Exited { .. } | End::Signaled { .. } | End::Cancelled | End::Killed | End::Lost { .. } => {}
    }
    if let Some(verdict) = &outcome.verdict {
        tell_verdict(verdict);
    }
    if let Some(told) = outcome.transport.told() {
        note(&format!("podbay: {told}; --dial or agent.dial chooses"));
    }
    // One that ended by itself had all its own output carried.
    if (outcome.stdout.truncated || outcome.stderr.truncated)
        && matches!(outcome.end, End::Exited { .. } | End::Signaled { .. })
    {
        note(&format!(
            "podbay: the end of the output is missing: more was written than is kept of a process that nobody waits for, or \
             a process that the command left behind keeps its output open, and what it writes later than {} s after the \
             command's end is not waited for",
            LINGER.as_secs()
        ));
    }
}

fn line(record: &OutcomeRecord) -> Result<String, Failure> {
    serde_json::to_string(record)
        .map(|line| line + "\n")
        .map_err(|error| Failure::Format {
            format: "JSON",
            message: error.to_string(),
        })
}

#[cfg(test)]
mod tests;
