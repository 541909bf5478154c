//! A session in words and figures, for people and programs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};
use podbay_manifests::{Record, RecordError, SessionSpec};
use podbay_protocol::Verdict;
use serde::Serialize;

use crate::readiness::{end_of_pod, node_lost, phase_of};

/// A session in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Its id; the record's name where the record can't be read.
    pub session: String,
    /// `Ready`, the step of its start, `Paused`, `Lost` (no living pod, or its node does not answer), or `Unreadable`.
    pub status: String,
    /// Its image.
    pub image: Option<String>,
    /// When it was opened.
    pub created: Option<Timestamp>,
    /// Whether its workspace is a claim that outlives it.
    pub persistent: bool,
    /// The name of its pod.
    pub pod: String,
    /// The pod's address.
    pub ip: Option<String>,
    /// The pod's node.
    pub node: Option<String>,
    /// The labels its user gave.
    pub labels: BTreeMap<String, String>,
}

/// All there is to know of a session.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Description {
    /// What the list shows.
    #[serde(flatten)]
    pub summary: Summary,
    /// Its namespace.
    pub namespace: String,
    /// Its Pod Security profile.
    pub profile: String,
    /// The user of its commands; none is the image's or the profile's.
    pub user: Option<String>,
    /// The names of the variables its user gave.
    pub env: Vec<String>,
    /// The directory its commands start in; none is the image's own.
    pub workdir: Option<String>,
    /// Where its workspace is mounted.
    pub workspace: String,
    /// CPUs.
    pub cpu: String,
    /// Memory.
    pub memory: String,
    /// Its claim.
    pub claim: Option<String>,
    /// `pod` or `job`.
    pub workload: String,
    /// What it may reach: `default`, `none` or `open`.
    pub network: String,
    /// Where a browser finds its VS Code.
    pub vscode_url: Option<String>,
    /// Where the ports that were asked for are reached.
    pub web_hosts: BTreeMap<String, u16>,
    /// Why it takes no commands, where it doesn't.
    pub verdict: Option<Verdict>,
    /// What the cluster says of its pod, oldest first.
    pub events: Vec<EventLine>,
    /// Why the events could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_error: Option<String>,
}

/// An event about a session's pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventLine {
    /// When it was seen last.
    pub time: Option<Timestamp>,
    /// `Normal` or `Warning`.
    pub kind: String,
    /// Its reason, one word.
    pub reason: String,
    /// Its message.
    pub message: String,
}

/// A session's line in a list.
pub(crate) fn summarise(name: &str, record: &Result<Record, RecordError>, pod: Option<&Pod>) -> Summary {
    let status = match (record, pod) {
        (Err(_), _) => "Unreadable".to_owned(),
        (Ok(record), pod) if record.paused && pod.is_none_or(is_going) => "Paused".to_owned(),
        (Ok(_), None) => "Lost".to_owned(),
        (Ok(_), Some(pod)) if end_of_pod(pod).or_else(|| node_lost(pod)).is_some() => "Lost".to_owned(),
        (Ok(record), Some(pod)) => capitalised(phase_of(pod, record.spec.server().is_some()).as_str()),
    };
    let record = record.as_ref().ok();
    let spec = record.map(|record| &record.spec);
    let state = pod.and_then(|pod| pod.status.as_ref());
    Summary {
        session: record.map_or_else(|| name.to_owned(), |record| record.id().to_string()),
        status,
        image: spec.map(|spec| spec.image().to_string()),
        created: record
            .and_then(|record| record.created.as_ref())
            .map(|time| time.0),
        persistent: spec.is_some_and(SessionSpec::persistent),
        pod: pod
            .and_then(|pod| pod.metadata.name.clone())
            .unwrap_or_else(|| name.to_owned()),
        ip: state.and_then(|state| state.pod_ip.clone()),
        node: pod
            .and_then(|pod| pod.spec.as_ref())
            .and_then(|spec| spec.node_name.clone()),
        labels: spec
            .map(|spec| {
                spec.labels()
                    .iter()
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .collect()
            })
            .unwrap_or_default(),
    }
}

/// Whether a pod is being deleted, or has ended.
fn is_going(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some() || end_of_pod(pod).is_some()
}

/// A session's description.
pub(crate) fn describe(
    record: &Record,
    pod: Option<&Pod>,
    events: &[Event],
    events_error: Option<String>,
) -> Description {
    let spec = &record.spec;
    let names = spec.names();
    Description {
        summary: summarise(&names.object(), &Ok(record.clone()), pod),
        namespace: spec.namespace().to_owned(),
        profile: spec.profile().to_string(),
        user: spec.run_as().map(|user| user.to_string()),
        env: spec.env_names().iter().map(ToString::to_string).collect(),
        workdir: spec.workdir().map(ToString::to_string),
        workspace: spec.workspace_mount_path().to_string(),
        cpu: spec.cpu().to_string(),
        memory: spec.memory().to_string(),
        claim: spec.claim().map(|_| names.claim()),
        workload: spec.workload().to_string(),
        network: spec.network().to_string(),
        vscode_url: spec.vscode_url(None),
        web_hosts: spec.web_hosts(),
        verdict: match pod {
            pod if record.paused && pod.is_none_or(is_going) => None,
            Some(pod) => end_of_pod(pod).or_else(|| node_lost(pod)),
            None => Some(super::handle::pod_is_gone()),
        },
        events: events.iter().map(line).collect(),
        events_error,
    }
}

fn line(event: &Event) -> EventLine {
    let time = event
        .last_timestamp
        .as_ref()
        .or(event.first_timestamp.as_ref())
        .map(|time| time.0);
    EventLine {
        time: time.or_else(|| event.event_time.as_ref().map(|time| time.0)),
        kind: event.type_.clone().unwrap_or_default(),
        reason: event.reason.clone().unwrap_or_default(),
        message: event.message.clone().unwrap_or_default(),
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
