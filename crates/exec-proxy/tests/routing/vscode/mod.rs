//! The sockets of VS Code in a sandbox, as its page in a browser opens them: one for the window (management), one for extensions.
//!
//! ```text
//!   frames.rs    WebSocket frames, compressed
//!   messages.rs  what VS Code says in them
//!   server.rs    VS Code's server
//! ```

mod frames;
mod messages;
mod server;

use serde_json::json;
use tokio::net::TcpStream;

use self::frames::Frames;
use self::messages::{Message, Messages};
use self::server::{BREAK, Server, WEBSOCKET_ACCEPT, WEBSOCKET_KEY, regular};
use crate::support::{KEY, PORTS, Proxy, Scripted, id};

/// `desiredConnectionType` of the window's own connection, and of the one for extensions.
const MANAGEMENT: u8 = 1;
const EXTENSION_HOST: u8 = 2;

/// A browser that has VS Code's page.
struct Browser {
    proxy: Proxy,
    cookie: String,
    server: Server,
}

impl Browser {
    /// Opens the page by the link that OpenHands' app makes.
    async fn with_the_page() -> Self {
        let server = Server::start().await;
        let sessions = Scripted::serving(server.sandbox.address);
        sessions.leads("pod-1", PORTS.vscode, server.sandbox.address);
        let proxy = Proxy::over(&sessions).await;
        let mut client = proxy.client().await;
        let page = format!(
            "GET /?tkn={KEY}&folder=%2Fworkspace HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nSec-Fetch-Mode: navigate\r\n\
             Sec-Fetch-Site: none\r\n\r\n",
            host = host()
        );
        let (head, _) = client.ask(page).await;
        assert_eq!(head.status, 200);
        let cookie = head.cookie();
        Self {
            cookie: cookie.to_owned(),
            proxy,
            server,
        }
    }

    /// Opens a socket as the page does, and says what it is for.
    async fn socket(&self, kind: u8, token: &str, again: bool) -> Messages<TcpStream> {
        let mut client = self.proxy.client().await;
        client
            .send(format!(
                "GET {} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://{host}\r\n\
                 Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
                 {WEBSOCKET_KEY}\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nCookie: \
                 vscode-tkn=theirs; {}\r\n\r\n",
                target(token, again),
                self.cookie,
                host = host(),
            ))
            .await;
        let head = client.head().await.unwrap();
        assert_eq!(head.status, 101);
        // What the two agree on is theirs: a proxy that drops or changes it makes frames unreadable.
        assert_eq!(head.get("sec-websocket-extensions"), Some("permessage-deflate"));
        assert_eq!(head.get("sec-websocket-accept"), Some(WEBSOCKET_ACCEPT));
        let mut messages = Messages::over(client.stream, Frames::of_client([7, 0, 0xff, 0x81]));
        messages
            .send(&Message::control(&json!({"type": "auth", "auth": "0"})))
            .await;
        assert_eq!(messages.expected().await.json()["type"], "sign");
        let kind = json!({"type": "connectionType", "desiredConnectionType": kind});
        messages.send(&Message::control(&kind)).await;
        assert_eq!(messages.expected().await.json()["type"], "ok");
        messages
    }
}

fn host() -> String {
    format!("vscode-{}.example.test", id())
}

fn target(token: &str, again: bool) -> String {
    format!("/stable-0123abcd?reconnectionToken={token}&reconnection={again}&skipWebSocketFrames=false")
}

/// Data of so many bytes: some of it shrinks, some does not.
fn data(seed: u32, size: usize) -> Vec<u8> {
    let mut state = seed;
    let random = std::iter::from_fn(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(state.to_be_bytes()[0])
    });
    match seed % 2 {
        0 => random.take(size).collect(),
        _ => b"{\"jsonrpc\":\"2.0\"}"
            .iter()
            .copied()
            .cycle()
            .take(size)
            .collect(),
    }
}

#[tokio::test]
async fn both_connections_of_a_window_carry_what_is_said_at_once() {
    let browser = Browser::with_the_page().await;
    let talk = |kind: u8, token: &'static str| {
        let browser = &browser;
        async move {
            let mut socket = browser.socket(kind, token, false).await;
            for (number, size) in (1_u32..).zip([1, 0, 125, 126, 70_000, 300_000, 600_000, 3]) {
                let said = data(number + u32::from(kind), size);
                // Frames and packets have nothing to do with one another.
                let piece = if size < 1000 { 1 } else { 9_999 };
                let message = regular(number, number - 1, said);
                socket.in_pieces(&message, piece).await;
                let heard = socket.expected().await;
                assert!(heard == regular(number, number, message.data), "{kind} {size}");
            }
        }
    };
    tokio::join!(talk(MANAGEMENT, "5d0c-1"), talk(EXTENSION_HOST, "5d0c-2"));
    let heads = browser.server.heads();
    for token in ["5d0c-1", "5d0c-2"] {
        let line = format!("GET {} HTTP/1.1\r\n", target(token, false));
        let head = heads.iter().find(|head| head.starts_with(&line)).unwrap();
        let lower = head.to_ascii_lowercase();
        assert!(
            lower.contains("\r\nsec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n"),
            "{head}"
        );
        // VS Code's own cookie comes to it, and ours does not.
        assert!(lower.contains("\r\ncookie: vscode-tkn=theirs\r\n"), "{head}");
    }
}

/// A window whose connection breaks, as a laptop's does that sleeps, goes on with what it has: the token in the query leads to the
/// server's side of it, and what was not acknowledged is said again.
#[tokio::test]
async fn a_connection_that_breaks_is_taken_up_by_its_token() {
    let browser = Browser::with_the_page().await;
    let mut socket = browser.socket(MANAGEMENT, "5d0c-3", false).await;
    socket.send(&regular(1, 0, b"one".to_vec())).await;
    assert_eq!(socket.expected().await, regular(1, 1, b"one".to_vec()));
    socket.send(&regular(2, 1, BREAK.to_vec())).await;
    // The client hears of the end at once, and not by a time-out.
    assert_eq!(
        tokio::time::timeout(std::time::Duration::from_secs(20), socket.next()).await,
        Ok(None)
    );

    let mut socket = browser.socket(MANAGEMENT, "5d0c-3", true).await;
    // It has heard the second message, and says all of its own again.
    assert_eq!(socket.expected().await, regular(1, 2, b"one".to_vec()));
    assert_eq!(socket.expected().await, regular(2, 2, BREAK.to_vec()));
    // One that it has heard, as its client can't know, counts once.
    socket.send(&regular(2, 1, BREAK.to_vec())).await;
    socket.send(&regular(3, 2, b"three".to_vec())).await;
    assert_eq!(socket.expected().await, regular(3, 3, b"three".to_vec()));
    let heads = browser.server.heads();
    let line = format!("GET {} HTTP/1.1\r\n", target("5d0c-3", true));
    assert!(heads.iter().any(|head| head.starts_with(&line)), "{heads:?}");
}

/// A page of another sandbox, which a browser would send the cookie for, opens no socket.
#[tokio::test]
async fn a_page_of_a_sibling_opens_no_socket() {
    let browser = Browser::with_the_page().await;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://work-1-{}.example.test\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {WEBSOCKET_KEY}\r\nCookie: {}\r\n\r\n",
        target("5d0c-4", false),
        host(),
        id(),
        browser.cookie
    );
    let (head, _) = browser.proxy.client().await.ask(request).await;
    assert_eq!(head.status, 403);
    assert_eq!(browser.server.heads().len(), 1, "only the page was asked for");
}
