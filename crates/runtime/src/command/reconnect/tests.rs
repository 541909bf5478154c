//! Commands over connections that fail.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use podbay_protocol::{
    End, Offsets, Outcome, ProcessId, ProcessSpec, StreamEnd, TransportKind, TransportUsed,
};
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::scripted::{ABLE, Connection, Scripted, Transport};
use crate::command::running::{Carried, Running};
use crate::error::{Error, ProcessError};
use crate::transport::{AttachmentEnd, Capabilities};

const CUT: Connection = Connection {
    refused: 0,
    hangs: false,
    carries: 10,
    repeats: 0,
    gap: false,
    stall: Duration::ZERO,
};

const SCRIPT: TransportUsed = TransportUsed::plain(TransportKind::Local);

const OUT: &[u8] = b"the first line of standard output\nand the second one\n";
const ERR: &[u8] = b"words on standard error\n";

fn carried() -> Carried {
    Carried {
        stdin: None,
        stdout: None,
        stderr: None,
        capture: 1 << 20,
        timeout: None,
        cancel: CancellationToken::new(),
    }
}

async fn run(process: &Arc<Scripted>, carried: Carried) -> Result<Outcome, Error> {
    let transport = Transport(process.clone(), Arc::new(AtomicBool::new(false)));
    let spec = ProcessSpec::new(ProcessId::from_random(1), vec!["p".to_owned()]);
    Running::start(Arc::new(transport), SCRIPT, spec, carried)
        .await?
        .outcome()
        .await
}

/// Whether all came once, and the end was told once.
fn is_whole(process: &Scripted, outcome: &Outcome) -> bool {
    let seen = process.seen();
    outcome.end == End::Exited { code: 7 }
        && outcome.stdout_content.bytes == process.stdout
        && outcome.stderr_content.bytes == process.stderr
        && !outcome.stdout.truncated
        && !outcome.stderr.truncated
        && matches!(seen.concluded.as_slice(), [AttachmentEnd::Ended(_)])
        && seen.most_open == 1
        && seen.kills == 0
}

#[tokio::test(start_paused = true)]
async fn what_a_cut_left_out_is_read_from_the_offset_that_was_reached() {
    let process = Arc::new(Scripted::new(OUT, ERR, [CUT, CUT]));
    let outcome = run(&process, carried()).await.unwrap();
    assert!(is_whole(&process, &outcome), "{outcome:?}");
    let reached = |stdout, stderr| Offsets { stdout, stderr };
    assert_eq!(process.seen().attached, [reached(10, 10), reached(20, 20)]);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_come_twice_are_taken_once() {
    let repeats = Connection {
        repeats: 9,
        carries: 30,
        ..CUT
    };
    let process = Arc::new(Scripted::new(OUT, ERR, [repeats, repeats]));
    let outcome = run(&process, carried()).await.unwrap();
    assert!(is_whole(&process, &outcome), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn missing_bytes_are_asked_for_again_whatever_comes_after_them() {
    let gap = Connection { gap: true, ..CUT };
    let process = Arc::new(Scripted::new(OUT, ERR, [gap]));
    let outcome = run(&process, carried()).await.unwrap();
    assert!(is_whole(&process, &outcome), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn silence_and_refusals_are_waited_out() {
    let stalls = Connection {
        stall: Duration::from_secs(40),
        ..CUT
    };
    let hangs = Connection {
        hangs: true,
        refused: 3,
        ..CUT
    };
    let process = Arc::new(Scripted::new(OUT, ERR, [stalls, hangs, stalls]));
    let begun = Instant::now();
    let outcome = run(&process, carried()).await.unwrap();
    assert!(is_whole(&process, &outcome), "{outcome:?}");
    // Two silences, and ten seconds for the answer that never came.
    let took = begun.elapsed();
    assert!(
        took > Duration::from_secs(90) && took < Duration::from_secs(95),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_come_back_is_lost_after_a_minute() {
    let gone = Connection { refused: 1000, ..CUT };
    let process = Arc::new(Scripted::new(OUT, ERR, [CUT, gone]));
    let begun = Instant::now();
    let outcome = run(&process, carried()).await.unwrap();
    assert!(matches!(outcome.end, End::Lost { .. }), "{outcome:?}");
    assert!(outcome.stdout.truncated && outcome.stderr.truncated);
    assert_eq!(outcome.stdout_content.bytes, OUT[..10]);
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_secs(60) && took < Duration::from_secs(70),
        "{took:?}"
    );
    assert!(matches!(
        process.seen().concluded.as_slice(),
        [AttachmentEnd::Lost { .. }]
    ));
}

/// What `exec` is: a loss stays one, and nobody waits.
#[tokio::test(start_paused = true)]
async fn without_the_capability_a_loss_stays_a_loss() {
    let mut process = Scripted::new(OUT, ERR, [CUT]);
    process.capabilities = Capabilities {
        reattach: false,
        ..ABLE
    };
    let process = Arc::new(process);
    let begun = Instant::now();
    let outcome = run(&process, carried()).await.unwrap();
    assert_eq!(
        outcome.end,
        End::Lost {
            message: "reset".to_owned()
        }
    );
    assert_eq!(
        (process.seen().attached.len(), begun.elapsed()),
        (0, Duration::ZERO)
    );
}

#[tokio::test(start_paused = true)]
async fn an_end_that_speaks_of_other_bytes_than_came_is_no_success() {
    for claim in [
        StreamEnd::default(),
        with(|claim| claim.bytes = Some(OUT.len() as u64 - 1)),
        with(|claim| claim.sha256 = Some("0".repeat(64))),
    ] {
        let is_true = claim == StreamEnd::default();
        let mut process = Scripted::new(OUT, ERR, []);
        process.claim = Some(claim);
        let process = Arc::new(process);
        let outcome = run(&process, carried()).await.unwrap();
        assert_eq!(
            outcome.success() || outcome.end == (End::Exited { code: 7 }),
            is_true
        );
        assert_eq!(matches!(outcome.end, End::Lost { .. }), !is_true, "{outcome:?}");
        assert_eq!(outcome.verdict.is_some(), !is_true);
    }
}

fn with(change: impl FnOnce(&mut StreamEnd)) -> StreamEnd {
    let mut claim = StreamEnd::default();
    change(&mut claim);
    claim
}

/// More bytes than there are: they never come, however often they are asked for.
#[tokio::test(start_paused = true)]
async fn an_end_that_speaks_of_bytes_that_never_come_is_lost() {
    let mut process = Scripted::new(OUT, ERR, []);
    process.claim = Some(with(|claim| claim.bytes = Some(OUT.len() as u64 + 1)));
    let process = Arc::new(process);
    let outcome = run(&process, carried()).await.unwrap();
    assert!(matches!(outcome.end, End::Lost { .. }), "{outcome:?}");
    assert!(process.seen().attached.len() > 5);
}

/// The process takes half of what it is given, and each second answer is lost.
#[tokio::test(start_paused = true)]
async fn input_is_written_on_from_where_it_was_taken() {
    let input: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let stalls = Connection {
        stall: Duration::from_secs(300),
        ..CUT
    };
    let process = Arc::new(Scripted::new(OUT, ERR, [stalls]));
    let carried = Carried {
        stdin: Some(Box::new(Cursor::new(input.clone()))),
        ..carried()
    };
    let outcome = run(&process, carried).await.unwrap();
    assert!(is_whole(&process, &outcome), "{outcome:?}");
    let seen = process.seen();
    assert!(seen.stdin == input && seen.stdin_closed, "{}", seen.stdin.len());
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_answer_was_lost_is_asked_for_again_where_that_makes_no_second_process() {
    for (repeated_start, starts) in [(true, 2), (false, 1)] {
        let mut process = Scripted::new(OUT, ERR, []);
        process.capabilities = Capabilities {
            repeated_start,
            ..ABLE
        };
        let process = Arc::new(process);
        let transport = Transport(process.clone(), Arc::new(AtomicBool::new(true)));
        let spec = ProcessSpec::new(ProcessId::from_random(1), vec!["p".to_owned()]);
        let running = Running::start(Arc::new(transport), SCRIPT, spec, carried()).await;
        assert_eq!((running.is_ok(), process.seen().starts), (repeated_start, starts));
    }
}

/// What will not pass is not waited for.
#[test]
fn only_a_connection_comes_back() {
    let id = ProcessId::from_random(1);
    assert!(!ProcessError::Unknown { id }.may_pass());
    let paused = Error::Paused {
        session: "s".to_owned(),
    };
    assert!(!ProcessError::from(paused).may_pass());
}

fn any_connection() -> impl Strategy<Value = Connection> {
    (
        0..3_u32,
        any::<bool>(),
        0..40_usize,
        0..20_usize,
        any::<bool>(),
        0..30_u64,
    )
        .prop_map(|(refused, hangs, carries, repeats, gap, stall)| Connection {
            refused,
            hangs,
            carries,
            repeats,
            gap,
            stall: Duration::from_secs(stall),
        })
}

async fn read(mut reader: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut all = Vec::new();
    reader.read_to_end(&mut all).await.unwrap();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever the connections do, as long as one comes back in time.
    #[test]
    fn no_byte_is_lost_or_doubled(
        stdout in prop::collection::vec(any::<u8>(), 0..200),
        stderr in prop::collection::vec(any::<u8>(), 0..200),
        // Few enough that a minute without any progress is not reached.
        connections in prop::collection::vec(any_connection(), 0..4),
        piece in 1..50_usize,
    ) {
        let mut process = Scripted::new(&stdout, &stderr, connections.into_iter().enumerate().map(|(at, connection)| {
            // A start that hangs is the caller's matter.
            Connection { hangs: connection.hangs && at > 0, ..connection }
        }));
        process.piece = piece;
        let process = Arc::new(process);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        // A writer that is slower than the connections.
        let (out_reader, out_writer) = tokio::io::duplex(16);
        let (err_reader, err_writer) = tokio::io::duplex(16);
        let carried = Carried {
            stdout: Some(Box::new(out_writer)),
            stderr: Some(Box::new(err_writer)),
            ..carried()
        };
        let (outcome, out, err) =
            runtime.block_on(async { tokio::join!(run(&process, carried), read(out_reader), read(err_reader)) });
        let outcome = outcome.unwrap();
        prop_assert!(is_whole(&process, &outcome), "{:?} {:?}", outcome, process.seen());
        prop_assert_eq!(out, stdout);
        prop_assert_eq!(err, stderr);
    }
}
