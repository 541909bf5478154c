//! A session and its Kubernetes objects, with no cluster in sight.
//!
//! ```text
//! SessionRequest + Config ── SessionSpec::validate ──> SessionSpec + SessionSecrets
//!                                                          │
//!            record ConfigMap (owner) <── record::record ──┤
//!            Secret                   <── secret::secret ──┤  each a pure function:
//!            PersistentVolumeClaim    <── claim::claim  ───┤  same input, same bytes
//!            Pod                      <── pod::pod ────────┘
//! ```
//!
//! What comes in as text is parsed once into types that can't be wrong ([`SessionId`], [`ImageRef`],
//! [`Quantity`], …). What is made needs no further check. Clocks, random bytes and the API server's answers
//! come in as values; only [`secret`] puts secret text into an object.

pub mod claim;
pub mod dns;
pub mod keep_alive;
pub mod labels;
pub mod objects;
pub mod pod;
pub mod record;
pub mod secret;

mod difference;
mod environment;
mod image;
mod metadata;
mod names;
mod owner;
mod path;
mod profile;
mod quantity;
mod request;
mod session_id;
mod spec;
mod user;

pub use difference::Difference;
pub use dns::{DnsError, DnsLabel, DnsSubdomain};
pub use environment::{EnvError, EnvName};
pub use image::{ImageError, ImageRef};
pub use labels::{LabelError, UserLabels};
pub use names::SessionNames;
pub use objects::{RenderError, SecretValues, SessionObjects, render};
pub use owner::Owner;
pub use path::{ContainerPath, ContainerPathError};
pub use profile::{Profile, ProfileError};
pub use quantity::{Quantity, QuantityError};
pub use record::{Record, RecordError};
pub use request::SessionRequest;
pub use secret::{SESSION_KEY_VARIABLE, SessionKey};
pub use session_id::{SessionId, SessionIdError};
pub use spec::{ClaimSpec, ResourceBounds, SessionSecrets, SessionSpec, SpecError, SpecErrors};
pub use user::{RunAs, RunAsError};

#[cfg(test)]
mod tests;
