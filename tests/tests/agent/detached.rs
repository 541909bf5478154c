//! Processes that are left to themselves, and reached again.

use std::io::Cursor;
use std::time::Duration;

use podbay_config::AgentDelivery;
use podbay_runtime::protocol::{
    End, ErrorCode, Hint, Offsets, ProcessId, Signal, SignalTarget, TerminalSize,
};
use podbay_runtime::{Error, ProcessError, Session};

use crate::container::container;
use crate::faults::{Class, Faults};
use crate::sandbox::sandbox;

const PATIENCE: Duration = Duration::from_secs(60);

async fn detached(session: &Session, script: &str) -> ProcessId {
    Box::pin(session.command(["sh", "-c", script]).detach())
        .await
        .unwrap()
}

/// Waits until a process is as it should be.
async fn until(
    session: &Session,
    id: &ProcessId,
    holds: impl Fn(&podbay_runtime::protocol::ProcessInfo) -> bool,
) {
    let look = async {
        loop {
            let all = session.list_processes().await.unwrap();
            if all.iter().any(|process| process.id == *id && holds(process)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_detached_is_read_later_by_anyone_and_more_than_once() {
    let sandbox = sandbox(Faults::none()).await;
    let session = &sandbox.session;
    let id = detached(
        session,
        "echo early; echo err >&2; while [ ! -e go ]; do sleep 0.01; done; seq 100000; exit 3",
    )
    .await;
    until(session, &id, |process| process.written.stdout == 6).await;
    let [first, second] = [session.attach(id.clone()), session.attach(id.clone())]
        .map(|attach| tokio::spawn(Box::pin(attach.output())));
    std::fs::write(sandbox.path("go"), "").unwrap();
    for outcome in [first, second] {
        let outcome = outcome.await.unwrap().unwrap();
        assert_eq!(outcome.end, End::Exited { code: 3 });
        let lines: String = (1..=100_000).map(|line| format!("{line}\n")).collect();
        assert_eq!(outcome.stdout_content.text(), format!("early\n{lines}"));
        assert_eq!(
            (outcome.stderr_content.text().as_ref(), outcome.stdout.truncated),
            ("err\n", false)
        );
    }
    // It has ended, and is still there to be read, from anywhere in it.
    let outcome = Box::pin(session.attach(id.clone()).output()).await.unwrap();
    assert_eq!(
        (outcome.stdout.bytes, outcome.end),
        (588_901, End::Exited { code: 3 })
    );
    let from = Offsets {
        stdout: 588_895,
        stderr: 4,
    };
    let outcome = Box::pin(session.attach(id.clone()).from(from).output())
        .await
        .unwrap();
    assert_eq!(
        (outcome.stdout_content.text().as_ref(), outcome.stderr.bytes),
        ("00000\n", 0)
    );
    assert_eq!(outcome.end, End::Exited { code: 3 });
    let listed = session.list_processes().await.unwrap();
    let [process] = listed.as_slice() else {
        panic!("{listed:?}")
    };
    assert!(
        process.end.is_some() && process.age_seconds.is_some() && !process.terminal,
        "{process:?}"
    );
    assert_eq!(process.argv[0], "sh");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_onlooker_survives_his_connection_too() {
    let sandbox = sandbox(Faults::seeded(&Class::ALL, 60_000, 3)).await;
    let session = &sandbox.session;
    for run in 0..10 {
        let id = detached(session, &format!("seq {}; exit {run}", run * 20_000)).await;
        let outcome = Box::pin(session.attach(id).output()).await.unwrap();
        let lines: String = (1..=run * 20_000).map(|line| format!("{line}\n")).collect();
        assert_eq!(
            (outcome.stdout.bytes, outcome.end),
            (lines.len() as u64, End::Exited { code: run })
        );
        assert!(!outcome.stdout.truncated);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standard_input_stays_open_until_somebody_ends_it() {
    let sandbox = sandbox(Faults::none()).await;
    let session = &sandbox.session;
    let id = Box::pin(session.command(["cat"]).open_stdin().detach())
        .await
        .unwrap();
    // Two who write one after the other; the second ends it.
    let attached = session
        .attach(id.clone())
        .stdin(Pending(Cursor::new("one\n".to_owned())));
    let running = Box::pin(attached.start()).await.unwrap();
    let first = tokio::spawn(Box::pin(running.outcome()));
    until(session, &id, |process| process.written.stdout == 4).await;
    first.abort();
    let second = session.attach(id.clone()).stdin(Cursor::new("two\n"));
    let outcome = Box::pin(second.output()).await.unwrap();
    assert_eq!(outcome.stdout_content.text(), "one\ntwo\n");
    assert_eq!(outcome.end, End::Exited { code: 0 });
    // One that was started without has none to write to.
    let id = detached(session, "sleep 30").await;
    let refused = Box::pin(session.attach(id.clone()).stdin(Cursor::new("x")).output()).await;
    assert!(
        matches!(&refused, Err(Error::Process { source }) if matches!(**source, ProcessError::InputClosed)),
        "{refused:?}"
    );
    session
        .signal_process(&id, Signal::KILL, SignalTarget::Tree)
        .await
        .unwrap();
}

/// Bytes without an end of file.
struct Pending(Cursor<String>);

impl tokio::io::AsyncRead for Pending {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let read = std::pin::Pin::new(&mut self.0).poll_read(cx, buffer);
        if read.is_ready() && buffer.filled().len() == before {
            return std::task::Poll::Pending;
        }
        read
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_attached_to() {
    let sandbox = sandbox(Faults::none()).await;
    let session = &sandbox.session;
    let size = |width, height| TerminalSize { width, height };
    let command = session.command(["sh", "-c", "tty; read line; stty size; exit 4"]);
    let id = Box::pin(command.terminal(size(10, 20)).open_stdin().detach())
        .await
        .unwrap();
    until(session, &id, |process| {
        process.terminal && process.written.stdout > 0
    })
    .await;
    let attached = session.attach(id).terminal(size(123, 45));
    let attached = attached.stdin(Pending(Cursor::new("\n".to_owned())));
    let running = Box::pin(attached.start()).await.unwrap();
    assert!(running.resizer().is_some());
    let outcome = Box::pin(running.outcome()).await.unwrap();
    let text = outcome.stdout_content.text();
    assert!(text.starts_with("/dev/pts/"), "{text}");
    assert_eq!(outcome.end, End::Exited { code: 4 });
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_reach_a_process_or_all_of_it() {
    let sandbox = sandbox(Faults::none()).await;
    let session = &sandbox.session;
    let id = detached(
        session,
        "trap 'echo term; exit 9' TERM; echo ready; while :; do sleep 0.01; done",
    )
    .await;
    until(session, &id, |process| process.written.stdout > 0).await;
    let term = "TERM".parse().unwrap();
    session
        .signal_process(&id, term, SignalTarget::Process)
        .await
        .unwrap();
    let outcome = Box::pin(session.attach(id.clone()).output()).await.unwrap();
    assert_eq!(
        (outcome.end, outcome.stdout_content.text().as_ref()),
        (End::Exited { code: 9 }, "ready\nterm\n")
    );
    // One that has ended needs none; one that there is not is told.
    session
        .signal_process(&id, Signal::KILL, SignalTarget::Tree)
        .await
        .unwrap();
    let nobody: ProcessId = "nobody".parse().unwrap();
    let refused = session
        .signal_process(&nobody, term, SignalTarget::Process)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), ErrorCode::NotFound);
    let refused = Box::pin(session.attach(nobody).output()).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_out_is_kept_with_nobody_there() {
    let sandbox = sandbox(Faults::none()).await;
    let session = &sandbox.session;
    let command = session.command(["sh", "-c", "echo early; sleep 60"]);
    let id = Box::pin(command.timeout(Duration::from_millis(300)).detach())
        .await
        .unwrap();
    until(session, &id, |process| process.end.is_some()).await;
    let outcome = Box::pin(session.attach(id).output()).await.unwrap();
    assert_eq!(outcome.end, End::TimedOut { seconds: 0.3 });
    assert_eq!(outcome.stdout_content.text(), "early\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_runs_once() {
    let sandbox = sandbox(Faults::none()).await;
    let session = &sandbox.session;
    let start = |script: &'static str| {
        let command = session.command(["sh", "-c", script]);
        Box::pin(command.process("once".parse().unwrap()).detach())
    };
    let id = start("echo ran >>ran").await.unwrap();
    assert_eq!(start("echo ran >>ran").await.unwrap(), id);
    let refused = start("another command").await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidRequest);
    until(session, &id, |process| process.end.is_some()).await;
    assert_eq!(std::fs::read_to_string(sandbox.path("ran")).unwrap(), "ran\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_kept_any_longer_is_told_with_what_is() {
    let sandbox = sandbox(Faults::none()).await;
    let session = &sandbox.session;
    // Its reader takes as he reads, so that the beginning is dropped: a window of a mebibyte is kept.
    let command = session.command([
        "sh",
        "-c",
        "head -c 5000000 /dev/zero; sleep 0.2; echo end; sleep 30",
    ]);
    let running = Box::pin(command.start()).await.unwrap();
    let id = running.id().clone();
    let owner = tokio::spawn(Box::pin(running.outcome()));
    until(session, &id, |process| process.written.stdout == 5_000_004).await;
    let refused = Box::pin(session.attach(id.clone()).from(Offsets::default()).output())
        .await
        .unwrap_err();
    let Error::Process { source } = &refused else {
        panic!("{refused:?}")
    };
    let ProcessError::OutputGone { first, .. } = **source else {
        panic!("{refused:?}")
    };
    assert!(first > 3_000_000, "{first}");
    // From the beginning of what is kept, and it is said where that is.
    let onlooker = Box::pin(session.attach(id.clone()).start()).await.unwrap();
    assert!(onlooker.from().stdout >= first);
    let looking = tokio::spawn(Box::pin(onlooker.outcome()));
    session
        .signal_process(&id, "TERM".parse().unwrap(), SignalTarget::Tree)
        .await
        .unwrap();
    let seen = looking.await.unwrap().unwrap();
    assert_eq!(seen.end, End::Signaled { signal: 15 });
    assert!(seen.stdout.bytes <= 5_000_004 - first && !seen.stdout.truncated);
    // Nobody who looked on has taken anything from its owner.
    let outcome = owner.await.unwrap().unwrap();
    assert_eq!(
        (outcome.stdout.bytes, outcome.end),
        (5_000_004, End::Signaled { signal: 15 })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_agent_it_is_refused_with_a_hint() {
    let container = container().await;
    let session = &container.session;
    let id: ProcessId = "p".parse().unwrap();
    let refusals = [
        Box::pin(session.command(["touch", "ran"]).detach())
            .await
            .map(drop)
            .unwrap_err(),
        Box::pin(session.attach(id.clone()).output())
            .await
            .map(drop)
            .unwrap_err(),
        session.list_processes().await.map(drop).unwrap_err(),
        session
            .signal_process(&id, Signal::KILL, SignalTarget::Tree)
            .await
            .unwrap_err(),
    ];
    for refused in refusals {
        assert_eq!(refused.code(), ErrorCode::Unsupported, "{refused}");
        assert_eq!(refused.hint(), Some(Hint::OpenWithAgent), "{refused}");
    }
    let outcome = Box::pin(session.exec(["ls"])).await.unwrap();
    assert_eq!(outcome.stdout_content.text(), "");
    assert_eq!(session.podbay().config().agent.delivery, AgentDelivery::None);
}
