//! Requests about a process, and their answers. What to start is a [`ProcessSpec`](crate::ProcessSpec), what there is a
//! [`ProcessInfo`].

use serde::{Deserialize, Serialize};

use crate::process::{Offsets, ProcessInfo, ReaderId, Signal, SignalTarget};

/// All processes: the answer to `GET` of [`super::path::PROCESSES`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProcessList {
    /// Those that run, and those that ended and are remembered.
    pub processes: Vec<ProcessInfo>,
}

/// What a reader has taken of the outputs, and will not ask for again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Acknowledgement {
    /// The reader's name, chosen by it.
    pub reader: ReaderId,
    /// All before this offset of standard output.
    pub stdout: u64,
    /// All before this offset of standard error.
    pub stderr: u64,
}

impl Acknowledgement {
    /// What was taken.
    pub const fn taken(&self) -> Offsets {
        Offsets {
            stdout: self.stdout,
            stderr: self.stderr,
        }
    }
}

/// How much of a log of bytes the server has: the answer to a write at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Taken {
    /// In bytes from its beginning. What follows is to be sent from here.
    pub offset: u64,
}

/// A signal to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignalRequest {
    /// Which.
    pub signal: Signal,
    /// To whom.
    pub target: SignalTarget,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_keep_their_shape_on_the_wire() {
        let text = r#"{"reader":"r","stdout":1,"stderr":2}"#;
        let acknowledgement: Acknowledgement = serde_json::from_str(text).unwrap();
        assert_eq!(acknowledgement.taken(), Offsets { stdout: 1, stderr: 2 });
        assert_eq!(serde_json::to_string(&acknowledgement).unwrap(), text);
        let text = r#"{"signal":15,"target":"tree"}"#;
        let signal: SignalRequest = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&signal).unwrap(), text);
        assert!(serde_json::from_str::<SignalRequest>(r#"{"signal":0,"target":"tree"}"#).is_err());
    }
}
