//! Copies over real processes.

mod names;
mod round_trip;
mod sessions;
mod sizes;
