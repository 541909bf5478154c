//! The network policies that sessions of a namespace share: created once, before the first pod that they select.

use std::time::Duration;

use k8s_openapi::api::networking::v1::NetworkPolicy;
use podbay_k8s_client::Object;
use tokio::time::Instant;

use crate::context::SessionContext;
use crate::error::Error;

/// How long a policy that was seen counts as there. Somebody may delete it; a look a minute bounds how many sessions
/// start without it, and costs next to nothing.
const SEEN_FOR: Duration = Duration::from_secs(60);

/// Creates the policy if it does not exist. Its name tells its content, so one of the name is the one wanted.
pub(super) async fn ensure_shared_policy(
    session: SessionContext<'_>,
    policy: NetworkPolicy,
) -> Result<(), Error> {
    let object = Object::from(policy);
    let key = object.key();
    let mut seen = session.ctx.shared_policies.lock().await;
    if seen.get(&key).is_some_and(|at| at.elapsed() < SEEN_FOR) {
        return Ok(());
    }
    let found = session.get(&key).await?;
    if found.is_none_or(|policy| policy.is_terminating()) {
        // Whoever was faster created the same.
        session.create_or_get(object, &key).await?;
    }
    seen.insert(key, Instant::now());
    Ok(())
}
