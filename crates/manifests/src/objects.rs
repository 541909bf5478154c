//! All objects of a session, and their text for people who want to see or apply them.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::api::networking::v1::Ingress;
use podbay_config::WorkloadKind;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Value, json};

use crate::network_policy::{self, NetworkPolicyPlan};
use crate::owner::Owner;
use crate::record::CreationValues;
use crate::route::{self, HttpRoute};
use crate::session_spec::{SessionSecrets, SessionSpec};
use crate::{claim, ingress, job, pod, record, secret, service};

/// UID of the record in rendered objects, where it is not created yet: nobody has this one. Objects that are
/// applied with it are collected as orphans, so put the record's real UID in its place first.
pub const PLACEHOLDER_UID: &str = "00000000-0000-0000-0000-000000000000";
/// Stands in a rendered Secret for a value that is not to be shown.
const HIDDEN: &str = "hidden";

/// All objects of one session, in the order in which they can be applied.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionObjects {
    /// The record: owner of all but the claim and a shared policy.
    pub record: ConfigMap,
    /// The session key and the environment.
    pub secret: Secret,
    /// The workspace's claim, if it has one of its own.
    pub claim: Option<PersistentVolumeClaim>,
    /// What the sandbox may reach, if it may not reach everything.
    pub network_policy: Option<NetworkPolicyPlan>,
    /// What runs.
    pub workload: Workload,
    /// Names for its ports, if any were asked for.
    pub services: Vec<Service>,
    /// What leads to them from outside the cluster.
    pub ingresses: Vec<Ingress>,
    /// The same, where a Gateway does it.
    pub routes: Vec<HttpRoute>,
}

/// The object that runs a session.
#[derive(Clone, Debug, PartialEq)]
pub enum Workload {
    /// A pod.
    Pod(Box<Pod>),
    /// A Job that makes the pod.
    Job(Box<Job>),
}

/// Whether a rendered Secret shows the values of the environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretValues {
    /// Every value is replaced.
    #[default]
    Hidden,
    /// The values as they are.
    Shown,
}

/// The objects could not be written as YAML.
#[derive(Debug, thiserror::Error)]
#[error("the {kind} of session {session} can't be written as YAML")]
pub struct RenderError {
    kind: &'static str,
    session: String,
    source: serde_saphyr::ser::Error,
}

/// The objects of the session `spec` before any exists: for reading, for review, for a dry run.
///
/// The record's UID is [`PLACEHOLDER_UID`], and what a session's creator chooses at random is made up too.
pub fn render(spec: &SessionSpec, secrets: &SessionSecrets, values: SecretValues) -> SessionObjects {
    let hidden = || SessionSecrets {
        env: secrets
            .env()
            .map(|(name, _)| (name.clone(), SecretString::from(HIDDEN)))
            .collect(),
    };
    let secrets = match values {
        SecretValues::Hidden => &hidden(),
        SecretValues::Shown => secrets,
    };
    let owner = Owner {
        name: spec.names().object(),
        uid: PLACEHOLDER_UID.into(),
    };
    SessionObjects::new(spec, secrets, &CreationValues::placeholder(), &owner)
}

impl Workload {
    /// The object that runs the session `spec`.
    pub fn new(spec: &SessionSpec, owner: &Owner) -> Self {
        match spec.workload() {
            WorkloadKind::Pod => Self::Pod(Box::new(pod::pod(spec, owner))),
            WorkloadKind::Job => Self::Job(Box::new(job::job(spec, owner))),
        }
    }
}

impl SessionObjects {
    /// All objects of the session `spec`, with what its creator chose at random.
    pub fn new(spec: &SessionSpec, secrets: &SessionSecrets, values: &CreationValues, owner: &Owner) -> Self {
        Self {
            record: record::record(spec, values),
            secret: secret::secret(spec, secrets, &values.key, owner),
            claim: claim::claim(spec),
            network_policy: network_policy::policy(spec, owner),
            workload: Workload::new(spec, owner),
            services: service::services(spec, owner),
            ingresses: ingress::ingresses(spec, owner),
            routes: route::routes(spec, owner),
        }
    }

    /// The objects as YAML documents, in the order in which they can be applied.
    pub fn to_yaml(&self) -> Result<String, RenderError> {
        let Self {
            record,
            secret,
            claim,
            network_policy,
            workload,
            services,
            ingresses,
            routes,
        } = self;
        let mut text = self.document("ConfigMap", record)?;
        text += &self.document("Secret", secret)?;
        text += &self.documents("PersistentVolumeClaim", claim)?;
        let policy = network_policy.as_ref().map(NetworkPolicyPlan::policy);
        text += &self.documents("NetworkPolicy", policy)?;
        text += &match workload {
            Workload::Pod(pod) => self.document("Pod", pod)?,
            Workload::Job(job) => self.document("Job", job)?,
        };
        text += &self.documents("Service", services)?;
        text += &self.documents("Ingress", ingresses)?;
        text += &self.documents(route::KIND, routes)?;
        Ok(text)
    }

    /// The objects as one `List`, in the order in which they can be applied.
    pub fn to_json_list(&self) -> Value {
        json!({ "apiVersion": "v1", "kind": "List", "items": self.items() })
    }

    fn items(&self) -> Vec<Value> {
        let Self {
            record,
            secret,
            claim,
            network_policy,
            workload,
            services,
            ingresses,
            routes,
        } = self;
        let mut items = vec![json!(record), json!(secret)];
        items.extend(claim.iter().map(|claim| json!(claim)));
        items.extend(network_policy.iter().map(|plan| json!(plan.policy())));
        items.push(match workload {
            Workload::Pod(pod) => json!(pod),
            Workload::Job(job) => json!(job),
        });
        items.extend(services.iter().map(|service| json!(service)));
        items.extend(ingresses.iter().map(|ingress| json!(ingress)));
        items.extend(routes.iter().map(|route| json!(route)));
        items
    }

    fn documents<T: Serialize>(
        &self,
        kind: &'static str,
        objects: impl IntoIterator<Item = T>,
    ) -> Result<String, RenderError> {
        objects
            .into_iter()
            .map(|object| self.document(kind, &object))
            .collect()
    }

    fn document(&self, kind: &'static str, object: &impl Serialize) -> Result<String, RenderError> {
        let text = serde_saphyr::to_string(object).map_err(|source| RenderError {
            kind,
            session: self.record.metadata.name.clone().unwrap_or_default(),
            source,
        })?;
        Ok(format!("---\n{}\n", text.trim_end()))
    }
}
