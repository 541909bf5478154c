//! The server as its clients see it, over both protocols.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod actions;
mod client;
mod figures;
mod files;
mod hostile;
mod http2;
mod open;
mod openhands;
mod processes;
mod repeated;
mod resumed;
mod terminals;
mod transfers;
mod trees;
mod vscode;
