//! Amounts of CPU and memory as people write them, and what an amount that is left out follows.

use podbay_config::Config;

use super::validate;
use crate::{SessionRequest, SessionSpec};

/// The specification of a default session under a changed configuration.
fn spec(change: impl FnOnce(&mut Config)) -> SessionSpec {
    let mut config = Config::default();
    change(&mut config);
    validate(&config, SessionRequest::default()).unwrap().0
}

#[test]
fn memory_in_multiples_is_taken_as_kubernetes_takes_it() {
    for text in ["1.1Gi", "0.3G", "1.0001k"] {
        let request = SessionRequest {
            memory: Some(text.into()),
            ..SessionRequest::default()
        };
        let (spec, _) = validate(&Config::default(), request.clone()).unwrap();
        assert_eq!(spec.memory().to_string(), text);
        assert_eq!(request.differences(&spec), [], "{text}");
    }
    let said = |text: &str| {
        let request = SessionRequest {
            memory: Some(text.into()),
            ..SessionRequest::default()
        };
        validate(&Config::default(), request).unwrap_err().to_string()
    };
    assert_eq!(
        said("1.5"),
        "memory 1.5 is not a whole number of bytes: write a whole number, or a unit such as \"Mi\""
    );
    assert_eq!(
        said("1100m"),
        "memory 1100m is not a whole number of bytes: \"m\" is a thousandth, write \"M\" or \"Mi\""
    );
}

#[test]
fn a_limit_alone_below_the_default_request_is_the_request_too() {
    let small = spec(|config| config.kubernetes.resource_memory_limit = "512Mi".into());
    assert_eq!(small.memory().to_string(), "512Mi");
    let small = spec(|config| config.kubernetes.resource_cpu_limit = Some("500m".into()));
    assert_eq!(small.cpu().to_string(), "500m");
    // Above it the request stays what it was.
    let large = spec(|config| config.kubernetes.resource_memory_limit = "4Gi".into());
    assert_eq!(large.memory().to_string(), "1Gi to 4Gi");
}

#[test]
fn a_request_alone_above_the_default_limit_lifts_it() {
    let large = spec(|config| config.kubernetes.resource_memory_request = "4Gi".into());
    assert_eq!(large.memory().to_string(), "4Gi");
}

#[test]
fn a_default_that_was_given_follows_nothing() {
    let config = Config::loader()
        .search(false)
        .environment([
            ("KUBERNETES_RESOURCE_MEMORY_LIMIT", "512Mi"),
            ("KUBERNETES_RESOURCE_MEMORY_REQUEST", "1Gi"),
        ])
        .load()
        .unwrap();
    let said = validate(&config, SessionRequest::default())
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("kubernetes.resource_memory_request 1Gi is more than"),
        "{said}"
    );
}

#[test]
fn a_platform_in_other_words_selects_nodes_by_their_own() {
    let spec = spec(|config| config.sandbox.platform = Some("linux/x86_64".into()));
    let labels = &spec.placement().node_selector;
    assert_eq!(
        labels.get("kubernetes.io/arch").map(String::as_str),
        Some("amd64")
    );
    assert_eq!(labels.get("kubernetes.io/os").map(String::as_str), Some("linux"));
}
