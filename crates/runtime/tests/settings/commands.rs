//! Commands that take too long.

use std::time::Duration;

use podbay_fake_cluster::{ExecAnswer, ScriptedCluster};
use podbay_protocol::End;
use tokio::time::Instant;

use crate::world::{SESSION_ID, client, plain};

effects! { paused:
    "sandbox.timeout" => timeout;
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
