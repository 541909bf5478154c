//! Wire types of Podbay: what the command line, the runtime and the services that follow tell one another
//! and their users, in serialisable form.
//!
//! * [`code`]: the stable code of every error a user can meet.
//! * [`outcome`]: how a command ended, with the proof that its output is complete.
//! * [`phase`]: the steps of a session's start, and OpenHands' status names for them.
//! * [`session_state`]: the state of a session, the same value for whoever looks at it.
//! * [`terminal`]: the size of a command's terminal.
//! * [`verdict`]: why a session or a command failed, whose fault it is and whether a retry can help.
//!
//! The crate knows no transport, no Kubernetes type and no clock: every value is given to it.

pub mod code;
pub mod outcome;
pub mod phase;
pub mod session_state;
pub mod terminal;
pub mod verdict;

pub use code::ErrorCode;
pub use outcome::{Content, End, Outcome, OutcomeRecord, StreamRecord, StreamSummary};
pub use phase::{PhaseTimes, RuntimeStatus, StartPhase};
pub use session_state::{Degraded, SessionState};
pub use terminal::TerminalSize;
pub use verdict::{Blame, Cause, CauseError, Retry, Verdict};
