//! The table of settings and the page made from it.

use std::collections::BTreeSet;

use podbay_config::{Effect, reference_markdown, settings};

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
            .find(&format!("\n### `{}`\n", setting.key))
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
        match setting.effect {
            Effect::Used => assert!(!entry.contains("- No effect"), "{entry}"),
            Effect::Ignored(reason) => {
                assert!(entry.contains(&format!("- No effect: {reason}\n")), "{entry}");
            }
        }
    }
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
    assert_eq!(names("runtime"), ["PODBAY_RUNTIME", "OH_RUNTIME", "RUNTIME"]);
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
    assert_eq!(
        secret,
        [
            "sandbox.runtime_startup_env_vars",
            "sandbox.api_key",
            "serve.api_key"
        ]
    );
}
