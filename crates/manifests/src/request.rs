//! What a caller asks of a session, before anything is checked.

use std::collections::BTreeMap;

use podbay_config::{NetworkMode, PullPolicy, WorkloadKind};
use secrecy::SecretString;

use crate::launch::Launch;
use crate::profile::Profile;
use crate::server::ServerKind;
use crate::session_owner::SessionOwner;

/// A caller's wishes as they were given: text from flags, a library call or an HTTP body. `None` and empty
/// mean "what the configuration says".
///
/// [`SessionSpec::validate`](crate::SessionSpec::validate) turns it into something that can be made.
#[derive(Clone, Debug, Default)]
pub struct SessionRequest {
    /// Whom the session belongs to; `None` is nobody in particular.
    pub owner: Option<SessionOwner>,
    /// Image reference (`--image`).
    pub image: Option<String>,
    /// How the image is pulled, over the setting `kubernetes.pull_policy`.
    pub pull_policy: Option<PullPolicy>,
    /// `root` or `UID[:GID]` (`--user`).
    pub user: Option<String>,
    /// The group that volumes belong to, over the setting `kubernetes.fs_group`.
    pub fs_group: Option<u64>,
    /// Pod security level (`--profile`).
    pub profile: Option<Profile>,
    /// Environment (`--env`), over the configuration's `sandbox.runtime_startup_env_vars`.
    pub env: BTreeMap<String, SecretString>,
    /// Working directory, absolute (`--workdir`).
    pub workdir: Option<String>,
    /// CPU request and limit, in cores (`--cpu`).
    pub cpu: Option<String>,
    /// Memory request and limit, in bytes (`--memory`).
    pub memory: Option<String>,
    /// Whether the workspace outlives the pod, on a persistent claim (`--persistent`).
    pub persistent: Option<bool>,
    /// Labels for the session's objects (`--label`).
    pub labels: BTreeMap<String, String>,
    /// The HTTP server that the image brings; `None` is an image without one.
    pub server: Option<ServerKind>,
    /// Ports of the sandbox that can be reached from outside the pod (`--port`), besides those of its server.
    pub ports: Vec<u16>,
    /// Whether VS Code can be reached (`--vscode`).
    pub vscode: bool,
    /// What the sandbox may reach over the network (`--network`).
    pub network: Option<NetworkMode>,
    /// The kind of object that runs the session (`--workload`).
    pub workload: Option<WorkloadKind>,
    /// The name of a `RuntimeClass`, over the settings `kubernetes.runtime_class` and `sandbox.remote_runtime_class`.
    pub runtime_class: Option<String>,
    /// GPUs (`--gpus`), of the resource `kubernetes.gpu_resource_name`.
    pub gpus: Option<u32>,
    /// What CPU, memory and ephemeral storage are multiplied with: 1, 2, 4 or 8 (`--resource-factor`).
    pub resource_factor: Option<u32>,
    /// The port that OpenHands' V0 clients expect the server of their actions on: Podbay's agent serves them there. The
    /// session needs an agent then. `None` leaves the agent's port to the setting `agent.port`.
    pub actions: Option<u16>,
    /// What is run in the session, as a client of the remote runtime API says; a server needs `server` for its kind. `None`
    /// keeps the session alive, or starts `server` as Podbay does.
    pub launch: Option<Launch>,
    /// Ports of the sandbox to which a service leads its clients, besides those of agent and server: those whom the setting
    /// `kubernetes.agent_from` names reach them.
    pub routed: Vec<u16>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_environment() {
        let request = SessionRequest {
            env: BTreeMap::from([("TOKEN".into(), SecretString::from("hunter2"))]),
            ..SessionRequest::default()
        };
        let debug = format!("{request:?}");
        assert!(debug.contains("TOKEN"));
        assert!(!debug.contains("hunter2"));
    }
}
