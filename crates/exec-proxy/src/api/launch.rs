//! From the kind of a session to what is run in it: a pure function of what was drawn.
//!
//! On a cluster a server's command is its client's, word by word. Sessions of this machine share its ports and its programs: there
//! the server is the one in the search path, and listens on a port of this session's own.

use std::io;
use std::net::TcpListener;

use podbay_manifests::{Launch, ServerCommand, ServerKind, SessionRequest};
use podbay_protocol::hex::to_hex;
use secrecy::SecretString;

use super::error::Refusal;
use super::kind::{Kind, V0, V0Command, is_v1};
use super::start::SERVER_PORT;
use crate::sessions::{VSCODE_PORT, WORK_PORTS};

/// What encrypts what a V1 server stores: the same over pauses, else it can't read that any longer.
const SECRET_KEY: &str = "OH_SECRET_KEY";
/// Where a V1 server has VS Code listen.
const VSCODE_VARIABLE: &str = "OH_VSCODE_PORT";
/// What the V1 server is called in the search path: as in OpenHands' images, and as its Python package installs it.
const V1_PROGRAMS: [&str; 2] = ["openhands-agent-server", "agent-server"];
/// Where a V1 server listens that was not told.
const V1_PORT: u16 = 8000;
/// What the repository of OpenHands' images with a V1 server ends with.
const V1_REPOSITORY: &str = "agent-server";
/// Where servers of this machine listen.
const LOOPBACK: &str = "127.0.0.1";

/// What is chosen for a new session by chance, or by what is free.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    /// A key that nobody knows.
    pub(crate) secret_key: SecretString,
    /// What this machine has for it; none on a cluster.
    pub(crate) machine: Option<Machine>,
}

/// What this machine has for a session.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// Ports that nobody listens on, for a server and its VS Code.
    pub(crate) ports: [u16; 2],
    /// OpenHands' V1 server.
    pub(crate) v1_program: &'static str,
}

impl Drawn {
    /// For a session that is started now.
    pub(crate) fn now(on_this_machine: bool) -> Result<Self, Refusal> {
        let machine = if on_this_machine {
            Some(Machine {
                ports: free_ports()?,
                v1_program: v1_program(),
            })
        } else {
            None
        };
        let secret_key = rand::random::<[u8; 32]>();
        Ok(Self {
            secret_key: to_hex(&secret_key).into(),
            machine,
        })
    }
}

/// The name by which the search path has the server; the image's where it has none.
fn v1_program() -> &'static str {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &&str| std::env::split_paths(&path).any(|directory| directory.join(name).is_file());
    V1_PROGRAMS.into_iter().find(is_there).unwrap_or(V1_PROGRAMS[0])
}

/// Two ports of this machine that nobody listens on now.
fn free_ports() -> Result<[u16; 2], Refusal> {
    let free = || -> io::Result<[u16; 2]> {
        // Both are held until both are known: else they might be one.
        let [one, other] = [
            TcpListener::bind((LOOPBACK, 0))?,
            TcpListener::bind((LOOPBACK, 0))?,
        ];
        Ok([one.local_addr()?.port(), other.local_addr()?.port()])
    };
    free()
        .map_err(|error| Refusal::unavailable(format!("this machine has no port left for a server: {error}")))
}

/// Who serves V0's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum V0Server {
    /// Podbay's agent.
    Agent,
    /// The image's own.
    Image,
}

/// Puts what is run into a request.
pub(crate) fn launch(
    request: &mut SessionRequest,
    kind: &Kind,
    (argv, image): (Vec<String>, &str),
    v0: V0Server,
    drawn: &Drawn,
) {
    let vscode_port = drawn
        .machine
        .as_ref()
        .map_or(VSCODE_PORT, |machine| machine.ports[1]);
    let server = |argv, port| ServerCommand {
        argv,
        port,
        vscode_port,
    };
    match kind {
        Kind::V0(V0Command { port, .. }) if v0 == V0Server::Agent => {
            request.actions = Some(port.unwrap_or(SERVER_PORT));
        }
        Kind::V0(V0Command { port, .. }) => {
            let command = match &drawn.machine {
                Some(Machine { ports: [port, _], .. }) => server(v0_of_this_machine(argv, *port), *port),
                None => server(argv, port.unwrap_or(SERVER_PORT)),
            };
            run_server(request, ServerKind::OpenHands, command, drawn);
        }
        Kind::V1 { port } => {
            let command = match &drawn.machine {
                Some(machine) => server(v1_of_this_machine(&argv, machine), machine.ports[0]),
                None => server(argv, port.unwrap_or(V1_PORT)),
            };
            run_server(request, ServerKind::AgentServer, command, drawn);
        }
        // The image of the server starts it by itself.
        Kind::Image if drawn.machine.is_none() && is_v1_image(image) => {
            run_server(
                request,
                ServerKind::AgentServer,
                server(Vec::new(), V1_PORT),
                drawn,
            );
        }
        Kind::Image if drawn.machine.is_none() => {
            request.launch = Some(Launch::Image);
            keep_secret(request, drawn);
        }
        // This machine starts nothing by itself: its agent serves.
        Kind::Image => request.actions = Some(SERVER_PORT),
        Kind::Other => {
            request.actions = Some(SERVER_PORT);
            request.launch = Some(Launch::Program(argv));
        }
    }
}

/// The ports of a pod that URLs of its session lead to, besides those of an agent and of a server that Podbay knows of.
pub(crate) fn routed(request: &SessionRequest) -> Vec<u16> {
    let vscode = match &request.launch {
        Some(Launch::Server(command)) => command.vscode_port,
        _ => VSCODE_PORT,
    };
    let by_image = (request.launch == Some(Launch::Image)).then_some(SERVER_PORT);
    WORK_PORTS.into_iter().chain([vscode]).chain(by_image).collect()
}

fn run_server(request: &mut SessionRequest, kind: ServerKind, command: ServerCommand, drawn: &Drawn) {
    if kind == ServerKind::AgentServer {
        keep_secret(request, drawn);
        if drawn.machine.is_some() {
            let port = command.vscode_port.to_string();
            request.env.insert(VSCODE_VARIABLE.to_owned(), port.into());
        }
    }
    request.server = Some(kind);
    request.launch = Some(Launch::Server(command));
}

/// A key of the client's own stays.
fn keep_secret(request: &mut SessionRequest, drawn: &Drawn) {
    let env = &mut request.env;
    env.entry(SECRET_KEY.to_owned())
        .or_insert_with(|| drawn.secret_key.clone());
}

/// Whether the image is one of OpenHands' V1 server, by its repository's name.
fn is_v1_image(image: &str) -> bool {
    let name = image.split('@').next().unwrap_or(image);
    let last = name.rsplit('/').next().unwrap_or(name);
    last.split(':').next() == Some(V1_REPOSITORY)
}

/// The command with what follows the server's name, but for address and port.
fn v1_of_this_machine(argv: &[String], machine: &Machine) -> Vec<String> {
    let server = argv.iter().position(|word| is_v1(word));
    let mut rest = argv.iter().skip(server.map_or(argv.len(), |at| at + 1));
    let mut own = vec![machine.v1_program.to_owned()];
    while let Some(word) = rest.next() {
        match word.as_str() {
            "--port" | "--host" => drop(rest.next()),
            word if word.starts_with("--port=") || word.starts_with("--host=") => {}
            word => own.push(word.to_owned()),
        }
    }
    own.extend(["--host", LOOPBACK, "--port", &machine.ports[0].to_string()].map(str::to_owned));
    own
}

/// The command by the Python in the search path, on this port.
fn v0_of_this_machine(argv: Vec<String>, port: u16) -> Vec<String> {
    let mut own: Vec<String> = ["python", "-u", "-m"].map(str::to_owned).into();
    own.extend(argv.into_iter().skip_while(|word| word != V0));
    match own.get_mut(4) {
        Some(word) if word.parse::<u16>().is_ok() => *word = port.to_string(),
        _ => own.insert(4.min(own.len()), port.to_string()),
    }
    own
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    const STOCK: &str = "/usr/local/bin/openhands-agent-server --port 60000";

    fn argv(command: &str) -> Vec<String> {
        command.split_whitespace().map(str::to_owned).collect()
    }

    fn launched(command: &str, image: &str, ports: Option<[u16; 2]>, v0: V0Server) -> SessionRequest {
        let argv = argv(command);
        let kind = Kind::of(Some(&argv));
        let drawn = Drawn {
            secret_key: "drawn".into(),
            machine: ports.map(|ports| Machine {
                ports,
                v1_program: "agent-server",
            }),
        };
        let mut request = SessionRequest::default();
        launch(&mut request, &kind, (argv, image), v0, &drawn);
        request
    }

    fn server(request: &SessionRequest) -> (ServerKind, String, u16, u16) {
        match (request.server, &request.launch) {
            (Some(kind), Some(Launch::Server(command))) => {
                (kind, command.argv.join(" "), command.port, command.vscode_port)
            }
            other => panic!("no server: {other:?}"),
        }
    }

    #[test]
    fn a_v1_server_runs_as_it_is_and_has_a_key_that_stays() {
        let request = launched(STOCK, "any", None, V0Server::Agent);
        assert_eq!(
            server(&request),
            (ServerKind::AgentServer, STOCK.to_owned(), 60_000, 60_001)
        );
        assert_eq!(request.env["OH_SECRET_KEY"].expose_secret(), "drawn");
        let bare = launched("openhands-agent-server", "any", None, V0Server::Agent);
        assert_eq!(server(&bare).2, 8000);
    }

    #[test]
    fn on_this_machine_a_v1_server_is_that_of_the_search_path_on_a_port_of_its_own() {
        for (command, expected) in [
            (STOCK, "agent-server --host 127.0.0.1 --port 4"),
            (
                "/agent-server/.venv/bin/python -m openhands.agent_server --port=60000 --host 0.0.0.0 --reload",
                "agent-server --reload --host 127.0.0.1 --port 4",
            ),
        ] {
            let request = launched(command, "host", Some([4, 5]), V0Server::Agent);
            assert_eq!(
                server(&request),
                (ServerKind::AgentServer, expected.to_owned(), 4, 5)
            );
            assert_eq!(request.env["OH_VSCODE_PORT"].expose_secret(), "5");
        }
    }

    #[test]
    fn the_server_of_v0_clients_is_the_agent_or_the_image_s() {
        let command =
            "/m/micromamba run python -u -m openhands.runtime.action_execution_server 60000 --username x";
        let agent = launched(command, "any", None, V0Server::Agent);
        assert_eq!((agent.actions, agent.server), (Some(60_000), None));
        let image = launched(command, "any", None, V0Server::Image);
        assert_eq!(
            server(&image),
            (ServerKind::OpenHands, command.to_owned(), 60_000, 60_001)
        );
        let here = launched(command, "host", Some([4, 5]), V0Server::Image);
        let expected = "python -u -m openhands.runtime.action_execution_server 4 --username x";
        assert_eq!(server(&here), (ServerKind::OpenHands, expected.to_owned(), 4, 5));
    }

    #[test]
    fn no_command_is_the_image_s_own() {
        let request = launched("", "debian:12", None, V0Server::Agent);
        assert_eq!(request.launch, Some(Launch::Image));
        for image in [
            "ghcr.io/openhands/agent-server:1.58.2-python",
            "agent-server",
            "r.example:5000/agent-server@sha256:0",
        ] {
            let request = launched("", image, None, V0Server::Agent);
            assert_eq!(
                server(&request),
                (ServerKind::AgentServer, String::new(), 8000, 60_001),
                "{image}"
            );
        }
        let here = launched("", "host", Some([4, 5]), V0Server::Agent);
        assert_eq!((here.actions, here.launch), (Some(60_000), None));
    }

    #[test]
    fn what_urls_lead_to_is_routed() {
        for (command, image, ports) in [
            (STOCK, "any", &[12_000, 12_001, 60_001][..]),
            ("sleep 9", "debian:12", &[12_000, 12_001, 60_001]),
            // Whatever it serves.
            ("", "debian:12", &[12_000, 12_001, 60_001, 60_000]),
        ] {
            let request = launched(command, image, None, V0Server::Agent);
            assert_eq!(routed(&request), ports, "{command}");
        }
    }

    #[test]
    fn another_command_is_run_by_the_agent() {
        let request = launched("sleep 9", "debian:12", None, V0Server::Agent);
        assert_eq!(request.launch, Some(Launch::Program(argv("sleep 9"))));
        assert_eq!(request.actions, Some(60_000));
        assert!(request.env.is_empty());
    }
}
