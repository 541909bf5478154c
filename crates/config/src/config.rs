//! The whole configuration: the top-level settings and the sections.

use std::collections::BTreeMap;

use crate::declaration::settings;
use crate::error::ConfigError;
use crate::kubernetes::KubernetesConfig;
use crate::loader::Loader;
use crate::origin::Origin;
use crate::podbay::PodbayConfig;
use crate::rule::MOUNT_PATH;
use crate::sandbox::SandboxConfig;
use crate::setting::Section;
use crate::warning::Warning;

settings! {
    /// Every setting with its value. `Config::default()` holds the defaults alone; [`Config::load`] and
    /// [`Config::loader`] read the other sources.
    pub struct Config in Section::TopLevel;

    /// Where the workspace volume is mounted in the sandbox, and the directory that commands start in.
    /// OpenHands' files have it inside `[core]`, which is accepted too.
    workspace_mount_path_in_sandbox: String = "/workspace".to_owned(), MOUNT_PATH;

    sections {
        /// `[kubernetes]`
        kubernetes: KubernetesConfig;
        /// `[sandbox]`
        sandbox: SandboxConfig;
        /// `[podbay]`
        podbay: PodbayConfig;
    }

    private { provenance: Provenance; }
}

/// How the values came about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Provenance {
    /// By key; a setting that has its default is not listed.
    pub(crate) origins: BTreeMap<String, Origin>,
    pub(crate) warnings: Vec<Warning>,
}

impl Config {
    /// Loads from the environment of the process and the file found by the default search (see [`Loader`]).
    pub fn load() -> Result<Config, ConfigError> {
        Config::loader().load()
    }

    /// Starts a load whose sources can be chosen.
    pub fn loader() -> Loader {
        Loader::default()
    }

    /// Where the value of a setting is from. `key` is the full key, such as `kubernetes.namespace`.
    /// [`Origin::Default`] for a key that no source gave, which a key that does not exist is too.
    pub fn origin(&self, key: &str) -> Origin {
        self.provenance
            .origins
            .get(key)
            .cloned()
            .unwrap_or(Origin::Default)
    }

    /// What a person should know although it stops nothing: values that were ignored and why.
    pub fn warnings(&self) -> &[Warning] {
        &self.provenance.warnings
    }
}
