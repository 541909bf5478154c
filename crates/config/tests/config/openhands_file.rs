//! A user's whole OpenHands `config.toml` loads.

use std::collections::BTreeSet;

use crate::support::load;
use podbay_config::{Config, Effect, RemoteRuntimeClass, Runtime, Warning, settings};

const WHOLE_FILE: &str = include_str!("data/openhands.config.toml");

#[test]
fn it_loads_with_a_warning_for_each_setting_without_effect() {
    let config = load(WHOLE_FILE, &[]).unwrap();
    let Config {
        workspace_mount_path_in_sandbox,
        runtime,
        debug,
        run_as_openhands,
        enable_browser,
        max_concurrent_conversations,
        kubernetes,
        sandbox,
        ..
    } = &config;
    assert_eq!(workspace_mount_path_in_sandbox, "/project");
    assert_eq!(*runtime, Runtime::Kubernetes);
    assert!(!debug && *run_as_openhands && !enable_browser);
    assert_eq!(*max_concurrent_conversations, Some(3));
    assert_eq!(sandbox.base_container_image, "debian:12");
    assert_eq!(sandbox.runtime_container_image, None);
    assert_eq!(
        sandbox.runtime_startup_env_vars.keys().collect::<Vec<_>>(),
        ["TOKEN"]
    );
    assert_eq!(sandbox.remote_runtime_class, Some(RemoteRuntimeClass::Sysbox));
    assert_eq!(sandbox.remote_runtime_resource_factor, 2);
    assert_eq!(sandbox.cuda_visible_devices.as_deref(), Some("0,1"));
    assert_eq!(kubernetes.namespace, "agents");
    assert_eq!(kubernetes.image_pull_secret, None);
    assert_eq!(kubernetes.node_selector_key.as_deref(), Some("pool"));
    assert_eq!(kubernetes.tolerations_yaml[0].toleration_seconds, Some(60));
    assert!(kubernetes.privileged, "text is read as OpenHands reads it");

    let warned: BTreeSet<_> = config
        .warnings()
        .iter()
        .map(|warning| match warning {
            Warning::NoEffect {
                key,
                place,
                reason: _,
            } => {
                assert!(place.line.is_some() && place.column.is_some());
                key.as_str()
            }
            other => panic!("{other}"),
        })
        .collect();
    let ignored: BTreeSet<_> = settings()
        .iter()
        .filter(|setting| matches!(setting.effect, Effect::Ignored(_)))
        .map(|setting| setting.key.as_str())
        .collect();
    assert_eq!(warned, ignored);
    assert_eq!(config.warnings().len(), ignored.len(), "each is told once");
}

#[test]
fn sections_nobody_knows_are_told() {
    let config = load("debugg = true\n[kuber]\nnamespace = 'a'\n[core]\nnope = 1", &[]).unwrap();
    let texts: Vec<_> = config.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(
        texts
            .iter()
            .any(|text| text.contains("config.toml:5:1: core.nope is not known and ignored")),
        "{texts:?}"
    );
    assert!(
        texts
            .iter()
            .any(|text| text
                .ends_with("config.toml:1:1: debugg is not known and ignored; did you mean debug?")),
        "{texts:?}"
    );
    assert!(
        texts.iter().any(|text| text
            .ends_with("config.toml:2:2: kuber is not known and ignored; did you mean kubernetes?")),
        "{texts:?}"
    );
}

#[test]
fn the_top_level_goes_before_core() {
    let file = |core: &str| {
        format!("workspace_mount_path_in_sandbox = '/a'\n[core]\nworkspace_mount_path_in_sandbox = '{core}'")
    };
    assert_eq!(load(&file("/a"), &[]).unwrap().warnings(), []);
    let config = load(&file("/b"), &[]).unwrap();
    assert_eq!(config.workspace_mount_path_in_sandbox, "/a");
    let [Warning::Conflict { used, ignored, .. }] = config.warnings() else {
        panic!("{:?}", config.warnings())
    };
    assert_eq!((used.line, used.column), (Some(1), Some(35)));
    assert_eq!((ignored.line, ignored.column), (Some(3), Some(35)));
}

#[test]
fn the_section_agent_is_ours_and_theirs() {
    let file = "[agent]\nllm_config = 'a'\nport = 9000\nimagee = 'a'\n[agent.CodeActAgent]\nllm_config = 'b'";
    let config = load(file, &[]).unwrap();
    assert_eq!(config.agent.port, 9000);
    let texts: Vec<_> = config.warnings().iter().map(ToString::to_string).collect();
    let [text] = texts.as_slice() else {
        panic!("{texts:?}")
    };
    let expected = "config.toml:4:1: agent.imagee is not known and ignored; did you mean agent.image?";
    assert!(text.ends_with(expected), "{text}");
}
