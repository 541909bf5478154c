//! Waiting until an object is gone.

use std::time::Duration;

use podbay_k8s_client::ObjectKey;
use tokio::time::Instant;

use crate::context::SessionContext;
use crate::error::Error;

/// First pause between two looks: garbage collection takes some tens of milliseconds when the cluster idles.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Longest pause: a second more or less does not matter to one who has waited for several.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Waits until no object with this name and `uid` exists, `timeout` at most. Asks again and again, because Secrets may not
/// be listed or watched, and because a deleted object is gone within a second as a rule.
pub(crate) async fn wait_until_deleted(
    session: SessionContext<'_>,
    key: &ObjectKey,
    uid: &str,
    timeout: Duration,
) -> Result<(), Error> {
    let deadline = Instant::now() + timeout;
    let mut pause = FIRST_PAUSE;
    loop {
        if session.get(key).await?.is_none_or(|object| object.uid() != uid) {
            return Ok(());
        }
        if Instant::now() + pause > deadline {
            return Err(Error::StillThere {
                session: session.id.to_string(),
                object: key.to_string(),
                seconds: timeout.as_secs(),
            });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
