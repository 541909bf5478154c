//! One connection, by HTTP/1.1 or HTTP/2.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::preface::{self, Begun};
use super::{Answer, Arrival, Limits};
use crate::body::Body;

/// What may be on its way to us on one stream of HTTP/2, in bytes, and on one connection: enough for an upload over a wide network,
/// and what a sandbox that does not read costs at most.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Bytes of an answer that wait for a slow client on a stream of HTTP/2.
const SEND_BUFFER: usize = 256 << 10;
/// How long a client may take to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves a connection until either side ends it, or the service ends and all that was asked is answered.
pub(super) async fn serve<A: Answer>(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    answer: Arc<A>,
    arrival: Arrival,
    limits: &Limits,
    ending: &CancellationToken,
) {
    let begun = tokio::select! {
        begun = timeout(limits.header_time, preface::begin(io)) => begun,
        () = async {
            ending.cancelled().await;
            // What is to come may be on its way.
            sleep(limits.linger).await;
        } => return,
    };
    let ends = ending.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (answer, arrival, ends) = (Arc::clone(&answer), arrival.clone(), ends.clone());
        async move {
            let version = request.version();
            let mut answer = answer.answer(request, arrival).await;
            if ends.is_cancelled() {
                say_that_it_ends(version, &mut answer);
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let ended = match begun {
        Ok(Ok((true, io))) => serve_http2(io, service, limits, ending).await,
        Ok(Ok((false, io))) => serve_http1(io, service, limits, ending).await,
        Ok(Err(error)) => return tracing::debug!(%error, "a connection ended early"),
        Err(_) => return tracing::debug!("a client sent nothing in time"),
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Tells a client of HTTP/1.1 that its connection ends with this answer: the next request goes elsewhere. One of HTTP/2 is told by the
/// protocol itself.
fn say_that_it_ends(version: Version, answer: &mut Response<Body>) {
    if version < Version::HTTP_2 && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        answer
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

async fn serve_http1<S>(
    io: Begun<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>,
    service: S,
    limits: &Limits,
    ending: &CancellationToken,
) -> hyper::Result<()>
where
    S: HttpService<Incoming, ResBody = Body, Error = Infallible> + Send,
    S::Future: Send + 'static,
{
    let header_bytes = limits.header_bytes as usize;
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .max_headers(limits.headers)
        .max_header_size(header_bytes)
        .max_buf_size(header_bytes)
        // A client that has said all still wants its answer.
        .half_close(true)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    until_ended(
        connection,
        http1::UpgradeableConnection::graceful_shutdown,
        ending,
        limits.linger,
    )
    .await
}

async fn serve_http2<S>(
    io: Begun<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>,
    service: S,
    limits: &Limits,
    ending: &CancellationToken,
) -> hyper::Result<()>
where
    S: HttpService<Incoming, ResBody = Body, Error = Infallible> + Send,
    S::Future: Send + 'static,
{
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_bytes)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(limits.ping)
        .keep_alive_timeout(PING_TIMEOUT)
        .serve_connection(TokioIo::new(io), service);
    // Requests that come before the client has heard of the end are answered.
    let shut_down = http2::Connection::graceful_shutdown;
    until_ended(connection, shut_down, ending, Duration::ZERO).await
}

/// Waits for the end of a connection, which is shut down in order once the service ends, after it had `linger` to end by itself.
async fn until_ended<C: Future>(
    connection: C,
    shut_down: fn(Pin<&mut C>),
    ending: &CancellationToken,
    linger: Duration,
) -> C::Output {
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => ended,
        () = ending.cancelled() => {
            if let Ok(ended) = timeout(linger, connection.as_mut()).await {
                return ended;
            }
            shut_down(connection.as_mut());
            connection.await
        }
    }
}
