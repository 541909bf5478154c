//! Sums over processes, from `/proc` (proc(5)). A process may go at any moment: what can't be read isn't there.

use std::collections::HashMap;
use std::fs;

/// What some processes use together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    /// Processor time, in clock ticks, that of ended children among it.
    pub(super) ticks: u64,
    /// Resident memory, in pages.
    pub(super) pages: u64,
}

/// What stands in `/proc/PID/stat` of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    sum: Sum,
}

/// What a process and all below it use.
pub(super) fn below(root: u32) -> Option<Sum> {
    let entries = fs::read_dir("/proc").ok()?;
    let stats: HashMap<u32, Stat> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| {
            let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, parse(&String::from_utf8_lossy(&stat))?))
        })
        .collect();
    stats.contains_key(&root).then(|| sum(&stats, root))
}

fn sum(stats: &HashMap<u32, Stat>, root: u32) -> Sum {
    let is_below = |mut pid: u32| {
        // Parents are read at different moments, so that they might go round in a circle.
        for _ in 0..stats.len() {
            if pid == root {
                return true;
            }
            match stats.get(&pid) {
                Some(stat) => pid = stat.parent,
                None => return false,
            }
        }
        false
    };
    let below = stats.iter().filter(|(pid, _)| is_below(**pid));
    below.fold(Sum::default(), |all, (_, stat)| Sum {
        ticks: all.ticks + stat.sum.ticks,
        pages: all.pages + stat.sum.pages,
    })
}

/// Reads `pid (comm) state ppid …`, where `utime`, `stime`, `cutime` and `cstime` are fields 14 to 17, and `rss` is the 24th;
/// `comm` may hold anything, `)` too.
fn parse(stat: &str) -> Option<Stat> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    // The first field after the name is the third.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: field(4)?.try_into().ok()?,
        sum: Sum {
            ticks: field(14)? + field(15)? + field(16)? + field(17)?,
            pages: field(24)?,
        },
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
        assert_eq!(parse(line), Some(Stat { parent: 7, sum }));
        assert_eq!(parse("42 (a"), None);
        assert_eq!(parse("42 (a) S 7"), None);
    }

    #[test]
    fn those_below_are_summed_up_and_no_others() {
        let stat = |parent, ticks| Stat {
            parent,
            sum: Sum { ticks, pages: 1 },
        };
        let stats = [
            (10, stat(1, 1)),
            (11, stat(10, 20)),
            (12, stat(11, 300)),
            (20, stat(1, 4000)),
            // A circle that no moment had.
            (30, stat(31, 50_000)),
            (31, stat(30, 50_000)),
        ];
        assert_eq!(sum(&stats.into(), 10), Sum { ticks: 321, pages: 3 });
    }

    #[test]
    fn this_process_uses_something() {
        let sum = below(std::process::id()).unwrap();
        assert!(sum.pages > 0);
        assert_eq!(below(u32::MAX), None);
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
