//! Figures of the index, taken when they are asked for.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::sessions::AllSessions;

/// The sessions of a service.
pub(super) struct OfSessions(pub(super) AllSessions);

impl fmt::Debug for OfSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfSessions")
    }
}

impl Collector for OfSessions {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        // Of this machine's own sessions there is no index.
        let Some((states, staleness)) = self.0.figures() else {
            return Ok(());
        };
        let mut sessions = encoder.encode_descriptor(
            "sessions",
            "Sessions by their state, those of every owner",
            None,
            MetricType::Gauge,
        )?;
        for (state, count) in states {
            let count = ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX));
            count.encode(sessions.encode_family(&[("state", state)])?)?;
        }
        let stale = encoder.encode_descriptor(
            "index_staleness",
            "How old what is known of them may be; 0 while the watches are in touch with the cluster",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        ConstGauge::new(staleness.as_secs_f64()).encode(stale)
    }
}
