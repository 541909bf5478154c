//! What a server says of itself.

use serde::{Deserialize, Serialize};

use super::figures::Figures;
use super::{API_VERSION, OLDEST_API_VERSION};

/// The answer to `GET` of [`super::path::SERVER_INFO`]. OpenHands reads `uptime`, `idle_time` and `resources` of it, as its own server
/// of actions has them.
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
    /// What the sandbox uses, some seconds ago; [`super::figures`] tells more of it. Absent before it was looked at for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

/// What a sandbox uses, by the names that OpenHands has for what its server's own process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Resources {
    /// Processor time in percent of one core, on average over the last ten seconds.
    pub cpu_percent: f64,
    /// Memory.
    pub memory: ResourceMemory,
    /// The filesystem of the directory that commands start in.
    pub disk: ResourceDisk,
    /// Bytes that were read from devices and written to them; 0 where nobody counts them.
    pub io: ResourceIo,
}

/// Memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ResourceMemory {
    /// The working set: what can't be given back without harm.
    pub rss: u64,
    /// The same once more: of a sandbox nobody reckons addresses that are not memory.
    pub vms: u64,
    /// The working set in percent of the sandbox's limit, without one of the machine's memory.
    pub percent: f64,
}

/// A filesystem, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ResourceDisk {
    /// All of it.
    pub total: u64,
    /// What is in use.
    pub used: u64,
    /// What is free for a user who is not root.
    pub free: u64,
    /// What is in use, in percent of what that user could have.
    pub percent: f64,
}

/// Bytes since the sandbox was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ResourceIo {
    /// Read from devices.
    pub read_bytes: u64,
    /// Written to devices.
    pub write_bytes: u64,
}

/// In percent; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "a percentage has few digits")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    // One digit after the point, as OpenHands' server has it.
    (part as f64 * 1000.0 / whole as f64).round() / 10.0
}

impl Resources {
    /// What these figures are, on a machine with so much memory; `io` is bytes read and written.
    pub fn of(figures: &Figures, machine: u64, (read_bytes, write_bytes): (u64, u64)) -> Self {
        let memory = figures.memory.unwrap_or_default();
        let disk = figures.disk.unwrap_or_default();
        let cores = figures.cpu.and_then(|cpu| cpu.cores).unwrap_or_default();
        Self {
            cpu_percent: (cores * 1000.0).round() / 10.0,
            memory: ResourceMemory {
                rss: memory.working_set,
                vms: memory.working_set,
                percent: percent(memory.working_set, memory.limit.unwrap_or(machine)),
            },
            disk: ResourceDisk {
                total: disk.total,
                used: disk.used,
                free: disk.free,
                percent: percent(disk.used, disk.used.saturating_add(disk.free)),
            },
            io: ResourceIo {
                read_bytes,
                write_bytes,
            },
        }
    }
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
            resources: None,
        }
    }

    /// The same with what the sandbox uses.
    #[must_use]
    pub const fn with_resources(mut self, resources: Option<Resources>) -> Self {
        self.resources = resources;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::figures::{CpuFigures, DiskFigures, MemoryFigures};

    #[test]
    fn figures_are_told_by_the_names_of_openhands() {
        let mut figures = Figures {
            cpu: Some(CpuFigures {
                cores: Some(1.2345),
                ..CpuFigures::default()
            }),
            memory: Some(MemoryFigures {
                working_set: 1000,
                limit: None,
            }),
            disk: Some(DiskFigures {
                total: 1000,
                used: 300,
                free: 600,
            }),
            ..Figures::default()
        };
        let told = serde_json::to_value(Resources::of(&figures, 8000, (5, 6))).unwrap();
        let expected = serde_json::json!({
            "cpu_percent": 123.5,
            "memory": {"rss": 1000, "vms": 1000, "percent": 12.5},
            "disk": {"total": 1000, "used": 300, "free": 600, "percent": 33.3},
            "io": {"read_bytes": 5, "write_bytes": 6},
        });
        assert_eq!(told, expected);
        figures.memory = figures.memory.map(|memory| MemoryFigures {
            limit: Some(2000),
            ..memory
        });
        let told = serde_json::to_value(Resources::of(&figures, 8000, (0, 0))).unwrap();
        assert_eq!(told["memory"]["percent"], 50.0);
        assert_eq!(
            Resources::of(&Figures::default(), 0, (0, 0)),
            Resources::default()
        );
    }

    #[test]
    fn what_an_earlier_server_says_is_read() {
        let text = r#"{"name":"podbay-agent","version":"0.1.0","api":{"oldest":1,"newest":1},"uptime":1.5,"idle_time":0.0}"#;
        let info: ServerInfo = serde_json::from_str(text).unwrap();
        assert_eq!(info, ServerInfo::new("0.1.0", 1.5, 0.0));
        assert_eq!(serde_json::to_string(&info).unwrap(), text);
    }
}
