//! One request on a connection of its own.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a whole answer may take.
const WITHIN: Duration = Duration::from_secs(20);

/// Asks for a path of a host at an address, with further lines of the head, each with its end. The status and the body, or why there is
/// no whole answer.
#[expect(clippy::missing_errors_doc, reason = "said in words")]
pub async fn ask(
    address: &str,
    (method, host, path): (&str, &str, &str),
    head: &str,
    body: &str,
) -> Result<(u16, String), String> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{head}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = match timeout(WITHIN, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string())?,
        Err(_) => return Err(format!("nothing within {} s", WITHIN.as_secs())),
    };
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(format!("{answer:?}"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or(head)?, body.to_owned()))
}
