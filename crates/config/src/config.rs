//! The whole configuration: the top-level settings and the sections.

use std::collections::BTreeMap;

use crate::agent::AgentConfig;
use crate::declaration::{Group, settings};
use crate::error::ConfigError;
use crate::file::Positions;
use crate::kubernetes::KubernetesConfig;
use crate::kubernetes_rule::{MOUNT_PATH, RUNTIME};
use crate::loader::Loader;
use crate::origin::{Origin, Place};
use crate::podbay::PodbayConfig;
use crate::rule::{OPTIONAL_SESSIONS, SWITCH};
use crate::runtime::Runtime;
use crate::sandbox::SandboxConfig;
use crate::serve::ServeConfig;
use crate::setting::Section;
use crate::warning::Warning;

settings! {
    /// Every setting with its value. `Config::default()` holds the defaults alone; [`Config::load`] and
    /// [`Config::loader`] read the other sources.
    pub struct Config in Section::TopLevel;

    /// Where the workspace volume is mounted in the sandbox, and the directory that commands start in.
    /// OpenHands' files have it inside `[core]`, which is accepted too.
    workspace_mount_path_in_sandbox: String = "/workspace".to_owned(), MOUNT_PATH;

    /// Which backend sandboxes run on. `auto` is the cluster where one is named or found, `kubernetes` the cluster,
    /// `local` processes of this machine in its place, which isolate nothing. OpenHands' other runtimes (`docker`,
    /// `remote`, `cli`, a class path) are read as `auto`, with a warning.
    runtime: Runtime = Runtime::Auto, RUNTIME, also "OH_RUNTIME";

    /// Show what is going on in detail, and set `DEBUG` for an OpenHands server in the sandbox.
    debug: bool = false, SWITCH;

    /// Whether an OpenHands server in the sandbox runs commands as the user `openhands`, else as root.
    run_as_openhands: bool = true, SWITCH;

    /// Whether an OpenHands server in the sandbox starts its browser.
    enable_browser: bool = true, SWITCH;

    /// How many sessions there may be in the namespace at once, where `kubernetes.max_sessions` is not set. OpenHands'
    /// default of 3 is not taken: without a value there is no limit.
    max_concurrent_conversations: Option<u32> = None, OPTIONAL_SESSIONS;

    sections {
        /// `[kubernetes]`
        kubernetes: KubernetesConfig;
        /// `[sandbox]`
        sandbox: SandboxConfig;
        /// `[podbay]`
        podbay: PodbayConfig;
        /// `[agent]`
        agent: AgentConfig;
        /// `[serve]`
        serve: ServeConfig;
    }

    private { provenance: Provenance; }
}

/// How the values came about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Provenance {
    /// By key; a setting that has its default is not listed.
    pub(crate) places: BTreeMap<String, Place>,
    pub(crate) positions: Positions,
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

    /// Which source the value of a setting is from. `key` is the full key, such as `kubernetes.namespace`.
    /// [`Origin::Default`] for a key that no source gave, which a key that does not exist is too.
    pub fn origin(&self, key: &str) -> Origin {
        self.place(key).origin
    }

    /// Where the value of a setting is from, as [`Config::origin`] with line and column.
    pub fn place(&self, key: &str) -> Place {
        self.provenance
            .places
            .get(key)
            .cloned()
            .unwrap_or_else(|| Origin::Default.into())
    }

    /// Where something inside the value of a setting stands, as `[1].effect` is inside `kubernetes.tolerations`: as near
    /// to it as the source tells, which is the value itself where that is a text.
    pub fn place_inside(&self, key: &str, inside: &str) -> Place {
        let origin = self.origin(key);
        self.provenance.positions.place(&origin, key, inside)
    }

    /// Gives a setting its default back, as if no source had named it. Does nothing for a key that does not exist.
    ///
    /// A check that has found one value wrong goes on to the others with it.
    pub fn reset(&mut self, key: &str) {
        Group::reset(self, key);
        self.provenance.places.remove(key);
    }

    /// What a person should know although it stops nothing: values that were ignored and why.
    pub fn warnings(&self) -> &[Warning] {
        &self.provenance.warnings
    }
}
