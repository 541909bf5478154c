//! The agent of a session on this machine.

use std::path::PathBuf;

use async_trait::async_trait;
use podbay_protocol::DialWay;
use rustix::process::geteuid;
use tokio::net::UnixStream;

use super::{BoxIo, DialError, Dialer, SandboxAddress};

/// Connects to a socket of this machine, whatever port is asked for, if it is this user's own program that listens there.
#[derive(Clone, Debug)]
pub(crate) struct UnixSocket {
    path: PathBuf,
}

impl UnixSocket {
    /// The socket at `path`.
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

#[async_trait]
impl Dialer for UnixSocket {
    fn way(&self) -> DialWay {
        DialWay::Loopback
    }

    async fn connect(&self, address: &SandboxAddress, _: u16) -> Result<BoxIo, DialError> {
        let failed = |source| DialError::Socket {
            session: address.session().to_owned(),
            path: self.path.clone(),
            source,
        };
        let stream = UnixStream::connect(&self.path).await.map_err(failed)?;
        let peer = stream.peer_cred().map_err(failed)?.uid();
        if peer == geteuid().as_raw() {
            return Ok(Box::new(stream));
        }
        let message = format!("user {peer} listens there");
        Err(failed(std::io::Error::new(
            std::io::ErrorKind::PermissionDenied,
            message,
        )))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn who_listens_there_is_reached_and_nobody_is_told() {
        let there = tempfile::tempdir().unwrap();
        let path = there.path().join("socket");
        let address = SandboxAddress::on_this_machine("demo", "u");
        let dialer = UnixSocket::new(path.clone());
        let refused = dialer.connect(&address, 1).await.map(drop).unwrap_err();
        assert!(refused.to_string().contains(path.to_str().unwrap()), "{refused}");
        let listener = UnixListener::bind(&path).unwrap();
        let mut here = dialer.connect(&address, 1).await.unwrap();
        let (mut there, _) = listener.accept().await.unwrap();
        there.write_all(b"x").await.unwrap();
        assert_eq!(here.read_u8().await.unwrap(), b'x');
    }
}
