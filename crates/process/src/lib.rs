//! Processes of this host: started from argv, environment and directory, their streams carried to and from the
//! caller, and killed with all their descendants.
//!
//! ```text
//!   spec            what to start
//!   start           a process with pipes; start_error why it could not be started
//!   terminal        a process with a terminal
//!   process         what the caller holds: input, outputs, end
//!   streams, pump   the tasks that carry the bytes; queue what lies between them and the caller
//!   supervisor      waits for the end, and kills when the process is given up
//!   tree/           all processes of one tree by the mark they carry, and making an end of them; what is below a process
//!   tally           counts, hashes and keeps what comes out (pure)
//!   dispositions, descriptors     what a process must not inherit of this one's
//!   host_environment, private_directory, removal   the cleaned environment and the private directory of a local session
//! ```
//!
//! A process ends when it exits. What it wrote until then is always delivered; what the processes it left behind
//! still write to its streams is delivered for at most [`LINGER`], and an [`Output`] that was cut short by that says so.
//! (A container runtime waits without end there, so that one forgotten daemon hangs an exec.) They themselves go on
//! until their [`ProcessTree`] is killed.
//!
//! **This is no isolation**: a process has the rights of the user who starts it.
//!
//! ```
//! use futures::StreamExt as _;
//! use podbay_process::{ProcessEnd, ProcessSpec, ProcessTree};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let tree = ProcessTree::new("example");
//! let mut process = tree.start(&ProcessSpec::new(["sh", "-c", "echo hello; exit 3"]))?;
//! assert_eq!(process.stdout.next().await.as_deref(), Some(b"hello\n".as_slice()));
//! assert_eq!(process.end.await, ProcessEnd::Exited { code: 3 });
//! # Ok(())
//! # })
//! # }
//! ```

mod descriptors;
mod dispositions;
mod host_environment;
mod private_directory;
mod process;
mod pump;
mod queue;
mod removal;
mod spec;
mod start;
mod start_error;
mod streams;
mod supervisor;
mod tally;
mod terminal;
mod tree;

pub use descriptors::keep_descriptors_from_commands;
pub use dispositions::take_over_ignored;
pub use host_environment::HostEnvironment;
pub use podbay_protocol::TerminalSize;
pub use private_directory::PrivateDirectory;
pub use process::{Input, InputClosed, Output, Process, ProcessEnd};
pub use removal::{LeftBehind, remove_tree};
pub use spec::ProcessSpec;
pub use start_error::StartError;
pub use streams::LINGER;
pub use tally::Tally;
pub use tree::{ProcessTree, VARIABLE, sees_all_processes};
#[cfg(target_os = "linux")]
pub use tree::{descent, proc_fs};

/// The README's example is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
