//! One session, as the index knows it.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use podbay_k8s_client::Error as ClientError;
use podbay_manifests::{Record, RecordError};
use podbay_protocol::SessionState;

use super::join::{IndexedRecord, Join};
use crate::dial::SandboxAddress;
use crate::pod::{container, pod_rank};
use crate::state::session_state;

/// What is known of a session: its record and its pods, as far as they were seen.
#[derive(Clone, Debug, Default)]
pub struct SessionView {
    pub(super) record: Option<Arc<IndexedRecord>>,
    pub(super) pods: Box<[Arc<Pod>]>,
    /// The last state of its last pod, if that was seen to go.
    pub(super) gone: Option<Arc<Pod>>,
    /// Why its pods are no longer watched.
    pub(super) failed: Option<Arc<ClientError>>,
    /// Whether records are no longer watched.
    pub(super) lacks_records: bool,
}

impl SessionView {
    pub(super) fn of(join: &Join, session: &str) -> Self {
        Self {
            record: join.record(session).cloned(),
            pods: join.pods(session).into(),
            gone: None,
            failed: None,
            lacks_records: false,
        }
    }

    /// Whether neither a record nor a pod of it is known.
    pub fn is_unknown(&self) -> bool {
        self.record.is_none() && self.pods.is_empty()
    }

    /// Its id; the record's name if the record can't be read. `None` if its record has not been seen.
    pub fn id(&self) -> Option<&str> {
        let record = self.record.as_ref()?;
        Some(
            record
                .record
                .as_ref()
                .map_or(record.name.as_str(), |known| known.id().as_str()),
        )
    }

    /// Its record. `None` if that has not been seen, or can't be read by this version.
    pub fn record(&self) -> Option<&Arc<Record>> {
        self.record.as_ref()?.record.as_ref().ok()
    }

    /// How often the container of the pod that counts was started again, and why it had ended the last time.
    pub fn restarts(&self) -> (u32, Option<String>) {
        let status = self.pod().and_then(|pod| container(pod));
        let count = status.map_or(0, |status| status.restart_count);
        let ended = status
            .and_then(|status| status.last_state.as_ref()?.terminated.as_ref())
            .and_then(|ended| ended.reason.clone());
        (u32::try_from(count).unwrap_or_default(), ended)
    }

    /// Its state at `now`, from its record and its pods; events are left out. `None` if its record has not been seen.
    pub fn state(&self, now: Timestamp) -> Option<SessionState> {
        let record: Result<_, &RecordError> = self.record.as_ref()?.record.as_deref();
        Some(session_state(
            record,
            self.pods.iter().map(|pod| &**pod),
            None,
            now,
        ))
    }

    /// Its pods, in no order.
    pub(crate) fn pods(&self) -> impl Iterator<Item = &Pod> {
        self.pods.iter().map(|pod| &**pod)
    }

    /// The last state of its last pod, if that was seen to go.
    pub(crate) fn gone(&self) -> Option<&Pod> {
        self.gone.as_deref()
    }

    /// Of its pods, the one that counts.
    pub(crate) fn pod(&self) -> Option<&Arc<Pod>> {
        // By name if nothing else tells them apart, so that the order in which they were seen does not matter.
        let pods = self.pods.iter();
        pods.max_by_key(|pod| (pod_rank(pod), pod.metadata.name.as_deref()))
    }

    /// The name of the pod that counts.
    pub fn pod_name(&self) -> Option<&str> {
        self.pod()?.metadata.name.as_deref()
    }

    /// The UID of the pod that counts.
    pub fn pod_uid(&self) -> Option<&str> {
        self.pod()?.metadata.uid.as_deref()
    }

    /// Where its sandbox is: the pod that counts, if it belongs to the record itself. `None` if it does not, or either is
    /// unknown. A Job's pod belongs to the Job, which is not watched: [`Session::address`](crate::Session::address) asks.
    pub fn address(&self) -> Option<SandboxAddress> {
        let record = self.record.as_ref()?.record.as_ref().ok()?;
        SandboxAddress::of_pod(record.id(), &record.owner(), self.pod()?, None).ok()
    }

    /// The address of the pod that counts.
    pub fn pod_ip(&self) -> Option<&str> {
        self.pod()?.status.as_ref()?.pod_ip.as_deref()
    }

    /// The node of the pod that counts.
    pub fn node(&self) -> Option<&str> {
        self.pod()?.spec.as_ref()?.node_name.as_deref()
    }
}
