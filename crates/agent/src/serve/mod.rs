//! The mode `serve`: the server of a sandbox, as PID 1 of its container.
//!
//! In this order: the key is taken, which may replace the process; the process is made one that nobody of its user can
//! look into; then threads are started, and the port is opened. SIGTERM and SIGINT end all processes first, within the
//! grace period and while clients can still read how they ended, and then the server.

mod allocator;
mod arguments;
mod life;

use std::ffi::OsString;
use std::fs::File;
use std::future::pending;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

pub use arguments::{Arguments, WrongArguments};

use crate::action::ActionSettings;
use crate::init::{Children, EndingSignals, block_faults_of_others, raise_open_files};
use crate::key::handover::{self, Sources};
use crate::key::protect::protect_process;
use crate::key::source::VARIABLES;
use crate::key::{KeyError, SessionKey};
use crate::log::Level;
use crate::process::{ProcessSettings, Processes};
use crate::server::{self, Limits, Listener, NeedsKey, Services};
use life::Life;

/// Threads that carry bytes: more make streams no faster.
const WORKERS: usize = 2;
/// Threads for files, trees and spool files, at most.
const BLOCKING_THREADS: usize = 64;

/// The variable that says after how many seconds without output a command is told of that may go on.
const NO_CHANGE: &str = "NO_CHANGE_TIMEOUT_SECONDS";

/// The variables that say which port VS Code has, and below which path; and where OpenVSCode Server is.
const VSCODE_PORTS: [&str; 2] = ["OH_VSCODE_PORT", "VSCODE_PORT"];
const VSCODE_BASE_PATHS: [&str; 2] = ["OH_VSCODE_BASE_PATH", "OPENVSCODE_SERVER_BASE_PATH"];
const VSCODE_ROOT: &str = "OPENVSCODE_SERVER_ROOT";

/// Why the server did not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The arguments can't be read.
    #[error(transparent)]
    Arguments(#[from] WrongArguments),
    /// There is no key where there should be one.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The address is one that needs a key.
    #[error(transparent)]
    Address(#[from] NeedsKey),
    /// The system refused something.
    #[error("{doing}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

fn system(doing: &'static str) -> impl FnOnce(io::Error) -> ServeError {
    move |source| ServeError::System { doing, source }
}

/// Serves with these arguments until it is told to end. Must be called before any thread is started.
pub fn run(words: Vec<OsString>) -> Result<ExitCode, ServeError> {
    let arguments = Arguments::parse(words)?;
    arguments.log.unwrap_or_else(Level::from_environment).install();
    allocator::tune();
    let sources = Sources {
        stdin: arguments.key_on_stdin,
        file: arguments.key_file.as_deref(),
    };
    let key = handover::take(sources, || {
        let mut again = handover::this_program(Some(arguments::KEY_ON_STDIN))?;
        allocator::tuned(&mut again);
        Ok(again)
    })?;
    let address = server::address(arguments.port, key.is_some(), arguments.address)?;
    protect_process(arguments.no_new_privileges).map_err(system("protecting this process from others"))?;
    block_faults_of_others().map_err(system("blocking signals"))?;
    let open_files = raise_open_files().map_err(system("raising the limit of open files"))?;
    let workers = std::thread::available_parallelism().map_or(1, |count| count.get().min(WORKERS));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(system("starting threads"))?;
    let ended = runtime.block_on(async {
        let life = match &arguments.lock {
            Some(path) => Some(
                Life::take(path)
                    .await
                    .map_err(system("locking the file that tells of this process"))?,
            ),
            None => None,
        };
        let mut ending = EndingSignals::listen().map_err(system("listening for signals"))?;
        let listener = match &arguments.socket {
            Some(path) => server::listen_on_socket(path)
                .map(Listener::from)
                .map_err(system("listening on the socket"))?,
            None => server::listen(address)
                .await
                .map(Listener::from)
                .map_err(system("listening on the port"))?,
        };
        announce(&listener, arguments.socket.as_deref()).map_err(system("telling the address"))?;
        let children = Children::of_this_program().map_err(system("waiting for children"))?;
        let processes = Processes::new(settings(&arguments, open_files), children);
        if let (Some(life), Some(prefix)) = (&life, processes.cgroups())
            && let Err(error) = life.tell_cgroups(prefix)
        {
            tracing::debug!(%error, "where cgroups are made could not be written down");
        }
        serve(listener, key, &arguments, processes, (&mut ending, life.as_ref())).await;
        Ok(ExitCode::SUCCESS)
    });
    // A call on a file that hangs is not waited for.
    runtime.shutdown_background();
    ended
}

async fn serve(
    listener: Listener,
    key: Option<SessionKey>,
    arguments: &Arguments,
    processes: Processes,
    (ending, life): (&mut EndingSignals, Option<&Life>),
) {
    processes.prepare();
    let actions = actions(arguments, &listener);
    let services = Services::new(key, arguments.pod_uid.clone(), processes.clone()).with_actions(actions);
    let ends = async {
        tokio::select! {
            _ = ending.next() => {}
            () = is_over(life) => {}
        }
        processes.shut_down(arguments.grace).await;
    };
    server::serve(listener, services, Limits::default(), ends).await;
}

async fn is_over(life: Option<&Life>) {
    match life {
        Some(life) => life.is_over().await,
        None => pending().await,
    }
}

/// Whoever started us may have left the choice of the port to the system, and waits for the socket. One that listens on a
/// socket has nothing more to tell, and may outlive whoever reads it.
fn announce(listener: &Listener, socket: Option<&Path>) -> io::Result<()> {
    match (listener, socket) {
        (Listener::Port(port), _) => writeln!(io::stdout(), "listening on {}", port.local_addr()?),
        (Listener::Socket(_), path) => {
            let path = path.unwrap_or(Path::new("a socket"));
            writeln!(io::stdout(), "listening on {}", path.display())?;
            rustix::stdio::dup2_stdout(File::options().write(true).open("/dev/null")?)?;
            Ok(())
        }
    }
}

/// How OpenHands' actions are carried out: the variables are those that its own servers read.
fn actions(arguments: &Arguments, listener: &Listener) -> ActionSettings {
    let mut actions = ActionSettings::default();
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let port = VSCODE_PORTS
        .iter()
        .find_map(|name| variable(name)?.trim().parse().ok());
    actions.vscode.port = port.unwrap_or(actions.vscode.port);
    actions.vscode.root = variable(VSCODE_ROOT).map(Into::into);
    actions.vscode.base_path = VSCODE_BASE_PATHS.iter().find_map(|name| variable(name));
    if let Some(spool) = &arguments.spool {
        actions.vscode.private.clone_from(spool);
    }
    // Who reaches this server reaches it, and nobody else.
    if let Listener::Port(port) = listener
        && let Ok(address) = port.local_addr()
    {
        actions.vscode.address = address.ip();
    }
    actions.vscode.socket = arguments
        .socket
        .as_ref()
        .map(|socket| socket.with_file_name("vscode"));
    actions.directory.clone_from(&arguments.directory);
    actions.path = std::env::var("PATH").ok();
    let seconds = std::env::var(NO_CHANGE)
        .ok()
        .and_then(|text| text.trim().parse().ok());
    if let Some(seconds) = seconds.filter(|seconds: &u32| *seconds > 0) {
        actions.no_change_seconds = seconds.into();
    }
    actions
}

fn settings(arguments: &Arguments, open_files: Option<u64>) -> ProcessSettings {
    let environment = std::env::vars_os()
        .filter(|(name, _)| VARIABLES.iter().all(|variable| *variable != name))
        .filter(|(name, value)| !allocator::is_ours(name, value))
        .collect();
    let defaults = ProcessSettings::default();
    let spool_limit = arguments.spool_limit.unwrap_or(defaults.spool_limit);
    ProcessSettings {
        spare: true,
        cgroups: true,
        environment,
        open_files,
        no_new_privileges: arguments.no_new_privileges,
        directory: arguments.directory.clone(),
        spool: arguments.spool.clone(),
        spool_limit,
        stream_limit: defaults.stream_limit.min(spool_limit),
        mark: arguments.mark.clone().unwrap_or(defaults.mark),
        ..defaults
    }
}
