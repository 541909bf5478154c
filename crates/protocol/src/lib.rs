//! Wire types of Podbay: what the command line, the runtime and the services that follow tell one another
//! and their users, in serialisable form.
//!
//! * [`agent`]: the native API of the server inside a sandbox.
//! * [`code`]: the stable code of every error a user can meet.
//! * [`field`]: what a session is asked with.
//! * [`hex`]: bytes as hexadecimal digits.
//! * [`hint`]: what to do about a failure.
//! * [`outcome`]: how a command ended, with the proof that its output is complete.
//! * [`phase`]: the steps of a session's start, and OpenHands' status names for them.
//! * [`pod_loss`]: a pod that was lost, as the session's record keeps it.
//! * [`process`]: a process in a sandbox: what to run, offsets, signals, the record of its end.
//! * [`session_state`]: the state of a session, the same value for whoever looks at it.
//! * [`start_failure`]: a start that failed, as the session's record keeps it.
//! * [`terminal`]: the size of a command's terminal.
//! * [`transport`]: how a command got into its sandbox.
//! * [`verdict`]: why a session or a command failed, whose fault it is and whether a retry can help.
//! * [`words`]: what fields and operations are called on each surface.
//!
//! The crate knows no transport, no Kubernetes type and no clock: every value is given to it.

pub mod agent;
mod choices;
pub mod code;
pub mod field;
pub mod hex;
pub mod hint;
pub mod outcome;
pub mod phase;
pub mod pod_loss;
pub mod process;
#[cfg(feature = "openapi")]
mod schema;
pub mod session_state;
pub mod start_failure;
pub mod terminal;
pub mod transport;
pub mod verdict;
pub mod words;

pub use choices::UnknownWord;
pub use code::ErrorCode;
pub use field::Field;
pub use hint::Hint;
pub use outcome::{Content, End, Outcome, OutcomeRecord, StreamRecord, StreamSummary};
pub use phase::{PhaseTimes, RuntimeStatus, StartPhase};
pub use pod_loss::PodLoss;
pub use process::{
    EndRecord, Environment, Offsets, ProcessEnd, ProcessId, ProcessInfo, ProcessSpec, ProcessUser, ReaderId,
    ResourceUsage, Retention, Signal, SignalTarget, StreamEnd, StreamName, UnknownSignal,
};
pub use session_state::{Degraded, SessionState};
pub use start_failure::StartFailure;
pub use terminal::TerminalSize;
pub use transport::{DialWay, PassedOver, TransportKind, TransportUsed};
pub use verdict::{Blame, Cause, Retry, Verdict};
pub use words::{Library, Operation, Words};

/// The README's example is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
