//! The WebSocket handshake (RFC 6455, section 4.1) of the subresources exec and portforward.
//!
//! Not kube's own: that one always offers protocol v4 too, and a server that chose it has started the command by
//! the time one could see that its input can't be ended.

use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL};
use http::header::{SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use kube::core::Status;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::failure::from_kube;
use crate::error::{Error, ErrorKind};
use crate::remote_command::Protocol;

/// A connection whose protocol is agreed upon.
pub(super) type Connection = (TokioIo<Upgraded>, Protocol);

/// Upgrades `request`, offering `protocols`, best first.
pub(super) async fn upgrade(
    client: &kube::Client,
    operation: &str,
    request: Request<Vec<u8>>,
    protocols: &[Protocol],
) -> Result<Connection, Error> {
    let key = generate_key();
    let offer = protocols
        .iter()
        .map(|protocol| protocol.name())
        .collect::<Vec<_>>()
        .join(", ");
    let (mut parts, body) = request.into_parts();
    for (name, value) in [
        (CONNECTION, "Upgrade"),
        (UPGRADE, "websocket"),
        (SEC_WEBSOCKET_VERSION, "13"),
        (SEC_WEBSOCKET_KEY, &key),
        (SEC_WEBSOCKET_PROTOCOL, &offer),
    ] {
        let value = HeaderValue::from_str(value)
            .map_err(|error| from_kube(operation, kube::Error::HttpError(error.into())))?;
        parts.headers.insert(name, value);
    }
    let response = client
        .send(Request::from_parts(parts, Body::from(body)))
        .await
        .map_err(|error| from_kube(operation, error))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refused(operation, response, protocols).await);
    }
    let protocol = agreed(&response, &key, protocols).ok_or_else(|| {
        Error::new(operation, ErrorKind::Unsupported)
            .with_message("the answer to the WebSocket handshake is not one (is there a proxy in between?)")
    })?;
    let upgraded = hyper::upgrade::on(response)
        .await
        .map_err(|error| from_kube(operation, kube::Error::HyperError(error)))?;
    Ok((TokioIo::new(upgraded), protocol))
}

/// The protocol of a response that keeps to RFC 6455; none if it doesn't, or chose what was not offered.
fn agreed<B>(response: &Response<B>, key: &str, offered: &[Protocol]) -> Option<Protocol> {
    let header = |name| {
        response
            .headers()
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let upgrades = header(UPGRADE)?.eq_ignore_ascii_case("websocket")
        && header(CONNECTION)?.eq_ignore_ascii_case("upgrade")
        && header(SEC_WEBSOCKET_ACCEPT)? == derive_accept_key(key.as_bytes());
    let protocol = Protocol::from_name(header(SEC_WEBSOCKET_PROTOCOL)?)?;
    (upgrades && offered.contains(&protocol)).then_some(protocol)
}

/// Why the server did not switch.
async fn refused(operation: &str, response: Response<Body>, offered: &[Protocol]) -> Error {
    let code = response.status();
    let body = response.into_body().collect_bytes().await.unwrap_or_default();
    let status = serde_json::from_slice::<Status>(&body)
        // Proxies answer in words of their own.
        .unwrap_or_else(|_| Status::failure(String::from_utf8_lossy(&body).trim(), ""));
    let error = from_kube(
        operation,
        kube::Error::Api(
            Status {
                code: code.as_u16(),
                ..status
            }
            .boxed(),
        ),
    );
    // A server that speaks none of what was offered says 400 or 403, in words that depend on its version.
    let protocol_is_why = error
        .message
        .as_deref()
        .is_some_and(|message| message.contains("protocol"));
    if matches!(code, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN)
        && protocol_is_why
        && !offered.contains(&Protocol::V4)
    {
        return Error { kind: ErrorKind::Unsupported, ..error }.with_message(
            "the API server does not speak v5.channel.k8s.io (Kubernetes 1.30 and later), without which the end of \
             standard input can't be told: run the command without standard input",
        );
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and its answer of RFC 6455, section 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn response(accept: &str, protocol: &str) -> Response<()> {
        Response::builder()
            .status(101)
            .header("Upgrade", "WebSocket")
            .header("Connection", "Upgrade")
            .header("Sec-WebSocket-Accept", accept)
            .header("Sec-WebSocket-Protocol", protocol)
            .body(())
            .unwrap()
    }

    #[test]
    fn only_what_was_offered_is_agreed_upon() {
        let both = [Protocol::V5, Protocol::V4];
        assert_eq!(
            agreed(&response(ACCEPT, "v5.channel.k8s.io"), KEY, &both),
            Some(Protocol::V5)
        );
        assert_eq!(
            agreed(&response(ACCEPT, "v4.channel.k8s.io"), KEY, &both),
            Some(Protocol::V4)
        );
        assert_eq!(
            agreed(&response(ACCEPT, "v4.channel.k8s.io"), KEY, &[Protocol::V5]),
            None
        );
        assert_eq!(agreed(&response(ACCEPT, "channel.k8s.io"), KEY, &both), None);
        assert_eq!(agreed(&response("wrong", "v5.channel.k8s.io"), KEY, &both), None);
    }
}
