//! The remote-command protocol against a scripted server.
//!
//! ```text
//!   streams.rs      what kube's own helper hangs on or loses        faults.rs   how connections die
//!   input.rs        standard input and terminal sizes               codec.rs    frames, without a connection
//!   liveness.rs     silence, on a paused clock                      fake_server.rs, pattern.rs
//! ```

#[cfg(test)]
mod codec;
#[cfg(test)]
mod fake_server;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod input;
#[cfg(test)]
mod liveness;
#[cfg(test)]
mod pattern;
#[cfg(test)]
mod streams;
