//! What fuzzing needs of the bodies of starts, which are this crate's own otherwise. Compiled only with `--cfg fuzzing`.

use podbay_config::{Config, ServeConfig};
use podbay_manifests::SessionRequest;

use super::launch::{Drawn, Machine};
use super::pod_fields::PodPolicy;
use super::start::{StartBody, StartPolicy};

/// The secret that is chosen for each session here, where others are drawn by chance.
pub const SECRET: &str = "drawn";

/// What a body asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The client's own id of the session.
    pub session_id: String,
    /// What the session is asked to be.
    pub request: SessionRequest,
}

/// Reads the body of a start, with the settings' defaults; a refusal as its status and its text.
pub fn start(body: &[u8], on_this_machine: bool) -> Result<Asked, (u16, String)> {
    let serve = ServeConfig::default();
    let policy = StartPolicy {
        on_this_machine,
        v0_server: serve.v0_server.clone(),
        persistent: serve.persistent,
        resource_factor_limit: serve.resource_factor_limit,
        pod: PodPolicy::of(&Config::default(), &serve),
    };
    let drawn = Drawn {
        secret_key: SECRET.into(),
        machine: on_this_machine.then_some(Machine {
            ports: [4, 5],
            v1_program: "agent-server",
        }),
    };
    let read = StartBody::parse(body).and_then(|body| {
        let session_id = body.session_id.clone();
        let request = body.request(&policy, &drawn)?;
        Ok(Asked { session_id, request })
    });
    read.map_err(|refusal| (refusal.status.as_u16(), refusal.detail))
}

/// The words of a command that is one text; `None` where it has none.
pub fn words(text: &str) -> Option<Vec<String>> {
    super::words::words(text).ok()
}
