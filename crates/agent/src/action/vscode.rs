//! VS Code in the browser, where the image has one of its servers: OpenVSCode Server or code-server. It is started when a client
//! asks for its token for the first time, since it takes much memory, and again if it has ended by then.
//!
//! Clients lead a browser to its port with the token as `tkn` (OpenHands' `get_vscode_token`). OpenVSCode Server takes it from there;
//! code-server asks for a password, which is the token too.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use podbay_protocol::{ProcessId, ProcessSpec, Retention, Signal, SignalTarget};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout_at};

use crate::process::Processes;

/// Where OpenHands' images have it.
const ROOT: &str = "/openhands/.openvscode-server";
/// The file of the token, where it is told.
const TOKEN_FILE: &str = "vscode-token";
/// How long it is waited for: a client waits for 10 s.
const READY: Duration = Duration::from_secs(8);
/// How long another that listens there is waited for: what code-server started ends 5 s after it.
const FREE: Duration = Duration::from_secs(2);
/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// A connection to it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Which VS Code is started, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VsCodeSettings {
    /// The directory of OpenVSCode Server, tried before others.
    pub root: Option<PathBuf>,
    /// The search path for the programs.
    pub path: Option<String>,
    /// The address that it listens on.
    pub address: IpAddr,
    /// The port that it listens on. By default 8081, OpenHands' own.
    pub port: u16,
    /// The socket that it listens on in place of a port.
    pub socket: Option<PathBuf>,
    /// The path below which it serves; `/` if there is none.
    pub base_path: Option<String>,
    /// The directory that it is started in.
    pub directory: Option<PathBuf>,
    /// Its token; a new one each time it is started, if there is none.
    pub token: Option<SecretString>,
    /// Where a file with its token is put for as long as it takes to start.
    pub private: PathBuf,
}

impl Default for VsCodeSettings {
    fn default() -> Self {
        Self {
            root: None,
            path: None,
            address: Ipv4Addr::UNSPECIFIED.into(),
            port: 8081,
            socket: None,
            base_path: None,
            directory: None,
            token: None,
            private: std::env::temp_dir(),
        }
    }
}

/// A server of VS Code that an image may have.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Program {
    OpenVsCode(PathBuf),
    CodeServer(PathBuf),
}

/// The server of VS Code of a sandbox.
pub(super) struct VsCode {
    processes: Processes,
    settings: VsCodeSettings,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    running: Option<Running>,
    started: u64,
}

struct Running {
    id: ProcessId,
    token: String,
}

impl VsCode {
    pub(super) fn new(processes: Processes, settings: VsCodeSettings) -> Self {
        Self {
            processes,
            settings,
            current: Mutex::default(),
        }
    }

    /// Its token, once it can be reached. `None` where the image has none, or it does not start.
    pub(super) async fn token(&self) -> Option<String> {
        let mut current = self.current.lock().await;
        if let Some(running) = &current.running
            && self.lives(&running.id)
        {
            return Some(running.token.clone());
        }
        if let Some(former) = current.running.take() {
            // What it left behind may hold the port.
            self.processes
                .signal(&former.id, Signal::KILL, SignalTarget::Tree)
                .ok();
        }
        let program = find(&self.settings, is_program)?;
        let token = match &self.settings.token {
            Some(token) => token.expose_secret().to_owned(),
            None => format!("{:032x}", rand::random::<u128>()),
        };
        current.started += 1;
        // Another agent's after a restart has another id.
        let name = format!("vscode-{}-{:04x}", current.started, rand::random::<u16>());
        let started = self.start(&name, &program, &token).await;
        match started {
            Ok(id) => {
                let token = token.clone();
                current.running = Some(Running { id, token });
            }
            Err(error) => {
                tracing::warn!(%error, ?program, "VS Code was not started");
                return None;
            }
        }
        Some(token)
    }

    /// Whether it runs: nobody has to wait for its end.
    pub(super) fn is_resting(&self) -> bool {
        let current = self.current.try_lock();
        current.is_ok_and(|current| {
            let running = current.running.as_ref();
            running.is_some_and(|running| self.lives(&running.id))
        })
    }

    fn lives(&self, id: &ProcessId) -> bool {
        self.processes.info(id).is_some_and(|info| info.end.is_none())
    }

    /// Starts it and waits until it answers.
    async fn start(&self, name: &str, program: &Program, token: &str) -> io::Result<ProcessId> {
        let id: ProcessId = name.parse().map_err(io::Error::other)?;
        let file = self.settings.private.join(format!("{TOKEN_FILE}-{name}"));
        let mut spec = ProcessSpec::new(id.clone(), argv(program, &self.settings, &file));
        spec.retention = Retention::Tail;
        spec.directory = self
            .settings
            .directory
            .as_ref()
            .map(|directory| directory.display().to_string());
        self.is_free().await?;
        match program {
            Program::OpenVsCode(_) => write_private(&file, token)?,
            Program::CodeServer(_) => {
                write_private(&file, &format!("password: \"{token}\"\n"))?;
                // The image's own would count more than the file; with the last one it would start nothing.
                spec.environment = ["PASSWORD", "HASHED_PASSWORD", "VSCODE_IPC_HOOK_CLI"]
                    .map(|name| (name, ""))
                    .into_iter()
                    .collect();
            }
        }
        let answers = match self.processes.start(spec) {
            Ok(_) => self.answers(&id).await,
            Err(refused) => Err(io::Error::other(refused)),
        };
        if !matches!(answers, Ok(false)) {
            fs::remove_file(&file).ok(); // It has been read, or nobody will.
        }
        answers.map(|_| id)
    }

    /// Nobody else may be taken for it.
    async fn is_free(&self) -> io::Result<()> {
        let deadline = Instant::now() + FREE;
        while self.connect().await.is_ok() {
            if Instant::now() >= deadline {
                return Err(io::Error::other("another program listens there"));
            }
            sleep(LOOK).await;
        }
        if let Some(socket) = &self.settings.socket {
            fs::remove_file(socket).ok(); // OpenVSCode Server doesn't replace one.
        }
        Ok(())
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        if let Some(socket) = &self.settings.socket {
            return Ok(Box::new(UnixStream::connect(socket).await?));
        }
        let address = match self.settings.address {
            IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            address => address,
        };
        Ok(Box::new(TcpStream::connect((address, self.settings.port)).await?))
    }

    /// Asks it for something, whatever that is: OpenVSCode Server listens first, and only then reads the file with its token.
    async fn ask(&self) -> io::Result<()> {
        let mut stream = self.connect().await?;
        stream.write_all(b"GET /version HTTP/1.0\r\n\r\n").await?;
        stream.read_u8().await.map(drop)
    }

    /// Whether it answers. It is slow if not; the browser can try again.
    async fn answers(&self, id: &ProcessId) -> io::Result<bool> {
        let deadline = Instant::now() + READY;
        while !matches!(timeout_at(deadline, self.ask()).await, Ok(Ok(()))) {
            if !self.lives(id) {
                return Err(io::Error::other("it ended before it answered"));
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            sleep(LOOK).await;
        }
        Ok(true)
    }
}

/// The server that the image has.
fn find(settings: &VsCodeSettings, is_program: impl Fn(&Path) -> bool) -> Option<Program> {
    const OPEN: &str = "openvscode-server";
    const CODE: &str = "code-server";
    let path = settings.path.as_deref().unwrap_or("/usr/local/bin:/usr/bin:/bin");
    let on_path = |name: &'static str| std::env::split_paths(path).map(move |directory| directory.join(name));
    let roots = settings.root.as_deref().into_iter().chain([Path::new(ROOT)]);
    let open = roots
        .map(|root| root.join("bin").join(OPEN))
        .chain(on_path(OPEN))
        .find(|program| is_program(program))
        .map(Program::OpenVsCode);
    open.or_else(|| {
        on_path(CODE)
            .find(|program| is_program(program))
            .map(Program::CodeServer)
    })
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Its words. The token is in none of them: everybody sees these.
fn argv(program: &Program, settings: &VsCodeSettings, token_file: &Path) -> Vec<String> {
    let place = |socket: &str| match &settings.socket {
        Some(path) => vec![socket.to_owned(), path.display().to_string()],
        None => vec![
            "--host".to_owned(),
            settings.address.to_string(),
            "--port".to_owned(),
            settings.port.to_string(),
        ],
    };
    match program {
        Program::OpenVsCode(program) => {
            let mut words = vec![
                program.display().to_string(),
                "--connection-token-file".to_owned(),
                token_file.display().to_string(),
                "--disable-workspace-trust".to_owned(),
            ];
            words.extend(place("--socket-path"));
            if let Some(base_path) = &settings.base_path {
                words.extend(["--server-base-path".to_owned(), base_path.clone()]);
            }
            words
        }
        Program::CodeServer(program) => {
            // A file of our own: the image's may want a socket, TLS or another password. `PORT` and `CODE_SERVER_HOST` count more
            // than `--bind-addr`, and less than these.
            let mut words = vec![
                program.display().to_string(),
                "--config".to_owned(),
                token_file.display().to_string(),
                "--auth".to_owned(),
                "password".to_owned(),
                "--disable-telemetry".to_owned(),
                "--disable-workspace-trust".to_owned(),
            ];
            words.extend(place("--socket"));
            words
        }
    }
}

/// Writes a file that its user alone can read.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_s_own_is_found() {
        let mut settings = VsCodeSettings {
            path: Some("/a:/b".to_owned()),
            ..VsCodeSettings::default()
        };
        let found = |settings: &VsCodeSettings, there: &[&str]| {
            find(settings, |path| there.iter().any(|one| Path::new(one) == path))
        };
        let open = |path: &str| Some(Program::OpenVsCode(path.into()));
        assert_eq!(found(&settings, &[]), None);
        let code = Some(Program::CodeServer("/b/code-server".into()));
        assert_eq!(found(&settings, &["/b/code-server"]), code);
        let both = ["/b/code-server", "/b/openvscode-server"];
        assert_eq!(found(&settings, &both), open("/b/openvscode-server"));
        let image = "/openhands/.openvscode-server/bin/openvscode-server";
        assert_eq!(found(&settings, &[image, "/a/openvscode-server"]), open(image));
        settings.root = Some("/r".into());
        assert_eq!(
            found(&settings, &[image, "/r/bin/openvscode-server"]),
            open("/r/bin/openvscode-server")
        );
        settings.path = None;
        assert_eq!(
            found(&settings, &["/usr/bin/code-server"]),
            Some(Program::CodeServer("/usr/bin/code-server".into()))
        );
    }

    #[test]
    fn the_base_path_is_passed_on() {
        let settings = VsCodeSettings {
            base_path: Some("/x/vscode".to_owned()),
            ..VsCodeSettings::default()
        };
        let words = argv(&Program::OpenVsCode("/o".into()), &settings, Path::new("/t"));
        assert_eq!(words[words.len() - 2..], ["--server-base-path", "/x/vscode"]);
    }
}
