//! ResourceQuota: what a namespace's objects use, and what a new one may not use (`plugin/resourcequota` of the
//! API server, `pkg/quota/v1/evaluator/core`). Usage here is exact at every moment; a cluster's controller gives
//! freed amounts back some seconds later.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, ResourceQuota};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use podbay_k8s_client::{Object, ObjectKey};

use super::denial::{Denial, resource};
use super::kept::Kept;
use super::quantity::Amount;

type Amounts = BTreeMap<String, Amount>;

/// The quotas of a cluster, by namespace.
#[derive(Debug, Default)]
pub(crate) struct Quotas(HashMap<String, BTreeMap<String, Quota>>);

#[derive(Debug)]
struct Quota {
    hard: Amounts,
    used: Amounts,
}

impl Quotas {
    /// Sets a quota, given what is in its namespace. Values that are no quantities are left out.
    pub(crate) fn set<'a>(
        &mut self,
        namespace: &str,
        quota: &ResourceQuota,
        objects: impl Iterator<Item = &'a Kept>,
    ) {
        let hard = quota.spec.iter().flat_map(|spec| spec.hard.iter().flatten());
        let hard: Amounts = hard
            .filter_map(|(name, quantity)| Some((name.clone(), Amount::parse(quantity)?)))
            .collect();
        let mut used = hard.keys().map(|name| (name.clone(), Amount::of(0))).collect();
        for object in objects {
            add(&mut used, &charge(&object.whole()));
        }
        let name = quota.metadata.name.clone().unwrap_or_default();
        self.0
            .entry(namespace.to_owned())
            .or_default()
            .insert(name, Quota { hard, used });
    }

    /// Removes a quota. Returns whether it was there.
    pub(crate) fn remove(&mut self, namespace: &str, name: &str) -> bool {
        self.0
            .get_mut(namespace)
            .is_some_and(|quotas| quotas.remove(name).is_some())
    }

    /// What is used of a quota's amounts, written as the API does.
    pub(crate) fn used(&self, namespace: &str, name: &str) -> Option<BTreeMap<String, Quantity>> {
        let quota = self.0.get(namespace)?.get(name)?;
        let used = quota.used.iter();
        Some(
            used.map(|(name, amount)| (name.clone(), Quantity(amount.to_string())))
                .collect(),
        )
    }

    /// Refuses an object that would exceed a quota.
    pub(crate) fn admit(&self, key: &ObjectKey, object: &Object) -> Result<(), Denial> {
        let Some(quotas) = self.0.get(&key.namespace).filter(|quotas| !quotas.is_empty()) else {
            return Ok(());
        };
        let requested = charge(object);
        for (name, quota) in quotas {
            if let Object::Pod(pod) = object {
                quota.demand(name, key, pod)?;
            }
            quota.admit(name, key, &requested)?;
        }
        Ok(())
    }

    /// Counts a change.
    pub(crate) fn count(&mut self, namespace: &str, before: Option<&Kept>, after: Option<&Kept>) {
        let Some(quotas) = self.0.get_mut(namespace).filter(|quotas| !quotas.is_empty()) else {
            return;
        };
        let charge = |object: &Kept| charge(&object.whole());
        let freed = before.map(charge).unwrap_or_default();
        let taken = after.map(charge).unwrap_or_default();
        for quota in quotas.values_mut() {
            add(&mut quota.used, &taken);
            for (name, amount) in &freed {
                if let Some(used) = quota.used.get_mut(name) {
                    *used = used.minus(*amount);
                }
            }
        }
    }
}

impl Quota {
    /// Pods must say what they ask for of what is limited.
    fn demand(&self, name: &str, key: &ObjectKey, pod: &Pod) -> Result<(), Denial> {
        let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for limited in self.hard.keys() {
            for container in pod.spec.iter().flat_map(|spec| &spec.containers) {
                let (limits, resource) = match limited.as_str() {
                    "cpu" | "memory" => (false, limited.as_str()),
                    other => match other.split_once('.') {
                        Some(("requests", resource @ ("cpu" | "memory"))) => (false, resource),
                        Some(("limits", resource @ ("cpu" | "memory"))) => (true, resource),
                        _ => continue,
                    },
                };
                if amount(container, limits, resource).is_none() {
                    missing.entry(limited).or_default().insert(&container.name);
                }
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let missing = missing.iter().map(|(limited, containers)| {
            let containers: Vec<_> = containers.iter().copied().collect();
            format!("{limited} for: {}", containers.join(","))
        });
        let missing = missing.collect::<Vec<_>>().join("; ");
        Err(Denial::forbidden(
            key,
            &format!("failed quota: {name}: must specify {missing}"),
        ))
    }

    fn admit(&self, name: &str, key: &ObjectKey, requested: &Amounts) -> Result<(), Denial> {
        let exceeded = requested.iter().filter_map(|(resource, requested)| {
            let hard = *self.hard.get(resource)?;
            let used = self.used.get(resource).copied().unwrap_or_default();
            (requested.is_positive() && used.plus(*requested).exceeds(hard))
                .then_some((resource, *requested, used, hard))
        });
        let exceeded: Vec<_> = exceeded.collect();
        if exceeded.is_empty() {
            return Ok(());
        }
        let column = |value: fn(&(&String, Amount, Amount, Amount)) -> Amount| {
            let cells = exceeded.iter().map(|row| format!("{}={}", row.0, value(row)));
            cells.collect::<Vec<_>>().join(",")
        };
        Err(Denial::forbidden(
            key,
            &format!(
                "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
                column(|row| row.1),
                column(|row| row.2),
                column(|row| row.3)
            ),
        ))
    }
}

/// Adds to those amounts that are counted at all.
fn add(used: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        if let Some(used) = used.get_mut(name) {
            *used = used.plus(*amount);
        }
    }
}

/// What an object uses of every amount a quota can name.
fn charge(object: &Object) -> Amounts {
    let kind = object.kind();
    let mut charge = Amounts::from([(format!("count/{}", resource(kind)), Amount::of(1))]);
    match object {
        Object::Pod(pod) => {
            if !is_finished(pod) {
                charge.insert("pods".to_owned(), Amount::of(1));
                charge_containers(&mut charge, pod);
            }
        }
        Object::PersistentVolumeClaim(claim) => {
            charge.insert(kind.resource().to_owned(), Amount::of(1));
            let storage = claim.spec.as_ref().and_then(|spec| {
                let requests = spec.resources.as_ref()?.requests.as_ref()?;
                Amount::parse(requests.get("storage")?)
            });
            charge.extend(storage.map(|storage| ("requests.storage".to_owned(), storage)));
        }
        Object::ConfigMap(_) | Object::Secret(_) | Object::Service(_) => {
            charge.insert(kind.resource().to_owned(), Amount::of(1));
        }
        Object::Job(_) | Object::Ingress(_) | Object::HttpRoute(_) | Object::NetworkPolicy(_) => {}
    }
    charge
}

fn charge_containers(charge: &mut Amounts, pod: &Pod) {
    for container in pod.spec.iter().flat_map(|spec: &PodSpec| &spec.containers) {
        for limits in [false, true] {
            let Some(resources) = &container.resources else {
                continue;
            };
            let amounts = if limits {
                &resources.limits
            } else {
                &resources.requests
            };
            for name in amounts.iter().flatten().map(|(name, _)| name) {
                let Some(amount) = amount(container, limits, name) else {
                    continue;
                };
                let mut count = |name: String| {
                    let sum = charge.entry(name).or_default();
                    *sum = sum.plus(amount);
                };
                if limits {
                    count(format!("limits.{name}"));
                } else {
                    count(format!("requests.{name}"));
                    // The short names mean requests.
                    if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
                        count(name.clone());
                    }
                }
            }
        }
    }
}

fn amount(container: &Container, limits: bool, name: &str) -> Option<Amount> {
    let resources = container.resources.as_ref()?;
    let amounts = if limits {
        &resources.limits
    } else {
        &resources.requests
    };
    Amount::parse(amounts.as_ref()?.get(name)?)
}

/// A pod that has ended uses nothing.
fn is_finished(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Failed" | "Succeeded"))
}
