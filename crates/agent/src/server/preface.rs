//! Which protocol a connection speaks: a client of HTTP/2 that knows that the server speaks it begins with a preface
//! (RFC 9113, 3.3 and 3.4), which no request of HTTP/1 is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection of which the first bytes were read, and are read again.
#[derive(Debug)]
pub(super) struct Begun<T> {
    first: [u8; PREFACE.len()],
    /// The bytes of `first` that are yet to be read again.
    unread: std::ops::Range<usize>,
    io: T,
}

/// Reads as much as it takes to tell whether the client speaks HTTP/2.
pub(super) async fn begin<T: AsyncRead + Unpin>(mut io: T) -> io::Result<(bool, Begun<T>)> {
    let (mut first, mut filled) = ([0; PREFACE.len()], 0);
    while filled < PREFACE.len() && first[..filled] == PREFACE[..filled] {
        match io.read(&mut first[filled..]).await? {
            0 => break,
            count => filled += count,
        }
    }
    let is_http2 = first == *PREFACE;
    let unread = 0..filled;
    Ok((is_http2, Begun { first, unread, io }))
}

impl<T: AsyncRead + Unpin> AsyncRead for Begun<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buffer);
        }
        let count = self.unread.len().min(buffer.remaining());
        let start = self.unread.start;
        buffer.put_slice(&self.first[start..start + count]);
        self.unread.start += count;
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
    use super::*;

    #[tokio::test]
    async fn a_preface_in_pieces_is_one_and_all_bytes_come_again() {
        let whole = [&PREFACE[..], b"rest"].concat();
        for (sent, expected) in [
            (whole.as_slice(), true),
            (b"GET / HTTP/1.1\r\n\r\n".as_slice(), false),
            (b"PRI * HTTP/2.0\r\n\r\nXX".as_slice(), false),
            (b"PRI".as_slice(), false),
            (b"".as_slice(), false),
        ] {
            for size in [1, 5, 100] {
                let mut pieces = tokio_test_io(sent, size);
                let (is_http2, mut begun) = begin(&mut pieces).await.unwrap();
                assert_eq!(is_http2, expected);
                let mut all = Vec::new();
                begun.read_to_end(&mut all).await.unwrap();
                assert_eq!(all, sent);
            }
        }
    }

    /// Gives so many bytes at once.
    fn tokio_test_io(bytes: &[u8], size: usize) -> impl AsyncRead + Unpin {
        let (mut writer, reader) = tokio::io::duplex(size);
        let bytes = bytes.to_vec();
        tokio::spawn(async move { tokio::io::AsyncWriteExt::write_all(&mut writer, &bytes).await });
        reader
    }
}
