//! Clients that stay connected while the service is rolled: connections that are kept for one request after the other, and WebSockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use podbay_tests::terminal::Terminal;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// How long one answer may take.
const WITHIN: Duration = Duration::from_secs(20);
/// The pauses of clients between two requests on one connection.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(500),
    Duration::from_secs(2),
];
/// WebSockets at the same time: with as many each replica has some.
const SOCKETS: usize = 8;

/// Where requests go, and the lines of their heads.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: String,
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) head: String,
}

/// One request on a connection that is kept; whether the server says that the connection ends.
async fn ask(stream: &mut BufReader<TcpStream>, target: &Target) -> std::io::Result<(u16, bool)> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\n{}\r\n",
        target.path, target.host, target.head
    );
    stream.get_mut().write_all(request.as_bytes()).await?;
    let (mut status, mut length, mut ends) = (0, 0, false);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_lowercase();
        if let Some(rest) = line.strip_prefix("http/1.1 ") {
            status = rest[..3].parse().map_err(std::io::Error::other)?;
        } else if let Some(bytes) = line.strip_prefix("content-length: ") {
            length = bytes.parse().map_err(std::io::Error::other)?;
        } else if line == "connection: close" {
            ends = true;
        } else if line.is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length]).await?;
    Ok((status, ends))
}

/// What clients with kept connections met.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    /// Requests that were answered with 200.
    pub(crate) requests: usize,
    /// Connections that the service said would end, after which the client made another one.
    pub(crate) told: usize,
    /// Requests without such an answer.
    pub(crate) lost: Vec<String>,
}

/// Clients with kept connections: each asks again and again, and tries nothing twice.
pub(crate) struct Kept {
    stop: Arc<AtomicBool>,
    asking: Vec<JoinHandle<Answered>>,
}

impl Kept {
    pub(crate) fn begin(targets: &[Target]) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let clients = targets
            .iter()
            .flat_map(|target| PAUSES.map(|pause| (target, pause)));
        let asking = clients
            .map(|(target, pause)| tokio::spawn(keep_asking(Arc::clone(&stop), target.clone(), pause)));
        Self {
            asking: asking.collect(),
            stop,
        }
    }

    pub(crate) async fn end(self) -> Answered {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Answered::default();
        for asking in self.asking {
            let Answered { requests, told, lost } = asking.await.unwrap();
            all.requests += requests;
            all.told += told;
            all.lost.extend(lost);
        }
        all
    }
}

async fn keep_asking(stop: Arc<AtomicBool>, target: Target, pause: Duration) -> Answered {
    let mut all = Answered::default();
    let mut kept = None;
    while !stop.load(Ordering::Relaxed) {
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => match TcpStream::connect(&target.address).await {
                Ok(stream) => BufReader::new(stream),
                Err(error) => {
                    all.lost.push(format!("a connection: {error}"));
                    continue;
                }
            },
        };
        match timeout(WITHIN, ask(&mut stream, &target)).await {
            Ok(Ok((200, ends))) => {
                all.requests += 1;
                if ends {
                    all.told += 1;
                } else {
                    kept = Some(stream);
                }
            }
            other => all
                .lost
                .push(format!("{} every {pause:?}: {other:?}", target.path)),
        }
        sleep(pause).await;
    }
    all
}

/// What WebSockets met.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// Lines that came back.
    pub(crate) echoed: usize,
    /// After how long those ended, in order, that the service ended.
    pub(crate) in_order: Vec<Duration>,
    /// What else happened to one.
    pub(crate) broken: Vec<String>,
}

/// WebSockets, over which lines go to and fro. One that ends is opened again, as clients do.
pub(crate) struct Sockets {
    stop: Arc<AtomicBool>,
    echoed: Arc<AtomicUsize>,
    talking: Vec<JoinHandle<Ended>>,
}

impl Sockets {
    /// To terminals of the session with this host and key.
    pub(crate) async fn begin(address: &str, host: &str, key: &str) -> Self {
        let (stop, echoed) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let begun = Instant::now();
        let mut talking = Vec::new();
        for number in 0..SOCKETS {
            let (address, host, key) = (address.to_owned(), host.to_owned(), key.to_owned());
            let name = format!("echo-{number}");
            let terminal = Terminal::named(&address, &host, &key, &name).await.unwrap();
            let (stop, echoed) = (Arc::clone(&stop), Arc::clone(&echoed));
            talking.push(tokio::spawn(async move {
                let (mut terminal, mut all) = (terminal, Ended::default());
                let mut line = 0;
                while !stop.load(Ordering::Relaxed) {
                    line += 1;
                    let text = format!("line-{line}-");
                    let ended = match timeout(WITHIN, terminal.echo(&text)).await {
                        Ok(Ok(true)) => {
                            echoed.fetch_add(1, Ordering::Relaxed);
                            terminal.ends_within(Duration::from_millis(200)).await
                        }
                        Ok(Ok(false)) => Ok(true),
                        Ok(Err(error)) => Err(error),
                        Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
                    };
                    match ended {
                        Ok(false) => continue,
                        Ok(true) => all.in_order.push(begun.elapsed()),
                        Err(error) => all.broken.push(format!("after {:?}: {error}", begun.elapsed())),
                    }
                    // The replica that took over answers at once.
                    terminal = Terminal::named(&address, &host, &key, &name).await.unwrap();
                }
                all
            }));
        }
        Self {
            stop,
            echoed,
            talking,
        }
    }

    pub(crate) async fn end(self) -> Ended {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Ended::default();
        for talking in self.talking {
            let Ended { in_order, broken, .. } = talking.await.unwrap();
            all.in_order.extend(in_order);
            all.broken.extend(broken);
        }
        all.echoed = self.echoed.load(Ordering::Relaxed);
        all
    }
}
