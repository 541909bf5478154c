//! Tests of the crate as a whole: from a request and a configuration to objects.

use podbay_config::Config;

use crate::request::SessionRequest;
use crate::session_spec::{SessionSecrets, SessionSpec, SpecErrors};

mod addresses;
mod agents;
mod amounts;
mod differences;
mod effects;
mod invariants;
mod objects;
mod openhands;
mod records;
mod refusals;
mod refused_settings;

fn validate(config: &Config, request: SessionRequest) -> Result<(SessionSpec, SessionSecrets), SpecErrors> {
    SessionSpec::validate("demo".parse().unwrap(), "agents", config, request)
}

/// The specification of a session called `demo` with everything left to its default.
fn default_spec() -> SessionSpec {
    validate(&Config::default(), SessionRequest::default()).unwrap().0
}

/// A variable for a request or a configuration.
fn variable(name: &str, value: &str) -> (String, secrecy::SecretString) {
    (name.into(), value.into())
}
