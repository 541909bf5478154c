//! What a server says of itself.

use serde::{Deserialize, Serialize};

use super::{API_VERSION, OLDEST_API_VERSION};

/// The answer to `GET` of [`super::path::SERVER_INFO`]. OpenHands reads `uptime` and `idle_time` of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ServerInfo {
    /// What it is.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The versions of the API that it answers.
    pub api: ApiVersions,
    /// Seconds since it was started.
    pub uptime: f64,
    /// Seconds since it had something to do; 0 while it has.
    pub idle_time: f64,
}

/// A range of versions of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApiVersions {
    /// The oldest one.
    pub oldest: u32,
    /// The newest one.
    pub newest: u32,
}

impl Default for ApiVersions {
    /// What a server with this crate answers.
    fn default() -> Self {
        Self {
            oldest: OLDEST_API_VERSION,
            newest: API_VERSION,
        }
    }
}

impl ServerInfo {
    /// What a server of this `version` says which has run for `uptime` and been idle for `idle_time` seconds.
    pub fn new(version: impl Into<String>, uptime: f64, idle_time: f64) -> Self {
        Self {
            name: "podbay-agent".to_owned(),
            version: version.into(),
            api: ApiVersions::default(),
            uptime,
            idle_time,
        }
    }
}
