//! What keeps a pod from starting, in the words of the scheduler, the kubelet and containerd.

/// What keeps a pod from starting, in the order of its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The scheduler finds no node: condition `PodScheduled`, event `FailedScheduling`.
    Unschedulable(Unschedulable),
    /// A volume is not attached or mounted: only events tell.
    Volume(VolumeTrouble),
    /// The pod's sandbox can't be set up (event `FailedCreatePodSandBox`).
    Sandbox {
        /// The runtime's words.
        message: String,
    },
    /// An init container exits with this code as often as it is started.
    Init {
        /// Which one, from 0.
        index: usize,
        /// The exit code.
        code: i32,
    },
    /// The kernel kills a process of an init container for its memory limit (`OOMKilled`); the container itself ends with
    /// this code. With 0 the kubelet takes it for failed all the same, and the pod stays `Pending`.
    InitOutOfMemory {
        /// Which one, from 0.
        index: usize,
        /// The exit code.
        code: i32,
    },
    /// The image can't be pulled.
    Image(ImageTrouble),
    /// The container's configuration can't be made (`CreateContainerConfigError`): a Secret or key is missing.
    Config {
        /// The kubelet's words: `secret "x" not found`.
        message: String,
    },
    /// The container runtime can't start the container (`RunContainerError`, then `StartError`).
    Start {
        /// The runtime's words.
        message: String,
    },
}

/// Why no node takes a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unschedulable {
    /// No node is so large: `Insufficient cpu`, and preemption is not helpful.
    TooLarge {
        /// `cpu`, `memory`, `nvidia.com/gpu`.
        resource: String,
    },
    /// The nodes are full: `Insufficient cpu`, and there are no preemption victims.
    Full {
        /// `cpu`, `memory`.
        resource: String,
    },
    /// No node has the labels (`nodeSelector`, node affinity).
    NodeSelector,
    /// The nodes have a taint the pod does not tolerate.
    Taint {
        /// `key: value`.
        taint: String,
    },
    /// The pod's affinity rules are met nowhere.
    PodAffinity,
    /// The nodes run as many pods as they may.
    TooManyPods,
    /// The scheduler's message, as it is.
    Message(String),
}

/// What is wrong with a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeTrouble {
    /// Event `FailedMount`.
    Mount {
        /// The kubelet's words: `MountVolume.SetUp failed for volume "x" : secret "y" not found`.
        message: String,
    },
    /// Event `FailedAttachVolume` of the attach-detach controller.
    Attach {
        /// Its words: `Multi-Attach error for volume "pvc-…" Volume is already used by pod(s) x`.
        message: String,
    },
}

/// What is wrong with an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageTrouble {
    /// The registry has no such tag.
    NotFound,
    /// The registry refuses, or the repository does not exist.
    Denied,
    /// The image's name can't be read (`InvalidImageName`).
    InvalidName,
    /// `imagePullPolicy: Never`, and the node doesn't have it (`ErrImageNeverPull`).
    NeverPresent,
    /// The registry can't be reached.
    Unreachable,
    /// The image is not built for the node.
    WrongPlatform,
    /// The runtime's message, as it is.
    Message(String),
}

impl Unschedulable {
    /// The scheduler's message, for a cluster of this many nodes (`FitError.Error`).
    pub(super) fn message(&self, nodes: usize) -> String {
        let fit = match self {
            Self::TooLarge { resource } | Self::Full { resource } => {
                format!("{nodes} Insufficient {resource}")
            }
            Self::NodeSelector => format!("{nodes} node(s) didn't match Pod's node affinity/selector"),
            Self::Taint { taint } => format!("{nodes} node(s) had untolerated taint {{{taint}}}"),
            Self::PodAffinity => format!("{nodes} node(s) didn't match pod affinity rules"),
            Self::TooManyPods => format!("{nodes} Too many pods"),
            Self::Message(message) => return message.clone(),
        };
        let preemption = match self {
            Self::Full { .. } | Self::TooManyPods => "No preemption victims found for incoming pod",
            _ => "Preemption is not helpful for scheduling",
        };
        fit_error(nodes, &fit, preemption)
    }
}

/// The scheduler's message (`FitError.Error`): why no node fits, and why making room would not help.
pub(super) fn fit_error(nodes: usize, fit: &str, preemption: &str) -> String {
    format!(
        "0/{nodes} nodes are available: {fit}. preemption: 0/{nodes} nodes are available: {nodes} {preemption}."
    )
}

impl ImageTrouble {
    /// The waiting reason while the pull fails.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::InvalidName => "InvalidImageName",
            Self::NeverPresent => "ErrImageNeverPull",
            _ => "ErrImagePull",
        }
    }

    /// Whether it is tried again and again, with `ImagePullBackOff` between.
    pub(super) const fn backs_off(&self) -> bool {
        !matches!(self, Self::InvalidName | Self::NeverPresent)
    }

    /// The words of the kubelet and containerd 2.
    pub(super) fn message(&self, image: &str) -> String {
        let pull = format!("failed to pull and unpack image {image:?}");
        match self {
            Self::NotFound => format!(
                "rpc error: code = NotFound desc = {pull}: failed to resolve reference {image:?}: {image}: not found"
            ),
            Self::Denied => format!(
                "{pull}: failed to resolve reference {image:?}: pull access denied, repository does not exist or may \
                 require authorization: server message: insufficient_scope: authorization failed"
            ),
            Self::InvalidName => format!(
                "Failed to apply default image tag {image:?}: couldn't parse image name {image:?}: invalid reference \
                 format"
            ),
            Self::NeverPresent => {
                format!("Container image {image:?} is not present with pull policy of Never")
            }
            Self::Unreachable => format!(
                "{pull}: failed to resolve reference {image:?}: failed to do request: Head \"https://registry.example/v2/\": \
                 dial tcp 192.0.2.1:443: connect: connection refused"
            ),
            Self::WrongPlatform => format!("{pull}: no match for platform in manifest: not found"),
            Self::Message(message) => message.clone(),
        }
    }
}
