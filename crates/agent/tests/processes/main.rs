//! Processes of an agent, by the library and the real supervisor.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod bugs_of_others;
mod clients;
mod groups;
mod programs;
mod spare;
mod support;
mod terminals;
