//! The configuration as a whole, by its public interface.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what the tests' own helpers cannot do fails the test"
)]

mod any_input;
mod consistency;
mod each_setting;
mod errors;
mod generated;
mod openhands_file;
mod own_names;
mod precedence;
mod reference;
mod samples;
mod secrets;
mod show;
mod support;
