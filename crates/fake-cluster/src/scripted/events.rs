//! Events: recorded small, and written out as the API has them when they are read.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use podbay_k8s_client::ObjectKey;

use super::clock::timestamp;

/// Objects that are gone and whose events are still kept: the API keeps them for an hour.
const DEPARTED: usize = 256;

/// The events of a cluster, by the UID of the object they are about.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    records: HashMap<String, Vec<Record>>,
    departed: VecDeque<String>,
    last: u64,
}

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said<'a> {
    /// Who says it: `kubelet`, `default-scheduler`.
    pub(super) component: &'static str,
    pub(super) warning: bool,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
}

#[derive(Debug)]
struct Record {
    number: u64,
    component: &'static str,
    warning: bool,
    reason: Box<str>,
    message: Box<str>,
    count: i32,
    first: Duration,
    last: Duration,
}

impl EventLog {
    /// Records an event; one that was said before counts up.
    pub(super) fn say(&mut self, uid: &str, said: Said<'_>, at: Duration) {
        let Said {
            component,
            warning,
            reason,
            message,
        } = said;
        let records = self.records.entry(uid.to_owned()).or_default();
        let same = records
            .iter()
            .position(|record| *record.reason == *reason && *record.message == *message);
        if let Some(index) = same {
            let mut record = records.remove(index);
            record.count += 1;
            record.last = at;
            records.push(record);
            return;
        }
        self.last += 1;
        records.push(Record {
            number: self.last,
            component,
            warning,
            reason: reason.into(),
            message: message.into(),
            count: 1,
            first: at,
            last: at,
        });
    }

    /// Says that an object is gone: its events are among the first to be forgotten.
    pub(super) fn depart(&mut self, uid: &str) {
        if self.records.contains_key(uid) {
            self.departed.push_back(uid.to_owned());
            if self.departed.len() > DEPARTED
                && let Some(oldest) = self.departed.pop_front()
            {
                self.records.remove(&oldest);
            }
        }
    }

    /// The events about an object, oldest first.
    pub(super) fn read(&self, key: &ObjectKey, uid: &str) -> Vec<Event> {
        let records = self.records.get(uid).into_iter().flatten();
        records.map(|record| record.event(key, uid)).collect()
    }
}

impl Record {
    fn event(&self, key: &ObjectKey, uid: &str) -> Event {
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{}.{:016x}", key.name, self.number)),
                namespace: Some(key.namespace.clone()),
                creation_timestamp: Some(Time(timestamp(self.first))),
                ..ObjectMeta::default()
            },
            involved_object: ObjectReference {
                kind: Some(key.kind.name().to_owned()),
                name: Some(key.name.clone()),
                namespace: Some(key.namespace.clone()),
                uid: Some(uid.to_owned()),
                ..ObjectReference::default()
            },
            type_: Some(if self.warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(self.reason.to_string()),
            message: Some(self.message.to_string()),
            count: Some(self.count),
            first_timestamp: Some(Time(timestamp(self.first))),
            last_timestamp: Some(Time(timestamp(self.last))),
            source: Some(EventSource {
                component: Some(self.component.to_owned()),
                host: None,
            }),
            ..Event::default()
        }
    }
}
