//! The messages that VS Code's client and server send one another (its source, src/vs/base/parts/ipc/common/ipc.net.ts): 13 bytes before
//! each tell its type, its number, the number of the last one that was heard, and its length. What was not yet acknowledged is sent again
//! by both ends of a connection that was taken up.

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::frames::Frames;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Type {
    Regular = 1,
    Control = 2,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: Type,
    pub(super) id: u32,
    pub(super) ack: u32,
    pub(super) data: Vec<u8>,
}

impl Message {
    pub(super) fn control(value: &Value) -> Self {
        Self {
            kind: Type::Control,
            id: 0,
            ack: 0,
            data: value.to_string().into_bytes(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.kind as u8];
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(self.ack.to_be_bytes());
        bytes.extend(u32::try_from(self.data.len()).unwrap().to_be_bytes());
        bytes.extend(&self.data);
        bytes
    }

    fn of(bytes: &[u8]) -> Self {
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        let data = bytes[13..].to_vec();
        assert_eq!(number(9) as usize, data.len(), "not the message that was sent");
        Self {
            kind: [Type::Regular, Type::Control]
                .into_iter()
                .find(|kind| *kind as u8 == bytes[0])
                .expect("no type of message"),
            id: number(1),
            ack: number(5),
            data,
        }
    }

    pub(super) fn json(&self) -> Value {
        assert_eq!(self.kind, Type::Control);
        serde_json::from_slice(&self.data).unwrap()
    }
}

/// An end of a connection.
pub(super) struct Messages<S> {
    stream: S,
    frames: Frames,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Messages<S> {
    pub(super) fn over(stream: S, frames: Frames) -> Self {
        Self { stream, frames }
    }

    pub(super) async fn send(&mut self, message: &Message) {
        self.in_pieces(message, usize::MAX).await;
    }

    /// Sends it in writes of so many bytes.
    pub(super) async fn in_pieces(&mut self, message: &Message, size: usize) {
        let frames = self.frames.written(&message.bytes());
        for piece in frames.chunks(size) {
            self.stream.write_all(piece).await.unwrap();
            self.stream.flush().await.unwrap();
        }
    }

    /// The next one; `None` if the connection ends before it.
    pub(super) async fn next(&mut self) -> Option<Message> {
        let message = self.frames.read(&mut self.stream).await?;
        Some(Message::of(&message))
    }

    pub(super) async fn expected(&mut self) -> Message {
        tokio::time::timeout(std::time::Duration::from_secs(20), self.next())
            .await
            .expect("nothing comes")
            .expect("cut")
    }
}
