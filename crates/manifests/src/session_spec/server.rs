//! The server in the image: how it is started, and where it listens.

use podbay_config::{Config, PodbayConfig};
use podbay_protocol::Field;
use serde::{Deserialize, Serialize};

use super::problem::SpecProblem;
use super::problems::Problems;
use super::reason::Reason;
use crate::launch::Launch;
use crate::path::ContainerPath;
use crate::request::SessionRequest;
use crate::server::{AGENT_SERVER, MICROMAMBA, OPENHANDS_ID, ServerKind};
use crate::user::RunAs;

/// Port of VS Code where none is set, as OpenHands has it.
const VSCODE_PORT: u16 = 8081;
/// The server's flag for the user that it becomes.
const USER_ID_FLAG: &str = "--user-id";
const USER_NAME: &str = "openhands";
const ROOT_NAME: &str = "root";
/// What OpenHands' V0 server is started through: its environment in its images.
const EXEC_SERVER: [&str; 10] = [
    MICROMAMBA,
    "run",
    "-n",
    "openhands",
    "poetry",
    "run",
    "python",
    "-u",
    "-m",
    "openhands.runtime.action_execution_server",
];

/// An HTTP server that the image brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerSpec {
    pub(crate) kind: ServerKind,
    pub(crate) port: u16,
    /// Where VS Code listens, if it is started.
    pub(crate) vscode_port: u16,
    /// Whether VS Code is wanted.
    pub(crate) vscode: bool,
    /// The argv; `None` is the image's own command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<Vec<String>>,
    pub(crate) debug: bool,
    /// Seconds until the server must have answered for the first time.
    pub(crate) start_timeout_seconds: u64,
}

impl ServerSpec {
    /// Which server it is.
    pub fn kind(&self) -> ServerKind {
        self.kind
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it has VS Code listen, if it starts it.
    pub fn vscode_port(&self) -> u16 {
        self.vscode_port
    }

    /// The program and its arguments; `None` is the image's own command.
    pub fn command(&self) -> Option<&[String]> {
        self.command.as_deref()
    }

    /// The user that it runs as, where it becomes one by itself: OpenHands' V0 server does, from root. `None` is the
    /// container's.
    pub fn user(&self) -> Option<RunAs> {
        let mut words = self.command.as_deref()?.iter();
        words.find(|word| *word == USER_ID_FLAG)?;
        words.next()?.parse().ok()
    }

    pub(super) fn validate(
        problems: &mut Problems,
        config: &Config,
        request: &SessionRequest,
        working_dir: Option<&ContainerPath>,
    ) -> Option<Self> {
        let Some(kind) = request.server else {
            if request.vscode {
                problems.push(SpecProblem::new(
                    [Field::VsCode, Field::Server],
                    Reason::NeedsServer,
                ));
            }
            return None;
        };
        if let Some(Launch::Server(command)) = &request.launch {
            return Some(Self {
                kind,
                port: command.port,
                vscode_port: command.vscode_port,
                // It is the client's to say in the environment that it is not.
                vscode: true,
                // One without words is the image's own.
                command: (!command.argv.is_empty()).then(|| command.argv.clone()),
                debug: config.debug,
                start_timeout_seconds: start_timeout_seconds(config),
            });
        }
        let port = config.kubernetes.server_port;
        let vscode_port = config.sandbox.vscode_port.unwrap_or(VSCODE_PORT);
        if port == vscode_port {
            problems.push(SpecProblem::new(
                [
                    Field::Setting("kubernetes.server_port"),
                    Field::Setting("sandbox.vscode_port"),
                ],
                Reason::Same { value: port },
            ));
        }
        let command = match kind {
            ServerKind::Image => None,
            ServerKind::OpenHands => Some(exec_server(config, port, working_dir?.as_str(), request.vscode)),
            ServerKind::AgentServer => Some(vec![AGENT_SERVER.into(), "--port".into(), port.to_string()]),
        };
        Some(Self {
            kind,
            port,
            vscode_port,
            vscode: request.vscode,
            command,
            debug: config.debug,
            start_timeout_seconds: start_timeout_seconds(config),
        })
    }
}

/// The argv that OpenHands' V0 starts its exec server with (`get_action_execution_server_startup_command`).
fn exec_server(config: &Config, port: u16, working_dir: &str, vscode: bool) -> Vec<String> {
    let sandbox = &config.sandbox;
    let mut argv: Vec<String> = EXEC_SERVER.map(Into::into).into();
    argv.push(port.to_string());
    argv.extend(["--working-dir".into(), working_dir.into()]);
    if sandbox.initialize_plugins {
        argv.extend(["--plugins", "agent_skills", "jupyter"].map(Into::into));
        argv.extend(vscode.then(|| "vscode".into()));
    }
    // Upstream joins these by `or`, so that 0 never wins; here a user that was asked for is that user.
    let user_id = match (sandbox.user_id, config.run_as_openhands) {
        (Some(asked), _) => asked,
        (None, true) => OPENHANDS_ID,
        (None, false) => 0,
    };
    let name = if user_id == 0 { ROOT_NAME } else { USER_NAME };
    argv.extend([
        "--username".into(),
        name.into(),
        USER_ID_FLAG.into(),
        user_id.to_string(),
    ]);
    if let Some(environment) = &sandbox.browsergym_eval_env {
        argv.push("--browsergym-eval-env".into());
        argv.extend(environment.split_whitespace().map(Into::into));
    }
    if !config.enable_browser {
        argv.push("--no-enable-browser".into());
    }
    argv
}

/// `podbay.start_timeout_seconds`, or where that has its default, OpenHands' name for it.
pub fn start_timeout_seconds(config: &Config) -> u64 {
    let seconds = config.podbay.start_timeout_seconds;
    let given = seconds != PodbayConfig::default().start_timeout_seconds
        || super::is_given(config, Field::Setting("podbay.start_timeout_seconds"));
    match config.sandbox.remote_runtime_init_timeout {
        Some(upstream) if !given => upstream,
        _ => seconds,
    }
}
