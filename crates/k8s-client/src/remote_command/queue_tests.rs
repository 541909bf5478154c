//! Order and bytes are exact over memory and file, whatever the interleaving.

use std::time::Duration;

use futures::FutureExt;
use proptest::prelude::*;
use tokio::time;

use super::*;

/// Small enough for a property test to fill, and no multiple of what is pushed.
const SPOOL: u64 = 3 * 1024 * 1024 + 11;

fn new(spool_limit: u64) -> (QueueWriter, QueueReader) {
    queue(spool_limit, Arc::new(AtomicBool::new(false)))
}

/// The byte at `position` of the test stream: a sequence that no shift by a block or a page maps onto itself.
fn byte_at(position: usize) -> u8 {
    (position.wrapping_mul(31) ^ (position / 251)).to_le_bytes()[0]
}

fn piece(from: usize, len: usize) -> Bytes {
    (from..from + len).map(byte_at).collect()
}

fn memory_of(queue: &QueueWriter) -> usize {
    queue.shared.lock().in_memory
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Pop,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1_usize..400_000).prop_map(Step::Push),
        1 => (1_usize..300).prop_map(Step::Push),
        2 => Just(Step::Pop),
    ];
    prop::collection::vec(step, 1..60)
}

/// Runs the steps; a push that has to wait lets the reader go on until it fits.
async fn run(steps: Vec<Step>, may_spool: bool) {
    let (mut writer, mut reader) = new(SPOOL);
    let (mut pushed, mut popped) = (0, 0);
    let check = |bytes: Bytes, popped: &mut usize| {
        assert!(bytes == piece(*popped, bytes.len()), "wrong bytes after {popped}");
        *popped += bytes.len();
    };
    for step in steps {
        match step {
            Step::Push(len) => {
                let mut push = Box::pin(writer.push(piece(pushed, len), || may_spool));
                loop {
                    tokio::select! {
                        biased;
                        () = &mut push => break,
                        bytes = reader.next() => check(bytes.unwrap(), &mut popped),
                    }
                }
                drop(push);
                pushed += len;
                assert!(memory_of(&writer) <= MEMORY_LIMIT);
            }
            Step::Pop if popped < pushed => check(reader.next().await.unwrap(), &mut popped),
            Step::Pop => assert_eq!(
                reader.next().now_or_never(),
                None,
                "an empty queue has no end yet"
            ),
        }
    }
    drop(writer);
    while let Some(bytes) = reader.next().await {
        check(bytes, &mut popped);
    }
    assert_eq!(popped, pushed);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn bytes_come_out_as_they_went_in(steps in steps(), may_spool: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(steps, may_spool));
    }
}

#[tokio::test]
async fn without_a_spool_a_full_queue_makes_the_writer_wait() {
    let (mut writer, mut reader) = new(SPOOL);
    writer.push(piece(0, MEMORY_LIMIT), || false).await;
    let mut push = Box::pin(writer.push(piece(MEMORY_LIMIT, 1), || false));
    assert_eq!((&mut push).now_or_never(), None);
    assert_eq!(reader.next().await.map(|bytes| bytes.len()), Some(BLOCK));
    push.await;
}

#[tokio::test]
async fn a_full_spool_makes_the_writer_wait() {
    let (mut writer, reader) = new(1000);
    writer.push(piece(0, MEMORY_LIMIT + 1000), || true).await;
    let mut push = Box::pin(writer.push(piece(MEMORY_LIMIT + 1000, 1), || true));
    assert_eq!((&mut push).now_or_never(), None);
    drop(reader);
    push.await;
}

#[tokio::test]
async fn a_drained_spool_is_used_again() {
    let (mut writer, mut reader) = new(1000);
    let total = MEMORY_LIMIT + 1000;
    for round in 0..5 {
        // Nobody reads meanwhile: it has to fit, in a file that is no multiple of it.
        let len = total - 7 * round;
        let push = writer.push(piece(0, len), || true);
        time::timeout(Duration::from_secs(60), push)
            .await
            .expect("it does not fit");
        let mut read = 0;
        while read < len {
            let bytes = reader.next().await.unwrap();
            assert!(bytes == piece(read, bytes.len()));
            read += bytes.len();
        }
    }
}

#[tokio::test]
async fn a_reader_that_goes_frees_what_it_left() {
    let (mut writer, reader) = new(SPOOL);
    writer.push(piece(0, MEMORY_LIMIT + 5), || true).await;
    assert!(writer.probe().is_alive());
    drop(reader);
    assert!(!writer.probe().is_alive());
    assert!(writer.shared.lock().spool.is_none(), "the file is gone");
    assert_eq!(memory_of(&writer), 0);
    writer.push(piece(0, 100 * MEMORY_LIMIT), || true).await;
    assert_eq!(memory_of(&writer), 0);
}

#[tokio::test]
async fn single_bytes_are_joined() {
    let (mut writer, mut reader) = new(0);
    for position in 0..1000 {
        writer.push(piece(position, 1), || false).await;
    }
    assert_eq!(reader.next().await, Some(piece(0, 1000)));
}

#[tokio::test]
async fn reading_that_is_given_up_loses_nothing() {
    let (mut writer, mut reader) = new(SPOOL);
    let total = MEMORY_LIMIT + 300_000;
    writer.push(piece(0, total), || true).await;
    drop(writer);
    let mut read = 0;
    loop {
        // Polled once and dropped: a read from the file is then under way.
        if let Some(Some(bytes)) = reader.next().now_or_never() {
            read += bytes.len();
            continue;
        }
        let Some(bytes) = reader.next().await else { break };
        assert!(bytes == piece(read, bytes.len()));
        read += bytes.len();
    }
    assert_eq!(read, total);
}

#[tokio::test]
async fn a_disk_that_is_full_makes_the_writer_wait_and_loses_nothing() {
    let (mut writer, mut reader) = new(SPOOL);
    writer.shared.lock().spool = Some(Spool::that_refuses_writes());
    let total = 2 * MEMORY_LIMIT;
    let writing = async {
        writer.push(piece(0, total), || true).await;
        assert!(writer.spool_broken);
        drop(writer);
    };
    let reading = async {
        let mut read = 0;
        while let Some(bytes) = reader.next().await {
            assert!(bytes == piece(read, bytes.len()));
            read += bytes.len();
        }
        read
    };
    let ((), read) = tokio::join!(writing, reading);
    assert_eq!(read, total);
}

#[tokio::test]
async fn a_file_that_lost_its_bytes_ends_the_stream_and_is_told() {
    let fault = Arc::new(AtomicBool::new(false));
    let (mut writer, mut reader) = queue(SPOOL, Arc::clone(&fault));
    writer.push(piece(0, MEMORY_LIMIT + 10), || true).await;
    writer.shared.lock().spool = Some(Spool::create().await.unwrap());
    let mut read = 0;
    while let Some(bytes) = reader.next().await {
        read += bytes.len();
    }
    assert_eq!(read, MEMORY_LIMIT);
    assert!(fault.load(Ordering::Acquire));
}
