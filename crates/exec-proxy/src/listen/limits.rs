//! How much clients may take.

use std::time::Duration;

/// Longer than most clients are silent between two requests while they wait for something.
const LINGER: Duration = Duration::from_secs(5);

/// How much clients may take.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at the same time. More wait until one of these ends.
    pub connections: usize,
    /// How long the head of a request, or the first bytes of a connection, may take to arrive. A connection of HTTP/1.1 on which
    /// nothing is asked for that long is closed, too.
    pub header_time: Duration,
    /// Bytes of a request's head.
    pub header_bytes: u32,
    /// Header fields of a request.
    pub headers: usize,
    /// Requests at the same time on one connection of HTTP/2.
    pub streams: u32,
    /// How often a client of HTTP/2 is pinged. The connection of one that does not answer within 20 s is closed.
    pub ping: Duration,
    /// How long requests may take to be answered once the service is ending.
    pub grace: Duration,
    /// How long a connection of HTTP/1.1 on which nothing is asked stays once the service is ending, so that a request that is on its way
    /// is answered: with it, the client is told that the connection ends. At most half of [`Limits::grace`].
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            header_time: Duration::from_secs(30),
            header_bytes: 64 << 10,
            headers: 128,
            streams: 128,
            ping: Duration::from_secs(30),
            grace: Duration::from_secs(20),
            linger: LINGER,
        }
    }
}
