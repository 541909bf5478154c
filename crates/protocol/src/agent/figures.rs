//! What a sandbox uses, and since when nobody needs it.

use serde::{Deserialize, Serialize};

/// The answer to `GET` of [`super::path::FIGURES`]. What can't be known on a machine is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Figures {
    /// Processor time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuFigures>,
    /// Memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryFigures>,
    /// The filesystem of the directory that commands start in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskFigures>,
    /// All network interfaces but the loopback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkFigures>,
    /// Whether anybody needs the sandbox.
    pub idle: Idle,
}

/// Processor time of all processes of a sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct CpuFigures {
    /// Seconds of one core that were used since the sandbox was made.
    pub seconds: f64,
    /// Cores that were in use on average since the last but one reading, which is some ten seconds ago. Absent before there were
    /// two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<f64>,
    /// The most cores it may use; absent without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
}

/// Memory of a sandbox, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct MemoryFigures {
    /// What can't be given back without harm: what is charged to the sandbox without files that were not used lately, as the
    /// kubelet reckons the working set.
    pub working_set: u64,
    /// The most it may use; absent without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// A filesystem, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct DiskFigures {
    /// All of it.
    pub total: u64,
    /// What is in use.
    pub used: u64,
    /// What is free for a user who is not root.
    pub free: u64,
}

/// Bytes that went over the network since the sandbox was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct NetworkFigures {
    /// Bytes that came in.
    pub received: u64,
    /// Bytes that went out.
    pub sent: u64,
}

/// Since when nobody needs a sandbox, as far as can be seen from within, and why it is thought to be needed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Idle {
    /// Seconds; 0 while somebody needs it. The least of those of all signals.
    pub seconds: f64,
    /// The signal that was seen last.
    pub why: IdleSignal,
    /// Each signal.
    pub signals: Vec<IdleSignalAge>,
}

/// A sign that somebody needs a sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IdleSignal {
    /// It was started.
    #[default]
    Started,
    /// A request with the session's key is answered, the reading of an output among them.
    Requests,
    /// A process that a client has started runs.
    Processes,
    /// Its processes use processor time.
    Cpu,
    /// Bytes go over the network: somebody uses a port of the sandbox, or it fetches something.
    Network,
    /// A client asked for it to be kept ([`HoldRequest`]).
    Hold,
    /// One that only later versions know.
    #[serde(other)]
    Other,
}

/// When a signal was seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IdleSignalAge {
    /// The signal.
    pub signal: IdleSignal,
    /// Seconds since it was seen last; 0 while it is.
    pub seconds: f64,
}

/// The body of a `PUT` to [`super::path::HOLD`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HoldRequest {
    /// For how many seconds from now on the sandbox counts as needed, at most a day. A later hold takes the place of an
    /// earlier one; 0 ends it.
    pub seconds: f64,
}

impl IdleSignal {
    /// The word for it, as it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Requests => "requests",
            Self::Processes => "processes",
            Self::Cpu => "cpu",
            Self::Network => "network",
            Self::Hold => "hold",
            Self::Other => "other",
        }
    }
}

impl Idle {
    /// Of signals that were seen so many seconds ago. The sandbox was started `uptime` seconds ago.
    pub fn of(uptime: f64, signals: Vec<IdleSignalAge>) -> Self {
        let started = IdleSignalAge {
            signal: IdleSignal::Started,
            seconds: uptime,
        };
        let last = signals
            .iter()
            .copied()
            .chain([started])
            .min_by(|one, other| one.seconds.total_cmp(&other.seconds))
            .unwrap_or(started);
        Self {
            seconds: last.seconds,
            why: last.signal,
            signals,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_signal_that_was_seen_last_decides() {
        let age = |signal, seconds| IdleSignalAge { signal, seconds };
        let idle = Idle::of(
            100.0,
            vec![age(IdleSignal::Requests, 30.0), age(IdleSignal::Cpu, 12.5)],
        );
        assert_eq!((idle.seconds, idle.why), (12.5, IdleSignal::Cpu));
        let idle = Idle::of(5.0, vec![age(IdleSignal::Requests, 30.0)]);
        assert_eq!((idle.seconds, idle.why), (5.0, IdleSignal::Started));
        let idle = Idle::of(7.0, Vec::new());
        assert_eq!((idle.seconds, idle.why), (7.0, IdleSignal::Started));
    }

    #[test]
    fn what_is_not_known_is_absent_and_what_later_versions_say_is_read() {
        let figures = Figures::default();
        assert_eq!(
            json!(figures),
            json!({"idle": {"seconds": 0.0, "why": "started", "signals": []}})
        );
        let later = json!({
            "gpu": {"memory": 7},
            "cpu": {"seconds": 1.5, "throttled": 3},
            "idle": {"seconds": 1.0, "why": "telepathy", "signals": [{"signal": "cpu", "seconds": 1.0}]},
        });
        let read: Figures = serde_json::from_value(later).unwrap();
        assert_eq!(
            (read.idle.why, read.cpu.unwrap().seconds),
            (IdleSignal::Other, 1.5)
        );
    }

    #[test]
    fn the_word_is_that_of_json() {
        for signal in [
            IdleSignal::Started,
            IdleSignal::Requests,
            IdleSignal::Processes,
            IdleSignal::Cpu,
            IdleSignal::Network,
            IdleSignal::Hold,
            IdleSignal::Other,
        ] {
            assert_eq!(json!(signal), json!(signal.as_str()));
        }
    }
}
