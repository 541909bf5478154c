//! Whether a configuration can be used, asked before anything is.

use podbay_config::Config;
use podbay_manifests::{SessionRequest, SessionSpec};

use crate::error::Error;
use crate::lifecycle::RetryPolicy;
use crate::podbay::parse_id;

/// The session that a configuration is tried with: any would do.
const SAMPLE: &str = "check";

/// Checks what loading a configuration can't: quantities, names, pieces of the Kubernetes API, and whether a session that
/// asks for nothing in particular could be made with it.
pub fn check_configuration(config: &Config) -> Result<(), Error> {
    RetryPolicy::of(config)?;
    SessionSpec::validate(
        parse_id(SAMPLE)?,
        &config.kubernetes.namespace,
        config,
        SessionRequest::default(),
    )
    .map(drop)
    .map_err(|source| Error::Configuration { source })
}
