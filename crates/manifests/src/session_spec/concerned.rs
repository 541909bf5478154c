//! Which settings a problem is about.

use super::SpecError;
use crate::api_object::ApiObjectError;

/// What every full key of a setting begins with, apart from those at the top level.
const SECTIONS: [&str; 3] = ["kubernetes.", "sandbox.", "podbay."];
/// The setting at the top level that problems name.
const WORKSPACE: &str = "workspace_mount_path_in_sandbox";

impl SpecError {
    /// The full key of the setting that it is about, such as `kubernetes.affinity`; `None` where it is about a flag or
    /// the session as a whole.
    pub fn setting(&self) -> Option<&'static str> {
        key(self.sources().first().copied()?)
    }

    /// The keys of all settings that it is about, the one to change first.
    pub fn settings(&self) -> Vec<&'static str> {
        self.sources().into_iter().filter_map(key).collect()
    }

    /// Whether it is about how a setting goes together with others or with what was asked of the session: with other
    /// flags it may not be there.
    pub fn is_relation(&self) -> bool {
        match self {
            Self::ProfileContradiction { .. }
            | Self::Root { .. }
            | Self::NeedsProfile { .. }
            | Self::PodSecurity { .. }
            | Self::Contradiction { .. }
            | Self::Needs { .. }
            | Self::RequestAboveLimit { .. }
            | Self::MountedTwice { .. }
            | Self::VolumeTwice { .. }
            | Self::NoVolume { .. }
            | Self::ReadOnlyWorkspace
            | Self::EnvReserved { .. }
            | Self::MultipleTooLarge { .. }
            | Self::TooManyPorts { .. }
            | Self::VsCodeWithoutServer
            | Self::TooLarge { .. } => true,
            Self::Namespace(_)
            | Self::Image { .. }
            | Self::User(_)
            | Self::Id { .. }
            | Self::Capability { .. }
            | Self::Seccomp { .. }
            | Self::Quantity { .. }
            | Self::Zero { .. }
            | Self::Fraction { .. }
            | Self::Path { .. }
            | Self::MountAtRoot { .. }
            | Self::SandboxVolume { .. }
            | Self::NoAccessMode
            | Self::AccessMode { .. }
            | Self::ConfigMapKey { .. }
            | Self::Env { .. }
            | Self::Label(_)
            | Self::NodeSelector { .. }
            | Self::Platform { .. }
            | Self::AnnotationKey { .. }
            | Self::AnnotationReserved { .. }
            | Self::ApiObject { .. }
            | Self::Template(_)
            | Self::Factor { .. }
            | Self::ExtendedResource { .. }
            | Self::NetworkAllow(_)
            | Self::NetworkDeny(_)
            | Self::HostAlias { .. }
            | Self::PortZero
            | Self::SamePort { .. }
            | Self::Gateway { .. }
            | Self::ObjectName { .. } => false,
        }
    }

    /// Where inside the setting's value it is, as `[1].effect`; empty for the value as a whole.
    pub(super) fn inside(&self) -> String {
        match self {
            Self::ApiObject { item, source, .. } => {
                let item = item.map(|item| format!("[{}]", item.saturating_sub(1)));
                let (ApiObjectError::Unknown { path, .. }
                | ApiObjectError::Type { path, .. }
                | ApiObjectError::Word { path, .. }) = source;
                format!("{}.{path}", item.unwrap_or_default())
            }
            Self::AnnotationKey { key, .. } | Self::AnnotationReserved { key, .. } => format!(".{key}"),
            Self::ExtendedResource { name, .. } => format!(".{name}"),
            _ => String::new(),
        }
    }

    /// Flags and settings, as the message names them, the one at fault first.
    fn sources(&self) -> Vec<&'static str> {
        match self {
            Self::Namespace(_) => vec!["kubernetes.namespace"],
            Self::User(_) => vec!["--user"],
            Self::Image { setting, .. }
            | Self::Id { setting, .. }
            | Self::Capability { setting, .. }
            | Self::Quantity { setting, .. }
            | Self::Zero { setting }
            | Self::Fraction { setting, .. }
            | Self::Path { setting, .. }
            | Self::MountAtRoot { setting }
            | Self::Env { setting, .. }
            | Self::EnvReserved { setting, .. }
            | Self::NodeSelector { setting, .. }
            | Self::AnnotationKey { setting, .. }
            | Self::ApiObject { setting, .. }
            | Self::Factor { setting, .. }
            | Self::ExtendedResource { setting, .. }
            | Self::ObjectName { setting, .. } => vec![setting],
            Self::ProfileContradiction { setting, .. } => vec![setting, "kubernetes.privileged"],
            Self::Root { setting, .. } | Self::NeedsProfile { setting, .. } => {
                vec![setting, "kubernetes.profile", "kubernetes.privileged"]
            }
            Self::MultipleTooLarge { setting, .. } => vec![setting, "sandbox.remote_runtime_resource_factor"],
            Self::PodSecurity { .. } => {
                vec![
                    "kubernetes.pod_template",
                    "kubernetes.profile",
                    "kubernetes.privileged",
                ]
            }
            Self::Template(_) | Self::TooLarge { .. } => vec!["kubernetes.pod_template"],
            Self::Contradiction { first, second, .. } => vec![first, second],
            Self::Needs { given, missing } => vec![given, missing],
            Self::Seccomp { .. } => vec!["kubernetes.seccomp_profile"],
            Self::RequestAboveLimit {
                request_setting,
                limit_setting,
                ..
            } => vec![request_setting, limit_setting],
            // Ours never clash, so one of them is the configuration's.
            Self::MountedTwice { .. } | Self::NoVolume { .. } => {
                vec![
                    "kubernetes.volume_mounts",
                    "kubernetes.volumes",
                    "sandbox.volumes",
                ]
            }
            Self::VolumeTwice { .. } => vec!["kubernetes.volumes", "sandbox.volumes"],
            Self::ReadOnlyWorkspace => vec!["sandbox.volumes", WORKSPACE],
            Self::SandboxVolume { .. } => vec!["sandbox.volumes"],
            Self::NoAccessMode | Self::AccessMode { .. } => vec!["kubernetes.pvc_access_modes"],
            Self::ConfigMapKey { .. } => vec!["kubernetes.ca_bundle_key"],
            Self::Label(_) => vec!["--label"],
            Self::Platform { .. } => vec!["sandbox.platform"],
            Self::AnnotationReserved { .. } => vec!["kubernetes.annotations"],
            Self::NetworkAllow(_) => vec!["kubernetes.network_allow"],
            Self::NetworkDeny(_) => vec!["kubernetes.network_deny"],
            Self::HostAlias { .. } => vec!["kubernetes.host_aliases"],
            Self::PortZero | Self::TooManyPorts { .. } => vec!["--port", "kubernetes.app_ports"],
            Self::SamePort { .. } => vec!["kubernetes.server_port", "sandbox.vscode_port"],
            Self::VsCodeWithoutServer => vec!["--vscode"],
            Self::Gateway { .. } => vec!["kubernetes.gateway"],
        }
    }
}

/// The key in what a message names, which may have a value after it: `kubernetes.mount_source = true`.
fn key(source: &'static str) -> Option<&'static str> {
    let name = source.split(' ').next()?;
    let is_key = name == WORKSPACE || SECTIONS.iter().any(|section| name.starts_with(section));
    is_key.then_some(name)
}
