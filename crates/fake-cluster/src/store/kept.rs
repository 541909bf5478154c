//! An object as it is kept: of a pod, the bulky part as text.
//!
//! The API's types hold every field there could be: a pod's containers and volumes take twenty times the memory of
//! their JSON, and change never or once, while status and metadata change at every step. So that thousands of pods,
//! with the states that watches can still be given, fit beside what is tested, that part is shared by all states of a
//! pod and parsed where somebody asks for the whole object.

use std::ops::Deref;
use std::sync::Arc;

use k8s_openapi::api::core::v1::PodSpec;
use podbay_k8s_client::{Kind, Object, ObjectKey};

/// A state of an object. Dereferences to the object *without* a pod's containers, init containers and volumes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    light: Object,
    bulk: Option<Arc<Bulk>>,
}

/// What is not in [`Kept::light`].
#[derive(Debug, PartialEq)]
struct Bulk {
    /// A `PodSpec` with the missing fields alone, as JSON.
    spec: Box<[u8]>,
    /// The names of the claims its volumes are.
    claims: Box<[String]>,
}

impl Kept {
    /// Keeps an object.
    pub(crate) fn new(object: Object) -> Self {
        Self::like(object, None)
    }

    /// Keeps a new state of an object; what is the same as `before` is shared with it.
    pub(crate) fn after(object: Object, before: &Self) -> Self {
        Self::like(object, before.bulk.as_ref())
    }

    fn like(mut light: Object, before: Option<&Arc<Bulk>>) -> Self {
        let bulk = take_bulk(&mut light).map(|bulk| match before {
            Some(before) if **before == bulk => Arc::clone(before),
            _ => Arc::new(bulk),
        });
        Self { light, bulk }
    }

    /// The object with all that is in it.
    pub(crate) fn whole(&self) -> Object {
        let mut whole = self.light.clone();
        if let (Object::Pod(pod), Some(bulk)) = (&mut whole, &self.bulk)
            // It was written by `take_bulk`.
            && let Ok(bulky) = serde_json::from_slice::<PodSpec>(&bulk.spec)
        {
            let spec = pod.spec.get_or_insert_default();
            spec.containers = bulky.containers;
            spec.init_containers = bulky.init_containers;
            spec.volumes = bulky.volumes;
        }
        whole
    }

    /// The same with another light part. The function must leave a pod's containers and volumes alone: they are not
    /// there.
    pub(super) fn with(&self, change: impl FnOnce(&mut Object)) -> Self {
        let mut after = self.clone();
        change(&mut after.light);
        after
    }

    /// The claims a pod names.
    pub(crate) fn claims(&self, key: &ObjectKey) -> impl Iterator<Item = ObjectKey> {
        let names = self.bulk.iter().flat_map(|bulk| bulk.claims.iter());
        names.map(|name| ObjectKey::new(Kind::PersistentVolumeClaim, &key.namespace, name))
    }
}

impl Deref for Kept {
    type Target = Object;

    fn deref(&self) -> &Object {
        &self.light
    }
}

fn take_bulk(object: &mut Object) -> Option<Bulk> {
    let Object::Pod(pod) = object else { return None };
    let spec = pod.spec.as_mut()?;
    let volumes = spec.volumes.iter().flatten();
    let claims =
        volumes.filter_map(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.clone()));
    let claims = claims.collect();
    let bulky = PodSpec {
        containers: std::mem::take(&mut spec.containers),
        init_containers: spec.init_containers.take(),
        volumes: spec.volumes.take(),
        ..PodSpec::default()
    };
    // Nothing in it has a form that JSON lacks.
    let spec = serde_json::to_vec(&bulky).ok()?.into_boxed_slice();
    Some(Bulk { spec, claims })
}
