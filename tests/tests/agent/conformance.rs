//! One suite of commands for the agent and for this machine.

use std::time::Duration;

use podbay_config::Config;
use podbay_runtime::protocol::{End, ErrorCode};
use podbay_runtime::{Backend, Podbay, Session};
use tokio::time::Instant;

use crate::faults::Faults;
use crate::sandbox::sandbox;

#[tokio::test(flavor = "multi_thread")]
async fn by_the_agent() {
    let sandbox = sandbox(Faults::none()).await;
    let transport = sandbox
        .session
        .processes()
        .await
        .unwrap()
        .capabilities()
        .transport;
    assert_eq!(transport, "the agent");
    suite(&sandbox.session).await;
    what_it_uses(&sandbox.session).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_this_machine() {
    let podbay = Podbay::builder(Config::default())
        .backend(Backend::Local)
        .in_this_process()
        .connect()
        .await
        .unwrap();
    let session = podbay.session("demo").open().await.unwrap();
    suite(&session).await;
    let refused = session.figures().await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unsupported);
    session.close().await.unwrap();
}

/// An agent tells what its sandbox uses; without one that is refused.
async fn what_it_uses(session: &Session) {
    session.hold(Duration::from_secs(60)).await.unwrap();
    let figures = session.figures().await.unwrap();
    assert!(figures.memory.is_some() && figures.disk.is_some());
    assert!(figures.idle.seconds <= 0.0, "{:?}", figures.idle);
    session.hold(Duration::ZERO).await.unwrap();
    let refused = session.hold(Duration::from_secs(90_000)).await.unwrap_err();
    assert!(refused.chain().contains("86400"), "{}", refused.chain());
}

/// In the user's own places, as any program of his: the name is no other session's.
#[tokio::test(flavor = "multi_thread")]
async fn on_this_machine_by_an_agent() {
    let mut config = Config::default();
    config.agent.binary = Some(podbay_tests::program::agent());
    let podbay = Podbay::builder(config)
        .backend(Backend::Local)
        .connect()
        .await
        .unwrap();
    let id = format!("conformance-{:016x}", rand::random::<u64>());
    let session = podbay.session(&id).open().await.unwrap();
    suite(&session).await;
    // Another handle finds it, and its end.
    assert!(
        podbay
            .list("")
            .await
            .unwrap()
            .iter()
            .any(|found| found.session == id)
    );
    session.close().await.unwrap();
    assert!(!podbay.close(&id, true).await.unwrap().existed);
}

async fn suite(session: &Session) {
    codes(session).await;
    streams(session).await;
    input(session).await;
    what_cannot_be_run(session).await;
    time_out(session).await;
    what_is_left_behind(session).await;
    many_at_once(session).await;
}

/// The exit code and both outputs of a shell's command.
async fn sh(session: &Session, script: &str) -> (End, String, String) {
    let outcome = Box::pin(session.exec(["sh", "-c", script])).await.unwrap();
    let text = |content: &podbay_runtime::protocol::Content| content.text().to_string();
    (
        outcome.end.clone(),
        text(&outcome.stdout_content),
        text(&outcome.stderr_content),
    )
}

async fn codes(session: &Session) {
    for code in [0, 1, 3, 126, 127, 255] {
        let (end, out, err) = sh(session, &format!("echo out; echo err >&2; exit {code}")).await;
        assert_eq!(
            (end, out.as_str(), err.as_str()),
            (End::Exited { code }, "out\n", "err\n")
        );
    }
    let (end, ..) = sh(session, "kill -9 $$").await;
    assert_eq!(end, End::Signaled { signal: 9 });
}

async fn streams(session: &Session) {
    // No output at all; bytes that are no text; 10 MiB on both streams at once.
    assert_eq!(
        sh(session, "").await,
        (End::Exited { code: 0 }, String::new(), String::new())
    );
    let outcome = Box::pin(session.exec(["printf", r"\377\000\n"])).await.unwrap();
    assert_eq!(outcome.stdout_content.bytes.as_slice(), b"\xff\0\n");
    let script = "head -c 10485760 /dev/zero & head -c 10485760 /dev/zero >&2; wait";
    let outcome = Box::pin(session.exec(["sh", "-c", script])).await.unwrap();
    for stream in [&outcome.stdout, &outcome.stderr] {
        assert_eq!((stream.bytes, stream.truncated), (10 << 20, false));
        // 10 MiB of zeros.
        let zeros = "e5b844cc57f57094ea4585e235f36c78c1cd222262bb89d53c94dcb4d6b3e55d";
        assert_eq!(stream.sha256, zeros);
    }
}

async fn input(session: &Session) {
    let given = |bytes: Vec<u8>, argv: &[&str]| {
        session
            .command(argv.iter().copied())
            .stdin(std::io::Cursor::new(bytes))
    };
    let outcome = Box::pin(given(b"a\xff\nb".to_vec(), &["cat"]).output())
        .await
        .unwrap();
    assert_eq!(outcome.stdout_content.bytes.as_slice(), b"a\xff\nb");
    let outcome = Box::pin(given(vec![7; 3_000_000], &["wc", "-c"]).output())
        .await
        .unwrap();
    assert_eq!(outcome.stdout_content.text().trim(), "3000000");
    // Input that nobody reads costs no code; no input is an end of file.
    let outcome = Box::pin(given(vec![7; 3_000_000], &["false"]).output())
        .await
        .unwrap();
    assert_eq!(outcome.end, End::Exited { code: 1 });
    assert_eq!(sh(session, "cat").await.1, "");
}

async fn what_cannot_be_run(session: &Session) {
    let end = |outcome: podbay_runtime::Outcome| outcome.end;
    let missing = end(Box::pin(session.exec(["no-such-program"])).await.unwrap());
    assert!(matches!(missing, End::NotFound { .. }), "{missing:?}");
    let not_executable = end(Box::pin(session.exec(["/etc/passwd"])).await.unwrap());
    assert!(
        matches!(not_executable, End::CannotExecute { .. }),
        "{not_executable:?}"
    );
    let nowhere = session.command(["true"]).workdir("/nowhere");
    let outcome = Box::pin(nowhere.output()).await.unwrap();
    assert_eq!(outcome.end.exit_code(), 126, "{outcome:?}");
}

async fn time_out(session: &Session) {
    let begun = Instant::now();
    let command = session.command(["sh", "-c", "echo early; sleep 60 & sleep 60"]);
    let outcome = Box::pin(command.timeout(Duration::from_secs(1)).output())
        .await
        .unwrap();
    assert!(matches!(outcome.end, End::TimedOut { .. }), "{outcome:?}");
    assert_eq!(outcome.stdout_content.text(), "early\n");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

async fn what_is_left_behind(session: &Session) {
    let begun = Instant::now();
    let outcome = Box::pin(session.exec(["sh", "-c", "sleep 30 & echo hi"]))
        .await
        .unwrap();
    assert_eq!(
        (outcome.end.clone(), outcome.stdout_content.text().as_ref()),
        (End::Exited { code: 0 }, "hi\n")
    );
    assert!(outcome.stdout.truncated, "{outcome:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

async fn many_at_once(session: &Session) {
    let runs = (0..100).map(|number| async move {
        let outcome =
            Box::pin(session.exec(["sh", "-c", &format!("echo {number}; exit {}", number % 7)])).await;
        let outcome = outcome.unwrap();
        assert_eq!(outcome.stdout_content.text(), format!("{number}\n"));
        assert_eq!(outcome.end, End::Exited { code: number % 7 });
    });
    futures::future::join_all(runs).await;
}
