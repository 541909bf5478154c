//! The duties of PID 1, and of whoever waits for children: one owner of wait for the whole program.

mod children;

pub use children::{ChildEnd, Children, Spawned};
