//! The duties of PID 1, and of whoever waits for children: one owner of wait for the whole program.
//!
//! ```text
//!   children       all children of this program, and the thread that waits for them
//!   limits         how many descriptors may be open
//!   signals        what ends the sandbox, what is passed on, and what is not let in
//!   main_command   an image's own program below this one
//! ```

mod children;
mod limits;
mod main_command;
mod signals;

pub use children::{ChildEnd, Children, Spawned};
pub use limits::raise_open_files;
pub use main_command::run_main_command;
pub use signals::{EndingSignals, block_faults_of_others};
