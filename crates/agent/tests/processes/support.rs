//! An agent's processes within a test, and what of them a client would see.

use std::time::Duration;

use podbay_agent::init::Children;
use podbay_agent::process::{OutputReader, Piece, ProcessSettings, Processes};
use podbay_protocol::hex::to_hex;
use podbay_protocol::{EndRecord, Offsets, ProcessEnd, ProcessId, ProcessSpec, ReaderId, StreamName};
use sha2::{Digest as _, Sha256};

/// The program that supervises.
pub(crate) const AGENT: &str = env!("CARGO_BIN_EXE_podbay-agent");

/// Long enough on a busy machine, short enough for a test that hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Settings for tests: the tests' own PATH, and a mark for each test.
pub(crate) fn settings() -> ProcessSettings {
    let mut settings = ProcessSettings::default();
    settings.program = AGENT.into();
    settings.environment = std::env::vars_os().filter(|(name, _)| name == "PATH").collect();
    settings.mark = format!("test-{}-{:?}", std::process::id(), std::thread::current().id());
    settings
}

/// No processes yet.
pub(crate) fn processes() -> Processes {
    processes_with(|_| {})
}

/// No processes yet, with changed settings.
pub(crate) fn processes_with(change: impl FnOnce(&mut ProcessSettings)) -> Processes {
    let mut settings = settings();
    change(&mut settings);
    Processes::new(settings, Children::of_this_program().unwrap())
}

pub(crate) fn id(text: &str) -> ProcessId {
    text.parse().unwrap()
}

pub(crate) fn reader_id(text: &str) -> ReaderId {
    text.parse().unwrap()
}

pub(crate) fn program(name: &str, argv: &[&str]) -> ProcessSpec {
    ProcessSpec::new(id(name), argv.iter().map(|word| (*word).to_owned()).collect())
}

pub(crate) fn shell(name: &str, text: &str) -> ProcessSpec {
    let mut spec = ProcessSpec::new(id(name), vec![]);
    spec.shell = Some(text.to_owned());
    spec
}

/// All that was read of a process.
#[derive(Debug, PartialEq)]
pub(crate) struct All {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) record: EndRecord,
}

impl All {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    pub(crate) fn code(&self) -> i32 {
        match self.record.end {
            ProcessEnd::Exited { code } => code,
            ref other => panic!("{other:?}, having written {:?}", self.error_text()),
        }
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    to_hex(&Sha256::digest(bytes))
}

/// Reads to the end, acknowledges, and checks that the record tells what was read.
pub(crate) async fn read_all(processes: &Processes, name: &str) -> All {
    let reader = reader_id("all");
    let stream = processes
        .read(&id(name), Offsets::default(), Some(reader.clone()))
        .unwrap();
    read_on(processes, name, stream, &reader, Offsets::default()).await
}

/// The same, from where a reader is.
pub(crate) async fn read_on(
    processes: &Processes,
    name: &str,
    mut stream: OutputReader,
    reader: &ReaderId,
    mut at: Offsets,
) -> All {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let begun = at;
    loop {
        let piece = tokio::time::timeout(PATIENCE, stream.next())
            .await
            .unwrap_or_else(|_| {
                panic!(
                    "{name} gives nothing more after {at:?}: {:?}",
                    processes.info(&id(name))
                )
            });
        match piece.expect("a last piece") {
            Piece::Output {
                stream,
                offset,
                bytes,
            } => {
                let (all, next) = match stream {
                    StreamName::Stdout => (&mut stdout, &mut at.stdout),
                    StreamName::Stderr => (&mut stderr, &mut at.stderr),
                };
                assert_eq!(offset, *next, "a gap in {stream} of {name}");
                *next += bytes.len() as u64;
                all.extend_from_slice(&bytes);
                processes.acknowledge(&id(name), reader, at).unwrap();
            }
            Piece::Gone { stream, first } => panic!("{stream} of {name} is gone up to {first}"),
            Piece::End(record) => {
                assert_eq!(stream.next().await, None);
                if begun == Offsets::default() {
                    assert_eq!(record.stdout.bytes, Some(stdout.len() as u64), "{name}");
                    assert_eq!(record.stdout.sha256, Some(sha256(&stdout)), "{name}");
                    assert_eq!(record.stderr.bytes, Some(stderr.len() as u64), "{name}");
                    assert_eq!(record.stderr.sha256, Some(sha256(&stderr)), "{name}");
                }
                return All {
                    stdout,
                    stderr,
                    record: *record,
                };
            }
        }
    }
}

/// Runs a process to its end.
pub(crate) async fn run(processes: &Processes, spec: ProcessSpec) -> All {
    let name = spec.id.to_string();
    assert!(processes.start(spec).unwrap().created, "{name}");
    read_all(processes, &name).await
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The processes that run and have this in their environment or their command line.
pub(crate) fn carrying(text: &str) -> Vec<i32> {
    let pids = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let has = |pid: i32, file: &str| {
        let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    };
    pids.filter(|pid| *pid != i32::try_from(std::process::id()).unwrap())
        .filter(|pid| has(*pid, "environ") || has(*pid, "cmdline"))
        .collect()
}
