//! Archives as a whole: hostile ones, those of other programs, and our own.

mod archives;
mod hostile;
mod links;
mod packing;
mod rewriting;
mod tar_reading;
