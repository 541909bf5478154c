//! The node's half of the embedded cluster: what becomes of a pod that was created. Here: whether it can run
//! and with which environment, decided from the objects alone; its private directory and its processes are
//! [`sandbox`]'s.

mod admission;
mod paths;
mod sandbox;
mod status;

pub use admission::HOST_IMAGE;
pub(crate) use admission::{Admitted, Refusal, admit};
pub(crate) use sandbox::{Closed, Place, Sandbox};
pub(crate) use status::{refused, refused_event, running};
