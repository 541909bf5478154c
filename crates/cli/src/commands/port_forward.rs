//! `podbay port-forward`: ports of this machine that lead to ports of a session.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use clap::Args;
use futures::future::select_all;
use podbay_runtime::{BackendKind, Forwarded, Session};
use tokio::net::TcpListener;

use super::run::listen;
use crate::args::GlobalArgs;
use crate::connection::{Needs, connect_to_sessions};
use crate::exit::Failure;
use crate::output::{note, print_line};

/// Flags of `podbay port-forward`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PortForwardArgs {
    /// The session
    session: String,
    /// A port of the session, at the same one of this machine, at another one, or at one that is free (:REMOTE)
    #[arg(required = true, value_name = "[LOCAL:]REMOTE")]
    ports: Vec<Ports>,
    /// Addresses of this machine to listen on; localhost is 127.0.0.1 and ::1
    #[arg(
        long,
        value_name = "ADDRESS",
        value_delimiter = ',',
        default_value = "localhost"
    )]
    address: Vec<Listen>,
}

const EXAMPLES: &str = "\
Each connection to the local port is carried to what listens in the session. Goes on until it is told to end, also while nothing
listens there, or until the session is paused, lost or closed.

Examples:
  podbay port-forward demo 8080                     127.0.0.1:8080 and [::1]:8080 lead to port 8080 of the session
  podbay port-forward demo 8888:8080 5432
  podbay port-forward demo :8080                    a port that is free, which is printed
  podbay port-forward demo --address 0.0.0.0 8080   for others, too";

/// Which port of this machine leads to which of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ports {
    /// 0 is one that is free.
    local: u16,
    remote: u16,
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str, least: u16| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            let number = part.parse().ok().filter(|number| digits && *number >= least);
            number.ok_or_else(|| format!("{part:?} is no port: a number up to 65535"))
        };
        match text.split_once(':') {
            None => {
                let port = number(text, 1)?;
                Ok(Self {
                    local: port,
                    remote: port,
                })
            }
            Some((local, remote)) => Ok(Self {
                local: if local.is_empty() { 0 } else { number(local, 0)? },
                remote: number(remote, 1)?,
            }),
        }
    }
}

/// Where it is listened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listen {
    /// This machine's own addresses of both versions, of which one may be missing.
    Localhost,
    /// This one.
    At(IpAddr),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "localhost" {
            return Ok(Self::Localhost);
        }
        let address = text.parse().map(Self::At);
        address.map_err(|_| format!("{text:?} is no IP address, nor is it \"localhost\""))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Localhost => f.write_str("localhost"),
            Self::At(address) => address.fmt(f),
        }
    }
}

impl Listen {
    const fn is_this_machine(self) -> bool {
        match self {
            Self::Localhost => true,
            Self::At(address) => address.is_loopback(),
        }
    }
}

/// Forwards ports until it is told to end.
pub(crate) async fn run(global: &GlobalArgs, args: PortForwardArgs) -> Result<u8, Failure> {
    let PortForwardArgs {
        session: id,
        ports,
        address,
    } = args;
    let signals = listen()?;
    let told = signals.token();
    let work = async {
        let podbay = connect_to_sessions(global, Needs::default()).await?;
        let session = podbay.existing(&id)?;
        if podbay.kind() == BackendKind::Local {
            refuse_the_same_port(&id, &ports, &address)?;
        }
        // What can't be reached at all is told before anything is listened on.
        session.sandbox().await?;
        let mut listening = Vec::new();
        for ports in ports {
            for listener in bind(ports.local, &address).await? {
                listening.push((listener, ports.remote));
            }
        }
        let mut forwarding = Vec::new();
        for (listener, remote) in listening {
            let local = listener
                .local_addr()
                .map_err(|source| cannot_listen(&"a port", source))?;
            print_line(format_args!("Forwarding from {local} -> {remote}"))?;
            forwarding.push(Box::pin(forward(&session, listener, local.port(), remote)));
        }
        let (ended, ..) = select_all(forwarding).await;
        ended
    };
    tokio::select! {
        biased;
        ended = Box::pin(work) => match ended {
            Err(failure) => Err(failure),
            Ok(never) => match never {},
        },
        () = told.cancelled() => Ok(signals.exit_code().unwrap_or_default()),
    }
}

async fn forward(
    session: &Session,
    listener: TcpListener,
    local: u16,
    remote: u16,
) -> Result<Infallible, Failure> {
    let tell = |forwarded| match forwarded {
        // As kubectl says it. Who has closed our output does not want to hear it.
        Forwarded::Connected { .. } => drop(print_line(format_args!("Handling connection for {local}"))),
        Forwarded::Refused { error, .. } => note(&format!("podbay: port {remote}: {}", error.chain())),
        Forwarded::Broken { message, .. } => {
            note(&format!("podbay: port {remote}: a connection broke: {message}"));
        }
        _ => {}
    };
    Ok(session.forward(listener, remote, tell).await?)
}

/// A session of this machine has this machine's ports: nothing leads anywhere else.
fn refuse_the_same_port(session: &str, ports: &[Ports], addresses: &[Listen]) -> Result<(), Failure> {
    let same = ports.iter().find(|ports| ports.local == ports.remote);
    match same {
        Some(Ports { remote, .. }) if addresses.iter().any(|address| address.is_this_machine()) => {
            Err(Failure::Usage {
                message: format!(
                    "session {session:?} is on this machine: 127.0.0.1:{remote} is its port {remote} already; \
                     to have it at another port say :{remote} or LOCAL:{remote}"
                ),
            })
        }
        _ => Ok(()),
    }
}

/// Listens on a port of these addresses; one that is free is the same on all.
async fn bind(port: u16, addresses: &[Listen]) -> Result<Vec<TcpListener>, Failure> {
    let mut listeners = Vec::new();
    let mut bound = BTreeSet::new();
    let mut port = port;
    for address in addresses {
        let wanted: &[IpAddr] = match address {
            Listen::Localhost => &[IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
            Listen::At(address) => std::slice::from_ref(address),
        };
        let (mut is_made, mut failed) = (false, None);
        for ip in wanted {
            let place = SocketAddr::new(*ip, port);
            if bound.contains(ip) {
                is_made = true;
                continue;
            }
            match TcpListener::bind(place).await {
                Ok(listener) => {
                    is_made = true;
                    bound.insert(*ip);
                    port = listener.local_addr().map_or(port, |local| local.port());
                    listeners.push(listener);
                }
                Err(source) => failed = Some((place, source)),
            }
        }
        if let Some((place, source)) = failed.filter(|_| !is_made) {
            return Err(cannot_listen(&place, source));
        }
    }
    Ok(listeners)
}

fn cannot_listen(place: &dyn fmt::Display, source: std::io::Error) -> Failure {
    Failure::Local {
        what: format!("{place} can't be listened on"),
        source,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};

    fn parse(line: &str) -> Result<PortForwardArgs, clap::Error> {
        match Args::try_parse_from(line.split(' '))?.command {
            Command::PortForward(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ports_mean_what_they_do_for_kubectl() {
        for (text, local, remote) in [
            ("8080", 8080, 8080),
            ("8888:8080", 8888, 8080),
            (":8080", 0, 8080),
            ("0:8080", 0, 8080),
            ("65535", 65535, 65535),
        ] {
            assert_eq!(text.parse(), Ok(Ports { local, remote }), "{text}");
        }
        for text in [
            "", ":", "8080:", "0", ":0", "65536", "http", "-1", "+1", "1:2:3", " 1", "1:x",
        ] {
            assert!(text.parse::<Ports>().is_err(), "{text}");
        }
    }

    #[test]
    fn several_ports_and_addresses_may_be_named() {
        let args = parse("podbay port-forward demo 1 2:3 --address 127.0.0.1,::1,localhost").unwrap();
        assert_eq!(args.ports.len(), 2);
        let [four, six] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        assert_eq!(
            args.address,
            [Listen::At(four), Listen::At(six), Listen::Localhost]
        );
        let args = parse("podbay port-forward demo :1").unwrap();
        assert_eq!(args.address, [Listen::Localhost]);
        for line in [
            "podbay port-forward demo",
            "podbay port-forward demo x",
            "podbay port-forward demo 1 --address example.com",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn a_session_of_this_machine_has_its_ports_already() {
        let same = Ports {
            local: 8080,
            remote: 8080,
        };
        let other = Ports {
            local: 0,
            remote: 8080,
        };
        let outside = Listen::At(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        assert!(refuse_the_same_port("demo", &[other, same], &[Listen::Localhost]).is_err());
        assert!(refuse_the_same_port("demo", &[other], &[Listen::Localhost]).is_ok());
        assert!(refuse_the_same_port("demo", &[same], &[outside]).is_ok());
    }

    #[tokio::test]
    async fn a_free_port_is_the_same_on_all_addresses() {
        let listeners = bind(0, &[Listen::Localhost, Listen::At(Ipv4Addr::LOCALHOST.into())])
            .await
            .unwrap();
        let ports: BTreeSet<u16> = listeners
            .iter()
            .map(|listener| listener.local_addr().unwrap().port())
            .collect();
        assert_eq!(ports.len(), 1);
        // It is taken now.
        let port = ports.into_iter().next().unwrap();
        let error = bind(port, &[Listen::At(Ipv4Addr::LOCALHOST.into())])
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&format!("127.0.0.1:{port} can't be listened on"))
        );
    }
}
