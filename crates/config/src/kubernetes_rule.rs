//! What settings accept that are about Kubernetes. Only what can be told without a cluster or a parser of its
//! own: quantities, names and addresses are parsed where objects are made.

use std::collections::BTreeMap;

use crate::api_object::{ApiObject, ApiObjects};
use crate::rule::{Rule, TOLERATIONS, accept, anything, each, each_entry, is_blank};
use crate::runtime::Runtime;
use crate::toleration::Toleration;
use crate::vocabulary::{
    AgentDelivery, AgentDial, AgentLogLevel, CleanupPolicy, NetworkMode, ProfileName, PullPolicy,
    RemoteRuntimeClass, WorkloadKind, WorkspaceVolume,
};

/// The API's limit for user and group ids (`IsValidUserID`).
const MOST_ID: u64 = 2_147_483_647;
/// More tries than a start can use before its time-out.
const MOST_RETRIES: u32 = 100;
/// Far more devices than a node has; it keeps sums exact.
const MOST_DEVICES: u32 = 1_000_000;

pub(crate) const RUNTIME: Rule<Runtime> = anything(
    "auto, kubernetes (or k8s), local (or process, embedded); docker, eventstream, remote, cli and class paths of \
     OpenHands are read as auto",
);

fn is_absolute(path: &str) -> bool {
    path.starts_with('/')
        && path.chars().any(|c| c != '/')
        && !path.contains(':')
        && path.split('/').all(|part| part != "..")
        && !path.chars().any(char::is_control)
}

/// Kubernetes refuses `:` in a mount path, and a volume over `/` would hide the image.
pub(crate) const MOUNT_PATH: Rule<String> = Rule {
    unit: None,
    allowed: "an absolute path other than \"/\", without \":\" and \"..\"",
    judge: |path| accept(is_absolute(path)),
    bounds: None,
};

/// The API refuses `..` in a host path too.
pub(crate) const OPTIONAL_HOST_PATH: Rule<Option<String>> = Rule {
    unit: None,
    allowed: "an absolute path other than \"/\", without \":\" and \"..\"; empty is the same as not set",
    judge: |path| accept(path.as_deref().is_none_or(is_absolute)),
    bounds: None,
};

/// Only that there is one: quantities are parsed where the pod is made.
pub(crate) const QUANTITY: Rule<String> = Rule {
    unit: Some("Kubernetes quantity"),
    allowed: "a Kubernetes quantity in quotes, such as \"500m\" or \"2Gi\"",
    judge: |quantity| accept(!is_blank(quantity)),
    bounds: None,
};

pub(crate) const OPTIONAL_QUANTITY: Rule<Option<String>> = Rule {
    unit: Some("Kubernetes quantity"),
    allowed: "a Kubernetes quantity in quotes, such as \"500m\" or \"2Gi\"; empty is the same as not set",
    judge: |quantity| accept(quantity.as_deref().is_none_or(|quantity| !is_blank(quantity))),
    bounds: None,
};

pub(crate) const TOLERATION_TABLES: Rule<Vec<Toleration>> = Rule {
    unit: None,
    allowed: "Kubernetes tolerations: an array of tables in the file, YAML in a text",
    ..TOLERATIONS
};

pub(crate) const API_OBJECT: Rule<Option<ApiObject>> =
    anything("a table with the fields of the Kubernetes API, or the same as YAML in a text");
pub(crate) const API_OBJECTS: Rule<ApiObjects> =
    anything("tables with the fields of the Kubernetes API, or the same as a YAML list in a text");

pub(crate) const OPTIONAL_ID: Rule<Option<u64>> = Rule {
    unit: None,
    allowed: "a whole number from 0 to 2147483647; empty is the same as not set",
    judge: |id| accept(id.is_none_or(|id| id <= MOST_ID)),
    bounds: Some((0, MOST_ID)),
};

pub(crate) const IDS: Rule<Vec<u64>> = Rule {
    unit: None,
    allowed: "whole numbers from 0 to 2147483647: an array in the file, a comma separated list in a text",
    judge: |ids| each(ids, |id| *id <= MOST_ID),
    bounds: None,
};

pub(crate) const PORT: Rule<u16> = Rule {
    unit: None,
    allowed: "a port from 1 to 65535",
    judge: |port| accept(*port > 0),
    bounds: Some((1, u16::MAX as u64)),
};

pub(crate) const OPTIONAL_PORT: Rule<Option<u16>> = Rule {
    unit: None,
    allowed: "a port from 1 to 65535; empty is the same as not set",
    judge: |port| accept(port.is_none_or(|port| port > 0)),
    bounds: Some((1, u16::MAX as u64)),
};

pub(crate) const PORTS: Rule<Vec<u16>> = Rule {
    unit: None,
    allowed: "ports from 1 to 65535: an array in the file, a comma separated list in a text",
    judge: |ports| each(ports, |port| *port > 0),
    bounds: None,
};

pub(crate) const RETRIES: Rule<BTreeMap<String, u32>> = Rule {
    unit: Some("new tries"),
    allowed: "causes of a failure, each with a whole number from 0 to 100: a table in the file, a JSON object or \
              Python dict in a text",
    judge: |table| each_entry(table, |cause, tries| !is_blank(cause) && *tries <= MOST_RETRIES),
    bounds: None,
};

pub(crate) const DEVICES: Rule<BTreeMap<String, u32>> = Rule {
    unit: Some("devices"),
    allowed: "names of resources, each with a whole number from 1 to 1000000: a table in the file, a JSON object \
              or Python dict in a text",
    judge: |table| {
        each_entry(table, |name, count| {
            !is_blank(name) && (1..=MOST_DEVICES).contains(count)
        })
    },
    bounds: None,
};

pub(crate) const ACCESS_MODES: Rule<Vec<String>> = Rule {
    unit: None,
    allowed: "at least one of ReadWriteOnce, ReadOnlyMany, ReadWriteMany, ReadWriteOncePod",
    judge: |modes| {
        accept(!modes.is_empty())?;
        each(modes, |mode| {
            [
                "ReadWriteOnce",
                "ReadOnlyMany",
                "ReadWriteMany",
                "ReadWriteOncePod",
            ]
            .contains(&mode.as_str())
        })
    },
    bounds: None,
};

/// The API's `SeccompProfile`: a type, and a path below the kubelet's directory for `Localhost`.
pub(crate) const SECCOMP: Rule<Option<String>> = Rule {
    unit: None,
    allowed: "RuntimeDefault, Unconfined or Localhost/PATH; empty is the same as not set",
    judge: |profile| {
        accept(profile.as_deref().is_none_or(|profile| {
            ["RuntimeDefault", "Unconfined"].contains(&profile)
                || profile
                    .strip_prefix("Localhost/")
                    .is_some_and(|path| !is_blank(path) && !path.starts_with('/'))
        }))
    },
    bounds: None,
};

/// OpenHands' `remote_runtime_resource_factor`.
pub(crate) const RESOURCE_FACTOR: Rule<u32> = Rule {
    unit: None,
    allowed: "1, 2, 4 or 8",
    judge: |factor| accept([1, 2, 4, 8].contains(factor)),
    bounds: Some((1, 8)),
};

/// As container tools write platforms.
pub(crate) const PLATFORM: Rule<Option<String>> = Rule {
    unit: None,
    allowed: "an operating system and an architecture, as \"linux/amd64\"; empty is the same as not set",
    judge: |platform| {
        accept(platform.as_deref().is_none_or(|platform| {
            matches!(
                platform.split('/').collect::<Vec<_>>().as_slice(),
                [system, architecture] | [system, architecture, _]
                    if !is_blank(system) && !is_blank(architecture)
            )
        }))
    },
    bounds: None,
};

pub(crate) const CLEANUP_POLICY: Rule<CleanupPolicy> =
    anything("always_keep, keep_on_failure or always_clean");
pub(crate) const PULL_POLICY: Rule<Option<PullPolicy>> =
    anything("Always, IfNotPresent or Never; empty is the same as not set");
pub(crate) const PROFILE: Rule<Option<ProfileName>> =
    anything("restricted, baseline or privileged; empty is the same as not set");
pub(crate) const WORKLOAD: Rule<WorkloadKind> = anything("pod or job");
pub(crate) const WORKSPACE_VOLUME: Rule<WorkspaceVolume> = anything("auto, empty_dir, pvc or host_path");
pub(crate) const AGENT_DELIVERY: Rule<AgentDelivery> =
    anything("auto, none, upload, init_container or image_volume");
pub(crate) const AGENT_DIAL: Rule<AgentDial> = anything("auto, pod-ip, port-forward or stdio");
pub(crate) const AGENT_LOG_LEVEL: Rule<AgentLogLevel> = anything("off, error, warn, info, debug or trace");
pub(crate) const NETWORK: Rule<NetworkMode> = anything("none, default or open");
pub(crate) const RUNTIME_CLASS: Rule<Option<RemoteRuntimeClass>> =
    anything("none, sysbox or gvisor; empty is the same as not set");
