//! One suite of commands for the agent, for exec and for this machine.

use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use podbay_config::Config;
use podbay_runtime::protocol::{Content, End, ErrorCode, Outcome};
use podbay_runtime::{Backend, Podbay, RunAs, Session};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, duplex};
use tokio::time::Instant;

use crate::container::container;
use crate::faults::Faults;
use crate::sandbox::sandbox;
use crate::task::sha256;

/// What differs from way to way, each for its reason.
#[derive(Clone, Copy)]
struct Way {
    /// Whether a signal that ended a command is told from an exit code: Kubernetes' exec knows codes alone.
    tells_signals: bool,
    /// How many commands run at once: a script of the shell's carries each over exec, and takes its time.
    at_once: i32,
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_agent() {
    let sandbox = sandbox(Faults::none()).await;
    assert_eq!(transport(&sandbox.session).await, "the agent");
    let way = Way {
        tells_signals: true,
        at_once: 100,
    };
    suite(&sandbox.session, way).await;
    what_it_uses(&sandbox.session).await;
    actions(&sandbox.session).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_exec() {
    let container = container().await;
    assert_eq!(transport(&container.session).await, "exec");
    let way = Way {
        tells_signals: false,
        at_once: 100,
    };
    suite(&container.session, way).await;
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
    let way = Way {
        tells_signals: true,
        at_once: 100,
    };
    suite(&session, way).await;
    let refused = session.figures().await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unsupported);
    let refused = session.run_action(&command_action("true")).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::Unsupported);
    session.close().await.unwrap();
}

/// What carries a session's commands.
async fn transport(session: &Session) -> &'static str {
    session.processes().await.unwrap().capabilities().transport
}

fn command_action(command: &str) -> Value {
    json!({"action": "run", "args": {"command": command}, "timeout": 60})
}

/// Actions of OpenHands: what one changes the next one finds.
async fn actions(session: &Session) {
    session
        .run_action(&command_action("cd / && X=there"))
        .await
        .unwrap();
    let told = session
        .run_action(&command_action("echo $X in $PWD; (exit 3)"))
        .await
        .unwrap();
    assert_eq!(told["content"], "there in /");
    assert_eq!(told["extras"]["metadata"]["exit_code"], 3);
    let refused = session.run_action(&json!({"action": "fly"})).await.unwrap_err();
    assert!(refused.chain().contains("is not defined"), "{}", refused.chain());
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
    suite(
        &session,
        Way {
            tells_signals: true,
            at_once: 100,
        },
    )
    .await;
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

async fn suite(session: &Session, way: Way) {
    codes(session, way).await;
    outputs(session).await;
    input(session).await;
    what_cannot_be_run(session).await;
    users(session).await;
    much_of_everything(session).await;
    slow_reader(session).await;
    time_out(session).await;
    what_is_left_behind(session).await;
    many_at_once(session, way.at_once).await;
}

fn text(content: &Content) -> String {
    content.text().to_string()
}

async fn run<const N: usize>(session: &Session, argv: [&str; N]) -> Outcome {
    Box::pin(session.exec(argv)).await.unwrap()
}

/// The end and both outputs of a shell's command.
async fn sh(session: &Session, script: &str) -> (End, String, String) {
    let outcome = run(session, ["sh", "-c", script]).await;
    (
        outcome.end,
        text(&outcome.stdout_content),
        text(&outcome.stderr_content),
    )
}

async fn given(session: &Session, bytes: &[u8], argv: &[&str]) -> Outcome {
    let command = session.command(argv.iter().copied());
    Box::pin(command.stdin(Cursor::new(bytes.to_vec())).output())
        .await
        .unwrap()
}

async fn codes(session: &Session, way: Way) {
    for code in [0, 1, 3, 125, 126, 127, 128, 200, 255] {
        let (end, out, err) = sh(session, &format!("echo out; echo err >&2; exit {code}")).await;
        assert_eq!(
            (end, out.as_str(), err.as_str()),
            (End::Exited { code }, "out\n", "err\n")
        );
    }
    for signal in [1, 9, 15] {
        let (end, out, _) = sh(session, &format!("echo last; kill -{signal} $$; sleep 5")).await;
        let must = if way.tells_signals {
            End::Signaled { signal }
        } else {
            End::Exited { code: 128 + signal }
        };
        assert_eq!((end, out.as_str()), (must, "last\n"));
    }
}

async fn outputs(session: &Session) {
    // None at all; bytes that are no text; an end without a line end.
    assert_eq!(
        sh(session, "").await,
        (End::Exited { code: 0 }, String::new(), String::new())
    );
    let outcome = run(session, ["printf", r"\377\000\n\200x"]).await;
    assert_eq!(outcome.stdout_content.bytes.as_slice(), b"\xff\0\n\x80x");
    assert_eq!(outcome.stdout.sha256, sha256(b"\xff\0\n\x80x"));
    // 10 MiB on both at once.
    let outcome = run(
        session,
        [
            "sh",
            "-c",
            "head -c 10485760 /dev/zero & head -c 10485760 /dev/zero >&2; wait",
        ],
    )
    .await;
    for stream in [&outcome.stdout, &outcome.stderr] {
        assert_eq!((stream.bytes, stream.truncated), (10 << 20, false));
        assert_eq!(stream.sha256, sha256(&vec![0; 10 << 20]));
    }
    assert!(outcome.stdout_content.capped);
    // One closed long before the other.
    let (end, out, err) = sh(session, "echo out; exec >&-; sleep 0.3; echo err >&2; exit 2").await;
    assert_eq!(
        (end, out.as_str(), err.as_str()),
        (End::Exited { code: 2 }, "out\n", "err\n")
    );
}

async fn input(session: &Session) {
    let outcome = given(session, b"a\xff\0\nb", &["cat"]).await;
    assert_eq!(outcome.stdout_content.bytes.as_slice(), b"a\xff\0\nb");
    // Around what is carried at once.
    for size in [1, 32_767, 32_768, 65_537, 131_072, 262_145, 3_000_000] {
        let bytes: Vec<u8> = (0..size)
            .map(|at: u32| at.to_le_bytes()[usize::from(at.is_multiple_of(3))])
            .collect();
        let outcome = given(session, &bytes, &["cat"]).await;
        assert_eq!(
            (outcome.stdout.bytes, outcome.stdout.sha256),
            (size.into(), sha256(&bytes))
        );
        assert_eq!(outcome.end, End::Exited { code: 0 });
    }
    // An end of file, with nothing before it; none asked for is one at once.
    assert_eq!(given(session, b"", &["cat"]).await.stdout.bytes, 0);
    assert_eq!(sh(session, "cat; echo $?").await.1, "0\n");
    // What nobody reads costs no code, nor does what is read in part.
    let much = vec![7; 3_000_000];
    assert_eq!(
        given(session, &much, &["false"]).await.end,
        End::Exited { code: 1 }
    );
    let outcome = given(session, &much, &["head", "-c", "5"]).await;
    assert_eq!((outcome.stdout.bytes, outcome.end), (5, End::Exited { code: 0 }));
    // Closed by the command while it runs on.
    let outcome = given(session, &much, &["sh", "-c", "exec <&-; sleep 0.3; echo on"]).await;
    assert_eq!(
        (text(&outcome.stdout_content).as_str(), outcome.end),
        ("on\n", End::Exited { code: 0 })
    );
}

async fn what_cannot_be_run(session: &Session) {
    // Over exec the image's shell says so, by its code alone.
    for (program, code) in [
        ("no-such-program", 127),
        ("/no/such/program", 127),
        ("/etc/passwd", 126),
        ("/tmp", 126),
    ] {
        let end = run(session, [program]).await.end;
        assert_eq!(end.exit_code(), code, "{program}: {end:?}");
    }
    let nowhere = session.command(["true"]).workdir("/nowhere");
    let outcome = Box::pin(nowhere.output()).await.unwrap();
    assert_eq!(outcome.end.exit_code(), 126, "{outcome:?}");
    let elsewhere = session.command(["pwd"]).workdir("/usr");
    let outcome = Box::pin(elsewhere.output()).await.unwrap();
    assert_eq!(text(&outcome.stdout_content), "/usr\n");
}

/// Another user than the session's, by number: whoever is not root may become nobody else.
async fn users(session: &Session) {
    let user: RunAs = "54321:54322".parse().unwrap();
    let command = session.command(["sh", "-c", "id -u; id -g; exit 3"]).workdir("/");
    let outcome = Box::pin(command.user(user).output()).await;
    let is_root = sh(session, "id -u").await.1 == "0\n";
    match outcome {
        Ok(outcome) if is_root => {
            assert_eq!(text(&outcome.stdout_content), "54321\n54322\n", "{outcome:?}");
            assert_eq!(outcome.end, End::Exited { code: 3 });
        }
        Ok(outcome) => assert_eq!(outcome.end.exit_code(), 126, "{outcome:?}"),
        Err(error) => assert!(!is_root, "{error}"),
    }
}

/// Words and variables: many, long, and of every kind.
async fn much_of_everything(session: &Session) {
    // No single word may have more than 128 KiB (MAX_ARG_STRLEN).
    let word = "x".repeat(100_000);
    let outcome = run(
        session,
        [
            "sh",
            "-c",
            "printf %s \"$@\" | wc -c; echo $#",
            "sh",
            &word,
            &word,
            &word,
        ],
    )
    .await;
    assert_eq!(text(&outcome.stdout_content), "300000\n3\n");
    let words: Vec<String> = (0..5000).map(|number| number.to_string()).collect();
    let script = ["sh", "-c", "echo $#; eval echo \\${$#}", "sh"].map(str::to_owned);
    let outcome = Box::pin(session.exec(script.into_iter().chain(words)))
        .await
        .unwrap();
    assert_eq!(text(&outcome.stdout_content), "5000\n4999\n");
    let odd = ["", " ", "a b", "\"'\\$`", "new\nline", "-n", "*", "ü"];
    let argv = ["printf", "<%s>"].into_iter().chain(odd);
    let outcome = Box::pin(session.exec(argv)).await.unwrap();
    let must: String = odd.iter().map(|word| format!("<{word}>")).collect();
    assert_eq!(text(&outcome.stdout_content), must);
    let large = format!(
        "V={}; export V; env | grep -c ^V=; sh -c 'printf %s \"$V\"' | wc -c",
        "y".repeat(90_000)
    );
    let outcome = run(session, ["sh", "-c", &large]).await;
    assert_eq!(text(&outcome.stdout_content), "1\n90000\n");
}

/// A reader who takes his time holds up the command and loses nothing.
async fn slow_reader(session: &Session) {
    let (mut reader, writer) = duplex(4096);
    let command = session.command(["sh", "-c", "head -c 3000000 /dev/zero; echo end; echo err >&2"]);
    let running = tokio::spawn(Box::pin(command.stdout(writer).capture(0).output()));
    let (mut total, mut buffer) = (0, vec![0; 100_000]);
    let mut last = 0;
    loop {
        let read = reader.read(&mut buffer).await.unwrap();
        if read == 0 {
            break;
        }
        total += read;
        last = buffer[read - 1];
        if total % 7 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let outcome = running.await.unwrap().unwrap();
    assert_eq!((total, last, outcome.stdout.bytes), (3_000_004, b'\n', 3_000_004));
    assert_eq!((outcome.stderr.bytes, outcome.end), (4, End::Exited { code: 0 }));
}

/// Names the processes of each suite of this program apart.
static MARKS: AtomicUsize = AtomicUsize::new(0);

async fn time_out(session: &Session) {
    let begun = Instant::now();
    let mark = format!(
        "60.{}{:03}",
        std::process::id(),
        MARKS.fetch_add(1, Ordering::Relaxed)
    );
    let script = format!("echo early; (sleep {mark} & sleep {mark}) & sleep {mark}");
    let command = session.command(["sh", "-c", &script]);
    let outcome = Box::pin(command.timeout(Duration::from_secs(3)).output())
        .await
        .unwrap();
    assert_eq!(outcome.end, End::TimedOut { seconds: 3.0 }, "{outcome:?}");
    assert_eq!(text(&outcome.stdout_content), "early\n");
    assert!(begun.elapsed() < Duration::from_secs(20));
    // Its grandchildren went with it.
    let deadline = Instant::now() + Duration::from_secs(30);
    while is_running(&format!("sleep\0{mark}\0")) {
        assert!(Instant::now() < deadline, "a grandchild runs on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a process with this command line runs here.
fn is_running(line: &str) -> bool {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .any(|entry| std::fs::read(entry.path().join("cmdline")).is_ok_and(|found| found == line.as_bytes()))
}

async fn what_is_left_behind(session: &Session) {
    let begun = Instant::now();
    let outcome = run(session, ["sh", "-c", "sleep 31 & echo hi"]).await;
    assert_eq!(
        (&outcome.end, text(&outcome.stdout_content).as_str()),
        (&End::Exited { code: 0 }, "hi\n")
    );
    assert!(outcome.stdout.truncated, "{outcome:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    // One that holds no output is none of ours.
    let outcome = run(
        session,
        ["sh", "-c", "sleep 0.5 >/dev/null 2>&1 & echo hi; exit 5"],
    )
    .await;
    assert_eq!(
        (outcome.end, outcome.stdout.truncated),
        (End::Exited { code: 5 }, false)
    );
}

async fn many_at_once(session: &Session, count: i32) {
    let runs = (0..count).map(|number| async move {
        let command = session.command(["sh", "-c", &format!("cat; exit {}", number % 7)]);
        let given = Cursor::new(format!("{number}\n"));
        let outcome = Box::pin(command.stdin(given).output()).await.unwrap();
        assert_eq!(text(&outcome.stdout_content), format!("{number}\n"));
        assert_eq!(outcome.end, End::Exited { code: number % 7 });
        assert!(!outcome.stdout.truncated && !outcome.stderr.truncated, "{number}");
    });
    futures::future::join_all(runs).await;
}
