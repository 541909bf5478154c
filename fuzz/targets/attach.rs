//! Reading a process's outputs over connections that break: each line of the input is a step.
//!
//! Options: `t` and `s` another retention (a tail, a spool), `n` no directory for spool files, `l` little room in it, a number for the
//! window, `k` what the process leaves behind keeps its outputs open. Steps: `oN` and `eN` the process writes so many bytes, `rN` the
//! reader gets so many pieces of the answer, `cN` of the next piece so many bytes, and then the connection breaks, `d` it breaks at
//! once, `g` it breaks, and nobody comes back for longer than he is waited for, `a` what came is acknowledged, `w` somebody else looks
//! on, `x` the process ends; it does so at the end anyway, and the reader reads all.
//!
//! With the option `h` the lines are headers of a request for a WebSocket.

#![no_main]

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use podbay_agent::process::fuzzing::{Ended, Played};
use podbay_agent::process::{OutputReader, ProcessSettings, ReadError};
use podbay_agent::server::fuzzing::{Answer, websocket, websocket_key};
use podbay_fuzz::runtime::with_clock;
use podbay_fuzz::script::{Script, number, pattern};
use podbay_fuzz::websocket_model;
use podbay_protocol::agent::{Frame, FrameDecoder};
use podbay_protocol::{EndRecord, Offsets, ProcessSpec, ReaderId, Retention, StreamName};
use sha2::{Digest as _, Sha256};

/// After which a quiet answer says that it is quiet.
const IDLE: Duration = Duration::from_secs(1);
/// How long a reader who is away is waited for.
const GRACE: Duration = Duration::from_secs(60);
/// How long what a process left behind is waited for.
const LINGER: Duration = Duration::from_secs(1);
/// Room in one spool file where there is little.
const LITTLE: u64 = 3000;
/// Steps in one run.
const STEPS: usize = 64;

type ReadEnd = fn(&[u8]) -> serde_json::Result<EndRecord>;

fuzz_target!(|data: &[u8]| {
    let script = Script::new(data);
    if script.has(b'h') {
        headers(&script);
    } else {
        with_clock(outputs(&script));
    }
});

/// What a run knows.
struct Run {
    retention: Retention,
    /// All that the process wrote, by output.
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    process: Process,
    reader: ReaderId,
    /// What its reader has taken for good.
    acknowledged: Offsets,
    /// Whether it went on without its reader.
    went_on: bool,
    is_spool_small: bool,
    leaves_something: bool,
}

enum Process {
    Runs(Played),
    Ended(Ended),
    /// Between the two.
    Ends,
}

impl Process {
    fn read(&self, from: Offsets, reader: Option<ReaderId>) -> Result<OutputReader, ReadError> {
        match self {
            Self::Runs(process) => process.read(from, reader),
            Self::Ended(process) => process.read(from, reader),
            Self::Ends => unreachable!("nobody reads meanwhile"),
        }
    }
}

/// A connection of the reader's.
struct Connection {
    answer: Answer,
    decoder: FrameDecoder<ReadEnd>,
}

impl Connection {
    fn new(reader: OutputReader, from: Offsets) -> Self {
        let read_end: ReadEnd = |json| serde_json::from_slice(json);
        Self {
            answer: Answer::new(reader, IDLE),
            decoder: FrameDecoder::new(from, read_end),
        }
    }
}

/// What a piece of an answer brought.
enum Came {
    /// Output.
    Something,
    /// There is nothing now.
    Idle,
    /// The end of the process.
    End(EndRecord),
    /// The answer was broken off.
    Broken,
}

async fn outputs(script: &Script<'_>) {
    let mut run = Run::start(script);
    let mut connection = run.attach(Offsets::default());
    for step in script.steps().take(STEPS) {
        let count = number(step);
        match step.first() {
            Some(b'o') => run.write(StreamName::Stdout, count),
            Some(b'e') => run.write(StreamName::Stderr, count),
            Some(b'r') => {
                for _ in 0..count.min(8) {
                    match run.take(&mut connection, usize::MAX).await {
                        Came::Something => {}
                        Came::Idle | Came::End(_) => break,
                        Came::Broken => connection = run.attach_again(connection),
                    }
                }
            }
            Some(b'c') => {
                run.take(&mut connection, count).await;
                connection = run.attach_again(connection);
            }
            Some(b'd') => connection = run.attach_again(connection),
            Some(b'g') => {
                let at = connection.decoder.next_offsets();
                drop(connection);
                tokio::time::sleep(GRACE * 2).await;
                run.went_on = true;
                connection = run.attach(at);
            }
            Some(b'a') => run.acknowledge(connection.decoder.next_offsets()),
            Some(b'w') => run.look_on().await,
            Some(b'x') => run.end().await,
            _ => {}
        }
    }
    run.end().await;
    let record = run.rest(connection).await;
    run.check(&record);
}

impl Run {
    fn start(script: &Script<'_>) -> Self {
        let retention = match (script.has(b't'), script.has(b's')) {
            (true, _) => Retention::Tail,
            (_, true) => Retention::Spool,
            _ => Retention::Backpressure,
        };
        let mut settings = ProcessSettings::default();
        settings.window = script.number().max(1);
        settings.reattach_grace = GRACE;
        let has_spool = !script.has(b'n');
        settings.spool = has_spool.then(std::env::temp_dir);
        if script.has(b'l') {
            settings.stream_limit = LITTLE;
        }
        let mut spec = ProcessSpec::new("p".parse().expect("an id"), vec!["x".to_owned()]);
        spec.retention = retention;
        Self {
            retention,
            stdout: Vec::new(),
            stderr: Vec::new(),
            process: Process::Runs(Played::start(&spec, &settings)),
            reader: "r".parse().expect("a name"),
            acknowledged: Offsets::default(),
            went_on: false,
            is_spool_small: !has_spool || script.has(b'l'),
            leaves_something: script.has(b'k'),
        }
    }

    fn truth(&self, stream: StreamName) -> &[u8] {
        match stream {
            StreamName::Stdout => &self.stdout,
            StreamName::Stderr => &self.stderr,
        }
    }

    fn write(&mut self, stream: StreamName, count: usize) {
        let Process::Runs(process) = &mut self.process else {
            return;
        };
        let all = match stream {
            StreamName::Stdout => &mut self.stdout,
            StreamName::Stderr => &mut self.stderr,
        };
        let piece = pattern(all.len(), count);
        let written = process.write(stream, &piece);
        all.extend(&piece[..written]);
    }

    async fn end(&mut self) {
        match std::mem::replace(&mut self.process, Process::Ends) {
            Process::Runs(process) => {
                self.process = Process::Ended(process.exit(3, LINGER, self.leaves_something).await);
            }
            other => self.process = other,
        }
    }

    fn acknowledge(&mut self, taken: Offsets) {
        let done = match &self.process {
            Process::Runs(process) => process.acknowledge(&self.reader, taken),
            Process::Ended(process) => process.acknowledge(&self.reader, taken),
            Process::Ends => Ok(()),
        };
        done.expect("the only reader, of what it has read");
        self.acknowledged = taken;
    }

    /// Attaches from here; where that is no longer kept, from what is. Only a tail drops what its reader did not take.
    fn attach(&self, mut from: Offsets) -> Connection {
        let reader = loop {
            match self.process.read(from, Some(self.reader.clone())) {
                Ok(reader) => break reader,
                Err(ReadError::Gone { stream, first, .. }) => {
                    assert_eq!(self.retention, Retention::Tail, "{stream} is gone up to {first}");
                    let at = match stream {
                        StreamName::Stdout => &mut from.stdout,
                        StreamName::Stderr => &mut from.stderr,
                    };
                    assert!(*at < first);
                    *at = first;
                }
                Err(error) => panic!("{error}"),
            }
        };
        Connection::new(reader, from)
    }

    /// The connection broke. The new one may come before that is noticed.
    fn attach_again(&self, before: Connection) -> Connection {
        self.attach(before.decoder.next_offsets())
    }

    /// Takes the next piece of the answer, of which so many bytes arrive: what they say of the outputs is true.
    async fn take(&self, connection: &mut Connection, count: usize) -> Came {
        let piece = match connection.answer.next().await {
            None => return Came::Broken,
            Some(Err(_)) => {
                assert_eq!(self.retention, Retention::Tail, "the answer was broken off");
                return Came::Broken;
            }
            Some(Ok(piece)) => piece,
        };
        self.compare(connection, &piece[..count.min(piece.len())])
    }

    /// What a piece says of the outputs is true.
    fn compare(&self, connection: &mut Connection, mut piece: &[u8]) -> Came {
        let mut came = Came::Something;
        while let Some(frame) = connection.decoder.next(&mut piece).expect("frames in order") {
            match frame {
                Frame::Idle => came = Came::Idle,
                Frame::End(record) => came = Came::End(*record),
                Frame::Output {
                    stream,
                    offset,
                    bytes,
                } => {
                    let at = usize::try_from(offset).expect("little");
                    let truth = self.truth(stream).get(at..at + bytes.len());
                    assert_eq!(truth, Some(bytes), "{stream} at {offset}");
                }
            }
        }
        came
    }

    /// Somebody else reads what is kept, as far as there is something: it is true, and holds nothing up.
    async fn look_on(&self) {
        let from = match &self.process {
            Process::Runs(process) => process.info().first.expect("it is kept"),
            _ => return,
        };
        let Ok(reader) = self.process.read(from, None) else {
            return;
        };
        let mut connection = Connection::new(reader, from);
        for _ in 0..STEPS {
            // What he has not read may be dropped before he does.
            let Some(Ok(piece)) = connection.answer.next().await else {
                return;
            };
            if matches!(self.compare(&mut connection, &piece), Came::Idle | Came::End(_)) {
                return;
            }
        }
    }

    /// Reads on to the end.
    async fn rest(&self, mut connection: Connection) -> EndRecord {
        for _ in 0..10_000 {
            match self.take(&mut connection, usize::MAX).await {
                Came::End(record) => {
                    let at = connection.decoder.next_offsets();
                    let told = (record.stdout.bytes, record.stderr.bytes);
                    assert_eq!(told, (Some(at.stdout), Some(at.stderr)), "output is missing");
                    return record;
                }
                Came::Something | Came::Idle => {}
                Came::Broken => connection = self.attach_again(connection),
            }
        }
        panic!("the answer has no end");
    }

    /// The record tells how much was kept, by its hash, and whether that was all.
    fn check(&self, record: &EndRecord) {
        for (stream, end, taken) in [
            (StreamName::Stdout, &record.stdout, self.acknowledged.stdout),
            (StreamName::Stderr, &record.stderr, self.acknowledged.stderr),
        ] {
            let truth = self.truth(stream);
            let count = usize::try_from(end.bytes.expect("they were counted")).expect("little");
            assert!(count <= truth.len());
            let hash: String = Sha256::digest(&truth[..count])
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(end.sha256.as_deref(), Some(&*hash), "{stream}");
            assert!(
                end.truncated || count == truth.len(),
                "{stream} was cut without a word"
            );
            assert!(
                !end.spooled || self.went_on,
                "{stream} went on without being left alone"
            );
            let is_kept_in_a_file = self.retention == Retention::Spool
                || (self.retention == Retention::Backpressure && self.went_on);
            let may_be_cut = self.leaves_something || (is_kept_in_a_file && self.is_spool_small);
            assert!(!end.truncated || may_be_cut, "{stream} was cut without a reason");
            let is_kept = end.first == 0 || end.first <= taken;
            assert!(
                is_kept || self.retention == Retention::Tail,
                "{stream} is kept from {}",
                end.first
            );
            assert!(!self.leaves_something || end.truncated);
        }
    }
}

/// A request is one for a WebSocket, and brings a key, exactly where a plain reading of RFC 6455 says so.
fn headers(script: &Script<'_>) {
    let (mut headers, mut lines) = (HeaderMap::new(), Vec::new());
    for line in script.steps().take(STEPS) {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) else {
            continue;
        };
        lines.push((name.as_str().to_owned(), value.as_bytes().to_vec()));
        headers.append(name, value);
    }
    let answer = websocket(&headers);
    let expected = websocket_model::read(&lines);
    assert_eq!(answer.is_some(), expected.is_asked_for, "{lines:?}");
    if let Some(answer) = answer {
        let value = |name: &str| answer.get(name).map(HeaderValue::as_bytes);
        assert_eq!(value("upgrade"), Some(&b"websocket"[..]));
        assert_eq!(value("connection"), Some(&b"upgrade"[..]));
        assert_eq!(value("sec-websocket-accept").map(<[u8]>::len), Some(28));
        assert_eq!(value("sec-websocket-protocol").is_some(), expected.names_ours);
    }
    match (websocket_key(&headers), expected.keys.as_slice()) {
        (Some(key), [text]) => assert_eq!(key.len(), text.len() * 3 / 4, "{text}"),
        (Some(_), _) => panic!("a key of none or of several: {lines:?}"),
        (None, [text]) => assert!(!websocket_model::is_plain_key(text), "{text}"),
        (None, _) => {}
    }
}
