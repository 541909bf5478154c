//! One connection that speaks HTTP/1.1.

use std::sync::Arc;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Limits;
use super::body::RequestBody;
use super::connection::Connection;

/// Serves the connection until either side ends it. What came of it already is part of `io`.
pub(super) async fn serve(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    connection: Arc<Connection>,
    limits: &Limits,
) {
    let service = service_fn({
        let connection = Arc::clone(&connection);
        move |request: http::Request<hyper::body::Incoming>| {
            let connection = Arc::clone(&connection);
            async move { super::dispatch::answer(&connection, request.map(RequestBody::of_http1)).await }
        }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_headers(limits.headers)
        .max_buf_size(limits.header_bytes)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = connection.should_end() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    let next = connection.next();
    match (ended, next) {
        (Ok(()), Some(next)) => next.await,
        (Ok(()), None) => {}
        (Err(error), _) => tracing::debug!(%error, "a connection ended early"),
    }
}
