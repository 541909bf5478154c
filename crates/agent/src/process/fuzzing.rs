//! What fuzzing needs of processes, which is this crate's own otherwise. Compiled only with `--cfg fuzzing`.

use std::ffi::OsString;
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use podbay_protocol::{Offsets, ProcessEnd, ProcessInfo, ProcessSpec, ReaderId, StreamName};
use rustix::fs::{OFlags, fcntl_setfl};
use tokio::sync::mpsc;

use super::carried::Carried;
use super::descriptor::{sink, source};
use super::entry::Entry;
use super::error::{AcknowledgeError, InvalidSpec, ReadError, StdinError};
use super::input::Input;
use super::kept::KeptRecord;
use super::record::stream_end;
use super::request::{Digest, request};
use super::spool::Spool;
use super::{OutputReader, ProcessSettings};
use crate::supervise::Launch;

/// What a supervisor starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launched {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// Its variables, `NAME=value`.
    pub environment: Vec<OsString>,
    /// The directory it starts in.
    pub directory: Option<OsString>,
    /// How long it may take.
    pub timeout: Option<Duration>,
}

/// What becomes of a specification on its way to the supervisor, the file of it included.
pub fn launch(spec: &ProcessSpec, settings: &ProcessSettings) -> Result<Launched, InvalidSpec> {
    let request = request(spec, settings)?;
    let file = request.launch.to_file().expect("a file in memory");
    let read = Launch::from_file(file).expect("what was written");
    assert!(
        read == request.launch,
        "what the supervisor reads is not what was asked for"
    );
    Ok(Launched {
        argv: read.argv,
        environment: read.environment,
        directory: read.directory,
        timeout: request.timeout.map(|timeout| timeout.duration),
    })
}

/// A process whose part is played by who holds this: its outputs are written, and its input is read, through real pipes. All else
/// is as in the agent.
pub struct Played {
    entry: Arc<Entry>,
    carried: Carried,
    stdout: PipeWriter,
    stderr: PipeWriter,
    stdin: PipeReader,
}

impl Played {
    /// One that was just started. Within a tokio runtime.
    pub fn start(spec: &ProcessSpec, settings: &ProcessSettings) -> Self {
        let request = request(spec, settings).expect("a specification that is taken");
        let spool = Spool::new(
            settings.spool.clone(),
            settings.spool_limit,
            settings.stream_limit,
        );
        let (input, pieces) = Input::new();
        let (commands, _) = mpsc::unbounded_channel();
        let entry = Entry::new(
            spec,
            Digest::of(spec),
            &request,
            settings,
            spool,
            (Some(input), commands),
        );
        let entry = Arc::new(entry);
        let mut carried = Carried::new(Arc::clone(&entry));
        let mut output = |name| {
            let (reader, writer) = io::pipe().expect("a pipe");
            fcntl_setfl(&writer, OFlags::NONBLOCK).expect("a pipe that does not block");
            carried.output(name, source(reader.into()).expect("a pipe to read"));
            writer
        };
        let (stdout, stderr) = (output(StreamName::Stdout), output(StreamName::Stderr));
        let (stdin, writer) = io::pipe().expect("a pipe");
        fcntl_setfl(&stdin, OFlags::NONBLOCK).expect("a pipe that does not block");
        carried.input(sink(writer.into()).expect("a pipe to write"), pieces, false);
        Self {
            entry,
            carried,
            stdout,
            stderr,
            stdin,
        }
    }

    /// It writes as much as its pipe takes at once; how many bytes that were.
    pub fn write(&mut self, stream: StreamName, bytes: &[u8]) -> usize {
        let pipe = match stream {
            StreamName::Stdout => &mut self.stdout,
            StreamName::Stderr => &mut self.stderr,
        };
        match pipe.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            written => written.expect("a pipe that is open"),
        }
    }

    /// It reads what there is of its standard input; `None` at its end.
    pub fn read_stdin(&mut self) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 1 << 20];
        match self.stdin.read(&mut bytes) {
            Ok(0) => None,
            Ok(count) => {
                bytes.truncate(count);
                Some(bytes)
            }
            Err(_) => Some(Vec::new()),
        }
    }

    /// As [`Processes::write_stdin`](super::Processes::write_stdin).
    pub async fn write_stdin(&self, offset: u64, bytes: Bytes) -> Result<u64, StdinError> {
        let stdin = self.entry.stdin().expect("it has one");
        stdin.write(&self.entry.id, offset, bytes).await
    }

    /// As [`Processes::close_stdin`](super::Processes::close_stdin).
    pub async fn close_stdin(&self) {
        self.entry.stdin().expect("it has one").close().await;
    }

    /// As [`Processes::read`](super::Processes::read).
    pub fn read(&self, from: Offsets, reader: Option<ReaderId>) -> Result<OutputReader, ReadError> {
        self.entry.check(from)?;
        Ok(OutputReader::new(Arc::clone(&self.entry), from, reader))
    }

    /// As [`Processes::acknowledge`](super::Processes::acknowledge).
    pub fn acknowledge(&self, reader: &ReaderId, taken: Offsets) -> Result<(), AcknowledgeError> {
        self.entry.acknowledge(reader, taken)
    }

    /// As [`Processes::info`](super::Processes::info).
    pub fn info(&self) -> ProcessInfo {
        self.entry.info()
    }

    /// It exits with this code. Where it leaves something behind, that keeps its outputs open, and is waited for as `linger` says.
    pub async fn exit(self, code: i32, linger: Duration, leaves_something: bool) -> Ended {
        let Self {
            entry,
            mut carried,
            stdout,
            stderr,
            stdin: _,
        } = self;
        let left = leaves_something.then_some((stdout, stderr));
        carried.feeder_ends();
        let outputs = carried.finish(linger).await;
        let mut record = KeptRecord::new(ProcessEnd::Exited { code });
        record.stdout = stream_end(&entry, StreamName::Stdout, &outputs);
        record.stderr = stream_end(&entry, StreamName::Stderr, &outputs);
        entry.end(record);
        entry.is_gone();
        Ended { entry, _left: left }
    }
}

/// A process that has ended, and is remembered.
pub struct Ended {
    entry: Arc<Entry>,
    /// What it left behind holds these.
    _left: Option<(PipeWriter, PipeWriter)>,
}

impl Ended {
    /// As [`Processes::read`](super::Processes::read).
    pub fn read(&self, from: Offsets, reader: Option<ReaderId>) -> Result<OutputReader, ReadError> {
        self.entry.check(from)?;
        Ok(OutputReader::new(Arc::clone(&self.entry), from, reader))
    }

    /// As [`Processes::acknowledge`](super::Processes::acknowledge).
    pub fn acknowledge(&self, reader: &ReaderId, taken: Offsets) -> Result<(), AcknowledgeError> {
        self.entry.acknowledge(reader, taken)
    }
}
