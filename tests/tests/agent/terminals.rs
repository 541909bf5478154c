//! Commands with a terminal over connections that break, and those who watch them.

use std::time::Duration;

use podbay_runtime::protocol::{End, TerminalSize};
use podbay_runtime::{Outcome, Running, Session};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use crate::faults::{Class, Faults};
use crate::sandbox::sandbox;
use crate::task::bytes;

const PATIENCE: Duration = Duration::from_secs(60);
const SIZE: TerminalSize = TerminalSize {
    width: 80,
    height: 24,
};

/// A command as `podbay exec -it` runs it, with what is typed and what is shown.
struct Terminal {
    keys: DuplexStream,
    screen: DuplexStream,
    shown: Vec<u8>,
    ended: tokio::task::JoinHandle<Outcome>,
}

impl Terminal {
    async fn start(session: &Session, script: &str) -> Self {
        let (keys, stdin) = duplex(1 << 16);
        let (stdout, screen) = duplex(1 << 16);
        let command = session.command(["sh", "-c", script]).terminal(SIZE);
        let running: Running = Box::pin(command.stdin(stdin).stdout(stdout).start())
            .await
            .unwrap();
        Self {
            keys,
            screen,
            shown: Vec::new(),
            ended: tokio::spawn(async move { Box::pin(running.outcome()).await.unwrap() }),
        }
    }

    /// Reads until this is shown.
    async fn until(&mut self, text: &str) {
        let read = async {
            while !String::from_utf8_lossy(&self.shown).contains(text) {
                assert!(self.screen.read_buf(&mut self.shown).await.unwrap() > 0);
            }
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap();
    }

    /// Reads to the end.
    async fn until_its_end(mut self) -> (Vec<u8>, End) {
        let read = async { while self.screen.read_buf(&mut self.shown).await.unwrap() > 0 {} };
        tokio::time::timeout(PATIENCE, read).await.unwrap();
        drop(self.keys);
        (self.shown, self.ended.await.unwrap().end)
    }
}

/// Each byte is typed once and shown once, whatever befalls the connections.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_and_shown_survives_the_connections() {
    let sandbox = sandbox(Faults::seeded(&Class::ALL, 60_000, 11)).await;
    let typed = bytes()[..300_000].to_vec();
    let script = format!("stty raw -echo; echo ready; head -c {}; exit 5", typed.len());
    let Terminal {
        mut keys,
        screen,
        shown,
        ended,
    } = {
        let mut terminal = Terminal::start(&sandbox.session, &script).await;
        terminal.until("ready\n").await;
        terminal
    };
    let all = typed.clone();
    let typing = tokio::spawn(async move {
        keys.write_all(&all).await.unwrap();
        keys
    });
    let showing = async {
        let (mut screen, mut shown) = (screen, shown);
        screen.read_to_end(&mut shown).await.unwrap();
        shown
    };
    let shown = tokio::time::timeout(PATIENCE, showing).await.unwrap();
    drop(typing.await.unwrap());
    assert_eq!(ended.await.unwrap().end, End::Exited { code: 5 });
    assert!(shown == [b"ready\n".as_slice(), &typed].concat());
    let faults = sandbox.faults.counts().total();
    assert!(faults > 0, "nothing broke");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_terminal_watches_and_changes_nothing() {
    let sandbox = sandbox(Faults::none()).await;
    let session = &sandbox.session;
    let script = "stty size; read line; stty size; echo got $line; exit 3";
    let mut first = Terminal::start(session, script).await;
    first.until("24 80\r\n").await;
    let [process] = &session.list_processes().await.unwrap()[..] else {
        panic!("one process runs")
    };
    let watching = Box::pin(session.attach(process.id.clone()).start())
        .await
        .unwrap();
    // Who watches has no say in the size.
    assert!(watching.resizer().is_none());
    let watching = tokio::spawn(Box::pin(watching.outcome()));
    // Both lose their connection, and go on.
    sandbox.cut();
    first.keys.write_all(b"it\n").await.unwrap();
    let (shown, end) = first.until_its_end().await;
    let expected = "24 80\r\nit\r\n24 80\r\ngot it\r\n";
    assert_eq!(String::from_utf8(shown).unwrap(), expected);
    assert_eq!(end, End::Exited { code: 3 });
    let watched = tokio::time::timeout(PATIENCE, watching).await.unwrap();
    let watched = watched.unwrap().unwrap();
    assert_eq!(watched.stdout_content.text(), expected);
    assert_eq!(watched.end, End::Exited { code: 3 });
}
