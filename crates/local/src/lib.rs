//! Sessions on this machine, without a cluster: what of them is the machine's own.
//!
//! ```text
//!   places       where sessions are kept: a directory for this user alone
//!   name         short names of directories, from who a session belongs to and what it is called (pure)
//!   file         what is written down of a session
//!   lock         a directory that one process at a time changes
//!   sessions     all sessions: made, found, listed
//!   look         whether a session's agent lives
//!   start        the agent, started so that it outlives whoever starts it
//!   end          the end of a session: its agent, its processes, its directories
//!   processes    what runs in a session: frozen, let go on, killed
//!   cgroups      what killed agents have left of their commands' cgroups
//!   layout       the directories that commands see
//!   sandbox      a session of this process alone, without an agent
//! ```
//!
//! A session that outlives its process is a directory:
//!
//! ```text
//!   $XDG_RUNTIME_DIR/podbay/NAME/        mode 0700; locked (flock(2)) while a process makes, changes or removes it
//!     session.json                       what the session is
//!     secret.json                        its key and its variables
//!     lock                               locked by its agent for as long as that lives; what its cgroups are called
//!     socket                             mode 0600: where its agent is reached
//!     log                                what its agent complains of
//!   $XDG_STATE_HOME/podbay/NAME-RANDOM/  what its commands work in
//!     files/ home/ tmp/ spool/
//! ```
//!
//! It gets its name when all of it is there and locked, so that of many who make one session one succeeds, and whoever finds
//! it finds it whole. Its agent lives if the file `lock` is locked; no process id is believed. If nobody has either lock, the
//! session is lost: its agent was killed, or whoever made it died before there was one.
//!
//! **This is no isolation**: processes of a session have the rights of the user who starts it.

mod cgroups;
mod end;
mod error;
mod file;
mod layout;
mod lock;
mod look;
mod name;
mod places;
#[cfg_attr(not(target_os = "linux"), path = "no_processes.rs")]
mod processes;
mod sandbox;
mod sessions;
mod start;

pub use error::Error;
pub use file::SessionFile;
pub use layout::{Layout, work_directory};
pub use lock::Locked;
pub use look::Life;
pub use name::SessionName;
pub use places::{NoPlace, Places};
pub use podbay_process::LeftBehind;
pub use sandbox::{Closed, Sandbox, SandboxCommand};
pub use sessions::{Created, Found, NewSession, Sessions};
pub use start::{AgentProgram, NoAgent, NotStarted};
