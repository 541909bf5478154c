//! The sentence of each hint: the same on every surface, with its own words for fields and operations.

use std::borrow::Cow;

use super::Hint;
use crate::field::Field;
use crate::words::{Operation, Words};

/// The sentence for `hint`.
#[expect(clippy::too_many_lines, reason = "a table with a line for each hint")]
pub(super) fn sentence(hint: &Hint, words: &dyn Words) -> Cow<'static, str> {
    let field = |field| words.field(field);
    let operation = |operation| words.operation(operation);
    match hint {
        Hint::Said { text, code: None } => text.clone().into(),
        Hint::Said { code: Some(code), .. } => sentence(code, words),
        Hint::ReadLog => format!("its log tells why: {}", operation(Operation::ReadLog)).into(),
        Hint::KeepToReadLog => format!(
            "the image's program has to go on running: see what it lacks; kubernetes.cleanup_policy = \
             \"keep_on_failure\" keeps such a session for {}",
            operation(Operation::ReadLog)
        )
        .into(),
        Hint::OpenAgain => format!(
            "{} makes a new one on what the session keeps (its claim, if it has one)",
            operation(Operation::OpenAgain)
        )
        .into(),
        Hint::OpenAgainHere => format!(
            "{} starts it again; its files are there, what ran in it is not",
            operation(Operation::OpenAgain)
        )
        .into(),
        Hint::InstallAgent => Cow::Borrowed(
            "a session that outlives its command is kept by podbay-agent: put it beside podbay or into PATH (cargo build -p \
             podbay-agent, or crates/agent/build), or name it with the setting agent.binary",
        ),
        Hint::RaiseMemory => format!("give the session more with {}", field(Field::Memory)).into(),
        Hint::UseImageWithShell => format!(
            "a session keeps its container alive with the image's /bin/sh and sleep: use an image that has them, or \
             declare that it carries its own server ({})",
            field(Field::Server)
        )
        .into(),
        Hint::UseImageWithServer {
            server,
            program,
            image,
        } => format!(
            "the server {server:?} ({}) is started by {program}, which the image does not have: use {image}, or an image \
             built on it, or another kind of server",
            field(Field::Server)
        )
        .into(),
        Hint::MendCommand { program } => format!(
            "the container's command is {program}, which the image does not have: mend the command \
             (kubernetes.pod_template), or use an image that has it"
        )
        .into(),
        Hint::CheckServer => format!(
            "see whether {} says which server the image has, and what it lacks; one that is only slow needs more: \
             podbay.start_timeout_seconds",
            field(Field::Server)
        )
        .into(),
        Hint::MakePullSecret { secret } => format!(
            "the Secret {secret} is not in the session's namespace: make it there (kubectl create secret \
             docker-registry), or mend kubernetes.image_pull_secret"
        )
        .into(),
        Hint::AskForLess => format!(
            "no node is as large: ask for less with {} and {}, or add larger nodes",
            field(Field::Cpu),
            field(Field::Memory)
        )
        .into(),
        Hint::AskForFewerDevices { device } => format!(
            "no node has as many {device}: ask for fewer (kubernetes.extended_resources, sandbox.enable_gpu and \
             kubernetes.gpu_resource_name), or add nodes whose device plugin offers them (kubectl describe nodes)"
        )
        .into(),
        Hint::CheckLimitRange => format!(
            "the namespace's LimitRange forbids it: kubectl describe limits tells what is allowed; \
             kubernetes.resource_* settings, {} and {} say what is asked for",
            field(Field::Cpu),
            field(Field::Memory)
        )
        .into(),
        Hint::Kept { session, hint } => format!(
            "{}; its objects were kept (kubernetes.cleanup_policy): {} tells more, {} removes them",
            sentence(hint, words),
            operation(Operation::Describe(session)),
            operation(Operation::Delete(session))
        )
        .into(),
        Hint::CloseOrPauseOne => format!(
            "close or pause one ({} shows them), or raise kubernetes.max_sessions",
            operation(Operation::List)
        )
        .into(),
        Hint::OpenPersistent { session } => format!(
            "open it with {} to pause it later; {} ends it",
            field(Field::Persistent),
            operation(Operation::Close(session))
        )
        .into(),
        Hint::Resume { session } => {
            format!("{} brings it back", operation(Operation::Resume(session))).into()
        }
        Hint::ListOrOpen { session } => format!(
            "{} shows the sessions there are; {} opens one",
            operation(Operation::List),
            operation(Operation::Open(session))
        )
        .into(),
        Hint::Replace { session } => format!(
            "its environment is known to that client alone: {} makes it anew",
            operation(Operation::Replace(session))
        )
        .into(),
        Hint::NameClusterOrRunLocally => format!(
            "name a cluster with {}, or run on this machine with {} (no isolation, no image)",
            operation(Operation::NameCluster),
            operation(Operation::RunLocally)
        )
        .into(),
        Hint::CheckObjects => format!(
            "the message names the field that is not valid; {} shows the object, with what settings such as \
             kubernetes.pod_template add to it",
            operation(Operation::Render)
        )
        .into(),
        Hint::SkipLinks => format!(
            "copy what the link leads to, or leave links out with {}",
            operation(Operation::SkipLinks)
        )
        .into(),
        Hint::OpenWithAgent => Cow::Borrowed("processes that outlive their connection need Podbay's agent in the session's pod: this session was opened \
            without one (an earlier version, no static agent at hand, a server of the image's, or agent.delivery = \"none\"); close it and open it \
            again with one"),
        Hint::RaisePriority => Cow::Borrowed("a pod of higher priority took its place: try again, or give sessions a priority class"),
        Hint::CheckNodes => Cow::Borrowed("kubectl get nodes tells; another try lands elsewhere"),
        Hint::RaiseLifetime => Cow::Borrowed("the session may not run longer than kubernetes.active_deadline_seconds: raise it, or close sessions sooner"),
        Hint::RaiseWorkspaceSize => Cow::Borrowed("the sandbox wrote more than kubernetes.workspace_size_limit (or the sizeLimit of another volume) allows: \
             raise it, or write less"),
        Hint::RaiseEphemeralStorage => Cow::Borrowed("the sandbox wrote more than kubernetes.resource_ephemeral_storage_limit allows: raise it, or write less"),
        Hint::TryElsewhere => Cow::Borrowed("the node ran short of memory or disk, or was drained: another try lands elsewhere"),
        Hint::ClosedBySomebody => Cow::Borrowed("somebody closed the session or deleted its pod"),
        Hint::OpenAgainIfWanted => Cow::Borrowed("open it again, if it is still wanted"),
        Hint::DescribePod => Cow::Borrowed("kubectl describe pod tells more"),
        Hint::LookBeforeRunningAgain => Cow::Borrowed("the command may have run, or still run: look before it is run again"),
        Hint::CloseToEndAll => Cow::Borrowed("closing the session ends all that runs in it"),
        Hint::UseImageWithShellForCommands => Cow::Borrowed("commands are carried by the image's /bin/sh until an agent is in the pod: use an image that has one"),
        Hint::CheckImageName => Cow::Borrowed("check the image's name and tag, and that it was pushed"),
        Hint::CheckAgentImage => Cow::Borrowed("agent.image names the image that Podbay's agent comes out of: check its name and tag, that it was pushed for \
             the nodes' architecture, and that kubernetes.image_pull_secret opens its registry; agent.delivery = \"none\" goes \
             on without an agent"),
        Hint::LoadImage => Cow::Borrowed("the image is not on the node, and is never pulled (kubernetes.pull_policy = \"Never\"): load it on the \
             node, or set IfNotPresent"),
        Hint::CheckInitContainer => Cow::Borrowed("the init container comes from kubernetes.pod_template or from an admission webhook of the cluster; \
             kubernetes.cleanup_policy = \"keep_on_failure\" keeps the pod for kubectl logs -c"),
        Hint::RaiseInitContainerMemory => Cow::Borrowed("raise the init container's memory limit: it comes from kubernetes.pod_template or from an admission \
             webhook of the cluster"),
        Hint::NameStorageClass => Cow::Borrowed("kubernetes.pvc_storage_class names it: kubectl get storageclasses shows those there are"),
        Hint::SetStorageClass => Cow::Borrowed("the cluster has no default storage class: set kubernetes.pvc_storage_class (kubectl get storageclasses)"),
        Hint::GiveImageCredentials => Cow::Borrowed("the repository does not exist or is private: check the name, and set kubernetes.image_pull_secret"),
        Hint::WriteImageReference => Cow::Borrowed("write the image as [REGISTRY/]NAME[:TAG][@DIGEST]"),
        Hint::UseImageForArchitecture => Cow::Borrowed("the image is not built for the nodes' architecture"),
        Hint::WaitForRegistry => Cow::Borrowed("the registry could not be reached or failed; podbay.image_pull_grace_seconds says how long that may last"),
        Hint::CheckSecretsAndUser => Cow::Borrowed("a Secret, a key of it or a user that the pod names is not as it should be"),
        Hint::TryAnotherNode => Cow::Borrowed("the node could not start the container; another may"),
        Hint::NodeCannotStartCommand => Cow::Borrowed("the node could not start the command"),
        Hint::AskNodeOwner => Cow::Borrowed("the node can't set up pods (network, runtime): its owner can tell"),
        Hint::AddVolumeKey => Cow::Borrowed("the ConfigMap or Secret of a volume lacks a key that the volume names (kubernetes.volumes, \
             kubernetes.pod_template): add it, or mark it as optional"),
        Hint::MakeConfigMap => Cow::Borrowed("make the ConfigMap in the session's namespace, or mend what names it: kubernetes.volumes, \
             kubernetes.pod_template, kubernetes.source_config_map or kubernetes.ca_bundle_config_map"),
        Hint::MakeVolumeSecret => Cow::Borrowed("make the Secret in the session's namespace, or mend what names it: kubernetes.volumes or \
             kubernetes.pod_template"),
        Hint::DescribeVolumes => Cow::Borrowed("kubectl describe pod and pvc tell more; another node may be able to"),
        Hint::MakeClaim => Cow::Borrowed("make the claim in the session's namespace, or mend what names it: kubernetes.pvc_existing_claim, \
             kubernetes.cache_claim, kubernetes.source_claim or kubernetes.volumes"),
        Hint::CheckStorageClass => Cow::Borrowed("does the storage class exist and provision? kubectl describe pvc tells"),
        Hint::WaitForCapacity => Cow::Borrowed("the nodes are full: close sessions, ask for less, or wait longer (podbay.capacity_grace_seconds)"),
        Hint::AddToleration => Cow::Borrowed("add a toleration (kubernetes.tolerations_yaml)"),
        Hint::CheckNodeLabels => Cow::Borrowed("no node is as asked for: check kubernetes.node_selector_key and _val, kubernetes.node_selector, \
             kubernetes.affinity and sandbox.platform against kubectl get nodes --show-labels"),
        Hint::DescribeUnschedulable => Cow::Borrowed("kubectl describe pod tells more; podbay.unschedulable_grace_seconds says how long it may last"),
        Hint::CheckQueue => Cow::Borrowed("the cluster's queue is full or does not know the Job's labels: kubectl describe job tells; wait longer with \
             podbay.start_timeout_seconds"),
        Hint::DescribeJob => Cow::Borrowed("kubectl describe job tells; the cluster's Job controller may be overloaded"),
        Hint::RaiseStartTimeout => Cow::Borrowed("a large image or a slow node may need more: podbay.start_timeout_seconds"),
        Hint::UseRestrictedProfile => Cow::Borrowed("the namespace's label pod-security.kubernetes.io/enforce forbids the fields named: use the profile \
             restricted, or another namespace"),
        Hint::FreeQuota => Cow::Borrowed("kubectl describe quota tells what is used: close sessions, or ask for less"),
        Hint::StateResources => Cow::Borrowed("the namespace's quota wants every pod to say how much of that it takes: kubernetes.resource_cpu_limit, \
             resource_cpu_request, resource_memory_limit, resource_memory_request, \
             resource_ephemeral_storage_limit and resource_ephemeral_storage_request"),
        Hint::AskPolicyOwner => Cow::Borrowed("a policy of the cluster forbids it: its owner can tell what is allowed"),
        Hint::UseAnotherNamespace => Cow::Borrowed("the namespace is being deleted"),
        Hint::CheckRuntimeClass => Cow::Borrowed("kubernetes.runtime_class names it: kubectl get runtimeclasses shows those there are"),
        Hint::CheckPriorityClass => Cow::Borrowed("kubernetes.priority_class names it: kubectl get priorityclasses shows those there are"),
        Hint::CheckServiceAccount => Cow::Borrowed("kubernetes.service_account names it (\"default\" when it is not set): kubectl get serviceaccounts shows \
             those of the namespace"),
        Hint::RefusedByAdmission => Cow::Borrowed("the cluster's admission refuses it"),
        Hint::WaitForDeletion => Cow::Borrowed("a finalizer or a node that does not answer may hold it; deletion goes on by itself"),
        Hint::GrantRights => Cow::Borrowed("the credentials lack a right; kind/manifests/role.yaml lists all that Podbay needs, and kubectl auth can-i \
             tells what there is"),
        Hint::CheckCredentials => Cow::Borrowed("the credentials are missing, expired or of another cluster"),
        Hint::CheckNamespace => Cow::Borrowed("does the namespace exist? kubectl get namespaces"),
        Hint::CheckApiServer => Cow::Borrowed("is the API server up, and is this the right kubeconfig and context?"),
        Hint::ApiServerOverloaded => Cow::Borrowed("the API server is overloaded or the network drops packets"),
        Hint::FewerSessionsAtOnce => Cow::Borrowed("the API server sheds load; fewer sessions at once help"),
        // Nothing is known of it but that it is of a later version.
        Hint::Unknown => Cow::Borrowed(""),
    }
}
