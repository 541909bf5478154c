//! The network policies that sessions of a namespace share: made once, before the first pod that they select.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::networking::v1::NetworkPolicy;
use podbay_k8s_client::{Object, ObjectKey};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::ensure::Site;
use crate::error::Error;

/// How long a policy that was seen counts as there. Somebody may delete it; a look a minute bounds how many sessions
/// start without it, and costs next to nothing.
const SEEN_FOR: Duration = Duration::from_secs(60);

/// Which shared policies this process has seen, and when.
#[derive(Debug, Default)]
pub(crate) struct SharedPolicies(Mutex<HashMap<ObjectKey, Instant>>);

impl SharedPolicies {
    /// Makes the policy if it is not there. Its name tells its content, so one of the name is the one wanted.
    pub(crate) async fn ensure(&self, site: Site<'_>, policy: NetworkPolicy) -> Result<(), Error> {
        let object = Object::from(policy);
        let key = object.key();
        // Held over the calls: of many sessions that start at once, one asks and the others wait for its answer.
        let mut seen = self.0.lock().await;
        if seen.get(&key).is_some_and(|at| at.elapsed() < SEEN_FOR) {
            return Ok(());
        }
        let there = site.client.get(&key).await.map_err(|source| site.call(source))?;
        if there.is_none_or(|policy| policy.is_terminating()) {
            // Whoever was faster made the same.
            Box::pin(site.create_or_get(object, &key)).await?;
        }
        seen.insert(key, Instant::now());
        Ok(())
    }
}
