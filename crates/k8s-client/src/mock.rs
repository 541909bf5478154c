//! A mock of [`ClusterClient`], for tests of call order and error mapping: `mockall` makes it, so each call
//! must be expected.

use async_trait::async_trait;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::client::{ClusterClient, DeleteOptions, WatchEvent, WatchPolicy};
use crate::error::Error;
use crate::exec::{ExecProcess, ExecRequest};
use crate::logs::{LogRequest, LogStream};
use crate::object::{Kind, Object, ObjectKey};
use crate::port_forward::PortForward;
use crate::right::Right;
use crate::version::ServerVersion;

mockall::mock! {
    /// [`ClusterClient`] as its test expects it to be called.
    #[derive(Debug)]
    pub ClusterClient {}

    #[async_trait]
    impl ClusterClient for ClusterClient {
        async fn create(&self, object: Object) -> Result<Object, Error>;
        async fn get(&self, key: &ObjectKey) -> Result<Option<Object>, Error>;
        async fn list(&self, kind: Kind, namespace: &str, selector: &str) -> Result<Vec<Object>, Error>;
        async fn list_metadata(
            &self,
            kind: Kind,
            namespace: &str,
            selector: &str,
        ) -> Result<Vec<ObjectMeta>, Error>;
        async fn patch(&self, key: &ObjectKey, patch: serde_json::Value) -> Result<Object, Error>;
        async fn delete(&self, key: &ObjectKey, options: DeleteOptions) -> Result<bool, Error>;
        fn watch(
            &self,
            kind: Kind,
            namespace: &str,
            selector: &str,
            policy: WatchPolicy,
        ) -> BoxStream<'static, Result<WatchEvent, Error>>;
        async fn events(&self, key: &ObjectKey, uid: &str) -> Result<Vec<Event>, Error>;
        async fn exec(&self, namespace: &str, pod: &str, request: ExecRequest) -> Result<ExecProcess, Error>;
        async fn logs(&self, namespace: &str, pod: &str, request: LogRequest) -> Result<LogStream, Error>;
        async fn port_forward(&self, namespace: &str, pod: &str, port: u16) -> Result<PortForward, Error>;
        async fn may(&self, namespace: &str, right: &Right) -> Result<bool, Error>;
        async fn version(&self) -> Result<Option<ServerVersion>, Error>;
    }
}
