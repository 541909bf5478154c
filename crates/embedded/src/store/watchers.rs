//! Who follows which objects.

use podbay_k8s_client::{Kind, Object, WatchEvent};
use tokio::sync::mpsc;

use super::{Change, Selector};

/// The watches of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Vec<Watcher>);

/// One watch. Its queue is unbounded: a slow watcher of an in-memory cluster costs memory that is of the size
/// of the cluster's own changes, and must not hold up who makes them.
#[derive(Debug)]
struct Watcher {
    kind: Kind,
    namespace: String,
    selector: Selector,
    sender: mpsc::UnboundedSender<WatchEvent>,
}

impl Watchers {
    /// Starts a watch with what there is now.
    pub(crate) fn add(
        &mut self,
        kind: Kind,
        namespace: &str,
        selector: Selector,
        now: Vec<Object>,
    ) -> mpsc::UnboundedReceiver<WatchEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        if sender.send(WatchEvent::Reset(now)).is_ok() {
            self.0.push(Watcher {
                kind,
                namespace: namespace.to_owned(),
                selector,
                sender,
            });
        }
        receiver
    }

    /// Tells those whom a change concerns; watches whose receiver is gone end here.
    pub(crate) fn announce(&mut self, change: &Change) {
        self.0.retain(|watcher| match watcher.event(change) {
            Some(event) => watcher.sender.send(event).is_ok(),
            None => !watcher.sender.is_closed(),
        });
    }
}

impl Watcher {
    /// The change as this watch sees it: an object whose labels come to match appears, one whose labels cease
    /// to match disappears, as in the API.
    fn event(&self, Change { before, after }: &Change) -> Option<WatchEvent> {
        let before = before.as_ref().filter(|object| self.sees(object));
        let after = after.as_ref().filter(|object| self.sees(object));
        match (before, after) {
            (_, Some(object)) => Some(WatchEvent::Applied(object.clone())),
            (Some(object), None) => Some(WatchEvent::Deleted(object.clone())),
            (None, None) => None,
        }
    }

    fn sees(&self, object: &Object) -> bool {
        object.kind() == self.kind
            && object.metadata().namespace.as_deref() == Some(&self.namespace)
            && self.selector.matches(object.metadata().labels.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use k8s_openapi::api::core::v1::ConfigMap;
    use podbay_k8s_client::ObjectKey;
    use proptest::prelude::*;

    use super::*;
    use crate::store::{Birth, Store};

    #[derive(Clone, Debug)]
    enum Step {
        Create(u8, u8),
        Relabel(u8, u8),
        Delete(u8),
        Watch,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..6_u8, 0..3_u8).prop_map(|(name, label)| Step::Create(name, label)),
            (0..6_u8, 0..3_u8).prop_map(|(name, label)| Step::Relabel(name, label)),
            (0..6_u8).prop_map(Step::Delete),
            Just(Step::Watch),
        ]
    }

    fn labels(label: u8) -> BTreeMap<String, String> {
        BTreeMap::from([("l".to_owned(), label.to_string())])
    }

    fn key(name: u8) -> ObjectKey {
        ObjectKey::new(Kind::ConfigMap, "ns", name.to_string())
    }

    /// What a watch's events add up to.
    fn replay(receiver: &mut mpsc::UnboundedReceiver<WatchEvent>) -> Vec<Object> {
        let mut objects = BTreeMap::new();
        while let Ok(event) = receiver.try_recv() {
            match event {
                WatchEvent::Reset(all) => objects = all.into_iter().map(|o| (o.key(), o)).collect(),
                WatchEvent::Applied(object) => drop(objects.insert(object.key(), object)),
                WatchEvent::Deleted(object) => assert!(objects.remove(&object.key()).is_some()),
            }
        }
        objects.into_values().collect()
    }

    proptest! {
        #[test]
        fn a_watch_adds_up_to_the_list(steps in prop::collection::vec(step(), 0..60)) {
            let selector: Selector = "l in (0,1)".parse().unwrap();
            let mut store = Store::default();
            let mut watchers = Watchers::default();
            let mut receivers = Vec::new();
            for (index, step) in steps.into_iter().enumerate() {
                let change = match step {
                    Step::Create(name, label) => {
                        let mut object = Object::from(ConfigMap::default());
                        object.metadata_mut().name = Some(name.to_string());
                        object.metadata_mut().namespace = Some("ns".to_owned());
                        object.metadata_mut().labels = Some(labels(label));
                        let birth = Birth { uid: index.to_string(), at: Timestamp::UNIX_EPOCH };
                        store.create(object, birth).ok().map(|o| Change { before: None, after: Some(o) })
                    }
                    Step::Relabel(name, label) => {
                        store.update(&key(name), |object| object.metadata_mut().labels = Some(labels(label)))
                    }
                    Step::Delete(name) => store.delete(&key(name), None),
                    Step::Watch => {
                        let now = store.list(Kind::ConfigMap, "ns", &selector);
                        receivers.push(watchers.add(Kind::ConfigMap, "ns", selector.clone(), now));
                        None
                    }
                };
                if let Some(change) = change {
                    watchers.announce(&change);
                }
            }
            let listed = store.list(Kind::ConfigMap, "ns", &selector);
            for receiver in &mut receivers {
                prop_assert_eq!(&replay(receiver), &listed);
            }
        }
    }

    #[test]
    fn a_dropped_watch_is_forgotten() {
        let mut watchers = Watchers::default();
        drop(watchers.add(Kind::Pod, "ns", Selector::default(), Vec::new()));
        watchers.announce(&Change {
            before: None,
            after: None,
        });
        assert!(watchers.0.is_empty());
    }
}
