//! What is run in a session beside what keeps it alive, as clients of OpenHands' remote runtime API ask for it.

use serde::{Deserialize, Serialize};

use crate::server::ServerKind;
use crate::session_spec::SessionSpec;

/// What a request asks to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launch {
    /// A server of the image, of the kind that [`SessionRequest::server`](crate::SessionRequest::server) names, started so.
    Server(ServerCommand),
    /// The image's own entry point and command, whatever they are.
    Image,
    /// A program with its arguments, which the session's agent runs.
    Program(Vec<String>),
}

/// How a server of the image is started, and where it will listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCommand {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The port that the server was told, or has by itself.
    pub port: u16,
    /// Where it has VS Code listen.
    pub vscode_port: u16,
}

/// What of it stands in a session's record. That of a server is the server's own ([`ServerSpec`](crate::ServerSpec)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MainCommand {
    /// The image's own.
    Image,
    /// What the agent runs.
    Program(Vec<String>),
}

podbay_protocol::choices! {
    /// What kind of session it is: who serves in it.
    pub enum SessionKind: "kind" {
        /// Actions of OpenHands' V0 clients, by the agent or by OpenHands' own server.
        V0 = "v0",
        /// OpenHands' V1 agent-server.
        V1 = "v1",
        /// Whatever the image starts by itself.
        Image = "image",
        /// A command of the client's, which the agent runs.
        Command = "command",
        /// Nobody: commands are run in it one by one.
        Plain = "none",
    }
}

impl SessionSpec {
    /// What kind of session it is.
    pub fn kind(&self) -> SessionKind {
        match (self.server.as_ref().map(|server| server.kind), &self.main) {
            (Some(ServerKind::AgentServer), _) => SessionKind::V1,
            (Some(ServerKind::OpenHands), _) => SessionKind::V0,
            (Some(ServerKind::Image), _) | (None, Some(MainCommand::Image)) => SessionKind::Image,
            (None, Some(MainCommand::Program(_))) => SessionKind::Command,
            (None, None) if self.actions.is_some() => SessionKind::V0,
            (None, None) => SessionKind::Plain,
        }
    }

    /// What is run beside what keeps the session alive, where it is no server.
    pub fn main_command(&self) -> Option<&MainCommand> {
        self.main.as_ref()
    }

    /// Whether the container runs what its image says, and the session's key is in its variables for that.
    pub(crate) fn runs_image(&self) -> bool {
        matches!(self.main, Some(MainCommand::Image))
    }
}

#[cfg(test)]
mod tests {
    use podbay_config::Config;
    use serde_json::json;

    use super::*;
    use crate::pod::before_template;
    use crate::request::SessionRequest;

    fn spec(server: Option<ServerKind>, launch: Option<Launch>, actions: Option<u16>) -> SessionSpec {
        let request = SessionRequest {
            image: Some("debian:12".to_owned()),
            server,
            launch,
            actions,
            ..SessionRequest::default()
        };
        let valid = SessionSpec::validate("demo".parse().unwrap(), "default", &Config::default(), request);
        valid.unwrap().0
    }

    fn v1() -> SessionSpec {
        let command = ServerCommand {
            argv: vec![
                "/usr/local/bin/openhands-agent-server".to_owned(),
                "--port".to_owned(),
                "60000".to_owned(),
            ],
            port: 60_000,
            vscode_port: 60_001,
        };
        spec(Some(ServerKind::AgentServer), Some(Launch::Server(command)), None)
    }

    #[test]
    fn the_kind_is_told_by_what_stands_in_the_record() {
        let program = Launch::Program(vec!["sleep".to_owned(), "9".to_owned()]);
        for (spec, kind) in [
            (v1(), SessionKind::V1),
            (spec(Some(ServerKind::OpenHands), None, None), SessionKind::V0),
            (spec(None, None, Some(60_000)), SessionKind::V0),
            (spec(Some(ServerKind::Image), None, None), SessionKind::Image),
            (spec(None, Some(Launch::Image), None), SessionKind::Image),
            (spec(None, Some(program), None), SessionKind::Command),
            (spec(None, None, None), SessionKind::Plain),
        ] {
            assert_eq!(spec.kind(), kind);
            let read: SessionSpec = serde_json::from_value(json!(spec)).unwrap();
            assert_eq!(read, spec);
        }
    }

    #[test]
    fn a_server_is_started_as_its_client_says_and_has_its_keys() {
        let pod = json!(before_template(&v1()));
        let container = &pod["spec"]["containers"][0];
        assert_eq!(
            container["command"],
            json!(["/usr/local/bin/openhands-agent-server", "--port", "60000"])
        );
        assert_eq!(container["readinessProbe"]["httpGet"]["port"], 60_000);
        let of = |name: &str| {
            let mut variables = container["env"].as_array().unwrap().iter();
            variables.find(|variable| variable["name"] == name).cloned()
        };
        for name in ["SESSION_API_KEY", "OH_SESSION_API_KEYS_0"] {
            assert_eq!(
                of(name).unwrap()["valueFrom"]["secretKeyRef"]["key"],
                "session-api-key"
            );
        }
        assert_eq!(of("OH_VSCODE_PORT").unwrap()["value"], "60001");
    }

    #[test]
    fn an_image_s_own_command_is_left_to_the_image_and_has_the_keys() {
        let pod = json!(before_template(&spec(None, Some(Launch::Image), None)));
        let container = &pod["spec"]["containers"][0];
        assert!(container.get("command").is_none() && container.get("args").is_none());
        let names: Vec<_> = container["env"]
            .as_array()
            .unwrap()
            .iter()
            .map(|variable| &variable["name"])
            .collect();
        assert!(
            names.contains(&&json!("SESSION_API_KEY")) && names.contains(&&json!("OH_SESSION_API_KEYS_0"))
        );
    }
}
