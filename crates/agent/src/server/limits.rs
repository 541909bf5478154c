//! How much clients may take of the server.

use std::time::Duration;

/// How much clients may take of the server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at the same time.
    pub connections: usize,
    /// Of these, those that have not presented the key: the oldest is closed for a new one.
    pub strangers: usize,
    /// How long a connection may be open without having presented the key.
    pub stranger_time: Duration,
    /// How long the head of a request, or the preface of a connection, may take to arrive. A connection of HTTP/1.1 on
    /// which nothing is asked for that long is closed, too.
    pub header_time: Duration,
    /// Header fields of a request.
    pub headers: usize,
    /// Bytes of a request's head.
    pub header_bytes: usize,
    /// How often a client of HTTP/2 is asked whether it is there; one that does not answer until the next time is not.
    pub ping: Duration,
    /// How long requests may take to be answered once the server is ending.
    pub grace: Duration,
    /// How often something is sent on the output of a process that writes nothing, so that a dead connection shows.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            strangers: 64,
            stranger_time: Duration::from_secs(30),
            header_time: Duration::from_secs(30),
            headers: 64,
            header_bytes: 32 << 10,
            ping: Duration::from_secs(30),
            grace: Duration::from_secs(5),
            idle: Duration::from_secs(15),
        }
    }
}
