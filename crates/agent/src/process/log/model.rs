//! The log of an output against a model that keeps all bytes, by any order of what may happen to it.

use bytes::Bytes;
use podbay_protocol::Retention;
use proptest::collection::vec;
use proptest::prelude::*;

use super::{At, Place, StreamLog};

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    /// The process writes as many bytes as it may, up to so many.
    Write(usize),
    /// It has exited, and what was left in its pipe is taken whether there is room or not.
    Drain(usize),
    /// The reader takes this part, in hundredths, of what he has not taken.
    Take(u64),
    /// The grace is over.
    GoOn,
    /// The process has ended, or the reader of one that has takes more.
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (1..40usize).prop_map(Step::Write),
        1 => (1..40usize).prop_map(Step::Drain),
        3 => (0..=100u64).prop_map(Step::Take),
        1 => Just(Step::GoOn),
        1 => Just(Step::Settle),
    ]
}

/// The log with a file of limited size, as the I/O around it has it.
struct Rig {
    log: StreamLog,
    file: Vec<u8>,
    limit: usize,
    /// All bytes that were counted.
    all: Vec<u8>,
    offered: usize,
    acknowledged: u64,
    ended: bool,
}

impl Rig {
    fn write(&mut self, count: usize) {
        if self.ended {
            return;
        }
        let start = self.offered;
        let piece: Vec<u8> = (start..start + count)
            .map(|number| u8::try_from(number % 251).unwrap())
            .collect();
        self.offered += count;
        let mut place = self.log.place(count);
        if place == Place::NewFile {
            self.move_to_file();
            place = self.log.place(count);
        }
        let kept = match place {
            Place::Memory => {
                self.log.append(&piece);
                count
            }
            Place::File => {
                let kept = count.min(self.limit - self.file.len());
                self.file.extend_from_slice(&piece[..kept]);
                self.log.appended_to_file(kept, count);
                kept
            }
            Place::Nowhere => 0,
            Place::NewFile => unreachable!("it was moved, or there is none"),
        };
        self.all.extend_from_slice(&piece[..kept]);
    }

    fn move_to_file(&mut self) {
        let memory = self.log.memory();
        if memory.bytes.len() <= self.limit {
            self.file = memory.bytes.to_vec();
            self.log.moved_to_file();
        } else if !self.ended {
            self.log.truncate();
        }
    }

    /// Everything that is kept is what was written, in its place.
    fn check(&self, retention: Retention) -> Result<(), TestCaseError> {
        let log = &self.log;
        prop_assert_eq!(log.written(), self.all.len() as u64);
        if self.offered != self.all.len() {
            prop_assert!(log.is_truncated(), "bytes were dropped without a word");
        }
        let first = log.first();
        for offset in 0..=log.written() + 1 {
            let rest = self
                .all
                .get(usize::try_from(offset).unwrap()..)
                .unwrap_or_default();
            match log.at(offset, 7) {
                At::Bytes(bytes) => prop_assert_eq!(&bytes[..], &rest[..rest.len().min(7)]),
                At::File { position, length } => {
                    let position = usize::try_from(position).unwrap();
                    prop_assert_eq!(
                        &self.file[position..position + length],
                        &rest[..rest.len().min(7)]
                    );
                }
                At::Gone { first: told } => prop_assert!(told == first && offset < first),
                At::End => prop_assert_eq!(offset, log.written()),
                At::Ahead => prop_assert_eq!(offset, log.written() + 1),
            }
        }
        if retention != Retention::Tail {
            prop_assert!(first <= self.acknowledged, "dropped before it was taken");
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn what_is_kept_is_what_was_written(
        retention in prop::sample::select(Retention::ALL),
        window in 1..60usize,
        limit in 0..400usize,
        steps in vec(step(), 0..60),
    ) {
        let log = StreamLog::new(retention, window);
        let mut rig = Rig { log, file: vec![], limit, all: vec![], offered: 0, acknowledged: 0, ended: false };
        for step in steps {
            match step {
                Step::Write(count) => {
                    let count = count.min(rig.log.room());
                    let ahead = rig.log.written() + count as u64 - rig.acknowledged;
                    if retention == Retention::Backpressure && !rig.log.went_on() && !rig.log.is_truncated() {
                        prop_assert!(count == 0 || ahead <= window as u64);
                    }
                    rig.write(count);
                }
                Step::Drain(count) => rig.write(count),
                Step::Take(part) => {
                    rig.acknowledged += (rig.log.written() - rig.acknowledged) * part / 100;
                    rig.log.acknowledge(rig.acknowledged);
                }
                Step::GoOn => if retention == Retention::Backpressure { rig.log.go_on() },
                Step::Settle => {
                    rig.ended = true;
                    if rig.log.settle() {
                        rig.move_to_file();
                    }
                }
            }
            rig.check(retention)?;
        }
    }

    #[test]
    fn memory_holds_little_more_than_the_window(
        retention in prop::sample::select(&[Retention::Backpressure, Retention::Tail][..]),
        window in 1..60usize,
        counts in vec((1..40usize, 0..=100u64), 0..60),
    ) {
        let mut log = StreamLog::new(retention, window);
        for (count, part) in counts {
            log.append(&vec![0; count.min(log.room())]);
            prop_assert!(log.memory().bytes.len() <= window);
            log.acknowledge(log.first() + (log.written() - log.first()) * part / 100);
        }
    }
}

#[test]
fn a_tail_of_single_bytes_is_in_order() {
    let mut log = StreamLog::new(Retention::Tail, 8);
    for number in 0..20u8 {
        log.append(&[number]);
        let from = log.first();
        let expected: Vec<u8> = (0..=number).rev().take(8).rev().collect();
        assert_eq!(log.at(from, 100), At::Bytes(Bytes::from(expected)));
    }
}
