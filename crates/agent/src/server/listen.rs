//! Where the server listens.

use std::fs::Permissions;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tokio::net::{TcpListener, UnixListener};

/// The address to listen on for a port: without a key, only this machine's own, so that nobody else may ask.
pub fn address(port: u16, has_key: bool, wanted: Option<IpAddr>) -> Result<SocketAddr, NeedsKey> {
    let address = match wanted {
        Some(address) if has_key || address.is_loopback() => address,
        Some(address) => return Err(NeedsKey { address }),
        None if has_key => Ipv6Addr::UNSPECIFIED.into(),
        None => Ipv4Addr::LOCALHOST.into(),
    };
    Ok(SocketAddr::new(address, port))
}

/// An address that others reach was asked for, and there is no key that would keep them out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is not listened on without a session's key: everybody who reaches it could run commands")]
pub struct NeedsKey {
    /// The address.
    pub address: IpAddr,
}

/// Listens. Every address of IPv6 is every one of IPv4 too; where there is no IPv6, it is that alone.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error) if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && has_no_ipv6(&error) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        other => other,
    }
}

/// Listens on a socket at `path`, which this user alone may connect to. What an earlier server left there goes. Within a tokio
/// runtime.
///
/// The caller's directory keeps others out in the moment before the socket has its mode.
pub fn listen_on_socket(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn has_no_ipv6(error: &io::Error) -> bool {
    use rustix::io::Errno;

    matches!(
        Errno::from_io_error(error),
        Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_key_nobody_else_is_listened_to() {
        let address = |has_key, wanted: Option<&str>| {
            address(1, has_key, wanted.map(|wanted| wanted.parse().unwrap()))
                .map(|address| address.to_string())
        };
        assert_eq!(address(true, None).unwrap(), "[::]:1");
        assert_eq!(address(false, None).unwrap(), "127.0.0.1:1");
        assert_eq!(address(false, Some("::1")).unwrap(), "[::1]:1");
        assert_eq!(address(true, Some("10.0.0.1")).unwrap(), "10.0.0.1:1");
        assert!(address(false, Some("0.0.0.0")).is_err());
        assert!(address(false, Some("::")).is_err());
    }
}
