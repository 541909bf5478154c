//! The remote-command codec and the queues behind it: each line of the input is a frame, or a step of a reader.
//!
//! Options: `4` version 4, `i` standard input, `t` terminal, `s` a full memory spools, `2` and the like the size of
//! pieces in the second pass, `L` a hundred times longer patterns. Steps: `o`, `e`, `s`, `i`, `r` and a payload, `c` and a channel to close, `b` and a
//! whole frame, `O` and `E` and how many bytes of a pattern, `<` and `>` for a reader that takes a block of
//! standard output or error, anything else as a frame.

#![no_main]

use std::cell::RefCell;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use podbay_fuzz::exec_model::{self, Connection, NoEnd, Told};
use podbay_fuzz::script::{Script, number, pattern};
use podbay_k8s_client::remote_command::fuzzing::{Reader, Writer, queue};
use podbay_k8s_client::remote_command::{
    Codec, Decoder, Ending, Event, OutputChannel, Protocol, ProtocolError, Refusal, STDIN_CHUNK, StatusError,
    StdinEncoder, Streams, conclude, parse_status,
};
use podbay_k8s_client::{ExecEnd, TerminalSize};
use tokio::runtime::{Builder, Runtime};

/// Bytes of patterns in one run at most: enough to fill a queue's memory and file, and go round the file.
const MOST_OUTPUT: usize = 3 << 20;
/// Room in a queue's file; no multiple of what is pushed.
const SPOOL: u64 = (1 << 16) + 11;

thread_local! {
    static RUNTIME: RefCell<Runtime> = RefCell::new(Builder::new_current_thread().build().expect("a runtime"));
}

enum Step {
    Frame(Vec<u8>),
    Take(OutputChannel),
}

fn steps(script: &Script<'_>) -> Vec<Step> {
    let is_long = script.has(b'L');
    let mut made = 0;
    let mut steps = Vec::new();
    for line in script.steps() {
        let Some((&first, payload)) = line.split_first() else {
            steps.push(Step::Frame(Vec::new()));
            continue;
        };
        let channel = |letter: u8| b"ioesr".iter().position(|&known| known == letter);
        let frame = match first {
            b'<' => {
                steps.push(Step::Take(OutputChannel::Stdout));
                continue;
            }
            b'>' => {
                steps.push(Step::Take(OutputChannel::Stderr));
                continue;
            }
            b'O' | b'E' => {
                let times = if is_long { 100 } else { 1 };
                let len = (number(payload) * times).min(MOST_OUTPUT - made);
                made += len;
                let mut frame = pattern(made, len + 1);
                frame[0] = if first == b'O' { 1 } else { 2 };
                frame
            }
            b'c' => {
                let close = payload
                    .iter()
                    .map(|&letter| channel(letter).map_or(letter, |number| number.to_le_bytes()[0]));
                [255].into_iter().chain(close).collect()
            }
            b'b' => payload.to_vec(),
            letter => {
                let number = channel(letter).map_or(letter, |number| number.to_le_bytes()[0]);
                [&[number], payload].concat()
            }
        };
        steps.push(Step::Frame(frame));
    }
    steps
}

/// One output: what the frames carried, what its reader got.
struct Output {
    writer: Option<Writer>,
    reader: Reader,
    sent: Vec<u8>,
    received: Vec<u8>,
}

impl Output {
    fn new() -> Self {
        let (writer, reader) = queue(SPOOL);
        Self {
            writer: Some(writer),
            reader,
            sent: Vec::new(),
            received: Vec::new(),
        }
    }

    /// Puts bytes in; the reader goes on while there is no room.
    async fn push(&mut self, bytes: Bytes, may_spool: bool) {
        self.sent.extend_from_slice(&bytes);
        let writer = self.writer.as_mut().expect("no output after a close");
        let mut push = std::pin::pin!(writer.push(bytes, may_spool));
        loop {
            tokio::select! {
                biased;
                () = &mut push => return,
                block = self.reader.next() => self.received.extend_from_slice(&block.expect("the writer is there")),
            }
        }
    }

    async fn take(&mut self) {
        if self.received.len() < self.sent.len() {
            let block = self.reader.next().await.expect("there is something");
            assert!(!block.is_empty());
            let sent = &self.sent[self.received.len()..];
            assert!(sent.starts_with(&block), "other bytes, or in another order");
            self.received.extend_from_slice(&block);
        }
    }

    /// Reads to the end: exactly what was sent.
    async fn finish(mut self) -> Vec<u8> {
        self.writer = None;
        while let Some(block) = self.reader.next().await {
            self.received.extend_from_slice(&block);
        }
        assert!(
            self.received == self.sent,
            "{} bytes of {}",
            self.received.len(),
            self.sent.len()
        );
        assert!(!self.reader.is_faulty());
        self.sent
    }
}

/// What came of a connection.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    end: Option<ExecEnd>,
    complete: bool,
    error: Option<ProtocolError>,
}

/// The decoder's answer, held against the model's.
fn decode(
    decoder: &mut Decoder,
    model: &mut Connection,
    frame: &[u8],
) -> Result<Option<Event>, ProtocolError> {
    let output_seen = model.output_seen;
    let result = decoder.decode(Bytes::copy_from_slice(frame));
    match (model.frame(frame), &result) {
        (Told::Nothing, Ok(None)) => {}
        (Told::Event(expected), Ok(Some(event))) => assert_eq!(&expected, event),
        (Told::Broken(expected), Err(error)) => assert_eq!(&expected, error),
        (Told::Status(json), Ok(Some(Event::Status(end)))) => check_status(&json, output_seen, Ok(end)),
        (Told::Status(json), Err(ProtocolError::Status(error))) => {
            check_status(&json, output_seen, Err(error));
        }
        (told, result) => panic!("{frame:?} is {result:?}, and should be {told:?}"),
    }
    result
}

fn check_status(json: &[u8], output_seen: bool, result: Result<&ExecEnd, &StatusError>) {
    let Some(expected) = exec_model::status(json, output_seen) else {
        return;
    };
    let shown = json.escape_ascii();
    match (result, expected) {
        (Ok(end), Ok(expected)) => assert_eq!(*end, expected, "{shown}"),
        // A field that comes twice is one more reason.
        (Err(StatusError::Malformed(_)), _)
        | (Err(StatusError::UnknownStatus(_)), Err(NoEnd::UnknownStatus))
        | (Err(StatusError::NoExitCode), Err(NoEnd::NoExitCode))
        | (Err(StatusError::BadExitCode(_)), Err(NoEnd::BadExitCode)) => {}
        (result, expected) => panic!("{shown} is {result:?}, and should be {expected:?}"),
    }
}

/// The whole way from frames to readers.
async fn receive(steps: &[Step], protocol: Protocol, streams: Streams, may_spool: bool) -> Outcome {
    let mut decoder = Codec::new(protocol, streams)
        .expect("streams that it can have")
        .decoder;
    let mut model = Connection::new(protocol, streams.tty);
    let (mut stdout, mut stderr) = (Output::new(), Output::new());
    let (mut end, mut error) = (None, None);
    for step in steps {
        let event = match step {
            Step::Take(OutputChannel::Stdout) => {
                stdout.take().await;
                continue;
            }
            Step::Take(OutputChannel::Stderr) => {
                stderr.take().await;
                continue;
            }
            Step::Frame(frame) => decode(&mut decoder, &mut model, frame),
        };
        match event {
            Ok(None) => {}
            Ok(Some(Event::Output {
                channel: OutputChannel::Stdout,
                bytes,
            })) => stdout.push(bytes, may_spool).await,
            Ok(Some(Event::Output {
                channel: OutputChannel::Stderr,
                bytes,
            })) => stderr.push(bytes, may_spool).await,
            Ok(Some(Event::Closed(OutputChannel::Stdout))) => stdout.writer = None,
            Ok(Some(Event::Closed(OutputChannel::Stderr))) => stderr.writer = None,
            Ok(Some(Event::Status(told))) => assert!(end.replace(told).is_none(), "a second end"),
            Err(broken) => {
                error = Some(broken);
                break;
            }
        }
        assert_eq!(decoder.is_complete(), model.is_complete());
    }
    Outcome {
        stdout: stdout.finish().await,
        stderr: stderr.finish().await,
        end,
        complete: decoder.is_complete(),
        error,
    }
}

/// The same output in smaller frames.
fn in_pieces(steps: &[Step], piece: usize) -> Vec<Step> {
    let mut pieces = Vec::new();
    for step in steps {
        match step {
            Step::Frame(frame) if matches!(frame[..], [1 | 2, _, ..]) => {
                // Large outputs in at most a hundred.
                let piece = piece.max(frame.len() / 100);
                let split = frame[1..]
                    .chunks(piece)
                    .map(|bytes| Step::Frame([&frame[..1], bytes].concat()));
                pieces.extend(split);
            }
            Step::Frame(frame) => pieces.push(Step::Frame(frame.clone())),
            Step::Take(_) => {}
        }
    }
    pieces
}

fn check_stdin(encoder: StdinEncoder, protocol: Protocol, streams: Streams, input: &[u8]) {
    let frames: Vec<Bytes> = encoder.frames(Bytes::copy_from_slice(input)).collect();
    let mut carried: Vec<u8> = Vec::new();
    for frame in &frames {
        assert!(frame[0] == 0 && (2..=1 + STDIN_CHUNK).contains(&frame.len()));
        carried.extend(&frame[1..]);
        let mut decoder = Codec::new(protocol, streams).expect("as before").decoder;
        let back = decoder.decode(frame.clone());
        assert!(matches!(back, Err(ProtocolError::WrongDirection(_))), "{back:?}");
    }
    assert!(carried == input, "{} bytes of {}", carried.len(), input.len());
    assert_eq!(frames.len(), input.len().div_ceil(STDIN_CHUNK));
    assert_eq!(encoder.close()[..], [255, 0]);
}

/// An exit code and a message, written as API servers write them and read back.
fn check_round_trip(code: u32, message: &str) {
    let code = i32::try_from(code % 0x7fff_ffff).expect("31 bits") + 1;
    let causes = serde_json::json!([{ "reason": "ExitCode", "message": code.to_string() }]);
    let status = serde_json::json!({
        "metadata": {}, "status": "Failure", "message": message, "reason": "NonZeroExitCode",
        "details": { "causes": causes },
    });
    assert_eq!(
        parse_status(status.to_string().as_bytes(), false),
        Ok(ExecEnd::Exited { code })
    );
    let status = serde_json::json!({ "status": "Failure", "message": message, "reason": "InternalError" });
    let end = parse_status(status.to_string().as_bytes(), true).expect("a failure");
    assert!(matches!(end, ExecEnd::Lost { message: told } if told.ends_with(message)));
}

fuzz_target!(|data: &[u8]| {
    let script = Script::new(data);
    let protocol = if script.has(b'4') {
        Protocol::V4
    } else {
        Protocol::V5
    };
    let streams = Streams {
        stdin: script.has(b'i'),
        tty: script.has(b't'),
    };
    let codec = match Codec::new(protocol, streams) {
        Ok(codec) => codec,
        Err(Refusal::StdinNeedsV5) => {
            assert!(streams.stdin && protocol == Protocol::V4);
            return;
        }
    };
    assert_eq!(
        (codec.stdin.is_some(), codec.resize.is_some()),
        (streams.stdin, streams.tty)
    );

    let steps = steps(&script);
    let pieces = in_pieces(&steps, script.number().max(1));
    let outcome = RUNTIME.with_borrow(|runtime| {
        let outcome = runtime.block_on(receive(&steps, protocol, streams, script.has(b's')));
        // A second pass over megabytes tells little for its time.
        if !script.has(b'L') {
            let again = runtime.block_on(receive(&pieces, protocol, streams, false));
            assert!(outcome == again, "frames cut smaller tell something else");
        }
        outcome
    });

    if let Some(encoder) = codec.stdin {
        check_stdin(encoder, protocol, streams, &outcome.stdout);
    }
    if let Some(encoder) = codec.resize {
        let (width, height) = (
            u16::from_le_bytes([data[0], 7]),
            u16::try_from(data.len() % 65_536).expect("16 bits"),
        );
        let frame = encoder.frame(TerminalSize { width, height });
        let json: serde_json::Value = serde_json::from_slice(&frame[1..]).expect("JSON");
        assert_eq!(
            (frame[0], json),
            (4, serde_json::json!({ "Width": width, "Height": height }))
        );
    }
    let code = data.iter().fold(0_u32, |code, &byte| {
        code.wrapping_mul(257).wrapping_add(byte.into())
    });
    check_round_trip(code, &String::from_utf8_lossy(script.rest));

    // An end stands only if a status told it and nothing speaks against it.
    let ending = outcome.error.map_or(Ending::Closed(None), Ending::Violation);
    let doubtful = matches!(ending, Ending::Violation(_));
    match (conclude(outcome.end.clone(), ending), outcome.end) {
        (concluded, Some(end)) if !doubtful => assert_eq!(concluded, end),
        (concluded, _) => assert!(matches!(concluded, ExecEnd::Lost { .. }), "{concluded:?}"),
    }
});
