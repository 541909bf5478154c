//! Sums over processes, from `/proc` (proc(5)). A process may go at any moment: what can't be read isn't there.

use std::fs;
use std::iter::{self, once};

use podbay_process::descent;
use rustix::process::Pid;

/// What some processes use together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    /// Processor time, in clock ticks, that of ended children among it.
    pub(super) ticks: u64,
    /// Resident memory, in pages.
    pub(super) pages: u64,
}

/// What a process and all below it use. `None` if nothing of it can be read.
pub(super) fn below(root: Pid) -> Option<Sum> {
    let own = usage(root)?;
    let others = descent::below(root)
        .into_iter()
        .filter_map(|process| usage(process.pid));
    Some(once(own).chain(others).sum())
}

impl iter::Sum for Sum {
    fn sum<I: Iterator<Item = Self>>(sums: I) -> Self {
        sums.fold(Self::default(), |all, one| Self {
            ticks: all.ticks + one.ticks,
            pages: all.pages + one.pages,
        })
    }
}

/// What a process uses; `None` for one that is gone.
fn usage(pid: Pid) -> Option<Sum> {
    let stat = fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    parse(&String::from_utf8_lossy(&stat))
}

/// Reads `pid (comm) state …`, where `utime`, `stime`, `cutime` and `cstime` are fields 14 to 17, and `rss` is the 24th; `comm` may
/// hold anything, `)` too.
fn parse(stat: &str) -> Option<Sum> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    // The first field after the name is the third.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Sum {
        ticks: field(14)? + field(15)? + field(16)? + field(17)?,
        pages: field(24)?,
    })
}

/// Bytes that all interfaces but the loopback received and sent, from the text of `/proc/net/dev`.
pub(super) fn network(text: &str) -> (u64, u64) {
    let lines = text.lines().filter_map(|line| {
        let (name, counts) = line.split_once(':')?;
        let counts: Vec<u64> = counts
            .split_ascii_whitespace()
            .map_while(|count| count.parse().ok())
            .collect();
        (name.trim() != "lo").then_some((*counts.first()?, *counts.get(8)?))
    });
    lines.fold((0, 0), |(received, sent), (more_in, more_out)| {
        (received + more_in, sent + more_out)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_is_read_whatever_the_program_is_called() {
        let line = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 1 0 555 10000000 256 18446744073709551615 0\n";
        let sum = Sum {
            ticks: 124,
            pages: 256,
        };
        assert_eq!(parse(line), Some(sum));
        assert_eq!(parse("42 (a"), None);
        assert_eq!(parse("42 (a) S 7"), None);
    }

    #[test]
    fn what_they_use_is_added_up() {
        let one = |ticks| Sum { ticks, pages: 1 };
        assert_eq!(
            [one(1), one(20), one(300)].into_iter().sum::<Sum>(),
            Sum { ticks: 321, pages: 3 }
        );
    }

    #[test]
    fn this_process_uses_something_and_one_that_is_not_there_nothing() {
        let sum = below(rustix::process::getpid()).unwrap();
        assert!(sum.pages > 0);
        assert_eq!(below(Pid::from_raw(i32::MAX).unwrap()), None);
    }

    #[test]
    fn interfaces_are_summed_up_without_the_loopback() {
        let text = "Inter-|   Receive                                                |  Transmit\n \
            face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
            lo: 999 9 0 0 0 0 0 0 999 9 0 0 0 0 0 0\n  eth0: 100 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n  eth1:3 1 0 0 0 0 0 0 4 1 0 0 0 0 0 0\n";
        assert_eq!(network(text), (103, 24));
        assert_eq!(network(""), (0, 0));
    }
}
