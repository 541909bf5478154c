//! The API server's half of a cluster: objects in memory, with the API's semantics. The objects themselves are
//! kept synchronously, without clock or randomness of their own; only watches wait.

mod defaults;
mod denial;
mod history;
mod kept;
mod objects;
mod quantity;
mod quota;
mod relations;
mod revise;
mod watch;

pub(crate) use denial::Denial;
pub(crate) use kept::Kept;
pub(crate) use objects::drop_finalizer;
pub(crate) use objects::{Birth, Deleted, Deletion, News, Store};
pub(crate) use podbay_k8s_client::{Selector, SelectorError};
pub(crate) use quantity::Amount;
pub(crate) use watch::{Following, endless};
pub use watch::{RawEvent, RawWatch};
