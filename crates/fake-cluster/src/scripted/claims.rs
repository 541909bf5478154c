//! The volume provisioner and binder.

use std::time::Duration;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use podbay_k8s_client::{Object, ObjectKey};

use super::engine::{Due, Engine};
use super::events::Said;

/// What becomes of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provisioning {
    /// It is bound after this time.
    BindsAfter(Duration),
    /// It is never bound: event `ProvisioningFailed`, again and again.
    Fails {
        /// The provisioner's words: `storageclass.storage.k8s.io "x" not found`.
        message: String,
    },
}

/// A claim's provisioning, if the rule is for this claim.
pub(super) type ClaimRule = Box<dyn Fn(&PersistentVolumeClaim) -> Option<Provisioning> + Send>;

/// How often a provisioner tries again (`pv-controller`'s resync).
const TRY_AGAIN: Duration = Duration::from_secs(15);

impl Engine {
    pub(super) fn claim_changed(&mut self, before: Option<&Object>, after: Option<&Object>) {
        let now_bound = |object: Option<&Object>| object.is_some_and(is_bound);
        match (before, after) {
            (None, Some(Object::PersistentVolumeClaim(claim))) => {
                let delay = match self.provisioning(claim) {
                    Provisioning::BindsAfter(delay) => delay,
                    Provisioning::Fails { .. } => Duration::ZERO,
                };
                let uid = claim.metadata.uid.clone().unwrap_or_default();
                self.later(delay, Due::Provision { uid });
                // A pod that named it before it was there looks again by itself.
            }
            (_, Some(claim)) if now_bound(after) && !now_bound(before) => {
                let users: Vec<String> = self
                    .store
                    .claim_users(&claim.key())
                    .filter(|pod| matches!(&****pod, Object::Pod(pod) if waits_for_node(pod)))
                    .map(|pod| pod.uid().to_owned())
                    .collect();
                for uid in users {
                    if self.waits_for_its_claim(&uid) {
                        self.poke(&uid);
                    }
                }
            }
            (Some(claim), None) => self.events.depart(claim.uid()),
            _ => {}
        }
    }

    /// A claim's volume is there, or fails once more.
    pub(super) fn provision(&mut self, uid: &str) {
        let Some(Object::PersistentVolumeClaim(claim)) = self.store.find(uid).map(|object| &***object) else {
            return;
        };
        match self.provisioning(claim) {
            Provisioning::BindsAfter(_) => {
                let key = Object::from(claim.clone()).key();
                let volume = format!("pvc-{uid}");
                self.store.modify(&key, |object| {
                    if let Object::PersistentVolumeClaim(claim) = object {
                        bind(claim, volume);
                    }
                });
            }
            Provisioning::Fails { message } => {
                let said = Said {
                    component: "persistentvolume-controller",
                    warning: true,
                    reason: "ProvisioningFailed",
                    message: &message,
                };
                self.say(uid, said);
                let uid = uid.to_owned();
                self.later(TRY_AGAIN, Due::Provision { uid });
            }
        }
    }

    fn provisioning(&self, claim: &PersistentVolumeClaim) -> Provisioning {
        let rule = self.claim_rules.iter().rev().find_map(|rule| rule(claim));
        rule.unwrap_or(Provisioning::BindsAfter(self.settings.provisioning))
    }

    /// Why the scheduler does not look for a node yet: a claim the pod names is not usable.
    pub(super) fn unbound_claim(&self, pod: &ObjectKey) -> Option<String> {
        let mut claims = self.store.get(pod)?.claims(pod);
        claims.find_map(|key| {
            let name = &key.name;
            match self.store.get(&key) {
                None => Some(format!("persistentvolumeclaim {name:?} not found")),
                Some(claim) if claim.is_terminating() => {
                    Some(format!("persistentvolumeclaim {name:?} is being deleted"))
                }
                Some(claim) if is_bound(claim) => None,
                Some(_) => Some("pod has unbound immediate PersistentVolumeClaims".to_owned()),
            }
        })
    }
}

fn is_bound(claim: &Object) -> bool {
    let Object::PersistentVolumeClaim(claim) = claim else {
        return false;
    };
    let phase = claim.status.as_ref().and_then(|status| status.phase.as_deref());
    phase == Some("Bound")
}

fn waits_for_node(pod: &k8s_openapi::api::core::v1::Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_none())
}

fn bind(claim: &mut PersistentVolumeClaim, volume: String) {
    let spec = claim.spec.get_or_insert_default();
    spec.volume_name = Some(volume);
    let status = claim.status.get_or_insert_default();
    status.phase = Some("Bound".to_owned());
    status.access_modes.clone_from(&spec.access_modes);
    status.capacity = spec
        .resources
        .as_ref()
        .and_then(|resources| resources.requests.clone());
}
