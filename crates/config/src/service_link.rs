//! The variables that Kubernetes sets in every container for each Service of the namespace
//! (`pkg/kubelet/envvars`), which may look like ours: a Service may well be called `podbay` or `sandbox-vscode`.

use std::ffi::OsStr;

/// Whether a variable has a name and value as Kubernetes gives one for a Service.
pub(crate) fn is_service_link(name: &str, value: &OsStr) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || names_a_port(name)
        || name.ends_with("_PORT") && is_address(value)
}

/// Docker's address of a linked container: `tcp://10.0.0.7:80`.
pub(crate) fn is_address(value: &OsStr) -> bool {
    value.to_str().is_some_and(|value| {
        ["tcp://", "udp://", "sctp://"]
            .iter()
            .any(|scheme| value.starts_with(scheme))
    })
}

/// `…_PORT_80_TCP`, and that with `_PROTO`, `_PORT` or `_ADDR`.
fn names_a_port(name: &str) -> bool {
    name.match_indices("_PORT_").any(|(start, found)| {
        let mut words = name[start + found.len()..].split('_');
        let number = words.next().unwrap_or_default();
        !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && matches!(words.next(), Some("TCP" | "UDP" | "SCTP"))
            && matches!(
                (words.next(), words.next()),
                (None, _) | (Some("PROTO" | "PORT" | "ADDR"), None)
            )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_sets_for_a_service_is_told_from_other_names() {
        let is_link = |name: &str, value: &str| is_service_link(name, OsStr::new(value));
        for (name, value) in [
            ("PODBAY_SERVICE_HOST", "10.0.0.7"),
            ("PODBAY_SERVICE_PORT", "80"),
            ("PODBAY_PROXY_SERVICE_PORT_HTTP", "80"),
            ("PODBAY_PORT", "tcp://10.0.0.7:80"),
            ("PODBAY_PORT_80_TCP", "tcp://10.0.0.7:80"),
            ("PODBAY_PORT_53_UDP_PROTO", "udp"),
            ("PODBAY_PORT_8080_TCP_PORT", "8080"),
            ("PODBAY_EXEC_PROXY_PORT_80_TCP_ADDR", "10.0.0.7"),
        ] {
            assert!(is_link(name, value), "{name}");
        }
        for (name, value) in [
            ("PODBAY_PORT", "80"),
            ("PODBAY_PORT_80", "80"),
            ("PODBAY_PORT_X_TCP", "80"),
            ("PODBAY_PORT_80_TCP_HOST", "a"),
            ("PODBAY_NAMESPACE", "tcp://10.0.0.7:80"),
        ] {
            assert!(!is_link(name, value), "{name}");
        }
    }
}
