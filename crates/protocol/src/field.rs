//! What a session is asked with, by codes that each surface has its own words for.

/// Something that a caller says of a session: a field of the request, or a setting of the configuration.
///
/// Errors and hints name these, and [`Words`](crate::Words) gives them the name that the caller knows: a flag, a method,
/// a field of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The namespace of the session's objects.
    Namespace,
    /// The image.
    Image,
    /// The user that commands run as.
    User,
    /// The level of the Pod Security Standards.
    Profile,
    /// Environment variables.
    Env,
    /// The directory that commands start in.
    Workdir,
    /// CPU, in cores: request and limit.
    Cpu,
    /// Memory, in bytes: request and limit.
    Memory,
    /// Whether the workspace is on a claim.
    Persistent,
    /// Labels of the session's objects.
    Labels,
    /// The server that the image brings.
    Server,
    /// Ports that are reached from outside the pod.
    Ports,
    /// Whether VS Code is made reachable.
    VsCode,
    /// What the sandbox may reach.
    Network,
    /// The kind of object that runs the session.
    Workload,
    /// How many GPUs.
    Gpus,
    /// What the resources are multiplied with.
    ResourceFactor,
    /// A setting, by its full key such as `kubernetes.run_as_user`. It has that name on every surface.
    Setting(&'static str),
}

impl Field {
    /// Every field of the request.
    pub const OF_REQUEST: [Self; 17] = [
        Self::Namespace,
        Self::Image,
        Self::User,
        Self::Profile,
        Self::Env,
        Self::Workdir,
        Self::Cpu,
        Self::Memory,
        Self::Persistent,
        Self::Labels,
        Self::Server,
        Self::Ports,
        Self::VsCode,
        Self::Network,
        Self::Workload,
        Self::Gpus,
        Self::ResourceFactor,
    ];

    /// The stable code: a word in snake case, or the setting's key.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "namespace",
            Self::Image => "image",
            Self::User => "user",
            Self::Profile => "profile",
            Self::Env => "env",
            Self::Workdir => "workdir",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Persistent => "persistent",
            Self::Labels => "labels",
            Self::Server => "server",
            Self::Ports => "ports",
            Self::VsCode => "vscode",
            Self::Network => "network",
            Self::Workload => "workload",
            Self::Gpus => "gpus",
            Self::ResourceFactor => "resource_factor",
            Self::Setting(key) => key,
        }
    }

    /// The key of the setting that says it, if it is not the request alone that does.
    pub const fn setting(self) -> Option<&'static str> {
        match self {
            Self::Namespace => Some("kubernetes.namespace"),
            Self::Setting(key) => Some(key),
            _ => None,
        }
    }
}
