//! What the sessions of this machine share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use podbay_config::Config;
use podbay_local::{Places, Sandbox, SessionName, Sessions};
use podbay_manifests::Record;
use secrecy::SecretString;

use crate::agent::AgentConnections;

/// What the sessions of this machine share.
pub(crate) struct Machine {
    pub(crate) config: Config,
    /// What the configuration calls the namespace: here it only stands in records.
    pub(crate) namespace: String,
    /// How many sessions there may be at once, if there is a limit.
    pub(crate) session_limit: Option<u32>,
    /// How long another process is waited for that is busy with a session.
    pub(crate) patience: Duration,
    /// Who keeps the sessions.
    pub(crate) keeper: Keeper,
    /// Connections to agents.
    pub(crate) agents: AgentConnections,
}

/// Who keeps sessions alive.
pub(crate) enum Keeper {
    /// An agent each: they outlive this process, and others find them.
    Agents(Sessions),
    /// This process: they end with it.
    Process(Mutex<BTreeMap<SessionName, InProcess>>),
}

/// A session that this process keeps.
#[derive(Clone)]
pub(crate) struct InProcess {
    pub(crate) record: Record,
    pub(crate) key: SecretString,
    pub(crate) sandbox: Arc<Sandbox>,
}

impl Machine {
    /// Sessions that are kept by agents, or by this process.
    pub(crate) fn new(config: Config, in_process: bool) -> Self {
        let keeper = if in_process {
            Keeper::Process(Mutex::default())
        } else {
            Keeper::Agents(Sessions::new(Places::find(|name| std::env::var_os(name))))
        };
        Self {
            namespace: config.kubernetes.namespace.clone(),
            session_limit: config
                .kubernetes
                .max_sessions
                .or(config.max_concurrent_conversations),
            patience: Duration::from_secs(config.podbay.deletion_timeout_seconds),
            config,
            keeper,
            agents: AgentConnections::default(),
        }
    }
}
