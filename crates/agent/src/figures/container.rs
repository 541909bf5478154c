//! Readings from the kernel.

use std::fs;
use std::path::Path;

use podbay_protocol::agent::figures::{CpuFigures, DiskFigures, MemoryFigures, NetworkFigures};

use super::proc;
use crate::cgroup::{self, File, Text};

/// What is read at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    pub(super) cpu: Option<CpuFigures>,
    pub(super) memory: Option<MemoryFigures>,
    pub(super) network: Option<NetworkFigures>,
}

/// From this many bytes on a limit of version 1 is none: it is the largest number of pages (cgroup-v1/memory.rst).
const UNLIMITED: u64 = i64::MAX as u64 / 4096 * 4096;

/// Reads what the sandbox uses. A container has a cgroup and a network of its own; anywhere else these are shared with what is
/// none of the sandbox's, and the processes below this one are counted.
pub(super) fn read() -> Reading {
    if std::process::id() == 1 {
        let network = fs::read_to_string("/proc/net/dev").ok().map(|text| {
            let mut figures = NetworkFigures::default();
            (figures.received, figures.sent) = proc::network(&text);
            figures
        });
        let cpu = cpu();
        let memory = memory();
        if cpu.is_some() && memory.is_some() {
            return Reading { cpu, memory, network };
        }
        return Reading {
            network,
            ..of_processes()
        };
    }
    of_processes()
}

#[expect(clippy::cast_precision_loss, reason = "clock ticks are far fewer than 2^52")]
fn of_processes() -> Reading {
    let Some(sum) = proc::below(rustix::process::getpid()) else {
        return Reading::default();
    };
    let mut cpu = CpuFigures::default();
    cpu.seconds = sum.ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    let mut memory = MemoryFigures::default();
    memory.working_set = sum.pages * rustix::param::page_size() as u64;
    Reading {
        cpu: Some(cpu),
        memory: Some(memory),
        network: None,
    }
}

fn cpu() -> Option<CpuFigures> {
    let usage = cgroup::read(File {
        unified: "cpu.stat",
        controller: "cpuacct",
        legacy: "cpuacct.usage",
    })?;
    let quota = cgroup::read(File {
        unified: "cpu.max",
        controller: "cpu",
        legacy: "cpu.cfs_quota_us",
    });
    let period = cgroup::read(File {
        unified: "cpu.max",
        controller: "cpu",
        legacy: "cpu.cfs_period_us",
    });
    let mut cpu = CpuFigures::default();
    cpu.seconds = cpu_seconds(&usage)?;
    cpu.limit = quota
        .zip(period)
        .and_then(|(quota, period)| cores(&quota, &period));
    Some(cpu)
}

#[expect(clippy::cast_precision_loss, reason = "microseconds and nanoseconds of years")]
fn cpu_seconds(usage: &Text) -> Option<f64> {
    match usage {
        Text::Unified(text) => Some(cgroup::value(text, "usage_usec")? as f64 / 1e6),
        Text::Legacy(text) => Some(text.trim().parse::<u64>().ok()? as f64 / 1e9),
    }
}

/// Cores by quota and period, both in microseconds; none without a quota (`max`, -1).
fn cores(quota: &Text, period: &Text) -> Option<f64> {
    let (quota, period) = match (quota, period) {
        (Text::Unified(text), _) => text.trim().split_once(' ')?,
        (Text::Legacy(quota), Text::Legacy(period)) => (quota.trim(), period.trim()),
        (Text::Legacy(_), Text::Unified(_)) => return None,
    };
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

fn memory() -> Option<MemoryFigures> {
    let controller = "memory";
    let usage = cgroup::read(File {
        unified: "memory.current",
        controller,
        legacy: "memory.usage_in_bytes",
    })?;
    let statistics = cgroup::read(File {
        unified: "memory.stat",
        controller,
        legacy: "memory.stat",
    })?;
    let limit = cgroup::read(File {
        unified: "memory.max",
        controller,
        legacy: "memory.limit_in_bytes",
    });
    let mut memory = MemoryFigures::default();
    memory.working_set = working_set(usage.as_str(), &statistics)?;
    memory.limit = limit.and_then(|limit| limit.as_str().trim().parse().ok());
    memory.limit = memory.limit.filter(|limit| *limit < UNLIMITED);
    Some(memory)
}

/// As the kubelet reckons it (cAdvisor, `setMemoryStats`).
fn working_set(usage: &str, statistics: &Text) -> Option<u64> {
    let usage: u64 = usage.trim().parse().ok()?;
    let inactive = match statistics {
        Text::Unified(text) => cgroup::value(text, "inactive_file"),
        Text::Legacy(text) => cgroup::value(text, "total_inactive_file"),
    };
    Some(usage.saturating_sub(inactive.unwrap_or(0)))
}

/// Bytes of the machine's memory; 0 where that is not told.
pub(super) fn machine_memory() -> u64 {
    let machine = rustix::system::sysinfo();
    machine.totalram.saturating_mul(machine.mem_unit.into())
}

/// Bytes that the sandbox has read from devices and written to them; none where its cgroup is not its own or counts none.
pub(super) fn io() -> (u64, u64) {
    if std::process::id() != 1 {
        return (0, 0);
    }
    let counted = cgroup::read(File {
        unified: "io.stat",
        controller: "blkio",
        legacy: "blkio.throttle.io_service_bytes",
    });
    counted.map_or((0, 0), |text| moved(&text))
}

/// The sums over devices.
fn moved(text: &Text) -> (u64, u64) {
    let words = text.as_str().lines().flat_map(str::split_whitespace);
    let sum = |values: &mut dyn Iterator<Item = &str>| {
        values
            .filter_map(|value| value.parse::<u64>().ok())
            .fold(0, u64::saturating_add)
    };
    match text {
        // `8:0 rbytes=1 wbytes=2 rios=…`
        Text::Unified(_) => (
            sum(&mut words.clone().filter_map(|word| word.strip_prefix("rbytes="))),
            sum(&mut words.filter_map(|word| word.strip_prefix("wbytes="))),
        ),
        // `8:0 Read 1`
        Text::Legacy(text) => {
            let of = |kind: &str| {
                let mut lines = text.lines().filter_map(|line| {
                    let mut words = line.split_whitespace().skip(1);
                    (words.next() == Some(kind)).then(|| words.next()).flatten()
                });
                sum(&mut lines)
            };
            (of("Read"), of("Write"))
        }
    }
}

/// The filesystem that `directory` is in.
pub(super) fn disk(directory: &Path) -> Option<DiskFigures> {
    let found = rustix::fs::statvfs(directory).ok()?;
    let mut disk = DiskFigures::default();
    disk.total = found.f_blocks.saturating_mul(found.f_frsize);
    disk.used = found
        .f_blocks
        .saturating_sub(found.f_bfree)
        .saturating_mul(found.f_frsize);
    disk.free = found.f_bavail.saturating_mul(found.f_frsize);
    Some(disk)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unified(text: &str) -> Text {
        Text::Unified(text.to_owned())
    }

    fn legacy(text: &str) -> Text {
        Text::Legacy(text.to_owned())
    }

    #[test]
    fn both_versions_of_cgroups_are_read() {
        assert_eq!(
            cpu_seconds(&unified("usage_usec 2500000\nuser_usec 1\n")),
            Some(2.5)
        );
        assert_eq!(cpu_seconds(&legacy("2500000000\n")), Some(2.5));
        assert_eq!(cpu_seconds(&legacy("")), None);
        for (quota, period, limit) in [
            (unified("150000 100000\n"), unified("150000 100000\n"), Some(1.5)),
            (unified("max 100000\n"), unified("max 100000\n"), None),
            (legacy("50000\n"), legacy("100000\n"), Some(0.5)),
            (legacy("-1\n"), legacy("100000\n"), None),
        ] {
            assert_eq!(cores(&quota, &period), limit, "{quota:?}");
        }
        assert_eq!(
            working_set("1000\n", &unified("active_file 1\ninactive_file 300\n")),
            Some(700)
        );
        assert_eq!(
            working_set("1000\n", &legacy("inactive_file 1\ntotal_inactive_file 2000\n")),
            Some(0)
        );
    }

    #[test]
    fn what_was_moved_is_summed_over_devices() {
        let text = "8:0 rbytes=100 wbytes=20 rios=1 wios=1\n9:1 rbytes=1 wbytes=2 rios=1\n";
        assert_eq!(moved(&unified(text)), (101, 22));
        let text = "8:0 Read 100\n8:0 Write 20\n8:0 Sync 7\n9:1 Read 1\nTotal 121\n";
        assert_eq!(moved(&legacy(text)), (101, 20));
        assert_eq!(moved(&unified("")), (0, 0));
        assert!(machine_memory() > 0);
    }

    #[test]
    fn something_can_be_read_here() {
        let reading = read();
        assert!(reading.memory.is_some_and(|memory| memory.working_set > 0));
        assert!(reading.cpu.is_some());
        let disk = disk(Path::new("/")).unwrap();
        assert!(disk.total >= disk.used && disk.total > 0);
        assert!(super::disk(Path::new("/no/such/directory")).is_none());
    }
}
