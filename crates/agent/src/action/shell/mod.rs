//! A shell that stays: commands are run in it one after the other, and what one changes the next one finds.
//!
//! ```text
//!   split     whether a text is one command (pure)
//!   typed     what is typed into the shell (pure)
//!   marker    the marks by which it says where it is (pure)
//!   screen    what its output looks like (pure)
//!   model     where it is, from what it wrote (pure)
//!   texts     what is told of commands that are not over (pure)
//!   process   the shell as a process of the agent
//!   session   one command at a time
//! ```

pub mod marker;
pub mod model;
mod process;
pub mod screen;
mod session;
pub mod split;
mod texts;
pub mod typed;

pub use session::{Session, ShellSettings};

/// Which shell it is: what is typed into it depends on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// bash.
    Bash,
    /// Another shell that reads what POSIX says, as `sh`.
    Sh,
}
