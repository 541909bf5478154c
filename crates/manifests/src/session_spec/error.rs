//! What can be wrong with a session's specification.

use crate::api_object::ApiObjectError;
use crate::cidr::CidrError;
use crate::dns::DnsError;
use crate::environment::EnvError;
use crate::image::ImageError;
use crate::labels::LabelError;
use crate::opening::OpeningError;
use crate::path::ContainerPathError;
use crate::platform::ARCHITECTURES;
use crate::pod_security::Violation;
use crate::pod_template::PodTemplateError;
use crate::profile::Profile;
use crate::quantity::{Quantity, QuantityError};
use crate::user::{RunAs, RunAsError};

/// One thing that is wrong. `setting` is the flag or the configuration's field that it came from.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The namespace is no DNS label.
    #[error("--namespace (or kubernetes.namespace) can't be used")]
    Namespace(#[source] DnsError),
    /// The image is no image reference.
    #[error("{setting} can't be used")]
    Image {
        /// Where the image came from.
        setting: &'static str,
        /// What is wrong with it.
        source: ImageError,
    },
    /// The user is not one Kubernetes takes.
    #[error("--user can't be used")]
    User(#[source] RunAsError),
    /// The configuration asks for privilege and something else for less.
    #[error("{setting} {asked} contradicts kubernetes.privileged = true: drop one of them")]
    ProfileContradiction {
        /// Where the profile came from.
        setting: &'static str,
        /// The profile that was asked for.
        asked: Profile,
    },
    /// Root where the profile forbids it.
    #[error("{setting} {user} is root, which the profile restricted forbids: add --profile baseline")]
    Root {
        /// Where the user came from.
        setting: &'static str,
        /// The user.
        user: RunAs,
    },
    /// Something that the profile forbids.
    #[error("{setting} {asked} is what the profile {profile} forbids: it needs the profile {needs}")]
    NeedsProfile {
        /// What asks for it.
        setting: &'static str,
        /// What is asked.
        asked: String,
        /// The session's profile.
        profile: Profile,
        /// The strictest profile that allows it.
        needs: Profile,
    },
    /// The finished pod has what the profile forbids.
    #[error("kubernetes.pod_template makes a pod that the profile {profile} forbids")]
    PodSecurity {
        /// The session's profile.
        profile: Profile,
        /// What it forbids.
        #[source]
        violation: Violation,
    },
    /// Two settings that can't hold together.
    #[error("{first} and {second} contradict each other: {advice}")]
    Contradiction {
        /// One of them.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// Why, or what to do.
        advice: &'static str,
    },
    /// A setting that says nothing without another.
    #[error("{given} needs {missing}")]
    Needs {
        /// What is set.
        given: &'static str,
        /// What is not.
        missing: &'static str,
    },
    /// A number that is no user or group.
    #[error("{setting} can't be {value}: ids are numbers from 0 to 2147483647")]
    Id {
        /// Where it came from.
        setting: &'static str,
        /// The number.
        value: u64,
    },
    /// A name that is no capability.
    #[error("{setting} can't have {name:?}: a capability's name is one such as NET_ADMIN, or ALL")]
    Capability {
        /// Where it came from.
        setting: &'static str,
        /// The name.
        name: String,
    },
    /// A text that names no seccomp profile.
    #[error("kubernetes.seccomp_profile can't be {profile:?}: RuntimeDefault, Unconfined or Localhost/PATH")]
    Seccomp {
        /// The text.
        profile: String,
    },
    /// An amount is no quantity.
    #[error("{setting} can't be used")]
    Quantity {
        /// Where the amount came from.
        setting: &'static str,
        /// What is wrong with it.
        source: QuantityError,
    },
    /// An amount is zero.
    #[error("{setting} must be more than 0")]
    Zero {
        /// Where the amount came from.
        setting: &'static str,
    },
    /// Bytes that are no whole number.
    #[error("{setting} {value} is not a whole number of bytes: {}", value.how_to_write_bytes())]
    Fraction {
        /// Where the amount came from.
        setting: &'static str,
        /// The amount.
        value: Quantity,
    },
    /// More is requested than the limit lets the container use.
    #[error(
        "{request_setting} {request} is more than {limit_setting} {limit}: a request is at most the limit"
    )]
    RequestAboveLimit {
        /// Where the request came from.
        request_setting: &'static str,
        /// The request.
        request: Quantity,
        /// Where the limit came from.
        limit_setting: &'static str,
        /// The limit.
        limit: Quantity,
    },
    /// A path can't be one in the container.
    #[error("{setting} can't be used")]
    Path {
        /// Where the path came from.
        setting: &'static str,
        /// What is wrong with it.
        source: ContainerPathError,
    },
    /// A volume would hide the whole image.
    #[error("{setting} can't be \"/\": the image's own files would be hidden; name a directory")]
    MountAtRoot {
        /// Where the path came from.
        setting: &'static str,
    },
    /// Two volumes at one path.
    #[error("two volumes are mounted at {path}: {first} and {second}")]
    MountedTwice {
        /// The path.
        path: String,
        /// A volume.
        first: String,
        /// The other.
        second: String,
    },
    /// Two volumes of one name.
    #[error("kubernetes.volumes can't have a volume {name}: there is another of this name")]
    VolumeTwice {
        /// The name.
        name: String,
    },
    /// A mount of a volume that is not there.
    #[error("kubernetes.volume_mounts mounts {name:?}, which is not among kubernetes.volumes")]
    NoVolume {
        /// The name.
        name: String,
    },
    /// The workspace can't be written.
    #[error("sandbox.volumes mounts the workspace read-only: leave out \":ro\"")]
    ReadOnlyWorkspace,
    /// An entry of `sandbox.volumes` that can't be read.
    #[error(
        "sandbox.volumes can't have {entry:?}: SOURCE:PATH or SOURCE:PATH:MODE, where the mode is rw or ro"
    )]
    SandboxVolume {
        /// The entry.
        entry: String,
    },
    /// A claim that nobody may use.
    #[error("kubernetes.pvc_access_modes must name at least one mode")]
    NoAccessMode,
    /// A word that is no access mode.
    #[error(
        "kubernetes.pvc_access_modes can't have {mode:?}: ReadWriteOnce, ReadWriteMany, ReadOnlyMany or \
         ReadWriteOncePod"
    )]
    AccessMode {
        /// The word.
        mode: String,
    },
    /// A text that is no key of a ConfigMap.
    #[error("kubernetes.ca_bundle_key can't be {key:?}: letters, digits, \"-\", \"_\" and \".\"")]
    ConfigMapKey {
        /// The text.
        key: String,
    },
    /// The environment can't be used.
    #[error("{setting} can't be used")]
    Env {
        /// Where the environment came from.
        setting: &'static str,
        /// What is wrong with it.
        source: EnvError,
    },
    /// A variable that Podbay sets itself.
    #[error(
        "{setting} {name} is set by Podbay when the image brings a server (each session has its own key): drop it"
    )]
    EnvReserved {
        /// Where the variable came from.
        setting: &'static str,
        /// The variable.
        name: &'static str,
    },
    /// A label can't be used.
    #[error("--label can't be used")]
    Label(#[source] LabelError),
    /// A node selector that no node's labels can meet.
    #[error("{setting} can't be used")]
    NodeSelector {
        /// Where it came from.
        setting: &'static str,
        /// What is wrong with it.
        source: LabelError,
    },
    /// A text that names no platform.
    #[error(
        "sandbox.platform can't be {platform:?}: an operating system and an architecture, as linux/amd64, of which nodes \
         have linux and windows, and {}", ARCHITECTURES.join(", ")
    )]
    Platform {
        /// The text.
        platform: String,
    },
    /// A key that no annotation can have.
    #[error(
        "{setting} can't have {key:?}: an optional DNS subdomain and \"/\", then 1 to 63 letters, digits, \"-\", \"_\" and \
         \".\""
    )]
    AnnotationKey {
        /// Where it came from.
        setting: &'static str,
        /// The key.
        key: String,
    },
    /// An annotation of ours.
    #[error("kubernetes.annotations can't have {key}: {prefix}/* are set by Podbay")]
    AnnotationReserved {
        /// The key.
        key: String,
        /// What our annotations start with.
        prefix: &'static str,
    },
    /// A piece of the Kubernetes API that the API does not take.
    #[error("{setting}{} can't be used", .item.map_or(String::new(), |item| format!(" (item {item})")))]
    ApiObject {
        /// Where it came from.
        setting: &'static str,
        /// Which item of a list, from one.
        item: Option<usize>,
        /// What is wrong with it.
        source: ApiObjectError,
    },
    /// The pod template can't be laid over the pod.
    #[error("kubernetes.pod_template can't be used")]
    Template(#[source] PodTemplateError),
    /// A factor that resources are not multiplied with.
    #[error("{setting} can't be {factor}: 1, 2, 4 or 8")]
    Factor {
        /// Where it came from.
        setting: &'static str,
        /// The number.
        factor: u32,
    },
    /// More than Kubernetes holds.
    #[error("{setting} {amount}, {factor} times, is more than the 2^63 - 1 that Kubernetes holds")]
    MultipleTooLarge {
        /// Where the amount came from.
        setting: &'static str,
        /// The amount.
        amount: Quantity,
        /// What it is multiplied with.
        factor: u32,
    },
    /// A name that no extended resource has.
    #[error("{setting} can't have {name:?}: a resource is named by domain and name, as nvidia.com/gpu")]
    ExtendedResource {
        /// Where it came from.
        setting: &'static str,
        /// The name.
        name: String,
    },
    /// A range of addresses that can't be read.
    #[error("kubernetes.network_allow can't be used")]
    NetworkAllow(#[source] OpeningError),
    /// A range of addresses that can't be read.
    #[error("kubernetes.network_deny can't be used")]
    NetworkDeny(#[source] CidrError),
    /// An entry of `/etc/hosts` without an address.
    #[error("kubernetes.host_aliases can't have the address {ip:?}: an IPv4 or IPv6 address")]
    HostAlias {
        /// The text.
        ip: String,
    },
    /// A port that nothing listens on.
    #[error("--port (or kubernetes.app_ports) can't be 0: 1 to 65535")]
    PortZero,
    /// More ports than a session may have.
    #[error("{count} ports are too many: a session may have {most}")]
    TooManyPorts {
        /// How many were asked for.
        count: usize,
        /// How many it may have.
        most: usize,
    },
    /// Server and VS Code can't share a port.
    #[error("kubernetes.server_port and sandbox.vscode_port are both {port}: choose two")]
    SamePort {
        /// The port.
        port: u16,
    },
    /// Nothing in the image starts VS Code.
    #[error("--vscode needs an image with a server, which starts it: add --server")]
    VsCodeWithoutServer,
    /// A text that names no Gateway.
    #[error("kubernetes.gateway can't be {gateway:?}: NAME, NAMESPACE/NAME or NAMESPACE/NAME/SECTION")]
    Gateway {
        /// The text.
        gateway: String,
    },
    /// More than the record holds.
    #[error(
        "the session's settings have {bytes} bytes, and its record holds {most}: make kubernetes.pod_template or other tables smaller"
    )]
    TooLarge {
        /// How many it has.
        bytes: usize,
        /// How many the record holds.
        most: usize,
    },
    /// The name of an object is no DNS subdomain.
    #[error("{setting} can't be used")]
    ObjectName {
        /// Where the name came from.
        setting: &'static str,
        /// What is wrong with it.
        source: DnsError,
    },
}
