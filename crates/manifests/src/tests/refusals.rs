//! Every way in which a specification is refused, with the message a user sees.

use podbay_config::Config;

use super::{validate, variable};
use crate::profile::Profile;
use crate::request::SessionRequest;
use crate::server::ServerKind;
use crate::session_spec::SessionSpec;

/// The messages for `request` under `config`, one a line.
fn refusal(config: &Config, request: SessionRequest) -> String {
    validate(config, request).unwrap_err().to_string()
}

/// The messages for a request under the default configuration.
macro_rules! request {
    ($($field:ident: $value:expr),*) => {
        refusal(&Config::default(), SessionRequest { $($field: $value,)* ..SessionRequest::default() })
    };
}

/// The messages for the default request under a changed configuration.
fn configured(change: impl FnOnce(&mut Config)) -> String {
    let mut config = Config::default();
    change(&mut config);
    refusal(
        &config,
        SessionRequest {
            persistent: Some(true),
            ..SessionRequest::default()
        },
    )
}

#[test]
fn namespace() {
    let error = SessionSpec::validate(
        "demo".parse().unwrap(),
        "Team A",
        &Config::default(),
        SessionRequest::default(),
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "namespace can't be used: \"Team A\" is not a DNS label: 1 to 63 lower-case letters, digits and \"-\", with \
         a letter or digit at both ends"
    );
}

#[test]
fn image() {
    let message = request!(image: Some("Debian".into()));
    assert!(
        message.starts_with("image can't be used: image \"Debian\" has upper case"),
        "{message}"
    );
    let message = configured(|config| config.sandbox.runtime_container_image = Some("a b".into()));
    assert!(
        message.starts_with("sandbox.runtime_container_image can't be used: "),
        "{message}"
    );
    let message = configured(|config| config.sandbox.base_container_image = String::new());
    assert_eq!(
        message,
        "sandbox.base_container_image can't be used: an image reference must not be empty"
    );
}

#[test]
fn user_and_profile() {
    assert_eq!(
        request!(user: Some("node".into()), profile: Some(Profile::Baseline)),
        "user can't be used: \"node\" is no number, and Kubernetes takes numbers only: give UID[:GID], or root"
    );
    assert_eq!(
        request!(user: Some("root".into())),
        "user 0 is root, which the profile restricted forbids: add profile baseline"
    );
    assert_eq!(
        request!(user: Some("0:0".into()), profile: Some(Profile::Restricted)),
        "user 0:0 is root, which the profile restricted forbids: add profile baseline"
    );
    let mut config = Config::default();
    config.kubernetes.privileged = true;
    for profile in [Profile::Restricted, Profile::Baseline] {
        assert_eq!(
            refusal(
                &config,
                SessionRequest {
                    profile: Some(profile),
                    ..SessionRequest::default()
                }
            ),
            format!("profile {profile} contradicts kubernetes.privileged = true: drop one of them")
        );
    }
    let same = SessionRequest {
        profile: Some(Profile::Privileged),
        ..SessionRequest::default()
    };
    assert_eq!(validate(&config, same).unwrap().0.profile(), Profile::Privileged);
}

#[test]
fn environment() {
    let message = request!(env: [variable("1A", "hunter2")].into());
    assert!(
        message.starts_with("env can't be used: \"1A\" is not a variable name"),
        "{message}"
    );
    let message = request!(env: [variable("A", "hunter2\0")].into());
    assert_eq!(
        message,
        "env can't be used: the value of A must not contain a NUL character"
    );
    let long = "hunter2".repeat(20_000);
    let message = request!(env: [variable("A", &long)].into());
    assert_eq!(
        message,
        "env can't be used: A has 140003 bytes with its value: Linux takes at most 131072"
    );
    let many = (0..11)
        .map(|n| variable(&format!("V{n}"), &long[..100_000]))
        .collect();
    let message = request!(env: many);
    assert!(
        message.starts_with("env can't be used: all variables have 1100023 bytes together"),
        "{message}"
    );
    let many = (0..1025).map(|n| variable(&format!("V{n}"), "")).collect();
    let message = request!(env: many);
    assert!(
        message.starts_with("env can't be used: 1025 variables are too many"),
        "{message}"
    );
    let message = configured(|config| {
        config.sandbox.runtime_startup_env_vars = [variable("A B", "hunter2")].into();
    });
    assert!(
        message.starts_with("sandbox.runtime_startup_env_vars can't be used: \"A B\""),
        "{message}"
    );
    let message =
        request!(env: [variable("SESSION_API_KEY", "mine")].into(), server: Some(ServerKind::Image));
    assert!(
        message.starts_with("env can't have SESSION_API_KEY: Podbay sets it"),
        "{message}"
    );
    let plain = SessionRequest {
        env: [variable("SESSION_API_KEY", "mine")].into(),
        ..SessionRequest::default()
    };
    assert!(validate(&Config::default(), plain).is_ok());
}

#[test]
fn paths() {
    assert_eq!(
        request!(workdir: Some("src".into())),
        "workdir can't be used: \"src\" is not an absolute path: it must start with \"/\""
    );
    let message = configured(|config| config.workspace_mount_path_in_sandbox = "/a/../b".into());
    assert_eq!(
        message,
        "workspace_mount_path_in_sandbox can't be used: \"/a/../b\" must not contain \"..\""
    );
    let message = configured(|config| config.workspace_mount_path_in_sandbox = "//".into());
    assert!(
        message.starts_with("workspace_mount_path_in_sandbox can't be \"/\""),
        "{message}"
    );
}

#[test]
fn resources() {
    let message = request!(cpu: Some("two".into()));
    assert!(
        message.starts_with("cpu can't be used: \"two\" is not a quantity"),
        "{message}"
    );
    assert_eq!(
        request!(cpu: Some("-1".into())),
        "cpu can't be used: \"-1\" is negative"
    );
    assert_eq!(request!(cpu: Some("0m".into())), "cpu must be more than 0");
    assert_eq!(request!(memory: Some("0".into())), "memory must be more than 0");
    assert_eq!(
        request!(memory: Some("512m".into())),
        "memory 512m is not a whole number of bytes: \"m\" is a thousandth, write \"M\" or \"Mi\""
    );
    let message = configured(|config| config.kubernetes.resource_cpu_request = "0".into());
    assert_eq!(message, "kubernetes.resource_cpu_request must be more than 0");
    let message = configured(|config| config.kubernetes.resource_memory_request = "1GB".into());
    assert!(
        message.starts_with("kubernetes.resource_memory_request can't be used: \"1GB\""),
        "{message}"
    );
    let message = configured(|config| {
        config.kubernetes.resource_memory_request = "2049Mi".into();
        config.kubernetes.resource_memory_limit = "2048Mi".into();
    });
    assert_eq!(
        message,
        "kubernetes.resource_memory_request 2049Mi is more than kubernetes.resource_memory_limit 2048Mi: a request is at \
         most the limit"
    );
}

#[test]
fn claim() {
    let message = configured(|config| config.kubernetes.pvc_storage_size = "0".into());
    assert_eq!(message, "kubernetes.pvc_storage_size must be more than 0");
    let message = configured(|config| config.kubernetes.pvc_storage_class = Some("Fast".into()));
    assert!(
        message.starts_with("kubernetes.pvc_storage_class can't be used: \"Fast\""),
        "{message}"
    );
    // Without a claim its settings are not looked at.
    let mut config = Config::default();
    config.kubernetes.pvc_storage_size = "0".into();
    let without = SessionRequest {
        persistent: Some(false),
        ..SessionRequest::default()
    };
    assert!(validate(&config, without).is_ok());
}

#[test]
fn labels() {
    let message = request!(labels: [("app".into(), "x".into())].into());
    assert!(
        message.starts_with("labels can't be used: label app is reserved"),
        "{message}"
    );
    let message = request!(labels: [("a".into(), "b c".into())].into());
    assert!(
        message.starts_with("labels can't be used: value \"b c\" of label a"),
        "{message}"
    );
}

#[test]
fn placement() {
    assert_eq!(
        configured(|config| config.kubernetes.node_selector_key = Some("a".into())),
        "kubernetes.node_selector_key needs kubernetes.node_selector_val"
    );
    assert_eq!(
        configured(|config| config.kubernetes.node_selector_val = Some("a".into())),
        "kubernetes.node_selector_val needs kubernetes.node_selector_key"
    );
    let message = configured(|config| {
        config.kubernetes.node_selector_key = Some("a b".into());
        config.kubernetes.node_selector_val = Some("c".into());
    });
    assert!(
        message.contains("kubernetes.node_selector_key can't be used: label key \"a b\""),
        "{message}"
    );
    let message = configured(|config| config.kubernetes.image_pull_secret = Some("reg_cred".into()));
    assert!(
        message.starts_with("kubernetes.image_pull_secret can't be used: \"reg_cred\""),
        "{message}"
    );
}

#[test]
fn all_problems_at_once_and_no_secret_among_them() {
    let mut config = Config::default();
    config.kubernetes.privileged = true;
    config.kubernetes.resource_memory_limit = "lots".into();
    let request = SessionRequest {
        image: Some("a b".into()),
        user: Some("me".into()),
        profile: Some(Profile::Baseline),
        env: [variable("A-", "x"), variable("=", "hunter2")].into(),
        workdir: Some("w".into()),
        cpu: Some("?".into()),
        labels: [("-".into(), "x".into()), ("session".into(), "x".into())].into(),
        ..SessionRequest::default()
    };
    let error = SessionSpec::validate("demo".parse().unwrap(), "", &config, request).unwrap_err();
    let text = error.to_string();
    insta::assert_snapshot!(text);
    assert_eq!(text.lines().count(), error.iter().count());
    assert!(!format!("{text}{error:?}").contains("hunter2"));
}
