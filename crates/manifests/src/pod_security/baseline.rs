//! The controls of `baseline`: what it forbids needs `privileged`.

use k8s_openapi::api::core::v1::{AppArmorProfile, Pod, PodSpec, SELinuxOptions, SeccompProfile};

use super::{Place, Violation, containers, volume_level};
use crate::profile::Profile;
use crate::session_spec::BASELINE_CAPABILITIES;

/// Sysctls that are namespaced and can hurt nobody else.
const SAFE_SYSCTLS: [&str; 11] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
];
/// The one that came after those.
const SAFE_SYSCTL_WMEM: &str = "net.ipv4.tcp_wmem";
/// SELinux types of ordinary containers.
const SELINUX_TYPES: [&str; 5] = [
    "",
    "container_t",
    "container_init_t",
    "container_kvm_t",
    "container_engine_t",
];
/// What an AppArmor profile was named by before it had a field: this, and the container's name.
const APPARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

fn violation(path: String, found: impl Into<String>, control: &'static str) -> Violation {
    Violation {
        path,
        found: found.into(),
        control,
        needs: Profile::Privileged,
    }
}

pub(super) fn violations(pod: &Pod) -> Vec<Violation> {
    let mut found = apparmor_annotations(pod);
    let Some(spec) = &pod.spec else {
        return found;
    };
    found.extend(of_pod(spec));
    for place in containers(spec) {
        found.extend(of_container(&place));
    }
    found
}

fn apparmor_annotations(pod: &Pod) -> Vec<Violation> {
    let annotations = pod.metadata.annotations.iter().flatten();
    annotations
        .filter(|(key, _)| key.starts_with(APPARMOR_ANNOTATION))
        .filter(|(_, value)| {
            !value.is_empty() && *value != "runtime/default" && !value.starts_with("localhost/")
        })
        .map(|(key, value)| violation(format!("metadata.annotations[{key}]"), value, "AppArmor"))
        .collect()
}

fn of_pod(spec: &PodSpec) -> Vec<Violation> {
    let namespaces = [
        ("hostNetwork", spec.host_network),
        ("hostPID", spec.host_pid),
        ("hostIPC", spec.host_ipc),
    ];
    let mut found: Vec<_> = namespaces
        .into_iter()
        .filter(|(_, host)| *host == Some(true))
        .map(|(field, _)| violation(format!("spec.{field}"), "true", "Host Namespaces"))
        .collect();
    for volume in spec.volumes.iter().flatten() {
        if volume_level(volume) == Profile::Privileged {
            found.push(violation(
                format!("spec.volumes[{}]", volume.name),
                "a hostPath",
                "HostPath Volumes",
            ));
        }
    }
    let Some(context) = &spec.security_context else {
        return found;
    };
    let path = |field: &str| format!("spec.securityContext.{field}");
    found.extend(seccomp(path("seccompProfile"), context.seccomp_profile.as_ref()));
    found.extend(apparmor(
        path("appArmorProfile"),
        context.app_armor_profile.as_ref(),
    ));
    found.extend(selinux(
        &path("seLinuxOptions"),
        context.se_linux_options.as_ref(),
    ));
    let windows = context.windows_options.as_ref();
    if windows.and_then(|options| options.host_process) == Some(true) {
        found.push(violation(
            path("windowsOptions.hostProcess"),
            "true",
            "HostProcess",
        ));
    }
    for sysctl in context.sysctls.iter().flatten() {
        let name = sysctl.name.as_str();
        if !SAFE_SYSCTLS.contains(&name) && name != SAFE_SYSCTL_WMEM {
            found.push(violation(path("sysctls"), name, "Sysctls"));
        }
    }
    found
}

fn of_container(place: &Place<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for port in place.container.ports.iter().flatten() {
        if let Some(host_port) = port.host_port.filter(|port| *port != 0) {
            found.push(violation(
                format!("{}.ports.hostPort", place.path),
                host_port.to_string(),
                "Host Ports",
            ));
        }
    }
    let Some(context) = place.context() else {
        return found;
    };
    if context.privileged == Some(true) {
        found.push(violation(
            place.in_context("privileged"),
            "true",
            "Privileged Containers",
        ));
    }
    let added = context
        .capabilities
        .iter()
        .flat_map(|capabilities| &capabilities.add);
    for capability in added.flatten() {
        if !BASELINE_CAPABILITIES.contains(&capability.as_str()) {
            found.push(violation(
                place.in_context("capabilities.add"),
                capability,
                "Capabilities",
            ));
        }
    }
    if let Some(mount) = context.proc_mount.as_ref().filter(|mount| *mount != "Default") {
        found.push(violation(
            place.in_context("procMount"),
            mount,
            "/proc Mount Type",
        ));
    }
    let windows = context.windows_options.as_ref();
    if windows.and_then(|options| options.host_process) == Some(true) {
        found.push(violation(
            place.in_context("windowsOptions.hostProcess"),
            "true",
            "HostProcess",
        ));
    }
    found.extend(seccomp(
        place.in_context("seccompProfile"),
        context.seccomp_profile.as_ref(),
    ));
    found.extend(apparmor(
        place.in_context("appArmorProfile"),
        context.app_armor_profile.as_ref(),
    ));
    found.extend(selinux(
        &place.in_context("seLinuxOptions"),
        context.se_linux_options.as_ref(),
    ));
    found
}

fn seccomp(path: String, profile: Option<&SeccompProfile>) -> Option<Violation> {
    let kind = &profile?.type_;
    (kind != "RuntimeDefault" && kind != "Localhost").then(|| violation(path, kind, "Seccomp"))
}

fn apparmor(path: String, profile: Option<&AppArmorProfile>) -> Option<Violation> {
    let kind = &profile?.type_;
    (kind != "RuntimeDefault" && kind != "Localhost").then(|| violation(path, kind, "AppArmor"))
}

fn selinux(path: &str, options: Option<&SELinuxOptions>) -> Vec<Violation> {
    let Some(options) = options else {
        return Vec::new();
    };
    let kind = options.type_.as_deref().unwrap_or_default();
    let mut found = Vec::new();
    if !SELINUX_TYPES.contains(&kind) {
        found.push(violation(format!("{path}.type"), kind, "SELinux"));
    }
    for (field, value) in [("user", &options.user), ("role", &options.role)] {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            found.push(violation(format!("{path}.{field}"), value, "SELinux"));
        }
    }
    found
}
