//! The kinds of object Podbay handles, behind one type, so that the client trait stays small and
//! object-safe.

use std::fmt;

use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `v1` ConfigMap: session records.
    ConfigMap,
    /// `v1` Secret: environment and session key.
    Secret,
    /// `v1` Pod.
    Pod,
    /// `v1` PersistentVolumeClaim.
    PersistentVolumeClaim,
}

impl Kind {
    /// The resource's name in URLs, rules and kubectl.
    pub const fn resource(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmaps",
            Self::Secret => "secrets",
            Self::Pod => "pods",
            Self::PersistentVolumeClaim => "persistentvolumeclaims",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
            Self::Pod => "pod",
            Self::PersistentVolumeClaim => "persistentvolumeclaim",
        })
    }
}

/// An object of one of the kinds.
#[derive(Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a pod is the common case; the others are rare and short-lived"
)]
pub enum Object {
    /// A session record.
    ConfigMap(ConfigMap),
    /// A session's environment and key.
    Secret(Secret),
    /// A session's pod.
    Pod(Pod),
    /// A session's workspace claim.
    PersistentVolumeClaim(PersistentVolumeClaim),
}

impl Object {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::ConfigMap(_) => Kind::ConfigMap,
            Self::Secret(_) => Kind::Secret,
            Self::Pod(_) => Kind::Pod,
            Self::PersistentVolumeClaim(_) => Kind::PersistentVolumeClaim,
        }
    }

    /// Its metadata.
    pub const fn metadata(&self) -> &ObjectMeta {
        match self {
            Self::ConfigMap(object) => &object.metadata,
            Self::Secret(object) => &object.metadata,
            Self::Pod(object) => &object.metadata,
            Self::PersistentVolumeClaim(object) => &object.metadata,
        }
    }

    /// Its metadata, to change.
    pub const fn metadata_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::ConfigMap(object) => &mut object.metadata,
            Self::Secret(object) => &mut object.metadata,
            Self::Pod(object) => &mut object.metadata,
            Self::PersistentVolumeClaim(object) => &mut object.metadata,
        }
    }

    /// Its kind, namespace and name; empty where the metadata lacks them.
    pub fn key(&self) -> ObjectKey {
        let metadata = self.metadata();
        ObjectKey {
            kind: self.kind(),
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
        }
    }

    /// Its UID; empty before it was created.
    pub fn uid(&self) -> &str {
        self.metadata().uid.as_deref().unwrap_or_default()
    }

    /// Whether it is being deleted.
    pub const fn is_terminating(&self) -> bool {
        self.metadata().deletion_timestamp.is_some()
    }

    /// The config map, if it is one.
    pub fn into_config_map(self) -> Option<ConfigMap> {
        if let Self::ConfigMap(object) = self {
            Some(object)
        } else {
            None
        }
    }

    /// The secret, if it is one.
    pub fn into_secret(self) -> Option<Secret> {
        if let Self::Secret(object) = self {
            Some(object)
        } else {
            None
        }
    }

    /// The pod, if it is one.
    pub fn into_pod(self) -> Option<Pod> {
        if let Self::Pod(object) = self {
            Some(object)
        } else {
            None
        }
    }

    /// The claim, if it is one.
    pub fn into_claim(self) -> Option<PersistentVolumeClaim> {
        if let Self::PersistentVolumeClaim(object) = self {
            Some(object)
        } else {
            None
        }
    }
}

/// Shows which object it is, and nothing of its content: a Secret is one too.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Object")
            .field(&self.key())
            .field(&self.uid())
            .finish()
    }
}

impl From<ConfigMap> for Object {
    fn from(object: ConfigMap) -> Self {
        Self::ConfigMap(object)
    }
}

impl From<Secret> for Object {
    fn from(object: Secret) -> Self {
        Self::Secret(object)
    }
}

impl From<Pod> for Object {
    fn from(object: Pod) -> Self {
        Self::Pod(object)
    }
}

impl From<PersistentVolumeClaim> for Object {
    fn from(object: PersistentVolumeClaim) -> Self {
        Self::PersistentVolumeClaim(object)
    }
}

/// Which object: kind, namespace, name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl ObjectKey {
    /// The key of an object.
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}
