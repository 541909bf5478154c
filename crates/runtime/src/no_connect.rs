//! In place of the client of a Kubernetes cluster, where the feature `live` is off.

use std::sync::Arc;

use podbay_config::Config;
use podbay_k8s_client::{Cluster, ClusterClient, Error as ClientError, ErrorKind};

use crate::error::Error;

/// Tells that this program has no client for `cluster`. It waits for nothing, as its double with the feature on does.
pub(crate) async fn connect(
    cluster: &Cluster,
    _config: &Config,
) -> Result<(Arc<dyn ClusterClient>, String), Error> {
    let source = ClientError::new(format!("use {cluster}"), ErrorKind::Unsupported)
        .with_message("this program was built without the feature `live` of podbay-runtime");
    Err(Error::Connect { source })
}
