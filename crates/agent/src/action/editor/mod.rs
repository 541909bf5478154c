//! Files as an agent's editor changes them: `view`, `create`, `str_replace`, `insert` and `undo_edit`, with the messages of
//! openhands-aci 0.3.3 (`openhands_aci/editor/`), which models were taught by.
//!
//! ```text
//!   commands   what each does
//!   text       files as text, put back as they came
//!   history    what can be undone
//!   diff       what changed (pure)
//!   show       numbered lines, and what is too long (pure)
//!   directory  what is in a directory
//! ```

mod commands;
mod diff;
mod directory;
mod history;
mod show;
pub(super) mod text;

pub(super) use commands::Editor;
