//! Lists, page by page, so that neither side ever holds more than a page as text.

use std::fmt::Debug;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{ListParams, ObjectList};
use serde::de::DeserializeOwned;

use super::call::Caller;
use crate::error::{Error, ErrorKind};
use crate::retry::Repeatable;

/// Objects a page, as with kubectl.
const PAGE: u32 = 500;

/// How often a list is begun anew because the token of its next page had expired (after 5 minutes, by default):
/// often enough for bad luck, not for a list that takes longer than that each time.
const BEGINNINGS: u32 = 3;

/// All objects that `selector` matches, and the version of the list.
pub(super) async fn read<K>(
    caller: &Caller,
    api: &Api<K>,
    operation: &str,
    selector: &str,
) -> Result<(Vec<K>, String), Error>
where
    K: Clone + DeserializeOwned + Debug,
{
    let list = |params: ListParams| async move { api.list(&params).await }.boxed();
    read_by(caller, operation, selector, list).await
}

/// The metadata of all objects that `selector` matches.
pub(super) async fn read_metadata<K>(
    caller: &Caller,
    api: &Api<K>,
    operation: &str,
    selector: &str,
) -> Result<Vec<ObjectMeta>, Error>
where
    K: Clone + DeserializeOwned + Debug,
{
    let list = |params: ListParams| async move { api.list_metadata(&params).await }.boxed();
    let (objects, _) = read_by(caller, operation, selector, list).await?;
    Ok(objects.into_iter().map(|object| object.metadata).collect())
}

async fn read_by<'a, T: Clone>(
    caller: &Caller,
    operation: &str,
    selector: &str,
    list: impl Fn(ListParams) -> BoxFuture<'a, kube::Result<ObjectList<T>>>,
) -> Result<(Vec<T>, String), Error> {
    let mut beginnings = 1;
    let mut objects = Vec::new();
    let mut params = ListParams::default().labels(selector).limit(PAGE);
    loop {
        let page = caller
            .call(operation, Repeatable::Always, || list(params.clone()))
            .await;
        match page {
            Ok(page) => {
                objects.extend(page.items);
                params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
                if params.continue_token.is_none() {
                    return Ok((objects, page.metadata.resource_version.unwrap_or_default()));
                }
            }
            Err(Error {
                kind: ErrorKind::Expired,
                ..
            }) if params.continue_token.is_some() && beginnings < BEGINNINGS => {
                beginnings += 1;
                objects.clear();
                params.continue_token = None;
            }
            Err(error) => return Err(error),
        }
    }
}
