//! Messages of the protocol, without I/O.

use bytes::{BufMut as _, Bytes, BytesMut};

/// The channel of the first port's data, in both directions.
const DATA: u8 = 0;
/// The channel of its error.
const ERROR: u8 = 1;
/// Bytes of the port that each channel begins with.
const PORT: usize = 2;

/// Bytes of data that one message carries at most. Servers hand a message on as a whole: small ones cost calls, large ones
/// memory and latency.
pub const MESSAGE_LIMIT: usize = 64 * 1024;

/// Bytes of an error's text that are kept.
const ERROR_LIMIT: usize = 4096;

/// What a message of the server means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardEvent {
    /// A channel is there; there is nothing to do.
    Opened,
    /// Bytes from the pod.
    Data(Bytes),
    /// The connection can't be made, or broke: in the server's words.
    Failed(String),
}

/// A message that the protocol does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardProtocolError {
    /// A message without a byte.
    #[error("the server sent a message without a channel")]
    Empty,
    /// A channel of a port that was not asked for.
    #[error("the server sent a message on channel {0}, which was not opened")]
    UnknownChannel(u8),
    /// A first message that is none.
    #[error("the server opened channel {channel} with {length} bytes in place of a port")]
    NoPort {
        /// The channel.
        channel: u8,
        /// How many bytes there were.
        length: usize,
    },
    /// Another port.
    #[error("the server opened channel {channel} for port {port}, which was not asked for")]
    OtherPort {
        /// The channel.
        channel: u8,
        /// The port.
        port: u16,
    },
}

/// Reads the server's messages.
#[derive(Debug)]
pub struct Decoder {
    port: u16,
    /// Whether the first message of each of the two channels has come.
    opened: [bool; 2],
}

impl Decoder {
    /// For a connection to `port`.
    pub const fn new(port: u16) -> Self {
        Self {
            port,
            opened: [false; 2],
        }
    }

    /// What a message means.
    pub fn decode(&mut self, mut message: Bytes) -> Result<ForwardEvent, ForwardProtocolError> {
        if message.is_empty() {
            return Err(ForwardProtocolError::Empty);
        }
        let payload = message.split_off(1);
        let channel = message[0];
        let Some(opened) = self.opened.get_mut(usize::from(channel)) else {
            return Err(ForwardProtocolError::UnknownChannel(channel));
        };
        if !*opened {
            let Ok(bytes) = <[u8; PORT]>::try_from(payload.as_ref()) else {
                return Err(ForwardProtocolError::NoPort {
                    channel,
                    length: payload.len(),
                });
            };
            let port = u16::from_le_bytes(bytes);
            if port != self.port {
                return Err(ForwardProtocolError::OtherPort { channel, port });
            }
            *opened = true;
            return Ok(ForwardEvent::Opened);
        }
        match channel {
            ERROR => {
                let text = &payload[..payload.len().min(ERROR_LIMIT)];
                Ok(ForwardEvent::Failed(
                    String::from_utf8_lossy(text).trim().to_owned(),
                ))
            }
            _ => Ok(ForwardEvent::Data(payload)),
        }
    }
}

/// A message with the first of `bytes`, and how many of them that is: at most [`MESSAGE_LIMIT`].
pub fn encode(bytes: &[u8]) -> (Bytes, usize) {
    let taken = bytes.len().min(MESSAGE_LIMIT);
    let mut message = BytesMut::with_capacity(taken + 1);
    message.put_u8(DATA);
    message.put_slice(&bytes[..taken]);
    (message.freeze(), taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn opened(port: u16) -> Decoder {
        let mut decoder = Decoder::new(port);
        for channel in [DATA, ERROR] {
            let [low, high] = port.to_le_bytes();
            let event = decoder.decode(Bytes::copy_from_slice(&[channel, low, high]));
            assert_eq!(event, Ok(ForwardEvent::Opened));
        }
        decoder
    }

    #[test]
    fn each_channel_begins_with_the_port() {
        let mut decoder = opened(10022);
        let data = decoder.decode(Bytes::from_static(b"\0hello"));
        assert_eq!(data, Ok(ForwardEvent::Data(Bytes::from_static(b"hello"))));
        let data = decoder.decode(Bytes::from_static(b"\0"));
        assert_eq!(data, Ok(ForwardEvent::Data(Bytes::new())));
        let failed = decoder.decode(Bytes::from_static(b"\x01connection refused\n"));
        assert_eq!(failed, Ok(ForwardEvent::Failed("connection refused".to_owned())));
    }

    #[test]
    fn what_the_protocol_does_not_have_is_refused() {
        let decode = |bytes: &'static [u8]| Decoder::new(1).decode(Bytes::from_static(bytes)).unwrap_err();
        assert_eq!(decode(b""), ForwardProtocolError::Empty);
        assert_eq!(decode(b"\x02\x01\0"), ForwardProtocolError::UnknownChannel(2));
        let channel = 0;
        assert_eq!(
            decode(b"\0x"),
            ForwardProtocolError::NoPort { channel, length: 1 }
        );
        assert_eq!(
            decode(b"\0\x02\0"),
            ForwardProtocolError::OtherPort { channel, port: 2 }
        );
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(bytes in prop::collection::vec(any::<u8>(), 0..200), port in any::<u16>()) {
            let (message, taken) = encode(&bytes);
            prop_assert_eq!(taken, bytes.len());
            prop_assert_eq!(opened(port).decode(message), Ok(ForwardEvent::Data(Bytes::from(bytes))));
        }

        #[test]
        fn no_message_breaks_the_decoder(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..8), 0..8)) {
            let mut decoder = Decoder::new(7);
            for message in messages {
                let _ = decoder.decode(Bytes::from(message));
            }
        }
    }

    #[test]
    fn a_message_is_bounded() {
        let (message, taken) = encode(&vec![7; MESSAGE_LIMIT + 1]);
        assert_eq!((message.len(), taken), (MESSAGE_LIMIT + 1, MESSAGE_LIMIT));
    }
}
