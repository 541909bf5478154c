//! Commands that take too long, and what they leave behind.

use std::time::Duration;

use podbay_fake_cluster::{ExecAnswer, ScriptedCluster};
use podbay_protocol::End;
use tokio::time::Instant;

use crate::setup::{SESSION_ID, client};
use crate::support::plain;

effects! { paused:
    "sandbox.timeout" => timeout;
}

/// A command ends when its process does, also where the exec goes on because of what it left behind.
#[tokio::test(start_paused = true)]
async fn what_a_command_leaves_behind_is_waited_for_a_second_and_the_cut_is_told() {
    let cluster = ScriptedCluster::new();
    cluster.answer_exec(
        |call| call.request.argv.ends_with(&["leaves".to_owned()]),
        ExecAnswer::by(|call, streams| async move {
            // The shell's word for the end, before the command's own words.
            let end = call
                .request
                .argv
                .iter()
                .find(|word| word.starts_with('\u{1e}'))
                .unwrap();
            for (stream, text) in [(&streams.stdout, "early\n"), (&streams.stderr, "")] {
                stream.send(format!("{text}{end}7\n").into()).await.unwrap();
            }
            drop(streams.stderr);
            // The descendant, which never ends.
            while streams.stdout.send("late\n".into()).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
            std::future::pending().await
        }),
    );
    let podbay = client(&cluster, |_| {});
    let session = podbay.session(SESSION_ID).request(plain()).open().await.unwrap();
    let begun = Instant::now();
    let outcome = Box::pin(session.exec(["leaves"])).await.unwrap();
    assert_eq!(outcome.end, End::Exited { code: 7 });
    assert_eq!(begun.elapsed().as_secs(), 1);
    assert_eq!(outcome.stdout_content.text(), "early\nlate\nlate\nlate\n");
    assert_eq!(
        (outcome.stdout.truncated, outcome.stderr.truncated),
        (true, false)
    );
}

/// What the kill of a command's processes takes besides.
const KILL: Duration = Duration::from_secs(30);

async fn timeout() {
    for seconds in [100, 200] {
        let cluster = ScriptedCluster::new();
        cluster.answer_exec(
            |call| call.request.argv.iter().any(|word| word.contains("endless")),
            ExecAnswer::hangs(),
        );
        let podbay = client(&cluster, |config| config.sandbox.timeout = Some(seconds));
        let session = podbay.session(SESSION_ID).request(plain()).open().await.unwrap();
        let begun = Instant::now();
        let outcome = Box::pin(session.exec(["endless"])).await.unwrap();
        assert!(matches!(outcome.end, End::TimedOut { .. }), "{:?}", outcome.end);
        let timeout = Duration::from_secs(seconds);
        assert!(
            (timeout..timeout + KILL).contains(&begun.elapsed()),
            "{:?}",
            begun.elapsed()
        );
        // A command's own time-out goes before it.
        let begun = Instant::now();
        let own = session.command(["endless"]).timeout(timeout / 2);
        Box::pin(own.output()).await.unwrap();
        assert!(begun.elapsed() < timeout, "{:?}", begun.elapsed());
    }
}
