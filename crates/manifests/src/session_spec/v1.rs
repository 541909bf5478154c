//! Specifications as records of schema version 1 hold them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Toleration;
use podbay_config::{CleanupPolicy, NetworkMode, WorkloadKind};
use serde::Deserialize;

use super::{
    ClaimSpec, NetworkSpec, PlacementSpec, PullSpec, ResourceBounds, ResourceSpec, SecuritySpec, ServerSpec,
    SessionSpec, StorageSpec, WorkloadSpec, WorkspaceSpec,
};
use crate::agent_delivery::AgentDelivery;
use crate::dns::{DnsLabel, DnsSubdomain};
use crate::environment::EnvName;
use crate::image::ImageRef;
use crate::labels::UserLabels;
use crate::path::ContainerPath;
use crate::profile::Profile;
use crate::quantity::Quantity;
use crate::server::ServerKind;
use crate::session_id::SessionId;
use crate::user::RunAs;
use crate::word::Word;

/// Port of a server in the image.
const SERVER_PORT: u16 = 8080;
/// Port of VS Code, which version 1 did not know.
const VSCODE_PORT: u16 = 8081;

/// A specification of version 1, field by field.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SpecV1 {
    id: SessionId,
    namespace: DnsLabel,
    image: ImageRef,
    server: bool,
    profile: Profile,
    run_as: Option<RunAs>,
    env: Vec<EnvName>,
    workdir: Option<ContainerPath>,
    workspace_mount_path: ContainerPath,
    cpu: BoundsV1,
    memory: BoundsV1,
    claim: Option<ClaimV1>,
    labels: UserLabels,
    node_selector: BTreeMap<String, String>,
    tolerations: Vec<Toleration>,
    image_pull_secret: Option<DnsSubdomain>,
    termination_grace_seconds: u64,
    start_timeout_seconds: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ClaimV1 {
    size: Quantity,
    storage_class: Option<DnsSubdomain>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BoundsV1 {
    request: Quantity,
    limit: Option<Quantity>,
}

impl From<BoundsV1> for ResourceBounds {
    fn from(old: BoundsV1) -> Self {
        let BoundsV1 { request, limit } = old;
        Self { request, limit }
    }
}

/// The session stays what it was when it was made: what version 1 did not know is as if it were not there.
impl From<SpecV1> for SessionSpec {
    fn from(old: SpecV1) -> Self {
        let SpecV1 {
            id,
            namespace,
            image,
            server,
            profile,
            run_as,
            env,
            workdir,
            workspace_mount_path,
            cpu,
            memory,
            claim,
            labels,
            node_selector,
            tolerations,
            image_pull_secret,
            termination_grace_seconds,
            start_timeout_seconds,
        } = old;
        Self {
            id,
            owner: None,
            namespace,
            image,
            pull: PullSpec {
                secrets: image_pull_secret.into_iter().collect(),
                ..PullSpec::default()
            },
            server: server.then_some(ServerSpec {
                kind: ServerKind::Image,
                port: SERVER_PORT,
                vscode_port: VSCODE_PORT,
                vscode: false,
                command: None,
                debug: false,
                start_timeout_seconds,
            }),
            security: SecuritySpec {
                profile,
                run_as,
                group: None,
                fs_group: None,
                supplemental_groups: Vec::new(),
                uid_from_cluster: false,
                read_only_root: false,
                allow_privilege_escalation: None,
                capabilities_add: Vec::new(),
                capabilities_drop: Vec::new(),
                seccomp: None,
            },
            env,
            workdir,
            resources: ResourceSpec {
                cpu: cpu.into(),
                memory: memory.into(),
                ephemeral_storage: None,
                extended: BTreeMap::new(),
                gpus: 0,
                factor: 1,
            },
            storage: storage(workspace_mount_path, claim),
            placement: PlacementSpec {
                node_selector,
                tolerations,
                ..PlacementSpec::default()
            },
            network: NetworkSpec {
                // It had no policy.
                mode: Word(NetworkMode::Open),
                allow: Vec::new(),
                deny: Vec::new(),
                agent_from: Vec::new(),
                routed: Vec::new(),
                host_network: false,
                host_aliases: Vec::new(),
            },
            exposure: None,
            workload: WorkloadSpec {
                kind: Word(WorkloadKind::Pod),
                cleanup_policy: Word(CleanupPolicy::AlwaysClean),
                termination_grace_seconds,
                active_deadline_seconds: None,
                job_ttl_seconds: None,
                service_account: None,
                service_account_token: false,
            },
            labels,
            annotations: BTreeMap::new(),
            pod_template: None,
            agent_log: None,
            agent: AgentDelivery::None,
            actions: None,
            main: None,
        }
    }
}

fn storage(workspace_mount_path: ContainerPath, claim: Option<ClaimV1>) -> StorageSpec {
    let workspace = match claim {
        Some(ClaimV1 { size, storage_class }) => WorkspaceSpec::Claim(ClaimSpec {
            size,
            storage_class,
            access_modes: vec!["ReadWriteOnce".into()],
            snapshot: None,
        }),
        None => WorkspaceSpec::EmptyDir(None),
    };
    StorageSpec {
        workspace_mount_path,
        workspace,
        cache: None,
        source: None,
        ca_bundle: None,
        volumes: Vec::new(),
        mounts: Vec::new(),
    }
}
