//! Nothing is left running, and nothing left lying.

use std::sync::Arc;

use podbay_local::SandboxCommand;

use crate::harness::{End, is_alive, read_pid, run, sandbox, shell, start, within};

/// Starts a grandchild that left its command's group and session, whose parent is gone, and prints its id; the
/// command itself goes on.
const DAEMON: &str = "(setsid sh -c 'echo $$; exec sleep 1000' &); exec sleep 1000";
/// The same with an empty environment; its parent is still there.
const NAMELESS: &str = "env -i setsid sh -c 'echo $$; exec sleep 1000' & wait";

#[tokio::test]
async fn giving_a_command_up_kills_its_whole_tree() {
    let sandbox = sandbox();
    for tty in [false, true] {
        for script in [DAEMON, NAMELESS, "exec env -i sh -c 'echo $$; exec sleep 1000'"] {
            let command = SandboxCommand {
                terminal: tty,
                ..shell(script)
            };
            let mut process = start(&sandbox, command);
            let descendant = read_pid(&mut process.stdout).await;
            assert!(is_alive(descendant));
            drop(process.guard);
            assert_eq!(
                End::from(within(process.end).await),
                End::Signaled { signal: 9 },
                "{script}"
            );
            assert!(!is_alive(descendant), "{script}, tty {tty}");
        }
    }
}

#[tokio::test]
async fn giving_one_command_up_leaves_the_others_alone() {
    let sandbox = sandbox();
    let mut other = start(&sandbox, shell(DAEMON));
    let daemon = read_pid(&mut other.stdout).await;
    let process = start(&sandbox, shell("exec sleep 1000"));
    drop(process.guard);
    within(process.end).await;
    assert!(is_alive(daemon));
    // A finished command's guard kills nothing either.
    let ran = run(&sandbox, shell("sleep 1000 >/dev/null 2>&1 & echo $!")).await;
    assert!(is_alive(ran.text().trim().parse().unwrap()));
}

#[tokio::test]
async fn closing_ends_all_that_runs_and_leaves_nothing() {
    let sandbox = sandbox();
    let directory = sandbox.directory().unwrap();
    let mut process = start(&sandbox, shell(DAEMON));
    let daemon = read_pid(&mut process.stdout).await;
    let left = run(&sandbox, shell("sleep 1000 >/dev/null 2>&1 & echo $!")).await;
    let left = left.text().trim().parse().unwrap();
    sandbox.close().unwrap();
    assert!(!is_alive(daemon) && !is_alive(left));
    assert!(!directory.exists());
    assert_eq!(End::from(within(process.end).await), End::Signaled { signal: 9 });
}

#[tokio::test]
async fn of_two_that_close_at_once_both_can_wait_for_the_end() {
    let sandbox = sandbox();
    let mut process = start(&sandbox, shell(DAEMON));
    let daemon = read_pid(&mut process.stdout).await;
    let close = || async {
        let (closing, ended) = (Arc::clone(&sandbox), sandbox.ended());
        tokio::task::spawn_blocking(move || closing.close())
            .await
            .unwrap()
            .unwrap();
        ended.cancelled().await;
        assert!(!is_alive(daemon));
    };
    within(async { tokio::join!(close(), close()) }).await;
    sandbox.close().unwrap();
}

#[tokio::test]
async fn the_last_handle_ends_everything() {
    let sandbox = sandbox();
    let directory = sandbox.directory().unwrap();
    let mut process = start(&sandbox, shell(DAEMON));
    let daemon = read_pid(&mut process.stdout).await;
    let other = Arc::clone(&sandbox);
    drop(sandbox);
    assert!(is_alive(daemon) && directory.exists());
    drop(other);
    assert!(!is_alive(daemon));
    assert!(!directory.exists());
    assert_eq!(End::from(within(process.end).await), End::Signaled { signal: 9 });
}

#[tokio::test]
async fn a_panic_ends_everything() {
    let sandbox = sandbox();
    let directory = sandbox.directory().unwrap();
    let mut process = start(&sandbox, shell(DAEMON));
    let daemon = read_pid(&mut process.stdout).await;
    let panicked = tokio::spawn(async move {
        let _sandbox = sandbox;
        panic!("on purpose");
    });
    assert!(panicked.await.unwrap_err().is_panic());
    assert!(!is_alive(daemon) && !directory.exists());
}

#[test]
fn a_runtime_that_is_shut_down_ends_its_commands() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (sandbox, process, daemon) = runtime.block_on(async {
        let sandbox = sandbox();
        let mut process = start(&sandbox, shell(DAEMON));
        let daemon = read_pid(&mut process.stdout).await;
        (sandbox, process, daemon)
    });
    drop(runtime);
    assert!(!is_alive(daemon));
    let end = End::from(futures::executor::block_on(process.end));
    assert!(end == End::Lost, "{end:?}");
    drop(sandbox);
}
