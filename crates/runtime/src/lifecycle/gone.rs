//! Waiting until an object is gone.

use std::time::Duration;

use podbay_k8s_client::{ClusterClient, ObjectKey};
use tokio::time::Instant;

use crate::error::Error;

/// First pause between two looks: garbage collection takes some tens of milliseconds when the cluster idles.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Longest pause: a second more or less does not matter to one who has waited for several.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Waits until no object with this name and `uid` is there. Objects that nobody may list (Secrets) can only
/// be asked for by name, and what is deleted is gone within a second as a rule, so this asks.
pub(crate) async fn wait_until_gone(
    client: &dyn ClusterClient,
    session: &str,
    key: &ObjectKey,
    uid: &str,
    timeout: Duration,
) -> Result<(), Error> {
    let deadline = Instant::now() + timeout;
    let mut pause = FIRST_PAUSE;
    loop {
        match client.get(key).await {
            Ok(Some(object)) if object.uid() == uid => {}
            Ok(_) => return Ok(()),
            Err(source) => {
                return Err(Error::Call {
                    session: session.to_owned(),
                    source,
                });
            }
        }
        if Instant::now() + pause > deadline {
            return Err(Error::StillThere {
                session: session.to_owned(),
                object: key.to_string(),
                seconds: timeout.as_secs(),
            });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
