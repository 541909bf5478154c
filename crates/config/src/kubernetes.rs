//! `[kubernetes]`: which cluster, and what the pods in it get.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::api_object::{ApiObject, ApiObjects};
use crate::declaration::settings;
use crate::kubernetes_rule::{
    ACCESS_MODES, API_OBJECT, API_OBJECTS, CLEANUP_POLICY, DEVICES, IDS, MOUNT_PATH, NETWORK,
    OPTIONAL_HOST_PATH, OPTIONAL_ID, OPTIONAL_QUANTITY, PORT, PORTS, PROFILE, PULL_POLICY, QUANTITY, RETRIES,
    SECCOMP, TOLERATION_TABLES, WORKLOAD, WORKSPACE_VOLUME,
};
use crate::rule::{
    OPTIONAL_PATH, OPTIONAL_SECONDS, OPTIONAL_SECONDS_OR_NONE, OPTIONAL_SESSIONS, OPTIONAL_SWITCH,
    OPTIONAL_TEXT, SWITCH, TEXT, TEXT_TABLE, TEXTS, TOLERATIONS,
};
use crate::setting::Section;
use crate::toleration::Toleration;
use crate::vocabulary::{CleanupPolicy, NetworkMode, ProfileName, PullPolicy, WorkloadKind, WorkspaceVolume};

settings! {
    /// `[kubernetes]`: which cluster, and what the pods in it get. The names and defaults that OpenHands'
    /// `KubernetesConfig` has are the same here.
    pub struct KubernetesConfig in Section::Kubernetes;

    /// Path of a kubeconfig file. When it is not set, the client looks where kubectl does: the files that
    /// `KUBECONFIG` lists, `~/.kube/config`, then the service account of the pod it runs in.
    kubeconfig: Option<PathBuf> = None, OPTIONAL_PATH;

    /// Context of the kubeconfig to use instead of its current one.
    context: Option<String> = None, OPTIONAL_TEXT;

    /// Namespace of every object that is created.
    namespace: String = "default".to_owned(), TEXT;

    /// Base domain of ingress hosts: a session is served at `{session id}.{ingress_domain}`.
    ingress_domain: String = "localhost".to_owned(), TEXT;

    /// Size of the claim that holds a workspace.
    pvc_storage_size: String = "2Gi".to_owned(), QUANTITY;

    /// Storage class of that claim. When it is not set, the cluster's default class is used.
    pvc_storage_class: Option<String> = None, OPTIONAL_TEXT;

    /// A claim that is there already, for the workspace in place of one of the session's own. It is neither
    /// created nor deleted.
    pvc_existing_claim: Option<String> = None, OPTIONAL_TEXT;

    /// Access modes of the claim that holds a workspace.
    pvc_access_modes: Vec<String> = vec!["ReadWriteOnce".to_owned()], ACCESS_MODES;

    /// VolumeSnapshot in the same namespace that a new claim starts from.
    pvc_snapshot: Option<String> = None, OPTIONAL_TEXT;

    /// What the workspace is kept on. `auto` is a claim where one was asked for (a `pvc_*` setting is given, or
    /// the session is to outlive its pod), else an `emptyDir`.
    workspace_volume: WorkspaceVolume = WorkspaceVolume::Auto, WORKSPACE_VOLUME;

    /// The most that a workspace on an `emptyDir` may hold; the kubelet evicts a pod that writes more.
    workspace_size_limit: Option<String> = None, OPTIONAL_QUANTITY;

    /// Directory of the node that is the workspace. Only together with `workspace_volume = "host_path"`.
    workspace_host_path: Option<String> = None, OPTIONAL_HOST_PATH;

    /// Further volumes of the pods, each a `core/v1 Volume`.
    volumes: ApiObjects = ApiObjects::default(), API_OBJECTS;

    /// Where the sandbox sees them, each a `core/v1 VolumeMount`.
    volume_mounts: ApiObjects = ApiObjects::default(), API_OBJECTS;

    /// An existing claim that all sessions share as the cache of package managers.
    cache_claim: Option<String> = None, OPTIONAL_TEXT;

    /// A directory of the node for that cache instead. Not together with `cache_claim`.
    cache_host_path: Option<String> = None, OPTIONAL_HOST_PATH;

    /// Where the cache is mounted.
    cache_mount_path: String = "/cache".to_owned(), MOUNT_PATH;

    /// CPU that the scheduler reserves for a pod: `1`, `500m`. When it is not set, no more than `resource_cpu_limit`.
    resource_cpu_request: String = "1".to_owned(), QUANTITY;

    /// CPU that a pod gets at most. When it is not set, a pod may use what its node has to spare.
    resource_cpu_limit: Option<String> = None, OPTIONAL_QUANTITY;

    /// Memory that the scheduler reserves for a pod. When it is not set, no more than `resource_memory_limit`.
    resource_memory_request: String = "1Gi".to_owned(), QUANTITY;

    /// Memory above which the kernel kills the container (OOM). When it is not set, no less than
    /// `resource_memory_request`.
    resource_memory_limit: String = "2Gi".to_owned(), QUANTITY;

    /// Disk of the node that the scheduler reserves for a pod: its layers, logs and `emptyDir` volumes.
    resource_ephemeral_storage_request: Option<String> = None, OPTIONAL_QUANTITY;

    /// Disk of the node above which the kubelet evicts a pod.
    resource_ephemeral_storage_limit: Option<String> = None, OPTIONAL_QUANTITY;

    /// Devices and other extended resources a pod gets, by name: `{ "nvidia.com/gpu" = 1 }`.
    extended_resources: BTreeMap<String, u32> = BTreeMap::new(), DEVICES;

    /// The extended resource that a GPU is asked by, for `sandbox.enable_gpu`.
    gpu_resource_name: String = "nvidia.com/gpu".to_owned(), TEXT;

    /// Name of the Secret with the credentials of a private registry, in the same namespace.
    image_pull_secret: Option<String> = None, OPTIONAL_TEXT;

    /// Further such Secrets, besides `image_pull_secret`.
    image_pull_secrets: Vec<String> = Vec::new(), TEXTS;

    /// When the kubelet pulls an image. When it is not set, Kubernetes decides by the tag: always for `latest` and
    /// none, else when the node lacks the image.
    pull_policy: Option<PullPolicy> = None, PULL_POLICY;

    /// Repository of the image of a session that names none. `sandbox.runtime_container_image` goes before it, and
    /// it before `sandbox.base_container_image`.
    runtime_image_repo: Option<String> = None, OPTIONAL_TEXT;

    /// Tag of that image; `latest` when it is not set. Only together with `runtime_image_repo`.
    runtime_image_tag: Option<String> = None, OPTIONAL_TEXT;

    /// Registries that images are pulled from in place of those that they name:
    /// `{ "docker.io" = "mirror.example/hub" }`.
    registry_mirrors: BTreeMap<String, String> = BTreeMap::new(), TEXT_TABLE;

    /// Mount a source tree of OpenHands at `/app/openhands` over the one of the image, and set `PYTHONPATH` to it.
    /// Needs exactly one of `source_host_path`, `source_claim` and `source_config_map`.
    mount_source: bool = false, SWITCH;

    /// Directory of the node with that source tree.
    source_host_path: Option<String> = None, OPTIONAL_HOST_PATH;

    /// Existing claim with that source tree.
    source_claim: Option<String> = None, OPTIONAL_TEXT;

    /// ConfigMap with the files of that source tree.
    source_config_map: Option<String> = None, OPTIONAL_TEXT;

    /// The kind of object that runs a session. A Job is for clusters that queue or account Jobs: one pod, never
    /// tried again by the Job controller, paused by suspending it.
    workload: WorkloadKind = WorkloadKind::Pod, WORKLOAD;

    /// How long the cluster keeps a Job that ended. Without it a Job stays until its session is closed. Of effect
    /// with `workload = "job"` alone.
    job_ttl_seconds_after_finished: Option<u64> = None, OPTIONAL_SECONDS_OR_NONE;

    /// How long a pod may run at all; then the kubelet ends it. Without it a pod runs until its session is closed.
    active_deadline_seconds: Option<u64> = None, OPTIONAL_SECONDS;

    /// What happens to a session's objects when the client that started it is done.
    cleanup_policy: CleanupPolicy = CleanupPolicy::AlwaysClean, CLEANUP_POLICY;

    /// How many sessions there may be in the namespace at once. A session beyond is refused. When it is not set,
    /// `max_concurrent_conversations` holds, and without that there is no limit.
    max_sessions: Option<u32> = None, OPTIONAL_SESSIONS;

    /// How often a start that failed is tried anew, by the cause of the failure: `{ node_lost = 1, evicted = 1 }`.
    /// A cause that is not named is not tried again. `podbay serve` does the same with sessions on a claim whose pod was lost so:
    /// they are started again on their workspace when somebody asks for them, as often, counted since they were made or paused last.
    start_retries: BTreeMap<String, u32> = BTreeMap::new(), RETRIES;

    /// Label key that a node must have to take a pod. Only together with `node_selector_val`.
    node_selector_key: Option<String> = None, OPTIONAL_TEXT;

    /// Value of the label `node_selector_key`.
    node_selector_val: Option<String> = None, OPTIONAL_TEXT;

    /// Labels that a node must have to take a pod, besides `node_selector_key`.
    node_selector: BTreeMap<String, String> = BTreeMap::new(), TEXT_TABLE;

    /// Tolerations of the pods: a YAML list with the fields of a Kubernetes toleration, in snake case or camel
    /// case (`toleration_seconds` or `tolerationSeconds`).
    tolerations_yaml: Vec<Toleration> = Vec::new(), TOLERATIONS;

    /// Tolerations of the pods as tables, besides `tolerations_yaml`, with the same fields.
    tolerations: Vec<Toleration> = Vec::new(), TOLERATION_TABLES;

    /// Affinity of the pods: a `core/v1 Affinity`.
    affinity: Option<ApiObject> = None, API_OBJECT;

    /// How pods are spread over nodes and zones, each a `core/v1 TopologySpreadConstraint`.
    topology_spread_constraints: ApiObjects = ApiObjects::default(), API_OBJECTS;

    /// RuntimeClass of the pods, as for gVisor or Kata Containers.
    runtime_class: Option<String> = None, OPTIONAL_TEXT;

    /// PriorityClass of the pods.
    priority_class: Option<String> = None, OPTIONAL_TEXT;

    /// The scheduler that places the pods, where it is not the cluster's default one.
    scheduler_name: Option<String> = None, OPTIONAL_TEXT;

    /// Profile of the Pod Security Standards that the pods keep to. `restricted` when it is not set, or `privileged`
    /// where `privileged` is true.
    profile: Option<ProfileName> = None, PROFILE;

    /// Run the container privileged, as Docker in Docker needs. It gives the sandbox the node: root in such a
    /// container is root on the node. It selects the profile `privileged`.
    privileged: bool = false, SWITCH;

    /// User id of the sandbox's processes, where it is not the one of the profile.
    run_as_user: Option<u64> = None, OPTIONAL_ID;

    /// Group id of the sandbox's processes, where it is not the one of the profile.
    run_as_group: Option<u64> = None, OPTIONAL_ID;

    /// Group that owns the volumes, where it is not the one of the profile.
    fs_group: Option<u64> = None, OPTIONAL_ID;

    /// Further groups of the sandbox's processes.
    supplemental_groups: Vec<u64> = Vec::new(), IDS;

    /// Leave the user id to the cluster, as OpenShift wants it: the pod names neither a user nor a group for its
    /// volumes. Not together with `run_as_user` and `fs_group`.
    uid_from_cluster: bool = false, SWITCH;

    /// Whether the image's files are read-only in the sandbox, where it is not as the profile has it.
    read_only_root_filesystem: Option<bool> = None, OPTIONAL_SWITCH;

    /// Whether a process may gain more rights than its parent (set-user-ID programs such as sudo), where it is not
    /// as the profile has it.
    allow_privilege_escalation: Option<bool> = None, OPTIONAL_SWITCH;

    /// Linux capabilities that the container gets besides those of the profile.
    capabilities_add: Vec<String> = Vec::new(), TEXTS;

    /// Linux capabilities that are taken from the container.
    capabilities_drop: Vec<String> = Vec::new(), TEXTS;

    /// Seccomp profile of the pods, where it is not the one of the profile.
    seccomp_profile: Option<String> = None, SECCOMP;

    /// ServiceAccount of the pods, in the same namespace.
    service_account: Option<String> = None, OPTIONAL_TEXT;

    /// Put that account's token into the sandbox, with which its code can use the API server. Only together with
    /// `service_account`.
    automount_service_account_token: bool = false, SWITCH;

    /// What a sandbox may reach: nothing, DNS and the public internet, or all that the cluster lets pods reach.
    network: NetworkMode = NetworkMode::Default, NETWORK;

    /// Networks that a sandbox may reach besides: a CIDR with or without a port, as `10.1.2.0/24`,
    /// `10.1.2.3/32:5432`, `10.1.2.3/32:53/UDP` and `[fd00::/8]:443`.
    network_allow: Vec<String> = Vec::new(), TEXTS;

    /// Networks (CIDRs) that a sandbox may not reach besides the private ones, such as a public address of the API
    /// server.
    network_deny: Vec<String> = Vec::new(), TEXTS;

    /// Who may reach the agents of sessions by their pods' addresses, and in sessions that clients of `podbay serve` start the
    /// ports that it leads them to (VS Code, work ports), each a `networking/v1 NetworkPolicyPeer`: a `podSelector` for pods of
    /// the sessions' namespace, with a `namespaceSelector` for those of others. Nobody where it is empty; port-forward and exec
    /// pass network policies by. Of no effect with `network = "open"`.
    agent_from: ApiObjects = ApiObjects::default(), API_OBJECTS;

    /// Run pods in the network of their node. It passes every network policy by. Only with the profile
    /// `privileged`.
    host_network: bool = false, SWITCH;

    /// Port that the server in the sandbox listens on.
    server_port: u16 = 8080, PORT;

    /// Ports for web applications that are started in the sandbox.
    app_ports: Vec<u16> = vec![30082, 30083], PORTS;

    /// Whether hosts are served to the outside. Otherwise sessions get Services alone.
    ingress: bool = true, SWITCH;

    /// IngressClass. When it is not set, the cluster's default class is used.
    ingress_class: Option<String> = None, OPTIONAL_TEXT;

    /// Annotations of every Ingress or HTTPRoute.
    ingress_annotations: BTreeMap<String, String> = BTreeMap::new(), TEXT_TABLE;

    /// Name of the Secret with the TLS certificate of the ingress hosts.
    ingress_tls_secret: Option<String> = None, OPTIONAL_TEXT;

    /// Gateway that hosts are served by, with an HTTPRoute in place of the Ingress: `name`, `namespace/name` or
    /// `namespace/name/section`.
    gateway: Option<String> = None, OPTIONAL_TEXT;

    /// DNS domain of the cluster.
    cluster_domain: String = "cluster.local".to_owned(), TEXT;

    /// ConfigMap with certificates of authorities that the sandbox is to trust.
    ca_bundle_config_map: Option<String> = None, OPTIONAL_TEXT;

    /// Key of that ConfigMap with the bundle, in PEM.
    ca_bundle_key: String = "ca.crt".to_owned(), TEXT;

    /// Further entries of `/etc/hosts`, each a `core/v1 HostAlias`.
    host_aliases: ApiObjects = ApiObjects::default(), API_OBJECTS;

    /// Annotations of every pod, as service meshes read them.
    annotations: BTreeMap<String, String> = BTreeMap::new(), TEXT_TABLE;

    /// A `core/v1 PodTemplateSpec` that is laid over every pod last, by Kubernetes' strategic merge.
    pod_template: Option<ApiObject> = None, API_OBJECT;
}
