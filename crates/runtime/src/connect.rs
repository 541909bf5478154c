//! The client of a Kubernetes cluster.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use podbay_config::{Config, Origin};
use podbay_k8s_client::live::CallLimits;
use podbay_k8s_client::remote_command::DriverOptions;
use podbay_k8s_client::{Cluster, ClusterClient, LiveClient};

use crate::error::Error;

/// Seconds that one call may take: ours, or OpenHands' setting where only that was given.
fn request_timeout(config: &Config) -> u64 {
    match (
        config.origin("podbay.request_timeout_seconds"),
        config.sandbox.remote_runtime_api_timeout,
    ) {
        (Origin::Default, Some(seconds)) => seconds,
        _ => config.podbay.request_timeout_seconds,
    }
}

/// Connects to a cluster with the limits of the configuration. Returns the namespace of its context too.
pub(crate) async fn connect(
    cluster: &Cluster,
    config: &Config,
) -> Result<(Arc<dyn ClusterClient>, String), Error> {
    let settings = &config.podbay;
    let number = |key: &'static str, value: u32| {
        NonZeroU32::new(value).ok_or(Error::Setting {
            key,
            message: "must be more than 0".to_owned(),
        })
    };
    let limits = CallLimits {
        deadline: Duration::from_secs(request_timeout(config)),
        per_second: number("podbay.requests_per_second", settings.requests_per_second)?,
        burst: number("podbay.request_burst", settings.request_burst)?,
        ..CallLimits::default()
    };
    let exec = DriverOptions {
        ping_interval: Duration::from_secs(settings.exec_ping_interval_seconds),
        ping_timeout: Duration::from_secs(settings.exec_ping_timeout_seconds),
        ..DriverOptions::default()
    };
    let client = LiveClient::connect(cluster, limits, exec)
        .await
        .map_err(|source| Error::Connect { source })?;
    let namespace = client.default_namespace().to_owned();
    Ok((Arc::new(client), namespace))
}
