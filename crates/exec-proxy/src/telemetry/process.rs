//! Figures of this process, by the names that Prometheus' own libraries give them. From /proc; nothing where there is none.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// This process.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut gauge = |name, help, unit: Option<&Unit>, value: Option<u64>| {
            let Some(value) = value.and_then(|value| i64::try_from(value).ok()) else {
                return Ok(());
            };
            let metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)
        };
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        gauge(
            "process_resident_memory",
            "Memory that this process has",
            Some(&Unit::Bytes),
            kibibytes(&status, "VmRSS:").map(|kibibytes| kibibytes * 1024),
        )?;
        let open = std::fs::read_dir("/proc/self/fd").ok();
        gauge(
            "process_open_fds",
            "Descriptors that this process has open",
            None,
            open.and_then(|all| u64::try_from(all.count()).ok()),
        )?;
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        gauge(
            "process_max_fds",
            "Descriptors that it may have open",
            None,
            soft_limit(&limits, "Max open files"),
        )
    }
}

/// A line of /proc/self/status.
fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The soft limit in a line of /proc/self/limits; none where there is no limit.
fn soft_limit(limits: &str, name: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_are_read() {
        assert_eq!(kibibytes("Name:\tx\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12));
        let limits = "Limit   Soft Limit  Hard Limit  Units\nMax open files            1024       4096      files\n\
                      Max processes  unlimited  unlimited  processes\n";
        assert_eq!(soft_limit(limits, "Max open files"), Some(1024));
        assert_eq!(soft_limit(limits, "Max processes"), None);
        assert_eq!(soft_limit("", "Max open files"), None);
    }
}
