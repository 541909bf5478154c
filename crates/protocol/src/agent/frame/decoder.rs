//! Frames from bytes, however these are cut.

use super::{END, END_LIMIT, Frame, HEADER, IDLE, OUTPUT_LIMIT, STDERR, STDOUT};
use crate::process::{EndRecord, Offsets, StreamName};

/// Decodes the outputs of a process. It takes bytes in pieces of any size and holds no output back.
#[derive(Debug)]
pub struct FrameDecoder<J> {
    /// Reads an [`EndRecord`] from JSON: this crate has no reader of its own.
    read_end: J,
    /// Where each output goes on.
    next: Offsets,
    state: State,
}

#[derive(Debug)]
enum State {
    /// A header, as far as it has come.
    Header { bytes: [u8; HEADER], filled: usize },
    /// So many bytes of an output are yet to come.
    Output { stream: StreamName, left: usize },
    /// The record of the end, as far as it has come.
    End { record: Vec<u8>, length: usize },
    /// Nothing may follow.
    Ended,
}

/// The bytes are not the frames they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// No frame has this kind.
    #[error("a frame has the kind {kind}, which is none")]
    UnknownKind {
        /// The kind.
        kind: u8,
    },
    /// A frame is longer, or shorter, than its kind may be.
    #[error("a frame of the kind {kind} has {length} bytes")]
    Length {
        /// The kind.
        kind: u8,
        /// The length.
        length: u32,
    },
    /// An output does not go on where it stopped.
    #[error("{stream} goes on at byte {found}, and should at {expected}")]
    Offset {
        /// The output.
        stream: StreamName,
        /// Where it stopped.
        expected: u64,
        /// Where the frame begins.
        found: u64,
    },
    /// The record of the end can't be read.
    #[error("the record of the end can't be read: {reason}")]
    Record {
        /// What is wrong with it.
        reason: String,
    },
    /// Something came after the end.
    #[error("something follows the end")]
    AfterEnd,
    /// The stream ended before the process did.
    #[error("the stream was cut: stdout at byte {}, stderr at byte {}", at.stdout, at.stderr)]
    Cut {
        /// Where to ask again from.
        at: Offsets,
    },
}

impl<J> FrameDecoder<J> {
    /// One for outputs that were asked for from these offsets on. `read_end` reads an [`EndRecord`] from JSON.
    pub const fn new(from: Offsets, read_end: J) -> Self {
        Self {
            read_end,
            next: from,
            state: State::new(),
        }
    }

    /// Where to ask again from if the stream is cut now: behind all that was given out.
    pub const fn next_offsets(&self) -> Offsets {
        self.next
    }

    /// Says that no more bytes come: an error unless the end did.
    pub const fn finish(&self) -> Result<(), FrameError> {
        match self.state {
            State::Ended => Ok(()),
            _ => Err(FrameError::Cut { at: self.next }),
        }
    }
}

impl<J, E> FrameDecoder<J>
where
    J: FnMut(&[u8]) -> Result<EndRecord, E>,
    E: std::fmt::Display,
{
    /// Takes what it needs from the front of `input` and gives what is complete. `None` means that it has taken all of
    /// `input` and needs more. After an error nothing more may be decoded.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Frame<'a>>, FrameError> {
        while !input.is_empty() || self.is_due() {
            match &mut self.state {
                State::Header { bytes, filled } => {
                    let taken = take(input, HEADER - *filled);
                    bytes[*filled..][..taken.len()].copy_from_slice(taken);
                    *filled += taken.len();
                    if *filled == HEADER {
                        let header = *bytes;
                        if let Some(frame) = self.begin(header)? {
                            return Ok(Some(frame));
                        }
                    }
                }
                State::Output { stream, left } => {
                    let (stream, bytes) = (*stream, take(input, *left));
                    *left -= bytes.len();
                    if *left == 0 {
                        self.state = State::new();
                    }
                    let at = self.at(stream);
                    let offset = *at;
                    *at += bytes.len() as u64;
                    return Ok(Some(Frame::Output {
                        stream,
                        offset,
                        bytes,
                    }));
                }
                State::End { record, length } => {
                    let missing = *length - record.len();
                    record.extend(take(input, missing));
                    if record.len() == *length {
                        let read = (self.read_end)(record).map_err(|error| FrameError::Record {
                            reason: error.to_string(),
                        })?;
                        self.state = State::Ended;
                        return Ok(Some(Frame::End(Box::new(read))));
                    }
                }
                State::Ended => return Err(FrameError::AfterEnd),
            }
        }
        Ok(None)
    }

    /// Whether there is something to give without another byte.
    fn is_due(&self) -> bool {
        matches!(&self.state, State::End { record, length } if record.len() == *length)
    }

    /// Reads a header; gives a frame that consists of nothing else.
    fn begin(&mut self, header: [u8; HEADER]) -> Result<Option<Frame<'static>>, FrameError> {
        let [kind, o0, o1, o2, o3, o4, o5, o6, o7, l0, l1, l2, l3] = header;
        let offset = u64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7]);
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        let bounded = |range: std::ops::RangeInclusive<usize>| {
            usize::try_from(length)
                .ok()
                .filter(|length| range.contains(length))
                .ok_or(FrameError::Length { kind, length })
        };
        self.state = match kind {
            STDOUT | STDERR => {
                let left = bounded(1..=OUTPUT_LIMIT)?;
                let stream = if kind == STDOUT {
                    StreamName::Stdout
                } else {
                    StreamName::Stderr
                };
                let expected = *self.at(stream);
                if offset != expected || offset.checked_add(length.into()).is_none() {
                    return Err(FrameError::Offset {
                        stream,
                        expected,
                        found: offset,
                    });
                }
                State::Output { stream, left }
            }
            END => State::End {
                record: Vec::new(),
                length: bounded(0..=END_LIMIT)?,
            },
            IDLE => {
                bounded(0..=0)?;
                self.state = State::new();
                return Ok(Some(Frame::Idle));
            }
            _ => return Err(FrameError::UnknownKind { kind }),
        };
        Ok(None)
    }

    fn at(&mut self, stream: StreamName) -> &mut u64 {
        match stream {
            StreamName::Stdout => &mut self.next.stdout,
            StreamName::Stderr => &mut self.next.stderr,
        }
    }
}

impl State {
    const fn new() -> Self {
        Self::Header {
            bytes: [0; HEADER],
            filled: 0,
        }
    }
}

/// The first bytes of `input`, at most `count`, which are taken off it.
fn take<'a>(input: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(count.min(input.len()));
    *input = rest;
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{end, idle, output_header};
    use super::*;
    use crate::process::ProcessEnd;

    type Read = fn(&[u8]) -> serde_json::Result<EndRecord>;

    fn decoder(from: Offsets) -> FrameDecoder<Read> {
        FrameDecoder::new(from, |json| serde_json::from_slice(json))
    }

    fn output(stream: StreamName, offset: u64, bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap();
        [&output_header(stream, offset, length)[..], bytes].concat()
    }

    fn ending() -> (EndRecord, Vec<u8>) {
        let record = EndRecord::new(ProcessEnd::Exited { code: 3 });
        let json = serde_json::to_vec(&record).unwrap();
        (record, end(&json))
    }

    /// All that one decoder gives for these pieces: the outputs, the end, how often it was idle.
    #[derive(Debug, Default, PartialEq)]
    struct Seen {
        stdout: Vec<u8>,
        stderr: Vec<u8>,
        end: Option<EndRecord>,
        idle: usize,
    }

    fn decode<'a>(
        from: Offsets,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> (Seen, FrameDecoder<Read>, Result<(), FrameError>) {
        let (mut decoder, mut seen) = (decoder(from), Seen::default());
        for mut piece in pieces {
            loop {
                match decoder.next(&mut piece) {
                    Ok(None) => break,
                    Ok(Some(Frame::Idle)) => seen.idle += 1,
                    Ok(Some(Frame::End(record))) => seen.end = Some(*record),
                    Ok(Some(Frame::Output {
                        stream,
                        offset,
                        bytes,
                    })) => {
                        assert!(!bytes.is_empty());
                        let (all, from) = match stream {
                            StreamName::Stdout => (&mut seen.stdout, from.stdout),
                            StreamName::Stderr => (&mut seen.stderr, from.stderr),
                        };
                        assert_eq!(offset, from + all.len() as u64);
                        all.extend(bytes);
                    }
                    Err(error) => return (seen, decoder, Err(error)),
                }
            }
            assert!(piece.is_empty());
        }
        let end = decoder.finish();
        (seen, decoder, end)
    }

    proptest! {
        #[test]
        fn frames_come_back_however_they_are_cut(
            outputs in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..12),
            stdout in 0..u64::MAX / 2,
            cuts in proptest::collection::vec(0_usize..1000, 0..20),
        ) {
            let from = Offsets { stdout, stderr: 5 };
            let (mut wire, mut expected, mut at) = (Vec::new(), Seen::default(), from);
            for (is_stdout, bytes) in outputs {
                if bytes.is_empty() {
                    wire.extend(idle());
                    expected.idle += 1;
                } else if is_stdout {
                    wire.extend(output(StreamName::Stdout, at.stdout, &bytes));
                    at.stdout += bytes.len() as u64;
                    expected.stdout.extend(bytes);
                } else {
                    wire.extend(output(StreamName::Stderr, at.stderr, &bytes));
                    at.stderr += bytes.len() as u64;
                    expected.stderr.extend(bytes);
                }
            }
            let (record, frame) = ending();
            wire.extend(frame);
            expected.end = Some(record);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (wire.len() + 1)).collect();
            cuts.extend([0, wire.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|pair| &wire[pair[0]..pair[1]]);
            let (seen, decoder, result) = decode(from, pieces);
            prop_assert_eq!(result, Ok(()));
            prop_assert_eq!(seen, expected);
            prop_assert_eq!(decoder.next_offsets(), at);
        }

        #[test]
        fn a_stream_that_stops_early_is_cut(length in 0_usize..60) {
            let mut wire = output(StreamName::Stderr, 0, b"0123456789");
            wire.extend(ending().1);
            let length = length.min(wire.len() - 1);
            let (seen, decoder, result) = decode(Offsets::default(), [&wire[..length]]);
            prop_assert_eq!(seen.stderr.len() as u64, decoder.next_offsets().stderr);
            prop_assert_eq!(result, Err(FrameError::Cut { at: decoder.next_offsets() }));
        }

        #[test]
        fn anything_is_refused_or_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(Offsets::default(), bytes.chunks(7));
        }
    }

    #[test]
    fn what_is_not_as_it_should_be_is_refused() {
        let refused = |wire: &[u8]| decode(Offsets::default(), [wire]).2.unwrap_err();
        let stream = StreamName::Stdout;
        assert_eq!(refused(&[9; HEADER]), FrameError::UnknownKind { kind: 9 });
        assert_eq!(
            refused(&output(stream, 3, b"x")),
            FrameError::Offset {
                stream,
                expected: 0,
                found: 3
            }
        );
        let limit = u32::try_from(OUTPUT_LIMIT).unwrap();
        for length in [0, limit + 1, u32::MAX] {
            assert_eq!(
                refused(&output_header(stream, 0, length)),
                FrameError::Length { kind: 1, length }
            );
        }
        assert!(matches!(refused(&end(b"no json")), FrameError::Record { .. }));
        assert!(matches!(refused(&end(b"")), FrameError::Record { .. }));
        let after = [ending().1, idle().to_vec()].concat();
        assert_eq!(refused(&after), FrameError::AfterEnd);
        let twice = [output(stream, 0, b"ab"), output(stream, 1, b"b")].concat();
        assert!(matches!(
            refused(&twice),
            FrameError::Offset {
                expected: 2,
                found: 1,
                ..
            }
        ));
    }
}
