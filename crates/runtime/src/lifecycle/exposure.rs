//! What makes a session's ports reachable: Services, and an Ingress or a Gateway's routes.

use futures::future::try_join_all;
use podbay_k8s_client::{HttpRoute, Object};
use podbay_manifests::{Owner, SessionSpec, ingress, route, service};

use crate::context::SessionContext;
use crate::error::Error;

/// The objects, in the order in which they can be applied. None unless a port or VS Code was asked for.
pub(crate) fn objects(spec: &SessionSpec, owner: &Owner) -> Vec<Object> {
    let services = service::services(spec, owner).into_iter().map(Object::from);
    let ingresses = ingress::ingresses(spec, owner).into_iter().map(Object::from);
    let routes = route::routes(spec, owner).into_iter().map(|route| {
        Object::from(HttpRoute {
            metadata: route.metadata,
            // A route is made of texts and numbers, which JSON can always hold.
            spec: serde_json::to_value(route.spec).unwrap_or_default(),
        })
    });
    services.chain(ingresses).chain(routes).collect()
}

/// Makes them, all at once: none needs another to be there.
pub(crate) async fn expose(
    session: SessionContext<'_>,
    spec: &SessionSpec,
    owner: &Owner,
) -> Result<(), Error> {
    let making = objects(spec, owner)
        .into_iter()
        .map(|object| session.apply(object, owner));
    try_join_all(making).await.map(|_| ())
}

/// Makes those that are missing, of a session whose creator died before it made them.
pub(super) async fn complete(
    session: SessionContext<'_>,
    spec: &SessionSpec,
    owner: &Owner,
) -> Result<(), Error> {
    let completing = objects(spec, owner).into_iter().map(|object| async move {
        match session.get(&object.key()).await? {
            Some(_) => Ok(()),
            None => session.apply(object, owner).await.map(drop),
        }
    });
    try_join_all(completing).await.map(drop)
}
