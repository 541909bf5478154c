//! A session in words and figures, for people and programs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, Pod};
use podbay_manifests::{Record, RecordError, SessionKind, SessionSpec};
use podbay_protocol::{Degraded, DialWay, SessionState, StartFailure, Verdict};
use serde::{Serialize, Serializer};

use crate::backend::BackendKind;
use crate::local::Seen;
use crate::pod::preferred_pod;
use crate::state::session_state;

/// A session in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Its id; the record's name where the record can't be read.
    pub session: String,
    /// Whom it belongs to: the hash of the owner's name that the record has ([`SessionOwner`](crate::SessionOwner)). `None` for a
    /// session of nobody in particular, as those of the command line are.
    pub owner: Option<String>,
    /// Its state; in JSON `status`, in one word ([`SessionState::as_str`]).
    #[serde(rename = "status", serialize_with = "in_one_word")]
    pub state: SessionState,
    /// Its image.
    pub image: Option<String>,
    /// When it was opened.
    pub created: Option<Timestamp>,
    /// Whether its workspace is a claim that outlives it.
    pub persistent: bool,
    /// The name of its pod. `None` on this machine.
    pub pod: Option<String>,
    /// The pod's address.
    pub ip: Option<String>,
    /// The pod's node.
    pub node: Option<String>,
    /// The labels its user gave.
    pub labels: BTreeMap<String, String>,
    /// The start that failed, if it is a failed session that was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<StartFailure>,
}

/// All there is to know of a session.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Description {
    /// What the list shows.
    #[serde(flatten)]
    pub summary: Summary,
    /// What kind of session it is: `v0`, `v1`, `image`, `command`, `none`.
    pub kind: SessionKind,
    /// What it runs on. On this machine a session has no namespace, profile, limits, workload or network of its own.
    pub backend: BackendKind,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its Pod Security profile.
    pub profile: Option<String>,
    /// The user of its commands; none is the image's or the profile's.
    pub user: Option<String>,
    /// The names of the variables its user gave.
    pub env: Vec<String>,
    /// The directory its commands start in; none is the image's own. On this machine the session's own directory stands for it.
    pub workdir: Option<String>,
    /// Where its workspace is mounted; on this machine the session's own directory.
    pub workspace: String,
    /// CPUs.
    pub cpu: Option<String>,
    /// Memory.
    pub memory: Option<String>,
    /// Its claim.
    pub claim: Option<String>,
    /// `pod` or `job`.
    pub workload: Option<String>,
    /// What it may reach: `default`, `none` or `open`.
    pub network: Option<String>,
    /// How its agent came in, where one is meant to be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentLine>,
    /// Where its server is reached in the cluster; it takes the session's key (`X-Session-API-Key`).
    pub server_url: Option<String>,
    /// Where a browser finds its VS Code.
    pub vscode_url: Option<String>,
    /// Where the ports that were asked for are reached.
    pub web_hosts: BTreeMap<String, u16>,
    /// Why it takes no commands, if it failed or was lost.
    pub verdict: Option<Verdict>,
    /// What is not well of it, if it is ready otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degraded: Option<Degraded>,
    /// What the cluster says of its pod, oldest first.
    pub events: Vec<EventLine>,
    /// Why the events could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_error: Option<String>,
}

/// A session's agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AgentLine {
    /// How it was meant to come in: `upload`, `init_container` or `image_volume`.
    pub delivery: &'static str,
    /// The image that it comes out of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Where it listens in the pod.
    pub port: u16,
    /// Whether it runs; none where that can't be told. Where it does not, commands and files go by the API server's exec.
    pub running: Option<bool>,
    /// How it is connected to from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dial: Option<DialWay>,
    /// Why it can't be connected to from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<String>,
}

/// What a look at a session's agent told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AgentLook {
    pub(crate) running: Option<bool>,
    pub(crate) dial: Option<DialWay>,
    pub(crate) unreachable: Option<String>,
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

/// A session's line in a list. `pods` are those with its label, `events` those about the pod that counts, if they were read.
pub(crate) fn summarise(
    name: &str,
    record: Result<&Record, &RecordError>,
    pods: &[&Pod],
    events: Option<&[Event]>,
    now: Timestamp,
) -> Summary {
    let state = session_state(record, pods.iter().copied(), events, now);
    let pod = preferred_pod(pods.iter().copied());
    summary(name, record.ok(), state, pod)
}

/// The line of a session of this machine, which has no pod.
pub(crate) fn summarise_here(seen: &Seen) -> Summary {
    let name = seen.record.spec.names().object();
    Summary {
        pod: None,
        ..summary(&name, Some(&seen.record), seen.state(), None)
    }
}

fn summary(name: &str, record: Option<&Record>, state: SessionState, pod: Option<&Pod>) -> Summary {
    let spec = record.map(|record| &record.spec);
    let pod_status = pod.and_then(|pod| pod.status.as_ref());
    Summary {
        session: record.map_or_else(|| name.to_owned(), |record| record.id().to_string()),
        owner: spec.and_then(SessionSpec::owner).map(ToString::to_string),
        state,
        image: spec.map(|spec| spec.image().to_string()),
        created: record
            .and_then(|record| record.created.as_ref())
            .map(|time| time.0),
        persistent: spec.is_some_and(SessionSpec::persistent),
        pod: pod
            .and_then(|pod| pod.metadata.name.clone())
            .or_else(|| Some(name.to_owned())),
        ip: pod_status.and_then(|status| status.pod_ip.clone()),
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
        failure: record.and_then(|record| record.last_failure.as_deref().cloned()),
    }
}

/// A session's description.
pub(crate) fn describe(
    record: &Record,
    pod: Option<&Pod>,
    look: AgentLook,
    events: Result<Vec<Event>, String>,
    now: Timestamp,
) -> Description {
    let (events, events_error) = match events {
        Ok(events) => (Some(events), None),
        Err(error) => (None, Some(error)),
    };
    let spec = &record.spec;
    let pods: Vec<&Pod> = pod.into_iter().collect();
    let summary = summarise(&spec.names().object(), Ok(record), &pods, events.as_deref(), now);
    Description {
        agent: agent(spec, look),
        events: events.iter().flatten().map(line).collect(),
        events_error,
        ..description(spec, summary)
    }
}

/// The description of a session of this machine.
pub(crate) fn describe_here(seen: &Seen) -> Description {
    let description = description(&seen.record.spec, summarise_here(seen));
    Description {
        backend: BackendKind::Local,
        namespace: None,
        profile: None,
        cpu: None,
        memory: None,
        workload: None,
        network: None,
        workspace: seen.work.as_ref().map_or_else(
            || description.workspace.clone(),
            |work| work.display().to_string(),
        ),
        ..description
    }
}

/// What the specification and the state tell.
fn description(spec: &SessionSpec, summary: Summary) -> Description {
    let names = spec.names();
    Description {
        kind: spec.kind(),
        backend: BackendKind::Cluster,
        namespace: Some(spec.namespace().to_owned()),
        profile: Some(spec.profile().to_string()),
        user: spec.run_as().map(|user| user.to_string()),
        env: spec.env_names().iter().map(ToString::to_string).collect(),
        workdir: spec.container_workdir().map(ToOwned::to_owned),
        workspace: spec.workspace_mount_path().to_string(),
        cpu: Some(spec.cpu().to_string()),
        memory: Some(spec.memory().to_string()),
        claim: spec.claim().map(|_| names.claim()),
        workload: Some(spec.workload().to_string()),
        network: Some(spec.network().to_string()),
        agent: None,
        server_url: spec.server_url(),
        vscode_url: spec.vscode_url(None),
        web_hosts: spec.web_hosts(),
        verdict: summary.state.verdict().cloned(),
        degraded: summary.state.degraded().cloned(),
        summary,
        events: Vec::new(),
        events_error: None,
    }
}

fn agent(spec: &SessionSpec, look: AgentLook) -> Option<AgentLine> {
    let agent = spec.agent();
    let AgentLook {
        running,
        dial,
        unreachable,
    } = look;
    Some(AgentLine {
        port: agent.port()?,
        delivery: agent.as_str(),
        image: agent.image().map(|image| image.named().to_string()),
        running,
        dial,
        unreachable,
    })
}

pub(crate) fn line(event: &Event) -> EventLine {
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

/// The state as programs that read JSON know it.
fn in_one_word<S: Serializer>(state: &SessionState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.as_str())
}
