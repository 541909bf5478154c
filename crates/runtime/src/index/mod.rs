//! All sessions of a namespace, from two watches: over records and over pods.
//!
//! ```text
//!   join.rs     records and pods joined by label; apply, delete, reset   (pure)
//!   view.rs     one session of it                                        (pure)
//!   watch.rs    the watches that feed it, and those who follow one session
//!   changes.rs  those who follow all
//! ```
//!
//! What is kept of each object is trimmed to what decisions depend on.

mod changes;
mod join;
#[cfg(test)]
mod tests;
mod view;
mod watch;

pub use changes::Changes;
pub(crate) use join::Join;
pub use view::SessionView;
pub(crate) use watch::{PodState, without_source};
pub use watch::{SessionIndex, SessionReceiver};
