//! Every setting of Podbay, declared once.
//!
//! A declaration in [`KubernetesConfig`], [`SandboxConfig`], [`PodbayConfig`], [`AgentConfig`], [`ServeConfig`] or at the top level
//! of [`Config`] states a setting's key, type, unit, default, what it accepts and its documentation. The
//! struct, the defaults, the environment names ([`Setting::environment`]), the checks, the reference page
//! ([`reference_markdown`]), the JSON Schema ([`schema`]) and the example file ([`example_toml`]) all come from it, so
//! that they cannot disagree. [`settings`] is the table of all declarations.
//!
//! Sources, the stronger first: command-line flags, `PODBAY_*`, `OH_K8S_*` and `OH_RUNTIME`, OpenHands' own names
//! (`KUBERNETES_*`, `SANDBOX_*`, and no prefix at the top level), the TOML file, the defaults. [`Config::place`] tells
//! which one a value is from, and where in the file it stands; [`Config::entries`] lists all of them. All errors of a
//! load are reported together ([`ConfigError`]); what stops nothing, such as a setting of OpenHands that has no effect
//! here ([`Effect`]), is a [`Warning`].
//!
//! ```
//! use podbay_config::{Config, Origin};
//!
//! let config = Config::loader()
//!     .search(false)
//!     .environment([("KUBERNETES_NAMESPACE", "agents")])
//!     .flag("kubernetes.privileged", "--privileged", true)
//!     .load()?;
//! assert_eq!(config.kubernetes.namespace, "agents");
//! assert_eq!(
//!     config.origin("kubernetes.namespace"),
//!     Origin::Environment { name: "KUBERNETES_NAMESPACE".into() }
//! );
//! # Ok::<(), podbay_config::ConfigError>(())
//! ```
//!
//! The crate knows no cluster: quantities are parsed, and names, addresses and pieces of the Kubernetes API
//! ([`ApiObject`]) checked, where objects are made.

mod agent;
mod api_key;
mod api_object;
mod choice;
mod collection;
mod config;
mod consistency;
mod declaration;
mod decode;
mod entry;
mod environment;
mod error;
mod example_file;
mod file;
mod flag;
mod kubernetes;
mod kubernetes_rule;
mod layers;
mod literal;
mod loader;
mod mismatch;
mod nearest;
mod openhands;
mod origin;
mod podbay;
mod raw;
mod reader;
mod reference;
mod rule;
mod runtime;
mod sandbox;
mod sandbox_environment;
mod schema;
mod search;
mod serve;
mod serve_rule;
mod service_link;
mod setting;
mod toleration;
mod toml_text;
mod unknown_variables;
mod variables;
mod vocabulary;
mod warning;
mod yaml;

pub use agent::AgentConfig;
pub use api_key::ApiKeyEntry;
pub use api_object::{ApiObject, ApiObjects};
pub use config::Config;
pub use entry::Entry;
pub use environment::{Environment, ProcessEnvironment};
pub use error::{ConfigError, Fault};
pub use example_file::example_toml;
pub use flag::FlagValue;
pub use kubernetes::KubernetesConfig;
pub use loader::Loader;
pub use origin::{Origin, Place};
pub use podbay::PodbayConfig;
pub use reference::reference_markdown;
pub use runtime::Runtime;
pub use sandbox::SandboxConfig;
pub use schema::schema;
pub use serve::ServeConfig;
pub use setting::{Effect, Section, Setting, settings};
pub use toleration::Toleration;
pub use vocabulary::{
    AgentDelivery, AgentDial, AgentLogLevel, CleanupPolicy, LogFormat, NetworkMode, ProfileName, PullPolicy,
    RemoteRuntimeClass, UrlScheme, UrlStyle, WorkloadKind, WorkspaceVolume,
};
pub use warning::Warning;

/// The README's example is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
