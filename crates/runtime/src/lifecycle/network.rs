//! The network policies that sessions of a namespace share: made once, before the first pod that they select.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::networking::v1::NetworkPolicy;
use podbay_k8s_client::{ClusterClient, ErrorKind, Object, ObjectKey};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::Error;

/// How long a policy that was seen counts as there. Somebody may delete it; a look a minute bounds how many sessions
/// start without it, and costs next to nothing.
const SEEN_FOR: Duration = Duration::from_secs(60);

/// Which shared policies this process has seen, and when.
#[derive(Debug, Default)]
pub(crate) struct SharedPolicies(Mutex<HashMap<ObjectKey, Instant>>);

impl SharedPolicies {
    /// Makes the policy if it is not there. Its name tells its content, so one of the name is the one wanted.
    pub(crate) async fn ensure(
        &self,
        client: &dyn ClusterClient,
        session: &str,
        policy: NetworkPolicy,
    ) -> Result<(), Error> {
        let object = Object::from(policy);
        let key = object.key();
        let call = |source| Error::Call {
            session: session.to_owned(),
            source,
        };
        // Held over the calls: of many sessions that start at once, one asks and the others wait for its answer.
        let mut seen = self.0.lock().await;
        if seen.get(&key).is_some_and(|at| at.elapsed() < SEEN_FOR) {
            return Ok(());
        }
        let there = client.get(&key).await.map_err(call)?;
        if there.is_none_or(|policy| policy.is_terminating()) {
            match client.create(object).await {
                Ok(_) => {}
                // Another client was faster.
                Err(error) if error.kind == ErrorKind::AlreadyExists => {}
                // It may be there although the answer was lost.
                Err(error) if error.may_have_happened() => match client.get(&key).await.map_err(call)? {
                    Some(_) => {}
                    None => return Err(call(error)),
                },
                Err(error) => return Err(call(error)),
            }
        }
        seen.insert(key, Instant::now());
        Ok(())
    }
}
