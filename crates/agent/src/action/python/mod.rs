//! Cells of Python, run one after the other in one interpreter of the image.

use std::time::Duration;

use bytes::Bytes;
use podbay_protocol::{
    Offsets, ProcessEnd, ProcessId, ProcessSpec, ReaderId, Retention, Signal, SignalTarget,
};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use super::observation::Observation;
use super::request::Python as Cell;
use super::shell::marker::{Marks, Piece as Part};
use crate::process::{OutputReader, Piece, Processes};

/// The program that runs cells.
const PROGRAM: &str = include_str!("cells.py");
/// What is kept of a cell's output, in bytes: one half from its beginning, one from its end.
const KEPT: usize = 1 << 20;
/// How long an interpreter may take to start.
const START: Duration = Duration::from_secs(20);
/// How long a cell that was interrupted may take to end.
const INTERRUPTED: Duration = Duration::from_secs(5);
/// SIGINT.
const INTERRUPT: i32 = 2;

/// The cells of a session.
pub(super) struct Python {
    processes: Processes,
    /// Held while a cell runs.
    interpreter: Mutex<Option<Interpreter>>,
}

struct Interpreter {
    processes: Processes,
    id: ProcessId,
    reader: ReaderId,
    output: OutputReader,
    marks: Marks,
    parts: std::collections::VecDeque<Part>,
    typed: u64,
    executable: String,
}

/// What comes next of an interpreter.
enum Next {
    Text(Vec<u8>),
    Mark(String),
    End(ProcessEnd),
    Late,
}

/// Text that may lose its middle.
#[derive(Default)]
struct Kept {
    first: Vec<u8>,
    last: Vec<u8>,
    dropped: bool,
}

impl Kept {
    fn push(&mut self, bytes: &[u8]) {
        let room = (KEPT / 2).saturating_sub(self.first.len()).min(bytes.len());
        let (first, rest) = bytes.split_at(room);
        self.first.extend_from_slice(first);
        self.last.extend_from_slice(rest);
        if self.last.len() > KEPT {
            self.last.drain(..self.last.len() - KEPT / 2);
            self.dropped = true;
        }
    }

    fn text(mut self) -> String {
        if self.dropped {
            self.first
                .extend_from_slice(b"\n[... Observation truncated due to length ...]\n");
        }
        self.first.append(&mut self.last);
        without_colours(&String::from_utf8_lossy(&self.first))
    }
}

impl Python {
    /// No interpreter yet: the first cell starts it.
    pub(super) fn new(processes: Processes) -> Self {
        Self {
            processes,
            interpreter: Mutex::default(),
        }
    }

    /// Whether there is an interpreter that runs no cell.
    pub(super) fn is_resting(&self) -> bool {
        self.interpreter
            .try_lock()
            .is_ok_and(|interpreter| interpreter.is_some())
    }

    /// Runs a cell in a directory. `timeout` is in seconds.
    pub(super) async fn run(
        &self,
        cell: &Cell,
        directory: Option<&str>,
        timeout: Option<f64>,
    ) -> Observation {
        let mut current = self.interpreter.lock().await;
        if current.is_none() {
            match Interpreter::start(&self.processes).await {
                Ok(interpreter) => *current = Some(interpreter),
                Err(message) => return Observation::Error(message),
            }
        }
        let Some(interpreter) = current.as_mut() else {
            return Observation::Error("the interpreter is gone".to_owned());
        };
        let deadline = timeout
            .filter(|seconds| *seconds > 0.0)
            .and_then(|seconds| Instant::now().checked_add(Duration::try_from_secs_f64(seconds).ok()?));
        let executable = interpreter.executable.clone();
        let (mut content, is_over) = interpreter
            .cell(&cell.code, directory, deadline, timeout.unwrap_or_default())
            .await;
        if !is_over {
            interpreter.processes.forget(&interpreter.id).ok(); // It may be gone already.
            *current = None;
        }
        content.truncate(content.trim_end().len());
        if cell.include_extra {
            let directory = directory.unwrap_or_default();
            content = format!(
                "{content}\n[Jupyter current working directory: {directory}]\n[Jupyter Python interpreter: {executable}]"
            );
        }
        Observation::Python {
            content,
            code: cell.code.clone(),
        }
    }
}

impl Interpreter {
    async fn start(processes: &Processes) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("python3 could not be started: {error}");
        let nonce = format!("{:032x}", rand::random::<u128>());
        let id: ProcessId = format!("openhands-python-{:x}", rand::random::<u64>())
            .parse()
            .map_err(|error| failed(&error))?;
        let argv = ["python3", "-u", "-c", PROGRAM, &nonce]
            .map(str::to_owned)
            .to_vec();
        let mut spec = ProcessSpec::new(id.clone(), argv);
        spec.stdin = true;
        spec.retention = Retention::Backpressure;
        // What is written is read as UTF-8, whatever the image says of languages.
        spec.environment = [
            ("PYTHONIOENCODING", "utf-8"),
            ("PAGER", "cat"),
            ("MPLBACKEND", "agg"),
        ]
        .into_iter()
        .collect();
        processes.start(spec).map_err(|error| failed(&error))?;
        let reader: ReaderId = "openhands".parse().map_err(|error| failed(&error))?;
        let output = processes
            .read(&id, Offsets::default(), Some(reader.clone()))
            .map_err(|error| failed(&error))?;
        let mut interpreter = Self {
            processes: processes.clone(),
            id,
            reader,
            output,
            marks: Marks::new(&nonce),
            parts: std::collections::VecDeque::new(),
            typed: 0,
            executable: String::new(),
        };
        let deadline = Instant::now() + START;
        let mut said = Kept::default();
        loop {
            match interpreter.next(Some(deadline)).await {
                Next::Text(text) => said.push(&text),
                Next::Mark(body) => {
                    body.strip_prefix("ready;")
                        .unwrap_or_default()
                        .clone_into(&mut interpreter.executable);
                    return Ok(interpreter);
                }
                Next::End(ProcessEnd::NotStarted { reason, .. }) if reason == "ENOENT" => {
                    return Err("The image of this sandbox has no python3 in its search path, so that no Python code can be \
                         run by itself. Commands can be."
                        .to_owned());
                }
                Next::End(end) => return Err(failed(&format!("{end:?}\n{}", said.text()))),
                Next::Late => {
                    interpreter.processes.forget(&interpreter.id).ok(); // It is ours.
                    return Err(failed(&"it was not ready in time"));
                }
            }
        }
    }

    /// What a cell wrote, and whether another one can be run.
    async fn cell(
        &mut self,
        code: &str,
        directory: Option<&str>,
        deadline: Option<Instant>,
        seconds: f64,
    ) -> (String, bool) {
        let mut order = json!({"code": code, "directory": directory}).to_string();
        order.push('\n');
        let mut kept = Kept::default();
        // One that has ended takes none, and says so by its end.
        if let Ok(typed) = self
            .processes
            .write_stdin(&self.id, self.typed, Bytes::from(order))
            .await
        {
            self.typed = typed;
        }
        let mut wait = deadline;
        let mut late = None;
        loop {
            match self.next(wait).await {
                Next::Text(text) => kept.push(&text),
                Next::Mark(_) => {
                    return match late {
                        None => {
                            let text = kept.text();
                            (
                                if text.is_empty() {
                                    "[Code executed successfully with no output]".to_owned()
                                } else {
                                    text
                                },
                                true,
                            )
                        }
                        Some(note) => (format!("{}{note}", kept.text()), true),
                    };
                }
                Next::End(end) => {
                    let note = format!("\n[Python has ended ({end:?}): the next cell runs in a new one.]");
                    return (format!("{}{note}", kept.text()), false);
                }
                Next::Late if late.is_none() => {
                    late = Some(format!("\n[Execution timed out ({seconds:?} seconds).]"));
                    wait = Some(Instant::now() + INTERRUPTED);
                    if let Ok(signal) = Signal::try_from(INTERRUPT) {
                        self.processes.signal(&self.id, signal, SignalTarget::Tree).ok(); // It may have ended.
                    }
                }
                Next::Late => {
                    let note = "\n[It did not end when it was interrupted: the next cell runs in a new interpreter.]";
                    return (
                        format!("{}{}{note}", kept.text(), late.unwrap_or_default()),
                        false,
                    );
                }
            }
        }
    }

    async fn next(&mut self, deadline: Option<Instant>) -> Next {
        loop {
            match self.parts.pop_front() {
                Some(Part::Text(text)) => return Next::Text(text),
                Some(Part::Mark(body)) => return Next::Mark(String::from_utf8_lossy(&body).into_owned()),
                None => {}
            }
            let moment = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let piece = tokio::select! {
                piece = self.output.next() => piece,
                () = moment => return Next::Late,
            };
            match piece {
                Some(Piece::Output { offset, bytes, .. }) => {
                    self.parts.extend(self.marks.feed(&bytes));
                    let stdout = offset + bytes.len() as u64;
                    // Another reader may have taken its place; it then reads on without being waited for.
                    self.processes
                        .acknowledge(&self.id, &self.reader, Offsets { stdout, stderr: 0 })
                        .ok();
                }
                Some(Piece::End(record)) => return Next::End(record.end),
                Some(Piece::Gone { .. }) | None => {
                    return Next::End(ProcessEnd::Lost {
                        message: "its output is gone".to_owned(),
                    });
                }
            }
        }
    }
}

/// Without the sequences that set colours.
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\x1b[") {
        let after = &rest[at + 2..];
        let length = after
            .find(|c: char| !c.is_ascii_digit() && c != ';')
            .unwrap_or(after.len());
        plain.push_str(&rest[..at]);
        rest = if after[length..].starts_with('m') {
            &after[length + 1..]
        } else {
            plain.push_str("\x1b[");
            after
        };
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_taken_off() {
        assert_eq!(
            without_colours("a\x1b[31mred\x1b[0;1;4mb\x1b[2Kc\x1b["),
            "aredb\x1b[2Kc\x1b["
        );
    }

    #[test]
    fn a_long_output_loses_its_middle() {
        let mut kept = Kept::default();
        for number in 0..400_000 {
            kept.push(format!("{number}\n").as_bytes());
        }
        let text = kept.text();
        assert!(text.starts_with("0\n1\n") && text.ends_with("399999\n") && text.len() < 2 * KEPT);
        assert!(text.contains("truncated due to length"));
    }
}
