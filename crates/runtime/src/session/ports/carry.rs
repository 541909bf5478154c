//! Bytes carried both ways between two connections.

use std::io;
use std::time::Duration;

use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy, copy_bidirectional, split,
};
use tokio::sync::Notify;
use tokio::time::timeout;

/// How long an answer may be silent once the one who asked has said its last, where that can't be passed on.
const SILENCE: Duration = Duration::from_secs(5);
/// Bytes that are read at once.
const PIECE: usize = 32 * 1024;

/// Carries bytes until both sides have ended.
pub(super) async fn carry(
    local: &mut (impl AsyncRead + AsyncWrite + Unpin),
    remote: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<()> {
    copy_bidirectional(local, remote).await.map(drop)
}

/// The same, where the remote side's connection has one end for both directions: when the local side says its last, that is not
/// passed on, since the answer may still come; when the remote side does, all is over.
pub(super) async fn carry_whole(
    local: &mut (impl AsyncRead + AsyncWrite + Unpin),
    remote: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<()> {
    let (mut local_reader, mut local_writer) = split(local);
    let (mut remote_reader, mut remote_writer) = split(remote);
    let said = Notify::new();
    let asking = async {
        copy(&mut local_reader, &mut remote_writer).await?;
        remote_writer.flush().await?;
        said.notify_one();
        std::future::pending().await
    };
    let answering = async {
        let mut piece = vec![0; PIECE];
        let mut has_said = false;
        loop {
            let read = if has_said {
                match timeout(SILENCE, remote_reader.read(&mut piece)).await {
                    Ok(read) => read,
                    Err(_) => break,
                }
            } else {
                tokio::select! {
                    read = remote_reader.read(&mut piece) => read,
                    () = said.notified() => {
                        has_said = true;
                        continue;
                    }
                }
            };
            match read? {
                0 => break,
                length => local_writer.write_all(&piece[..length]).await?,
            }
        }
        local_writer.shutdown().await
    };
    let ended = tokio::select! {
        failed = asking => failed,
        ended = answering => ended,
    };
    // It is closed in any case.
    let _ = remote_writer.shutdown().await;
    ended
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn an_end_is_passed_on_where_it_can_be() {
        let ((mut client, mut local), (mut remote, mut server)) = (duplex(64), duplex(64));
        let carrying = tokio::spawn(async move { carry(&mut local, &mut remote).await });
        client.write_all(b"ask").await.unwrap();
        client.shutdown().await.unwrap();
        let mut asked = String::new();
        server.read_to_string(&mut asked).await.unwrap();
        server.write_all(b"answer").await.unwrap();
        drop(server);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!((asked.as_str(), answer.as_str()), ("ask", "answer"));
        carrying.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_waited_for_where_it_can_not() {
        let ((mut client, mut local), (mut remote, mut server)) = (duplex(64), duplex(64));
        let carrying = tokio::spawn(async move { carry_whole(&mut local, &mut remote).await });
        client.write_all(b"ask").await.unwrap();
        client.shutdown().await.unwrap();
        server.read_exact(&mut [0; 3]).await.unwrap();
        for _ in 0..3 {
            tokio::time::sleep(SILENCE.mul_f64(0.9)).await;
            server.write_all(b"answer ").await.unwrap();
        }
        let before = Instant::now();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer answer answer ");
        assert_eq!(before.elapsed(), SILENCE);
        carrying.await.unwrap().unwrap();
        assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn the_end_of_the_answer_ends_all() {
        let ((mut client, mut local), (mut remote, server)) = (duplex(64), duplex(64));
        let carrying = tokio::spawn(async move { carry_whole(&mut local, &mut remote).await });
        drop(server);
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0);
        carrying.await.unwrap().unwrap();
    }

    /// Neither side waits for the other to read.
    #[tokio::test]
    async fn both_directions_move_at_once() {
        let ((client, mut local), (mut remote, server)) = (duplex(64), duplex(64));
        tokio::spawn(async move { carry_whole(&mut local, &mut remote).await });
        let all = vec![7; 1 << 20];
        let send_and_receive = |end: tokio::io::DuplexStream| {
            let all = all.clone();
            tokio::spawn(async move {
                let (mut reader, mut writer) = split(end);
                let mut came = vec![0; all.len()];
                let (sent, read) = tokio::join!(writer.write_all(&all), reader.read_exact(&mut came));
                sent.unwrap();
                read.unwrap();
                came == all
            })
        };
        let (one, other) = (send_and_receive(client), send_and_receive(server));
        assert!(one.await.unwrap() && other.await.unwrap());
    }
}
