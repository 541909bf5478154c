//! WebSocket frames (RFC 6455, 5.2) with permessage-deflate (RFC 7692), whose compressors keep their window from one message to the
//! next, as VS Code's do: a byte that is lost, doubled or moved makes all that follows unreadable.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use tokio::io::{AsyncRead, AsyncReadExt as _};

const FINAL: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const CONTINUATION: u8 = 0;
const BINARY: u8 = 2;
/// What a compressor's flush ends with, and a message leaves out.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// Bytes of one frame, at most; VS Code cuts its messages there.
const MOST: usize = 256 << 10;

/// One end of a connection's messages.
pub(super) struct Frames {
    compress: Compress,
    decompress: Decompress,
    /// Of a client, which has to mask what it sends.
    mask: Option<[u8; 4]>,
}

impl Frames {
    pub(super) fn of_client(mask: [u8; 4]) -> Self {
        Self::with(Some(mask))
    }

    pub(super) fn of_server() -> Self {
        Self::with(None)
    }

    fn with(mask: Option<[u8; 4]>) -> Self {
        Self {
            compress: Compress::new(Compression::default(), false),
            decompress: Decompress::new(false),
            mask,
        }
    }

    /// A message as frames.
    pub(super) fn written(&mut self, message: &[u8]) -> Vec<u8> {
        let compressed = self.compressed(message);
        let mut frames = Vec::new();
        let mut pieces = compressed.chunks(MOST).peekable();
        let mut first = COMPRESSED | BINARY;
        while let Some(piece) = pieces.next() {
            let last = if pieces.peek().is_none() { FINAL } else { 0 };
            frames.push(last | first);
            self.write_piece(&mut frames, piece);
            first = CONTINUATION;
        }
        frames
    }

    fn write_piece(&self, frames: &mut Vec<u8>, piece: &[u8]) {
        let masked = if self.mask.is_some() { 0x80 } else { 0 };
        match (u8::try_from(piece.len()), u16::try_from(piece.len())) {
            (Ok(length @ ..126), _) => frames.push(masked | length),
            (_, Ok(length)) => {
                frames.push(masked | 0x7e);
                frames.extend(length.to_be_bytes());
            }
            _ => {
                frames.push(masked | 0x7f);
                frames.extend((piece.len() as u64).to_be_bytes());
            }
        }
        let mask = self.mask.unwrap_or_default();
        if self.mask.is_some() {
            frames.extend(mask);
        }
        frames.extend(
            piece
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
    }

    /// The next message; `None` if the connection ends before it.
    pub(super) async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
        let mut compressed = Vec::new();
        let mut expected = COMPRESSED | BINARY;
        loop {
            let first = stream.read_u8().await.ok()?;
            assert_eq!(first & !FINAL, expected, "not the frame that was sent");
            expected = CONTINUATION;
            let length = stream.read_u8().await.ok()?;
            assert_eq!(length & 0x80 == 0, self.mask.is_some(), "masked");
            let length = match length & 0x7f {
                126 => u64::from(stream.read_u16().await.ok()?),
                127 => stream.read_u64().await.ok()?,
                length => u64::from(length),
            };
            let mut mask = [0; 4];
            if self.mask.is_none() {
                stream.read_exact(&mut mask).await.ok()?;
            }
            let mut piece = vec![0; usize::try_from(length).unwrap()];
            stream.read_exact(&mut piece).await.ok()?;
            compressed.extend(
                piece
                    .iter()
                    .zip(mask.iter().cycle())
                    .map(|(byte, mask)| byte ^ mask),
            );
            if first & FINAL != 0 {
                break;
            }
        }
        compressed.extend(TAIL);
        Some(self.decompressed(&compressed))
    }

    fn compressed(&mut self, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(message.len() + 1024);
        let before = self.compress.total_in();
        loop {
            let read = usize::try_from(self.compress.total_in() - before).unwrap();
            self.compress
                .compress_vec(&message[read..], &mut out, FlushCompress::Sync)
                .unwrap();
            // Room that is left says that all was written.
            if out.len() < out.capacity() {
                break;
            }
            out.reserve(1024);
        }
        assert!(out.ends_with(&TAIL));
        out.truncate(out.len() - TAIL.len());
        out
    }

    fn decompressed(&mut self, compressed: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(compressed.len() * 2 + 1024);
        let before = self.decompress.total_in();
        // Room that is left says nothing here: it gives out a window at a time.
        loop {
            let seen = (self.decompress.total_in(), out.len());
            let read = usize::try_from(seen.0 - before).unwrap();
            self.decompress
                .decompress_vec(&compressed[read..], &mut out, FlushDecompress::Sync)
                .unwrap();
            if out.len() == out.capacity() {
                out.reserve(out.capacity());
            } else if seen == (self.decompress.total_in(), out.len()) {
                assert_eq!(read, compressed.len(), "not the message that was sent");
                return out;
            }
        }
    }
}
