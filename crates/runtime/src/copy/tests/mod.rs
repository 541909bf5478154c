//! Copies over real processes.

mod round_trip;
mod sessions;
