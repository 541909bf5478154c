//! The codec alone: frames it never saw, frames it made itself.

use bytes::Bytes;
use podbay_k8s_client::remote_command::{
    Codec, Event, OutputChannel, Protocol, ProtocolError, Refusal, STDIN_CHUNK, Streams,
};
use podbay_k8s_client::{ExecEnd, TerminalSize};
use proptest::prelude::*;

use crate::fake_server::{CLOSE, STATUS, STDERR, STDOUT, frame, status_json};

fn streams() -> impl Strategy<Value = Streams> {
    (any::<bool>(), any::<bool>()).prop_map(|(stdin, tty)| Streams { stdin, tty })
}

fn protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![Just(Protocol::V4), Just(Protocol::V5)]
}

/// Frames that get past the first check more often than random bytes do.
fn likely_frame() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop::collection::vec(any::<u8>(), 0..40);
    let channel = prop_oneof![0..6_u8, Just(CLOSE)];
    prop_oneof![
        bytes.clone(),
        (channel.clone(), bytes).prop_map(|(channel, payload)| frame(channel, &payload).to_vec()),
        channel.prop_map(|channel| vec![CLOSE, channel]),
        any::<u8>().prop_map(|code| frame(STATUS, status_json(code).as_bytes()).to_vec()),
    ]
}

proptest! {
    #[test]
    fn any_frames_give_events_or_errors(
        protocol in protocol(),
        streams in streams(),
        frames in prop::collection::vec(likely_frame(), 0..20),
    ) {
        let Ok(mut codec) = Codec::new(protocol, streams) else {
            prop_assert_eq!((protocol, streams.stdin), (Protocol::V4, true));
            return Ok(());
        };
        let mut statuses = 0;
        for frame in frames {
            match codec.decoder.decode(Bytes::from(frame)) {
                Ok(Some(Event::Output { bytes, .. })) => prop_assert!(!bytes.is_empty()),
                Ok(Some(Event::Status(_))) => statuses += 1,
                Ok(Some(Event::Closed(channel))) => {
                    prop_assert!(!(streams.tty && channel == OutputChannel::Stderr));
                }
                Ok(None) => {}
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
        prop_assert!(statuses <= 1);
        prop_assert!(statuses == 1 || !codec.decoder.is_complete());
    }

    #[test]
    fn output_comes_out_as_it_went_in(pieces in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 1..100)), 0..20)) {
        let mut codec = Codec::new(Protocol::V5, Streams { stdin: false, tty: false }).unwrap();
        for (is_stdout, bytes) in pieces {
            let (number, channel) =
                if is_stdout { (STDOUT, OutputChannel::Stdout) } else { (STDERR, OutputChannel::Stderr) };
            let event = codec.decoder.decode(frame(number, &bytes)).unwrap();
            prop_assert_eq!(event, Some(Event::Output { channel, bytes: bytes.into() }));
        }
    }

    #[test]
    fn every_exit_code_comes_out_as_it_went_in(code: u8) {
        let mut codec = Codec::new(Protocol::V5, Streams { stdin: false, tty: false }).unwrap();
        let event = codec.decoder.decode(frame(STATUS, status_json(code).as_bytes())).unwrap();
        prop_assert_eq!(event, Some(Event::Status(ExecEnd::Exited { code: code.into() })));
    }

    #[test]
    fn input_is_cut_into_frames_and_whole(len in 0..5 * STDIN_CHUNK) {
        let codec = Codec::new(Protocol::V5, Streams { stdin: true, tty: false }).unwrap();
        let bytes: Bytes = (0..len).map(|position| (position % 251).to_le_bytes()[0]).collect();
        let mut joined = Vec::new();
        for frame in codec.stdin.unwrap().frames(bytes.clone()) {
            prop_assert_eq!(frame[0], 0);
            prop_assert!((2..=1 + STDIN_CHUNK).contains(&frame.len()));
            joined.extend_from_slice(&frame[1..]);
        }
        prop_assert_eq!(joined, bytes);
    }

    #[test]
    fn sizes_are_json(width: u16, height: u16) {
        let codec = Codec::new(Protocol::V4, Streams { stdin: false, tty: true }).unwrap();
        let frame = codec.resize.unwrap().frame(TerminalSize { width, height });
        prop_assert_eq!(frame[0], 4);
        let json: serde_json::Value = serde_json::from_slice(&frame[1..]).unwrap();
        prop_assert_eq!(json, serde_json::json!({ "Width": width, "Height": height }));
    }
}

#[test]
fn end_of_input_is_a_close_frame_and_v4_has_none() {
    let stdin = Streams {
        stdin: true,
        tty: false,
    };
    let codec = Codec::new(Protocol::V5, stdin).unwrap();
    assert_eq!(&codec.stdin.unwrap().close()[..], &[255, 0]);
    assert_eq!(
        Codec::new(Protocol::V4, stdin).unwrap_err(),
        Refusal::StdinNeedsV5
    );
    assert_eq!(Protocol::offer(stdin), &[Protocol::V5]);
    assert_eq!(
        Protocol::offer(Streams {
            stdin: false,
            tty: true
        }),
        &[Protocol::V5, Protocol::V4]
    );
}

#[test]
fn names_are_those_of_the_sub_protocols() {
    for protocol in [Protocol::V4, Protocol::V5] {
        assert_eq!(Protocol::from_name(protocol.name()), Some(protocol));
    }
    assert_eq!(Protocol::from_name("channel.k8s.io"), None);
}

#[test]
fn a_status_ends_no_output_and_closing_twice_is_nothing_new() {
    let mut decoder = Codec::new(
        Protocol::V5,
        Streams {
            stdin: false,
            tty: false,
        },
    )
    .unwrap()
    .decoder;
    decoder.decode(frame(STATUS, status_json(0).as_bytes())).unwrap();
    assert!(!decoder.is_complete());
    assert!(decoder.decode(frame(STDOUT, b"late")).unwrap().is_some());
    let close = |channel: u8| frame(CLOSE, &[channel]);
    assert_eq!(
        decoder.decode(close(STDOUT)),
        Ok(Some(Event::Closed(OutputChannel::Stdout)))
    );
    assert_eq!(decoder.decode(close(STDOUT)), Ok(None));
    assert!(!decoder.is_complete());
    assert_eq!(
        decoder.decode(close(STDERR)),
        Ok(Some(Event::Closed(OutputChannel::Stderr)))
    );
    assert!(decoder.is_complete());
    assert_eq!(
        decoder.decode(frame(STDERR, b"ghost")),
        Err(ProtocolError::AfterClose(
            podbay_k8s_client::remote_command::Channel::Stderr
        ))
    );
}

#[test]
fn a_closed_status_channel_takes_no_status() {
    let mut decoder = Codec::new(
        Protocol::V5,
        Streams {
            stdin: false,
            tty: false,
        },
    )
    .unwrap()
    .decoder;
    assert_eq!(decoder.decode(frame(CLOSE, &[STATUS])), Ok(None));
    assert!(matches!(
        decoder.decode(frame(STATUS, status_json(0).as_bytes())),
        Err(ProtocolError::AfterClose(_))
    ));
}
