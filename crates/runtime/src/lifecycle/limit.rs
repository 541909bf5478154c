//! The limits on concurrent sessions of a namespace, and of one owner in it.
//!
//! The sessions are counted after the own record was written, so that two clients that come at once see each other: the
//! limit is never exceeded, and who came first stays.

use std::time::Duration;

use podbay_k8s_client::Kind;
use podbay_manifests::labels::selector_all;

use crate::context::{SessionContext, WatchScope};
use crate::error::{Error, ForSession as _};
use crate::index::SessionIndex;
use crate::place::{CountedAgainst, CountedOf, Place};

/// How long the index may take to see the session's own record. One that takes longer is behind or out of touch, and the
/// cluster is asked instead.
const STALE: Duration = Duration::from_secs(5);

/// So many sessions at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) most: u32,
    pub(super) of: CountedOf,
}

/// Refuses the session with this place if as many others as the limit allows count against it.
pub(super) async fn check(
    session: SessionContext<'_>,
    place: &Place,
    against: CountedAgainst,
    limit: Limit,
    index: &SessionIndex,
) -> Result<(), Error> {
    let ctx = session.ctx;
    let counted = match ctx.scope {
        // A watch tells of writes in their order: once it has told of the session's own record, it has told of all that
        // came before. Of two sessions that come at once, the later sees the earlier.
        WatchScope::Namespace => {
            index
                .others(&session.names(), place, against, limit.of, STALE)
                .await
        }
        // Its index knows no other session.
        WatchScope::Session => None,
    };
    let others = match counted {
        Some(others) => others,
        None => count(session, place, against, limit.of).await?,
    };
    if others < usize::try_from(limit.most).unwrap_or(usize::MAX) {
        return Ok(());
    }
    let (session, limit, of) = (session.id.to_string(), limit.most, limit.of);
    Err(match of {
        CountedOf::All => Error::TooManySessions {
            session,
            namespace: ctx.namespace.clone(),
            limit,
        },
        CountedOf::Owner => Error::TooManyOfOwner { session, limit },
    })
}

/// Counts by asking the cluster. Metadata tells all that is needed, and is a small part of a record.
async fn count(
    session: SessionContext<'_>,
    place: &Place,
    against: CountedAgainst,
    of: CountedOf,
) -> Result<usize, Error> {
    let (ctx, selector) = (session.ctx, selector_all());
    let records = ctx
        .client
        .list_metadata(Kind::ConfigMap, &ctx.namespace, &selector);
    let records = records.await.for_session(session.id)?;
    let places: Vec<Place> = records.iter().map(Place::of).collect();
    Ok(place.others(&places, against, of))
}
