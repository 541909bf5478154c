//! Copies as a whole: hostile archives, and round trips over real processes.

mod archive_reading;
mod archives;
mod hostile;
mod packing;
mod round_trip;
mod sessions;
