//! One supervisor for each process: a mode of this program that stands between the agent and one command.
//!
//! ```text
//!   agent ──socket──> supervisor ──> command ──> what it starts …
//!                        └───────────────────── … also once it is an orphan
//! ```
//!
//! A descendant that daemonises, leaves its session or clears its environment stays below the supervisor, which is
//! therefore able to signal and to kill all of it, and ends when nothing is left. When the agent is gone, the
//! supervisor kills what is below; when the supervisor was killed, the agent does.
//!
//! Out of reach is what a process of another user does (a set-user-id program, unless
//! [`no_new_privileges`](crate::process::ProcessSettings) is set), and, only while the supervisor itself is dead, one that
//! left its session *and* cleared its environment. Killing the supervisor takes the rights of the agent's user.
//!
//! ```text
//!   launch     what to start, as a file in memory (pure)
//!   message    what is said between the two; channel how it is carried
//!   user       users of the image, from its files (pure)
//!   start      starting the command; direct without a copy of the supervisor
//!   run        the supervisor's loop; what is below it is found by `podbay_process::descent`
//!   handle     the supervisor as the agent holds it; spare one that was started ahead
//! ```

mod channel;
mod direct;
mod handle;
mod launch;
mod message;
mod run;
mod spare;
mod start;
mod user;

pub(crate) use handle::{Supervisor, Told, kill_left};
pub(crate) use launch::{Launch, Manner, Streams, UserChoice, variable};
pub(crate) use message::{Event, Order, Usage};
pub use run::supervise;
pub(crate) use spare::Spare;
pub(crate) use start::reason;
pub(crate) use user::user_name;
