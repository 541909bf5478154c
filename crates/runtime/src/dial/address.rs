//! Which sandbox is meant.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use podbay_manifests::{Owner, SessionId};

/// Where a session's sandbox is. There is one only for a pod that belongs to the session's record: whoever has it need not
/// ask again whose pod it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SandboxAddress {
    session: String,
    namespace: String,
    pod_name: String,
    uid: String,
    ip: Option<IpAddr>,
    node: Option<String>,
    /// The ports that stand for the agent of a session on this machine and its VS Code, and the sockets that they listen on.
    sockets: Vec<(u16, PathBuf)>,
}

/// The pod is not the session's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pod {pod} does not belong to session {session:?}")]
pub struct NotItsPod {
    /// The session's id.
    pub session: String,
    /// The pod.
    pub pod: String,
}

impl SandboxAddress {
    /// The address of `pod`, if it belongs to the record `owner` of the session, or to `job`, which does. A name or a label
    /// proves nothing: whoever may create pods can choose them.
    pub(crate) fn of_pod(
        session: &SessionId,
        owner: &Owner,
        pod: &Pod,
        job: Option<&Job>,
    ) -> Result<Self, NotItsPod> {
        let name = pod.metadata.name.clone().unwrap_or_default();
        let is_its = is_owned(&pod.metadata, owner)
            || job
                .is_some_and(|job| is_owned(&job.metadata, owner) && is_of_job(&pod.metadata, &job.metadata));
        let Some(uid) = pod.metadata.uid.clone().filter(|_| is_its) else {
            return Err(NotItsPod {
                session: session.to_string(),
                pod: name,
            });
        };
        let ip = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref());
        Ok(Self {
            session: session.to_string(),
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            pod_name: name,
            uid,
            ip: ip.and_then(|ip| ip.parse().ok()),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            sockets: Vec::new(),
        })
    }

    /// That of a pod with this UID, which nobody looked at.
    #[cfg(test)]
    pub(crate) fn for_tests(session: &str, uid: &str) -> Self {
        Self {
            session: session.to_owned(),
            namespace: "default".to_owned(),
            pod_name: format!("openhands-runtime-{session}"),
            uid: uid.to_owned(),
            ip: None,
            node: None,
            sockets: Vec::new(),
        }
    }

    /// A session of this machine, told from others by its uid. It has no pod; in the place of a pod's name stands its own, and
    /// its address is the loopback one.
    pub fn on_this_machine(session: &str, uid: &str) -> Self {
        Self {
            session: session.to_owned(),
            namespace: String::new(),
            pod_name: session.to_owned(),
            uid: uid.to_owned(),
            ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            node: None,
            sockets: Vec::new(),
        }
    }

    /// The same with a program that listens on a socket: connections to `port` lead to it.
    pub(crate) fn with_socket(mut self, port: u16, socket: PathBuf) -> Self {
        self.sockets.push((port, socket));
        self
    }

    /// The socket that connections to `port` lead to, if it is one.
    pub(crate) fn socket(&self, port: u16) -> Option<&Path> {
        let mut sockets = self.sockets.iter();
        sockets.find_map(|(of, socket)| (*of == port).then_some(socket.as_path()))
    }

    /// The session's id.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The namespace of its pod; empty for a session of this machine.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The name of its pod.
    pub fn pod_name(&self) -> &str {
        &self.pod_name
    }

    /// The pod's UID: a later pod of the same name or address is another sandbox.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The pod's address. `None` if it has none yet.
    pub const fn ip(&self) -> Option<IpAddr> {
        self.ip
    }

    /// The node it runs on. `None` if it has none yet.
    pub fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }
}

fn is_owned(object: &ObjectMeta, owner: &Owner) -> bool {
    owner.owns(object.owner_references.as_deref().unwrap_or_default())
}

/// Whether a pod is the Job's by its UID.
fn is_of_job(pod: &ObjectMeta, job: &ObjectMeta) -> bool {
    let references = pod.owner_references.as_deref().unwrap_or_default();
    job.uid
        .as_ref()
        .is_some_and(|uid| references.iter().any(|reference| reference.uid == *uid))
}
