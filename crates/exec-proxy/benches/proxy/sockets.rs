//! Idle WebSockets.

use std::io::Write as _;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::processes::Child;
use crate::service::HOST;

const COUNT: usize = 5000;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// A server that changes to WebSocket and says what it hears.
pub(crate) fn sandbox() {
    runtime().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut read = [0; 1024];
                let _ = stream.read(&mut read).await;
                let answer =
                    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
                let _ = stream.write_all(answer).await;
                let (mut reading, mut writing) = stream.split();
                let _ = tokio::io::copy(&mut reading, &mut writing).await;
            });
        }
    });
}

/// Opens so many, has each say something once, and says that it has.
pub(crate) fn client(proxy: &str, count: usize) {
    let proxy: u16 = proxy.parse().unwrap();
    runtime().block_on(async {
        let mut open = Vec::new();
        for _ in 0..count {
            let mut stream = TcpStream::connect(("127.0.0.1", proxy)).await.unwrap();
            let request = format!(
                "GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            assert!(head.starts_with(b"HTTP/1.1 101"));
            stream.write_all(b"hello").await.unwrap();
            let mut heard = [0; 5];
            stream.read_exact(&mut heard).await.unwrap();
            open.push(stream);
        }
        // In the place of a port: that it is done.
        println!("1");
        let _ = std::io::stdout().flush();
        std::future::pending::<()>().await;
    });
}

/// Memory of the proxy before and with them.
pub(crate) fn measure() {
    let sandbox = Child::ourselves(&["sandbox"]);
    let proxy = Child::ourselves(&["proxy", &sandbox.port.to_string()]);
    let before = proxy.resident();
    let _client = Child::ourselves(&["client", &proxy.port.to_string(), &COUNT.to_string()]);
    let with = proxy.resident();
    println!(
        "{COUNT} WebSockets: {} MiB, {before} KiB before: {} bytes each",
        with >> 10,
        (with - before) * 1024 / COUNT as u64
    );
}
