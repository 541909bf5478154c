//! What a case acts on.

use std::sync::Arc;

use podbay_fake_cluster::testing;
use podbay_k8s_client::{ClusterClient, DeleteOptions, Error, Kind, Object, ObjectKey};
use serde_json::{Value, json};

use super::follow::Follow;
use super::observed::Observed;
use super::raw::Raw;

/// A namespace of a cluster that a case has to itself.
#[derive(Clone)]
pub struct Stage {
    /// The cluster as Podbay sees it.
    pub client: Arc<dyn ClusterClient>,
    /// The API beneath.
    pub raw: Arc<dyn Raw>,
    /// The namespace.
    pub namespace: String,
}

#[expect(clippy::expect_used, reason = "tests fail by panicking")]
impl Stage {
    /// Nothing seen yet.
    pub fn observe(&self) -> Observed {
        Observed::new(&self.namespace)
    }

    /// The key of an object in the namespace.
    pub fn key(&self, kind: Kind, name: &str) -> ObjectKey {
        ObjectKey::new(kind, &self.namespace, name)
    }

    /// An object in the namespace, from JSON without one.
    pub fn object(&self, kind: Kind, json: Value) -> Object {
        testing::object(kind, &self.namespace, json)
    }

    /// Tries to create an object.
    pub async fn try_create(&self, kind: Kind, json: Value) -> Result<Object, Error> {
        self.client.create(self.object(kind, json)).await
    }

    /// Creates an object.
    pub async fn create(&self, kind: Kind, json: Value) -> Object {
        let created = self.try_create(kind, json).await;
        created.expect("it can be created")
    }

    /// Creates a ConfigMap with nothing but a name.
    pub async fn create_map(&self, name: &str) -> Object {
        let created = self
            .client
            .create(testing::config_map(&self.namespace, name))
            .await;
        created.expect("it can be created")
    }

    /// An object's state as JSON; null if there is none.
    pub async fn get(&self, key: &ObjectKey) -> Value {
        let found = self.client.get(key).await.expect("an answer");
        found.as_ref().map(to_json).unwrap_or_default()
    }

    /// Changes an object.
    pub async fn patch(&self, key: &ObjectKey, patch: Value) -> Object {
        self.client.patch(key, patch).await.expect("it can be changed")
    }

    /// Deletes an object that is there.
    pub async fn delete(&self, key: &ObjectKey) {
        self.delete_with(key, None).await;
    }

    /// Deletes an object that is there, with a grace period.
    pub async fn delete_with(&self, key: &ObjectKey, grace_period_seconds: Option<u32>) {
        let options = DeleteOptions {
            grace_period_seconds,
            ..DeleteOptions::default()
        };
        let was_there = self.client.delete(key, options).await.expect("it can be deleted");
        assert!(was_there, "{key} was not there");
    }

    /// The states of an object, from now on.
    pub async fn follow(&self, kind: Kind, name: &str) -> Follow {
        Follow::start(&*self.client, self.key(kind, name)).await
    }

    /// Waits for a state of an object.
    pub async fn until(&self, key: &ObjectKey, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut follow = Follow::start(&*self.client, key.clone()).await;
        follow.until(what, holds).await
    }

    /// Waits until an object is gone.
    pub async fn gone(&self, key: &ObjectKey) {
        self.until(key, "gone", Value::is_null).await;
    }

    /// The events about an object: type, reason and message of each, in order of these.
    pub async fn events(&self, key: &ObjectKey, uid: &str) -> Vec<Value> {
        let events = self.client.events(key, uid).await.expect("an answer");
        let mut said: Vec<Value> = events
            .iter()
            .map(|event| {
                assert_eq!(event.involved_object.uid.as_deref(), Some(uid));
                json!([event.type_, event.reason, event.message])
            })
            .collect();
        said.sort_by_key(Value::to_string);
        said.dedup();
        said
    }

    /// Waits for an event about an object, and returns its type, reason and message. Events are written after the
    /// state they tell of.
    pub async fn event(&self, key: &ObjectKey, uid: &str, holds: impl Fn(&str, &str) -> bool) -> Value {
        let mut ticks = tokio::time::interval(super::follow::LOOK);
        let told = async {
            loop {
                ticks.tick().await;
                let mut events = self.events(key, uid).await.into_iter();
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                if let Some(event) = events.find(|event| holds(&text(&event[1]), &text(&event[2]))) {
                    return event;
                }
            }
        };
        match tokio::time::timeout(super::follow::LIMIT, told).await {
            Ok(event) => event,
            Err(_) => json!({"no such event among": self.events(key, uid).await}),
        }
    }
}

/// An object as JSON.
#[expect(clippy::expect_used, reason = "tests fail by panicking")]
pub fn to_json(object: &Object) -> Value {
    object.to_json().expect("JSON")
}

/// An object's resource version as a number. They can be compared as such (KEP-5504).
#[expect(clippy::expect_used, reason = "tests fail by panicking")]
pub fn version(object: &Object) -> u64 {
    let version = object.metadata().resource_version.as_deref();
    version.expect("a version").parse().expect("a number")
}

/// Some fields of a state, by their JSON pointers; absent ones are null.
pub fn pick<const N: usize>(state: &Value, pointers: [&str; N]) -> Value {
    let fields = pointers.map(|pointer| {
        let value = state.pointer(pointer).cloned().unwrap_or_default();
        (pointer.to_owned(), value)
    });
    Value::Object(fields.into_iter().collect())
}

/// Status, reason and message of a state's conditions of these types; null for those it does not have.
pub fn conditions<const N: usize>(state: &Value, types: [&str; N]) -> Value {
    let known = state.pointer("/status/conditions").and_then(Value::as_array);
    let fields = types.map(|type_| {
        let condition = known
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == type_);
        let saw = condition.map(|condition| pick(condition, ["/status", "/reason", "/message"]));
        (type_.to_owned(), saw.unwrap_or_default())
    });
    Value::Object(fields.into_iter().collect())
}

/// Whether a condition of this type is true.
pub fn holds(state: &Value, type_: &str) -> bool {
    conditions(state, [type_])[type_]["/status"] == "True"
}
