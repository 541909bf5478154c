//! The table of settings and the page made from it.

use std::collections::BTreeSet;

use podbay_config::{Section, reference_markdown, settings};

#[test]
fn every_setting_is_documented() {
    let page = reference_markdown();
    let mut keys = BTreeSet::new();
    for setting in settings() {
        assert!(
            keys.insert(setting.key.clone()),
            "{} is declared twice",
            setting.key
        );
        assert!(
            setting.doc.ends_with('.') && setting.doc.len() > 20,
            "{}: {}",
            setting.key,
            setting.doc
        );
        assert!(
            !setting.environment.is_empty() && !setting.allowed.is_empty(),
            "{}",
            setting.key
        );
        let heading = page
            .find(&format!("\n### `{}`\n", setting.name))
            .expect(&setting.key);
        let entry = &page[heading + 1..];
        let entry = entry[3..].find("\n#").map_or(entry, |end| &entry[..end + 3]);
        assert!(entry.contains(&setting.doc), "{entry}");
        assert!(
            entry.contains(setting.allowed) && entry.contains(setting.type_name),
            "{entry}"
        );
        for name in &setting.environment {
            assert!(entry.contains(&format!("`{name}`")), "{entry}");
        }
        let default = setting
            .default
            .as_ref()
            .map_or("not set".to_owned(), |default| format!("`{default}`"));
        assert!(entry.contains(&format!("- Default: {default}\n")), "{entry}");
    }
}

#[test]
fn the_names_of_the_settings() {
    let in_section = |section| -> Vec<_> {
        settings()
            .iter()
            .filter(|setting| setting.section == section)
            .map(|setting| setting.name)
            .collect()
    };
    assert_eq!(in_section(Section::TopLevel), ["workspace_mount_path_in_sandbox"]);
    assert_eq!(
        in_section(Section::Kubernetes),
        [
            "kubeconfig",
            "context",
            "namespace",
            "ingress_domain",
            "pvc_storage_size",
            "pvc_storage_class",
            "resource_cpu_request",
            "resource_memory_request",
            "resource_memory_limit",
            "image_pull_secret",
            "ingress_tls_secret",
            "node_selector_key",
            "node_selector_val",
            "tolerations_yaml",
            "privileged",
        ]
    );
    assert_eq!(
        in_section(Section::Sandbox),
        [
            "base_container_image",
            "runtime_container_image",
            "runtime_startup_env_vars"
        ]
    );
    let podbay: Vec<_> = settings()
        .iter()
        .filter(|setting| setting.section == Section::Podbay)
        .map(|setting| {
            (
                setting.name,
                setting.default.as_deref().unwrap_or_default(),
                setting.unit.unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        podbay,
        [
            ("start_timeout_seconds", "300", "seconds"),
            ("unschedulable_grace_seconds", "4", "seconds"),
            ("capacity_grace_seconds", "60", "seconds"),
            ("image_pull_grace_seconds", "20", "seconds"),
            ("config_error_grace_seconds", "3", "seconds"),
            ("volume_grace_seconds", "30", "seconds"),
            ("claim_grace_seconds", "30", "seconds"),
            ("node_lost_grace_seconds", "10", "seconds"),
            ("deletion_timeout_seconds", "60", "seconds"),
            ("termination_grace_seconds", "5", "seconds"),
            ("request_timeout_seconds", "30", "seconds"),
            ("requests_per_second", "50", "requests per second"),
            ("request_burst", "100", "requests"),
            ("exec_ping_interval_seconds", "15", "seconds"),
            ("exec_ping_timeout_seconds", "45", "seconds"),
        ]
    );
}

#[test]
fn the_environment_names_follow_the_rule() {
    let names = |key: &str| -> Vec<String> {
        settings()
            .iter()
            .find(|setting| setting.key == key)
            .expect(key)
            .environment
            .clone()
    };
    assert_eq!(
        names("kubernetes.namespace"),
        [
            "PODBAY_KUBERNETES_NAMESPACE",
            "OH_K8S_NAMESPACE",
            "KUBERNETES_NAMESPACE"
        ]
    );
    assert_eq!(
        names("sandbox.base_container_image"),
        [
            "PODBAY_SANDBOX_BASE_CONTAINER_IMAGE",
            "SANDBOX_BASE_CONTAINER_IMAGE"
        ]
    );
    assert_eq!(names("podbay.request_burst"), ["PODBAY_REQUEST_BURST"]);
    assert_eq!(
        names("workspace_mount_path_in_sandbox"),
        [
            "PODBAY_WORKSPACE_MOUNT_PATH_IN_SANDBOX",
            "WORKSPACE_MOUNT_PATH_IN_SANDBOX"
        ]
    );
}

#[test]
fn only_what_may_be_secret_is() {
    let secret: Vec<_> = settings()
        .iter()
        .filter(|setting| setting.secret)
        .map(|setting| setting.key.as_str())
        .collect();
    assert_eq!(secret, ["sandbox.runtime_startup_env_vars"]);
}
