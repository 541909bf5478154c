//! Which version of HTTP a connection speaks: a client that knows that we speak HTTP/2 begins with a preface (RFC 9113, 3.3 and
//! 3.4), which no request of HTTP/1.1 is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection whose first bytes were read, and are read again.
#[derive(Debug)]
pub(super) struct Begun<T> {
    first: [u8; PREFACE.len()],
    read: usize,
    filled: usize,
    io: T,
}

/// Reads as much as it takes to tell whether a client speaks HTTP/2.
pub(super) async fn begin<T: AsyncRead + Unpin>(mut io: T) -> io::Result<(bool, Begun<T>)> {
    let (mut first, mut filled) = ([0; PREFACE.len()], 0);
    while filled < first.len() && first[..filled] == PREFACE[..filled] {
        match io.read(&mut first[filled..]).await? {
            0 => break,
            count => filled += count,
        }
    }
    let begun = Begun {
        first,
        read: 0,
        filled,
        io,
    };
    Ok((first == *PREFACE, begun))
}

impl<T: AsyncRead + Unpin> AsyncRead for Begun<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let again = &this.first[this.read..this.filled];
        if again.is_empty() {
            return Pin::new(&mut this.io).poll_read(cx, buffer);
        }
        let count = again.len().min(buffer.remaining());
        buffer.put_slice(&again[..count]);
        this.read += count;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Begun<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn first_bytes_come_again_whatever_they_are() {
        let whole = [&PREFACE[..], b"rest"].concat();
        for (sent, expected) in [
            (whole.as_slice(), true),
            (b"GET / HTTP/1.1\r\n\r\n", false),
            (b"PRI * HTTP/2.0\r\n\r\nXX", false),
            (b"PRI", false),
            (b"", false),
        ] {
            for size in [1, 5, 100] {
                let (mut writer, reader) = tokio::io::duplex(size);
                let bytes = sent.to_vec();
                let writing = tokio::spawn(async move { writer.write_all(&bytes).await });
                let (is_http2, mut begun) = begin(reader).await.unwrap();
                assert_eq!(is_http2, expected);
                let mut all = Vec::new();
                begun.read_to_end(&mut all).await.unwrap();
                assert_eq!(all, sent);
                writing.await.unwrap().unwrap();
            }
        }
    }
}
