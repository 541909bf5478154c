//! The frames of a process's outputs, read as a whole and as plainly as can be.

use podbay_protocol::agent::frame::FrameError;
use podbay_protocol::agent::{Frame, FrameDecoder};
use podbay_protocol::{EndRecord, Offsets, StreamName};

/// What frames say, up to the first that makes no sense.
#[derive(Debug, Default, PartialEq)]
struct Said {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    idle: usize,
    end: Option<EndRecord>,
    /// Whether they are in order up to the end of a process.
    is_whole: bool,
}

/// However frames are cut, they say what a plain reading of them says.
pub fn check(bytes: &[u8]) {
    let expected = read(bytes);
    for step in [1, 7, bytes.len().max(1)] {
        let said = decode(bytes, step);
        assert_eq!(said, expected, "in pieces of {step}");
    }
}

/// See the table in the protocol's documentation.
fn read(mut bytes: &[u8]) -> Said {
    let mut said = Said::default();
    while let Some((header, rest)) = bytes.split_at_checked(13) {
        let offset = header[1..9]
            .iter()
            .fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        let length = header[9..]
            .iter()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        bytes = rest;
        match header[0] {
            kind @ (1 | 2) => {
                let stream = if kind == 1 {
                    &mut said.stdout
                } else {
                    &mut said.stderr
                };
                if length == 0 || length > 1 << 20 || offset != stream.len() as u64 {
                    return said;
                }
                // What has come of one that is cut is given out.
                let (payload, rest) = bytes.split_at(length.min(bytes.len()));
                stream.extend(payload);
                bytes = rest;
            }
            3 => {
                let record = bytes.get(..length).filter(|_| length <= 64 << 10);
                let Some(record) = record.and_then(|record| serde_json::from_slice(record).ok()) else {
                    return said;
                };
                said.end = Some(record);
                said.is_whole = bytes.len() == length;
                return said;
            }
            4 if length == 0 => said.idle += 1,
            _ => return said,
        }
    }
    said
}

fn decode(bytes: &[u8], step: usize) -> Said {
    let read_end = |json: &[u8]| serde_json::from_slice::<EndRecord>(json);
    let mut decoder = FrameDecoder::new(Offsets::default(), read_end);
    let mut said = Said::default();
    for mut piece in bytes.chunks(step) {
        loop {
            match decoder.next(&mut piece) {
                Ok(None) => break,
                Ok(Some(Frame::Idle)) => said.idle += 1,
                Ok(Some(Frame::End(record))) => said.end = Some(*record),
                Ok(Some(Frame::Output {
                    stream,
                    offset,
                    bytes,
                })) => {
                    let all = match stream {
                        StreamName::Stdout => &mut said.stdout,
                        StreamName::Stderr => &mut said.stderr,
                    };
                    assert!(offset == all.len() as u64 && !bytes.is_empty());
                    all.extend(bytes);
                }
                Err(_) => return said,
            }
        }
        assert!(piece.is_empty());
    }
    let at = decoder.next_offsets();
    assert_eq!(
        (at.stdout, at.stderr),
        (said.stdout.len() as u64, said.stderr.len() as u64)
    );
    said.is_whole = match decoder.finish() {
        Ok(()) => true,
        Err(error) => {
            assert!(matches!(error, FrameError::Cut { .. }));
            false
        }
    };
    said
}
