//! A registry that has no image: it answers every question for one with a refusal, so that a real kubelet
//! gets a real "not found" or "denied".

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// Where our own cluster's container runtime looks for every image.
pub const ADDRESS: &str = "127.0.0.1:5000";

/// A running registry; ends when dropped.
#[derive(Debug)]
pub struct Registry(AbortHandle);

impl Registry {
    /// Starts it at [`ADDRESS`]. The first word of an image's path says how it is refused: `missing`,
    /// `private`, `limited` or `broken`.
    #[expect(clippy::expect_used, reason = "tests fail by panicking")]
    pub async fn start() -> Self {
        let listener = TcpListener::bind(ADDRESS)
            .await
            .expect("the registry's port is free");
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream));
            }
        });
        Self(task.abort_handle())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One request a connection is all a refusal takes.
async fn answer(mut stream: TcpStream) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => request.extend_from_slice(&buffer[..n]),
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let (status, code) = if request.contains("/v2/missing/") {
        ("404 Not Found", "MANIFEST_UNKNOWN")
    } else if request.contains("/v2/private/") {
        ("401 Unauthorized", "UNAUTHORIZED")
    } else if request.contains("/v2/limited/") {
        ("429 Too Many Requests", "TOOMANYREQUESTS")
    } else {
        ("500 Internal Server Error", "UNKNOWN")
    };
    // The body of the distribution specification's errors; a HEAD request gets none.
    let body = format!("{{\"errors\":[{{\"code\":\"{code}\",\"message\":\"as the test asks\"}}]}}");
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let answer = if request.starts_with("HEAD") {
        head
    } else {
        head + &body
    };
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
