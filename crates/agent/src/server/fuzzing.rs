//! What fuzzing needs of requests and answers, which are this crate's own otherwise. Compiled only with `--cfg fuzzing`.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use podbay_protocol::ProcessId;

use super::handlers::Frames;
use super::query::Query;
use super::route::{NoRoute, Route};
use super::websocket::{self, Handshake};
use crate::process::OutputReader;

/// The answer to one who reads a process's outputs.
pub struct Answer(Frames);

impl Answer {
    /// The one that this reader's pieces make; a quiet one says so after `idle`.
    pub fn new(reader: OutputReader, idle: Duration) -> Self {
        Self(Frames::new(reader, idle))
    }

    /// Its next bytes; `None` at its end. An error breaks it off.
    pub async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        let bytes = self.0.next().await?;
        Some(bytes.map_err(|_| Broken))
    }
}

/// The answer is broken off: what comes next is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// Whom a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A resource; whether it is open to everybody, and the process it is, or is below.
    Resource {
        /// Whether it is answered without the key.
        is_open: bool,
        /// The process.
        process: Option<ProcessId>,
    },
    /// A path that has other methods.
    OtherMethods,
    /// A part of the path is no id of a process.
    NoId,
    /// None of the API's.
    Nothing,
}

/// Finds whom a request is about.
pub fn about(method: &Method, path: &str) -> About {
    match Route::find(method, path) {
        Err(NoRoute::Unknown) => About::Nothing,
        Err(NoRoute::Method(_)) => About::OtherMethods,
        Err(NoRoute::Id(_)) => About::NoId,
        Ok(route) => About::Resource {
            is_open: route.is_open(),
            process: match route {
                Route::StartProcess(id)
                | Route::ShowProcess(id)
                | Route::ForgetProcess(id)
                | Route::Output(id)
                | Route::Acknowledge(id)
                | Route::WriteStdin(id)
                | Route::CloseStdin(id)
                | Route::Signal(id)
                | Route::Resize(id)
                | Route::Terminal(id) => Some(id),
                _ => None,
            },
        },
    }
}

/// The values of these parameters of a query; `None` if it is refused, or has others.
pub fn query(text: &str, names: &[&str]) -> Option<Vec<Option<Vec<u8>>>> {
    let mut query = Query::parse(Some(text)).ok()?;
    let values = names.iter().map(|name| query.bytes(name)).collect();
    query.finish().ok()?;
    Some(values)
}

/// The headers of the answer to a request for a WebSocket; `None` if it is none.
pub fn websocket(headers: &HeaderMap) -> Option<HeaderMap> {
    let handshake = Handshake::of(headers).ok()?;
    Some(handshake.answer().headers().clone())
}

/// The session's key among the subprotocols.
pub fn websocket_key(headers: &HeaderMap) -> Option<Vec<u8>> {
    websocket::key(headers)
}
