//! Identity and validity: defects 16 to 18.

use std::collections::BTreeSet;

use podbay_config::Config;
use podbay_k8s_client::Kind;
use podbay_manifests::{Profile, ServerKind};
use podbay_runtime::{Error, SessionRequest};
use serde_json::json;

use crate::objects::{Rendered, assert_has};
use crate::test_client::{TestClient, configured, full, loaded, names};

/// An id went into names, a label and a host unchecked: upper case, `_`, `.` and more than 32 characters were 422.
#[tokio::test(start_paused = true)]
async fn defect_16_any_session_id_has_valid_names_of_its_own() {
    let (long, longer) = ("x".repeat(64), "x".repeat(65));
    let ids = [
        "demo",
        "Demo",
        "DEMO",
        "de_mo",
        "de.mo",
        "de mo",
        " demo",
        "-demo-",
        "SWE-bench/django__django-11099",
        "0f8c9f5e-3f7a-4f6e-9a52-6f1d8f3f1c11",
        "日本語",
        &long,
        &longer,
    ];
    let client = TestClient::new();
    let mut seen = BTreeSet::new();
    for id in ids {
        // The scripted cluster refuses names, labels and hosts that an API server refuses.
        let session = client.full_session(id).open().await;
        let session = session.unwrap_or_else(|error| panic!("{id:?}: {}", error.chain()));
        assert!(!session.report().attached, "{id:?} has the name of another");
        for object in client.cluster.objects() {
            assert!(object.key().name.len() <= 63, "{}", object.key());
        }
        let label = names(id).label().to_owned();
        assert!(label.len() <= 32 && seen.insert(label.clone()), "{id:?}: {label}");
        for host in session.web_hosts().await.unwrap().keys() {
            let host = host.strip_prefix("http://").unwrap();
            let valid = |part: &str| {
                let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
                (1..=63).contains(&part.len())
                    && part.bytes().all(inner)
                    && !part.starts_with('-')
                    && !part.ends_with('-')
            };
            assert!(host.split('.').all(valid), "{host}");
        }
    }
    let mut listed: Vec<_> = client.podbay.list("").await.unwrap();
    listed.sort_by(|one, other| one.session.cmp(&other.session));
    let mut wanted = ids.to_vec();
    wanted.sort_unstable();
    let listed: Vec<_> = listed.iter().map(|summary| summary.session.as_str()).collect();
    assert_eq!(listed, wanted, "each as it was given");
    // And each is found by it again.
    for id in ids {
        assert!(client.podbay.delete(id, true).await.unwrap().existed, "{id:?}");
    }
    client.cluster.assert_empty("after all were deleted");

    for text in ["", "a\nb"] {
        let error = client.session(text).open().await.unwrap_err();
        assert!(matches!(error, Error::Id { .. }), "{error:?}");
    }
}

/// The user id 0 was falsy and fell through to the default: the command line said `--username root --user-id 1000`.
#[tokio::test(start_paused = true)]
async fn defect_17_the_user_id_0_is_root() {
    let identity = |config: Config| {
        let request = SessionRequest {
            server: Some(ServerKind::OpenHands),
            profile: Some(Profile::Baseline),
            ..SessionRequest::default()
        };
        let rendered = Rendered::of(config, request);
        let argv = rendered.argv();
        let after = |flag: &str| {
            let at = argv.iter().position(|word| *word == flag).unwrap();
            argv[at + 1].to_owned()
        };
        (after("--username"), after("--user-id"))
    };
    let root = ("root".to_owned(), "0".to_owned());
    let openhands = |id: &str| ("openhands".to_owned(), id.to_owned());
    assert_eq!(identity(Config::default()), openhands("1000"));
    assert_eq!(identity(configured("[sandbox]\nuser_id = 0")), root);
    assert_eq!(identity(configured("run_as_openhands = false")), root);
    assert_eq!(
        identity(configured("[sandbox]\nuser_id = 1234")),
        openhands("1234")
    );
    let variable = Config::loader()
        .search(false)
        .environment([("SANDBOX_USER_ID", "0")]);
    assert_eq!(identity(variable.load().unwrap()), root);

    // A session without a server.
    let config = configured("[sandbox]\nuser_id = 0\n[kubernetes]\nprofile = \"baseline\"");
    let rendered = Rendered::of(config, SessionRequest::default());
    let pod = rendered.pod();
    let user = [
        &pod["securityContext"]["runAsUser"],
        &rendered.container()["securityContext"]["runAsUser"],
    ];
    assert!(user.contains(&&json!(0)), "{pod:#}");
    // Root is not what anybody gets who did not name a profile that allows it.
    let client = TestClient::new();
    let error = client.session("s").user("root").open().await.unwrap_err();
    assert!(matches!(error, Error::Spec { .. }), "{error:?}");
    assert_eq!(client.calls.writes(), 0);
}

/// Tolerations were keyword arguments of a Python constructor: camel case and unknown keys raised `TypeError`.
#[tokio::test(start_paused = true)]
async fn defect_18_tolerations_take_both_spellings_and_an_unknown_key_is_named_with_the_nearest() {
    let tolerations = |seconds: &str| {
        format!(
            "[kubernetes]\ntolerations_yaml = '''\n- key: gpu\n  operator: Exists\n  effect: NoExecute\n  {seconds}: \
             30\n'''"
        )
    };
    for spelling in ["tolerationSeconds", "toleration_seconds"] {
        let client = TestClient::with(configured(&tolerations(spelling)));
        client.session("s").open().await.unwrap();
        let pod = client
            .cluster
            .find(Kind::Pod, names("s").object())
            .unwrap()
            .to_json()
            .unwrap();
        let wanted =
            json!({"key": "gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30});
        let all = pod["spec"]["tolerations"].as_array().unwrap();
        assert!(all.contains(&wanted), "{all:?}");
    }
    let error = loaded(&tolerations("tolerationSecond")).unwrap_err();
    assert_eq!(error.code(), "config_invalid");
    let text = error.to_string();
    for part in [
        "kubernetes.tolerations_yaml",
        "tolerationSecond",
        "did you mean toleration_seconds",
    ] {
        assert!(text.contains(part), "{text}");
    }
    // What was read as a toleration is one; the rest of the request is as it was.
    assert_has(
        &Rendered::of(configured(&tolerations("tolerationSeconds")), full()).pod()["tolerations"][0],
        &json!({"key": "gpu"}),
    );
}
