//! A reader of a process's outputs whose connection is cut again and again, wherever: what it has in the end is what was written.
//! Each line of the input is what the process writes, to standard error if it begins with `!`; the numbers on the first line
//! say after how many bytes connections are cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use podbay_fuzz::script::Script;
use podbay_protocol::agent::frame::{self, Frame, FrameDecoder};
use podbay_protocol::{EndRecord, Offsets, ProcessEnd, StreamName};

fuzz_target!(|data: &[u8]| {
    let script = Script::new(data);
    let mut outputs: [Vec<u8>; 2] = Default::default();
    // How much each piece is, and of which output.
    let mut pieces = Vec::new();
    for step in script.steps() {
        let (stream, text) = match step.strip_prefix(b"!") {
            Some(text) => (StreamName::Stderr, text),
            None => (StreamName::Stdout, step),
        };
        outputs[index(stream)].extend_from_slice(text);
        pieces.push((stream, text.len()));
    }
    // Cuts in bytes of a connection; after the last one it holds.
    let mut cuts = script.options.iter().map(|byte| usize::from(*byte));
    let end = EndRecord::new(ProcessEnd::Exited { code: 3 });
    let record = serde_json::to_vec(&end).expect("a record can be written");

    let mut read: [Vec<u8>; 2] = Default::default();
    let mut next = Offsets::default();
    loop {
        let cut = cuts.next();
        let mut sent = served(&outputs, &pieces, next, &record);
        if let Some(cut) = cut {
            sent.truncate(cut);
        }
        let mut decoder = FrameDecoder::new(next, |json: &[u8]| serde_json::from_slice::<EndRecord>(json));
        let mut ended = None;
        // What comes comes in pieces of any size.
        for mut piece in sent.chunks(cut.unwrap_or(7) % 11 + 1) {
            while let Some(frame) = decoder.next(&mut piece).expect("what the server sends is right") {
                match frame {
                    Frame::Output {
                        stream,
                        offset,
                        bytes,
                    } => {
                        let output = &mut read[index(stream)];
                        assert_eq!(offset, output.len() as u64, "a gap, or bytes twice");
                        output.extend_from_slice(bytes);
                    }
                    Frame::End(record) => ended = Some(*record),
                    Frame::Idle => {}
                }
            }
        }
        next = decoder.next_offsets();
        assert_eq!(
            (next.stdout, next.stderr),
            (read[0].len() as u64, read[1].len() as u64)
        );
        assert_eq!(decoder.finish().is_ok(), ended.is_some());
        if let Some(ended) = ended {
            assert_eq!(ended, end);
            break;
        }
        assert!(cut.is_some(), "a connection that holds brings the end");
    }
    assert_eq!(read, outputs);
});

const fn index(stream: StreamName) -> usize {
    match stream {
        StreamName::Stdout => 0,
        StreamName::Stderr => 1,
    }
}

/// What a server sends to one who asks from these offsets on.
fn served(outputs: &[Vec<u8>; 2], pieces: &[(StreamName, usize)], from: Offsets, record: &[u8]) -> Vec<u8> {
    let mut sent = frame::idle().to_vec();
    let mut written = [0_usize; 2];
    for (stream, length) in pieces {
        let at = &mut written[index(*stream)];
        let (begin, end) = (*at, *at + length);
        *at = end;
        let from = match stream {
            StreamName::Stdout => from.stdout,
            StreamName::Stderr => from.stderr,
        };
        let begin = begin.max(usize::try_from(from).expect("what was written"));
        if begin < end {
            let length = u32::try_from(end - begin).expect("a line");
            sent.extend(frame::output_header(*stream, begin as u64, length));
            sent.extend(&outputs[index(*stream)][begin..end]);
        }
    }
    sent.extend(frame::end(record));
    sent
}
