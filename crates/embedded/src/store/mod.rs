//! The API server's half of the embedded cluster: objects in memory, with the API's semantics, synchronous
//! and without clock or randomness of its own.

mod objects;
mod selector;
mod watchers;

pub(crate) use objects::{Birth, Change, Store, StoreError};
pub(crate) use selector::Selector;
pub(crate) use watchers::Watchers;
