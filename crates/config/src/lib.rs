//! Every setting of Podbay, declared once.
//!
//! A declaration in [`KubernetesConfig`], [`SandboxConfig`], [`PodbayConfig`] or at the top level of
//! [`Config`] states a setting's key, type, unit, default, what it accepts and its documentation. The
//! struct, the defaults, the environment names ([`Setting::environment`]), the checks and the reference page
//! ([`reference_markdown`]) all come from it, so that they cannot disagree.
//!
//! Sources, the stronger first: command-line flags, `PODBAY_*`, `OH_K8S_*`, OpenHands' own names
//! (`KUBERNETES_*`, `SANDBOX_*`), the TOML file, the defaults. [`Config::origin`] tells which one a value is
//! from. All errors of a load are reported together ([`ConfigError`]).
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
//! The crate knows no cluster: quantities are parsed, and names checked, where objects are made.

mod config;
mod consistency;
mod declaration;
mod decode;
mod dict_literal;
mod environment;
mod error;
mod file;
mod flag;
mod kubernetes;
mod layers;
mod loader;
mod nearest;
mod openhands;
mod origin;
mod podbay;
mod reader;
mod reference;
mod rule;
mod sandbox;
mod search;
mod setting;
mod toleration;
mod variables;
mod warning;

pub use config::Config;
pub use environment::{Environment, ProcessEnvironment};
pub use error::{ConfigError, Fault};
pub use flag::FlagValue;
pub use kubernetes::KubernetesConfig;
pub use loader::Loader;
pub use origin::{Origin, Place};
pub use podbay::PodbayConfig;
pub use reference::reference_markdown;
pub use sandbox::SandboxConfig;
pub use setting::{Section, Setting, settings};
pub use toleration::Toleration;
pub use warning::Warning;
