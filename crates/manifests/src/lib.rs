//! A session and its Kubernetes objects, with no cluster in sight.
//!
//! ```text
//! SessionRequest + Config ── SessionSpec::validate ──> SessionSpec + SessionSecrets
//!                                                          │
//!            record ConfigMap (owner) <── record::record ──┤
//!            Secret                   <── secret::secret ──┤  each a pure function:
//!            PersistentVolumeClaim    <── claim::claim  ───┤  same input, same bytes
//!            NetworkPolicy   <── network_policy::policy ───┤
//!            Pod or Job      <── pod::pod or job::job ─────┤
//!            Services                 <── service::services┤  only where a port or
//!            Ingresses or HTTPRoutes  <── ingress, route ──┘  VS Code is asked for
//! ```
//!
//! What comes in as text is parsed once into types that can't be wrong ([`SessionId`], [`ImageRef`],
//! [`Quantity`], …). What is made needs no further check. Clocks, random bytes and the API server's answers
//! come in as values; only [`secret`] puts secret text into an object.

pub mod claim;
pub mod dns;
pub mod ingress;
pub mod job;
pub mod keep_alive;
pub mod labels;
mod launch;
pub mod network_policy;
pub mod objects;
pub mod pod;
pub mod record;
pub mod route;
pub mod secret;
pub mod service;

mod agent_delivery;
mod api_object;
mod base32;
mod cidr;
mod difference;
mod empty;
mod environment;
mod hex;
mod hosts;
mod image;
mod metadata;
mod names;
mod opening;
mod owner;
mod path;
mod platform;
mod pod_security;
mod pod_template;
mod profile;
mod quantity;
mod request;
mod runtime_id;
mod server;
mod session_id;
mod session_owner;
mod session_spec;
mod settings;
mod user;
mod word;

pub use agent_delivery::{
    AGENT_DIRECTORY, AGENT_KEY_FILE, AGENT_NAME, AGENT_PROGRAM, AGENT_SIZE_LIMIT, AGENT_SPOOL_DIRECTORY,
    AgentDelivery, AgentImage, AgentMeans,
};
pub use api_object::ApiObjectError;
pub use cidr::{Cidr, CidrError};
pub use difference::Difference;
pub use dns::{DnsError, DnsLabel, DnsSubdomain};
pub use environment::{EnvError, EnvName};
pub use image::{ImageError, ImageRef};
pub use labels::{LabelError, UserLabels};
pub use launch::{Launch, MainCommand, ServerCommand, SessionKind};
pub use names::SessionNames;
pub use network_policy::NetworkPolicyPlan;
pub use objects::{RenderError, SecretValues, SessionObjects, Workload, render};
pub use opening::{Opening, OpeningError, Protocol};
pub use owner::Owner;
pub use path::{ContainerPath, ContainerPathError};
pub use pod_security::Violation;
pub use pod_template::{PodTemplate, PodTemplateError};
pub use profile::Profile;
pub use quantity::{Quantity, QuantityError};
pub use record::{CreationValues, Record, RecordError};
pub use request::SessionRequest;
pub use route::HttpRoute;
pub use runtime_id::{RuntimeId, RuntimeIdError};
pub use secret::{KeyHash, KeyHashError, SESSION_KEY_VARIABLE, SessionKey};
pub use server::{ACTIONS_VSCODE_PORT, ServerKind};
pub use session_id::{SessionId, SessionIdError};
pub use session_owner::{SessionOwner, SessionOwnerError};
pub use session_spec::{
    CaBundleSpec, CacheSpec, ClaimSpec, ExposureSpec, GatewayRef, NetworkSpec, PlacementSpec, PublicBy,
    PublicSpec, PullSpec, Reason, ResourceBounds, ResourceSpec, Seccomp, SecuritySpec, ServerSpec,
    SessionSecrets, SessionSpec, SpecErrors, SpecProblem, StorageSpec, ValueError, VolumeSource,
    WorkloadSpec, WorkspaceSpec, start_timeout_seconds,
};
pub use settings::SETTINGS_READ_ELSEWHERE;
pub use user::{RunAs, RunAsError};

#[cfg(test)]
mod tests;

/// The README's example is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
