//! The agent's process protocol as its two sides read it: frames of outputs, however these are cut, and the JSON of requests and
//! records. The first byte chooses which.

#![no_main]

use libfuzzer_sys::fuzz_target;
use podbay_protocol::agent::frame::{Frame, FrameDecoder, HEADER};
use podbay_protocol::agent::process::{Acknowledgement, ProcessList, SignalRequest};
use podbay_protocol::agent::terminal::{TerminalControl, TerminalEvent};
use podbay_protocol::agent::{AgentError, Figures, ServerInfo};
use podbay_protocol::{EndRecord, Offsets, ProcessInfo, ProcessSpec, StreamName};
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else {
        return;
    };
    match choice % 10 {
        0..=2 => frames(bytes),
        3 => json::<ProcessSpec>(bytes),
        4 => json::<ProcessInfo>(bytes),
        5 => json::<EndRecord>(bytes),
        6 => json::<TerminalControl>(bytes),
        7 => json::<TerminalEvent>(bytes),
        8 => {
            json::<Acknowledgement>(bytes);
            json::<SignalRequest>(bytes);
            json::<AgentError>(bytes);
        }
        _ => {
            json::<ProcessList>(bytes);
            json::<Figures>(bytes);
            json::<ServerInfo>(bytes);
        }
    }
});

/// What is accepted is written so that it is read as the same.
fn json<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else {
        return;
    };
    let once = serde_json::to_string(&value).expect("what was read can be written");
    let again: T = serde_json::from_str(&once).expect("what was written can be read");
    let twice = serde_json::to_string(&again).expect("what was read can be written");
    assert_eq!(once, twice);
}

/// What came of the frames: both outputs, the end, and whether there was a fault.
#[derive(Debug, PartialEq)]
struct Read {
    outputs: [Vec<u8>; 2],
    end: Option<EndRecord>,
    is_faulty: bool,
    next: Offsets,
}

fn frames(bytes: &[u8]) {
    let whole = read(bytes, bytes.len().max(1));
    for step in [1, 3, HEADER] {
        assert_eq!(read(bytes, step), whole);
    }
    assert_eq!(model(bytes), whole);
}

fn read(bytes: &[u8], step: usize) -> Read {
    let read_end = |json: &[u8]| serde_json::from_slice::<EndRecord>(json);
    let mut decoder = FrameDecoder::new(Offsets::default(), read_end);
    let mut read = Read {
        outputs: Default::default(),
        end: None,
        is_faulty: false,
        next: Offsets::default(),
    };
    'pieces: for mut piece in bytes.chunks(step) {
        loop {
            match decoder.next(&mut piece) {
                Ok(None) => break,
                Ok(Some(Frame::Output {
                    stream,
                    offset,
                    bytes,
                })) => {
                    let output = &mut read.outputs[index(stream)];
                    assert!(!bytes.is_empty() && offset == output.len() as u64);
                    output.extend_from_slice(bytes);
                }
                Ok(Some(Frame::End(end))) => read.end = Some(*end),
                Ok(Some(Frame::Idle)) => {}
                Err(_) => {
                    read.is_faulty = true;
                    break 'pieces;
                }
            }
        }
    }
    read.next = decoder.next_offsets();
    assert!(read.is_faulty || decoder.finish().is_ok() == read.end.is_some());
    read
}

const fn index(stream: StreamName) -> usize {
    match stream {
        StreamName::Stdout => 0,
        StreamName::Stderr => 1,
    }
}

/// The same read anew, from the table in the protocol's documentation.
fn model(bytes: &[u8]) -> Read {
    let mut outputs: [Vec<u8>; 2] = Default::default();
    let (mut end, mut is_faulty, mut rest) = (None, false, bytes);
    while !rest.is_empty() && !is_faulty {
        let Some((header, after)) = rest.split_at_checked(13) else {
            // The end of the stream in a header, unless nothing may follow.
            is_faulty = end.is_some();
            break;
        };
        let number = |range: std::ops::Range<usize>| {
            header[range]
                .iter()
                .fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let (kind, offset, length) = (header[0], number(1..9), number(9..13));
        let length = usize::try_from(length).expect("32 bits");
        let fits = match kind {
            1 | 2 => (1..=1 << 20).contains(&length) && offset == outputs[usize::from(kind) - 1].len() as u64,
            3 => length <= 64 << 10,
            4 => length == 0,
            _ => false,
        };
        if end.is_some() || !fits {
            is_faulty = true;
            break;
        }
        let payload = &after[..length.min(after.len())];
        match kind {
            1 | 2 => outputs[usize::from(kind) - 1].extend_from_slice(payload),
            3 if payload.len() == length => match serde_json::from_slice(payload) {
                Ok(record) => end = Some(record),
                Err(_) => is_faulty = true,
            },
            _ => {}
        }
        rest = &after[payload.len()..];
    }
    let next = Offsets {
        stdout: outputs[0].len() as u64,
        stderr: outputs[1].len() as u64,
    };
    Read {
        outputs,
        end,
        is_faulty,
        next,
    }
}
