//! The mode `stdio`: a connection to a port of this sandbox over standard input and output, for clients that reach it by an exec
//! alone.
//!
//! The first line says that the connection is there ([`BRIDGE_READY`]); what follows is the connection's own. It carries what
//! clients send, the session's key among it, so nobody of this user may look into the process; and an exec gives it the
//! environment of the container, which may have the key: it is replaced by itself without one before anything else.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::thread;

use podbay_protocol::agent::BRIDGE_READY;

use crate::key::protect::protect_process;
use crate::key::source::VARIABLES;

/// Bytes that are passed on at once, at most: what a pipe holds.
const PIECE: usize = 64 * 1024;
/// Stack of the thread that passes one direction on.
const STACK: usize = 128 * 1024;

/// What the mode takes.
pub(crate) const USAGE: &str = "podbay-agent stdio --port PORT";

/// Why there is no connection, or no longer one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// The arguments can't be read.
    #[error("{problem}; usage: {USAGE}")]
    Arguments {
        /// What is wrong with them.
        problem: String,
    },
    /// Nobody listens there.
    #[error("connecting to port {port} of this sandbox")]
    Connect {
        /// The port.
        port: u16,
        /// Why not.
        #[source]
        source: io::Error,
    },
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

fn system(doing: &'static str) -> impl FnOnce(io::Error) -> BridgeError {
    move |source| BridgeError::System { doing, source }
}

/// Passes bytes on between the standard streams and a port of this machine, until the port's side has ended. Must be called before
/// any thread is started. Does not return where the environment has a session's key: then this process is replaced by the same
/// without an environment.
pub fn run(words: &[OsString]) -> Result<(), BridgeError> {
    let port = port(words)?;
    if VARIABLES.iter().any(|name| std::env::var_os(name).is_some()) {
        return Err(system("leaving the environment behind")(without_environment()));
    }
    protect_process(true).map_err(system("protecting this process from others"))?;
    let stream = connect(port).map_err(|source| BridgeError::Connect { port, source })?;
    // Small requests go out at once. A socket that refuses that works all the same.
    let _ = stream.set_nodelay(true);
    let mut input = standard(rustix::stdio::stdin()).map_err(system("reading standard input"))?;
    let mut output = standard(rustix::stdio::stdout()).map_err(system("writing standard output"))?;
    output
        .write_all(BRIDGE_READY.as_bytes())
        .map_err(system("writing standard output"))?;
    let sending = stream.try_clone().map_err(system("using the connection twice"))?;
    thread::Builder::new()
        .name("input".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            let mut sending = sending;
            // However it ended, nothing more comes. One that no longer reads has ended, which the other direction sees.
            let _ = pass_on(&mut input, &mut sending);
            let _ = sending.shutdown(Shutdown::Write);
        })
        .map_err(system("starting a thread"))?;
    // Both ends may be gone by now, and neither is a failure of this process.
    let _ = pass_on(&mut &stream, &mut output);
    Ok(())
}

/// Passes bytes on to the end. Not by `io::copy`, which lets the kernel do it by splice(2): Linux before 6.8 keeps the pipe locked
/// while it waits for the socket, and whoever reads the pipe does not get what is in it already.
fn pass_on(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Replaces this process by the same program with the same arguments and no environment. Returns if that failed.
fn without_environment() -> io::Error {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    let mut arguments = std::env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments).env_clear().exec()
}

fn port(words: &[OsString]) -> Result<u16, BridgeError> {
    let wrong = |problem: String| BridgeError::Arguments { problem };
    match words {
        [flag, port] if flag == "--port" => {
            let text = port.to_string_lossy();
            let port = text.parse().ok().filter(|port| *port > 0);
            port.ok_or_else(|| wrong(format!("--port is {text:?}, which is no port")))
        }
        _ => Err(wrong("one argument is wanted".to_owned())),
    }
}

/// The agent listens on all addresses; where there is no IPv4, on those of IPv6.
fn connect(port: u16) -> io::Result<TcpStream> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .or_else(|error| TcpStream::connect((Ipv6Addr::LOCALHOST, port)).map_err(|_| error))
}

/// A standard stream without a buffer of our own.
fn standard(stream: rustix::fd::BorrowedFd<'_>) -> io::Result<File> {
    Ok(File::from(rustix::io::fcntl_dupfd_cloexec(stream, 3)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read() {
        let parse = |words: &[&str]| port(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(parse(&["--port", "10022"]).unwrap(), 10022);
        for words in [
            &[][..],
            &["--port"],
            &["--port", "0"],
            &["--port", "65536"],
            &["--port", "x"],
            &["10022"],
            &["--port", "1", "2"],
        ] {
            assert!(
                matches!(parse(words), Err(BridgeError::Arguments { .. })),
                "{words:?}"
            );
        }
    }
}
