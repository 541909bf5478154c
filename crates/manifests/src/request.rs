//! What a caller asks of a session, before anything is checked.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::Profile;

/// A caller's wishes as they were given: text from flags, a library call or an HTTP body. `None` and empty
/// mean "what the configuration says".
///
/// [`SessionSpec::validate`](crate::SessionSpec::validate) turns it into something that can be made.
#[derive(Clone, Debug, Default)]
pub struct SessionRequest {
    /// Image reference (`--image`).
    pub image: Option<String>,
    /// `root` or `UID[:GID]` (`--user`).
    pub user: Option<String>,
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
    /// Whether the image brings its own HTTP server, which answers `GET /alive` on port 8080. Such an image
    /// is run with its own command.
    pub server: bool,
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
