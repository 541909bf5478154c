//! The container's environment: what Podbay sets, and references to the user's values in the Secret.

use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, SecretKeySelector};

use super::volumes::{self, SOURCE_PATH};
use super::{HOME_PATH, agent};
use crate::profile::Profile;
use crate::secret::{AGENT_SERVER_KEY_VARIABLE, SESSION_KEY, SESSION_KEY_VARIABLE, env_key};
use crate::server::{ACTIONS_VSCODE_PORT, ServerKind};
use crate::session_spec::{ServerSpec, SessionSpec};

/// Where programs look for the user's directory.
const HOME: &str = "HOME";
/// Whether OpenHands' V0 server starts its shells by `su` (`openhands/runtime/utils/bash.py`). It does if nothing is said, and
/// `su` asks anyone but root for a password, for which the server waits.
const SU_TO_USER: &str = "SU_TO_USER";
/// Where the common programs and libraries look for the file of trusted authorities: OpenSSL and what builds on
/// it, Python's requests, curl, Node.js, git, pip.
const CA_VARIABLES: [&str; 6] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
];

/// Ours first, then the user's by name. The user's values win: a pod must not name a variable twice.
pub(super) fn environment(spec: &SessionSpec) -> Vec<EnvVar> {
    let mut env: Vec<_> = plain(spec)
        .into_iter()
        .filter(|(name, _)| !spec.env.iter().any(|users| users.as_str() == *name))
        .map(|(name, value)| EnvVar {
            name: name.into(),
            value: Some(value),
            value_from: None,
        })
        .collect();
    if let Some(server) = &spec.server {
        env.push(from_secret(spec, SESSION_KEY_VARIABLE, SESSION_KEY.into()));
        if server.kind == ServerKind::AgentServer {
            env.push(from_secret(spec, AGENT_SERVER_KEY_VARIABLE, SESSION_KEY.into()));
        }
    }
    if spec.runs_image() {
        for name in [SESSION_KEY_VARIABLE, AGENT_SERVER_KEY_VARIABLE] {
            env.push(from_secret(spec, name, SESSION_KEY.into()));
        }
    }
    if agent::takes_key_from_variable(spec) {
        env.push(from_secret(spec, SESSION_KEY_VARIABLE, SESSION_KEY.into()));
    }
    env.extend(agent::environment(spec));
    env.extend(
        spec.env
            .iter()
            .map(|name| from_secret(spec, name.as_str(), env_key(name))),
    );
    env
}

/// What Podbay sets, none of it secret.
fn plain(spec: &SessionSpec) -> Vec<(&'static str, String)> {
    let mut env = Vec::new();
    if spec.security.profile == Profile::Restricted {
        env.push((HOME, HOME_PATH.into()));
    }
    if let Some(server) = &spec.server {
        env.extend(of_server(server));
        if server.kind == ServerKind::OpenHands && spec.security.is_never_root() {
            env.push((SU_TO_USER, "false".into()));
        }
    }
    if spec.actions.is_some() && spec.server.is_none() {
        // Else the agent has VS Code elsewhere than a service looks for it.
        env.push(("OH_VSCODE_PORT", ACTIONS_VSCODE_PORT.to_string()));
    }
    if let Some(bundle) = volumes::ca_bundle_path(spec) {
        env.extend(CA_VARIABLES.map(|name| (name, bundle.clone())));
    }
    if let Some(cache) = &spec.storage.cache {
        env.push(("PIP_CACHE_DIR", volumes::pip_cache(cache)));
    }
    if spec.storage.source.is_some() {
        env.push(("PYTHONPATH", SOURCE_PATH.into()));
    }
    env
}

fn of_server(server: &ServerSpec) -> Vec<(&'static str, String)> {
    let mut env = vec![
        // In lower case, as OpenHands' images have it.
        ("port", server.port.to_string()),
        ("PYTHONUNBUFFERED", "1".into()),
        ("VSCODE_PORT", server.vscode_port.to_string()),
    ];
    if server.kind == ServerKind::AgentServer {
        env.push(("OH_ENABLE_VSCODE", server.vscode.to_string()));
        env.push(("OH_VSCODE_PORT", server.vscode_port.to_string()));
    }
    if server.debug {
        env.push(("DEBUG", "true".into()));
    }
    env
}

fn from_secret(spec: &SessionSpec, name: &str, key: String) -> EnvVar {
    EnvVar {
        name: name.into(),
        value: None,
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: spec.names().secret(),
                key,
                optional: None,
            }),
            ..EnvVarSource::default()
        }),
    }
}
