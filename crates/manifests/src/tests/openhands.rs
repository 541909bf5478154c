//! OpenHands' own servers as sessions.

use podbay_config::Config;
use serde_json::{Value, json};

use super::validate;
use crate::owner::Owner;
use crate::pod::pod;
use crate::profile::Profile;
use crate::request::SessionRequest;
use crate::server::ServerKind;
use crate::session_spec::{SessionSpec, SpecErrors};

fn request(server: ServerKind) -> SessionRequest {
    SessionRequest {
        image: Some("openhands/runtime:1".into()),
        server: Some(server),
        ..SessionRequest::default()
    }
}

fn spec(config: &Config, request: SessionRequest) -> Result<SessionSpec, SpecErrors> {
    validate(config, request).map(|(spec, _)| spec)
}

fn owner() -> Owner {
    Owner {
        name: "record".into(),
        uid: "uid".into(),
    }
}

fn rendered(spec: &SessionSpec) -> Value {
    serde_json::to_value(pod(spec, &owner())).unwrap()["spec"].take()
}

fn variable<'a>(pod: &'a Value, name: &str) -> Option<&'a str> {
    let variables = pod["containers"][0]["env"].as_array().unwrap();
    variables
        .iter()
        .find(|variable| variable["name"] == name)
        .and_then(|variable| variable["value"].as_str())
}

/// `su` asks anyone but root for a password, and the server waits for it to the end of the start time-out.
#[test]
fn the_exec_server_does_not_switch_users_where_it_is_not_root() {
    let given = |user: Option<&str>, profile: Profile| {
        let request = SessionRequest {
            user: user.map(Into::into),
            profile: Some(profile),
            ..request(ServerKind::OpenHands)
        };
        rendered(&spec(&Config::default(), request).unwrap())
    };
    for (user, profile, uid, su) in [
        (None, Profile::Restricted, json!(1000), Some("false")),
        (Some("1234:1234"), Profile::Restricted, json!(1234), Some("false")),
        (Some("1000:1000"), Profile::Baseline, json!(1000), Some("false")),
        (Some("root"), Profile::Baseline, json!(0), None),
        // The image's own, which is root in OpenHands' images.
        (None, Profile::Baseline, Value::Null, None),
    ] {
        let pod = given(user, profile);
        assert_eq!(pod["securityContext"]["runAsUser"], uid, "{user:?} {profile}");
        assert_eq!(variable(&pod, "SU_TO_USER"), su, "{user:?} {profile}");
    }
    let mut config = Config::default();
    config.sandbox.user_id = Some(1500);
    let pod = rendered(&spec(&config, request(ServerKind::OpenHands)).unwrap());
    assert_eq!(pod["securityContext"]["runAsUser"], 1500);
    // Other servers start as who they are.
    let pod = rendered(&spec(&Config::default(), request(ServerKind::AgentServer)).unwrap());
    assert_eq!(variable(&pod, "SU_TO_USER"), None);
}

#[test]
fn the_exec_server_is_refused_at_once_where_the_cluster_chooses_its_user() {
    let mut config = Config::default();
    config.kubernetes.uid_from_cluster = true;
    let errors = spec(&config, request(ServerKind::OpenHands))
        .unwrap_err()
        .to_string();
    assert!(
        errors.contains("has to run as its image's own user, 1000"),
        "{errors}"
    );
}

/// Where the entry point of the image is replaced, so is the init that stands in it.
#[test]
fn orphans_of_a_server_whose_entry_point_is_replaced_are_reaped() {
    for (server, shared) in [
        (ServerKind::OpenHands, json!(true)),
        (ServerKind::AgentServer, json!(true)),
        (ServerKind::Image, Value::Null),
    ] {
        let pod = rendered(&spec(&Config::default(), request(server)).unwrap());
        assert_eq!(pod["shareProcessNamespace"], shared, "{server}");
    }
}

#[test]
fn a_server_has_an_address_that_stays() {
    for server in ServerKind::ALL.iter().copied() {
        let spec = spec(&Config::default(), request(server)).unwrap();
        let services = crate::service::services(&spec, &owner());
        assert_eq!(services.len(), 1, "{server}");
        assert!(crate::ingress::ingresses(&spec, &owner()).is_empty(), "{server}");
        let url = spec.server_url().unwrap();
        assert!(url.contains("-svc.") && url.ends_with(":8080"), "{url}");
        assert!(spec.web_hosts().is_empty(), "{server}");
    }
    let plain = SessionRequest {
        server: None,
        ..request(ServerKind::Image)
    };
    let plain = spec(&Config::default(), plain).unwrap();
    assert_eq!(plain.server_url(), None);
    assert!(crate::service::services(&plain, &owner()).is_empty());
}

/// What is told of the directory that commands start in is the container's.
#[test]
fn commands_start_where_it_is_told() {
    for server in [None, Some(ServerKind::OpenHands), Some(ServerKind::AgentServer)] {
        let request = SessionRequest {
            server,
            ..request(ServerKind::Image)
        };
        let spec = spec(&Config::default(), request).unwrap();
        let container = &rendered(&spec)["containers"][0];
        assert_eq!(
            container["workingDir"].as_str(),
            spec.container_workdir(),
            "{server:?}"
        );
    }
}
