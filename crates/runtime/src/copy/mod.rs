//! Files in and out.

mod error;

pub use error::CopyError;
