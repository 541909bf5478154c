//! Archives as a whole: hostile ones, those of other programs, and our own.

mod archives;
mod hostile;
mod packing;
mod tar_reading;
