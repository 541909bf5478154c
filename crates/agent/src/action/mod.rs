//! The actions that OpenHands' clients ask a sandbox for, on any image: its action execution server's API, version 0, as
//! openhands-ai 1.6.0 has it.
//!
//! ```text
//!   request      what is asked for (pure); refusal what is answered to what can't be
//!   observation  what an action came to (pure)
//!   actions      from one to the other
//!   repeats      which requests are repetitions (pure); delivery carries each action out once
//!   shell/       commands, in a shell that stays
//!   python/      cells of Python, in an interpreter that stays
//!   editor/      files, as an agent's editor changes them
//!   vscode       VS Code in the browser, where the image has it
//!   files        files, read and written
//!   listing      names in a directory; archive zip files; transfer both ways; multipart forms (pure)
//!   held         what is looked for in bytes that come in pieces (pure)
//!   python_text  values as Python writes them (pure)
//! ```
//!
//! Where the answers differ from that server's, the test `openhands` of this crate says why.

mod actions;
mod archive;
mod delivery;
mod editor;
mod files;
mod held;
mod listing;
pub mod multipart;
pub mod observation;
mod python;
mod python_text;
mod refusal;
pub mod repeats;
pub mod request;
pub mod shell;
mod transfer;
mod vscode;

pub use actions::{ActionSettings, Actions};
pub use delivery::{Deliveries, Delivery};
pub use refusal::Refusal;
pub use repeats::Ending;
pub use transfer::{Download, Upload};
pub use vscode::VsCodeSettings;
