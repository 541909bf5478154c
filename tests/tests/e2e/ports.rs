//! Ports of this machine that lead to ports of a session.

use std::time::Duration;

use podbay_tests::{DEBIAN, Podbay, SMALL, in_namespace};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, ChildStdout};

const PATIENCE: Duration = Duration::from_secs(60);

/// `podbay port-forward`, while it goes on.
struct Forwarding {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    err: Lines<BufReader<ChildStderr>>,
}

impl Forwarding {
    fn start(podbay: &Podbay, ports: &[&str]) -> Self {
        let mut command = podbay.command(&[&["port-forward", "demo"], ports].concat());
        let mut child = command.spawn().unwrap();
        Self {
            out: BufReader::new(child.stdout.take().unwrap()).lines(),
            err: BufReader::new(child.stderr.take().unwrap()).lines(),
            child,
        }
    }

    /// The local port of the next line on standard output that says one.
    async fn port(&mut self, remote: u16) -> u16 {
        let line = tokio::time::timeout(PATIENCE, self.out.next_line()).await;
        let line = line.unwrap().unwrap().unwrap();
        let rest = line.strip_prefix("Forwarding from 127.0.0.1:");
        let (local, to) = rest
            .and_then(|rest| rest.split_once(" -> "))
            .unwrap_or_else(|| panic!("{line}"));
        assert_eq!(to, remote.to_string());
        local.parse().unwrap()
    }
}

/// What comes for a request.
async fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nHost: a\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // A connection that breaks has no answer.
    let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer))
        .await
        .unwrap();
    let _ = read;
    answer
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn ports_of_this_machine_lead_to_those_of_a_session() {
    in_namespace("ports", async |namespace| {
        let podbay = namespace.podbay();
        let open = [&["open", "demo", "--image", DEBIAN], &SMALL[..]].concat();
        let _ = podbay.run(&open).await.expect(0);
        let serve = "cd /etc && (python3 -m http.server 8080 >/dev/null 2>&1 &)";
        let _ = podbay
            .run(&["exec", "demo", "--", "sh", "-c", serve])
            .await
            .expect(0);

        let mut forwarding = Forwarding::start(&podbay, &["--address", "127.0.0.1", ":8080", ":9"]);
        let (server, nobody) = (forwarding.port(8080).await, forwarding.port(9).await);
        // It may still be starting; nothing that is forwarded ends for that.
        let answered = async {
            loop {
                let answer = get(server, "/hostname").await;
                if answer.contains("openhands-runtime-demo") {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let answer = tokio::time::timeout(PATIENCE, answered).await.unwrap();
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
        let at_once = futures::future::join_all((0..8).map(|_| get(server, "/hostname"))).await;
        assert!(
            at_once.iter().all(|answer| answer.starts_with("HTTP/1.0 200")),
            "{at_once:?}"
        );

        assert_eq!(get(nobody, "/").await, "");
        let told = async {
            while let Some(line) = forwarding.err.next_line().await.unwrap() {
                if line.contains("port 9: ") && line.contains("refused") {
                    return true;
                }
            }
            false
        };
        assert!(tokio::time::timeout(PATIENCE, told).await.unwrap());

        // Without its session it ends, at the next connection.
        let _ = podbay.run(&["close", "demo", "--wait"]).await.expect(0);
        let _ = get(server, "/").await;
        let ended = tokio::time::timeout(PATIENCE, forwarding.child.wait()).await;
        assert_eq!(ended.unwrap().unwrap().code(), Some(125));
        let missing = podbay.run(&["port-forward", "demo", ":8080"]).await.expect(125);
        assert_eq!(missing.text(), "");
    })
    .await;
}
