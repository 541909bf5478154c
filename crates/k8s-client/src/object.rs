//! The kinds of object Podbay handles, behind one type, so that the client trait stays small and
//! object-safe.

use std::fmt;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::http_route::HttpRoute;

/// Declares the kinds: the enum of kinds, the enum of objects, and the ways between them.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $Kind:ident($resource:literal, $lower:literal, $into:ident);)+) => {
        /// A kind of object.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[doc = $doc])+ $Kind,)+
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$Kind),+];

            /// The resource's name in URLs, rules and kubectl.
            pub const fn resource(self) -> &'static str {
                match self {
                    $(Self::$Kind => $resource,)+
                }
            }

            /// The kind as manifests have it: `ConfigMap`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Kind => <$Kind as k8s_openapi::Resource>::KIND,)+
                }
            }
        }

        impl fmt::Display for Kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$Kind => $lower,)+
                })
            }
        }

        /// An object of one of the kinds. In a box, because a pod takes thousands of bytes even when it is empty, and what
        /// passes objects on would keep room for one.
        #[derive(Clone, PartialEq)]
        pub enum Object {
            $($(#[doc = $doc])+ $Kind(Box<$Kind>),)+
        }

        impl Object {
            /// Its kind.
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Self::$Kind(_) => Kind::$Kind,)+
                }
            }

            /// Its metadata.
            pub fn metadata(&self) -> &ObjectMeta {
                match self {
                    $(Self::$Kind(object) => &object.metadata,)+
                }
            }

            /// Its metadata, to change.
            pub fn metadata_mut(&mut self) -> &mut ObjectMeta {
                match self {
                    $(Self::$Kind(object) => &mut object.metadata,)+
                }
            }

            /// The object as the API's JSON, with `apiVersion` and `kind`.
            pub fn to_json(&self) -> serde_json::Result<serde_json::Value> {
                match self {
                    $(Self::$Kind(object) => serde_json::to_value(object),)+
                }
            }

            /// An object of `kind` from the API's JSON.
            pub fn from_json(kind: Kind, json: serde_json::Value) -> serde_json::Result<Self> {
                match kind {
                    $(Kind::$Kind => serde_json::from_value(json).map(Box::new).map(Self::$Kind),)+
                }
            }

            $(
                #[doc = concat!("The ", $lower, ", if it is one.")]
                pub fn $into(self) -> Option<$Kind> {
                    if let Self::$Kind(object) = self {
                        Some(*object)
                    } else {
                        None
                    }
                }
            )+
        }

        $(
            impl From<$Kind> for Object {
                fn from(object: $Kind) -> Self {
                    Self::$Kind(Box::new(object))
                }
            }

            impl From<Box<$Kind>> for Object {
                fn from(object: Box<$Kind>) -> Self {
                    Self::$Kind(object)
                }
            }
        )+
    };
}

kinds! {
    /// `v1` ConfigMap: session records.
    ConfigMap("configmaps", "configmap", into_config_map);
    /// `v1` Secret: environment and session key.
    Secret("secrets", "secret", into_secret);
    /// `v1` Pod: what runs.
    Pod("pods", "pod", into_pod);
    /// `v1` PersistentVolumeClaim: a workspace that outlives its pod.
    PersistentVolumeClaim("persistentvolumeclaims", "persistentvolumeclaim", into_claim);
    /// `batch/v1` Job: what runs, under the Job controller.
    Job("jobs", "job", into_job);
    /// `v1` Service: ports of a session inside the cluster.
    Service("services", "service", into_service);
    /// `networking.k8s.io/v1` Ingress: ports of a session for the outside.
    Ingress("ingresses", "ingress", into_ingress);
    /// `gateway.networking.k8s.io/v1` HTTPRoute: the same, by the Gateway API.
    HttpRoute("httproutes", "httproute", into_http_route);
    /// `networking.k8s.io/v1` NetworkPolicy: what a session may reach.
    NetworkPolicy("networkpolicies", "networkpolicy", into_network_policy);
}

impl Object {
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
    pub fn is_terminating(&self) -> bool {
        self.metadata().deletion_timestamp.is_some()
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
