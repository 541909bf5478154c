use secrecy::ExposeSecret as _;
use serde_json::json;

use super::super::launch::Machine;
use super::*;

const STOCK: [&str; 13] = [
    "python",
    "-u",
    "-m",
    "openhands.runtime.action_execution_server",
    "60000",
    "--working-dir",
    "/workspace",
    "--plugins",
    "agent_skills",
    "--username",
    "openhands",
    "--user-id",
    "1000",
];

/// What a stock `RemoteRuntime` of openhands-ai 1.6.0 sends.
fn stock() -> Value {
    json!({
        "image": "ghcr.io/openhands/runtime:1",
        "command": STOCK,
        "working_dir": "/openhands/code/",
        "environment": {"DEBUG": "true"},
        "session_id": "3DcnEd0iex2KcChdCDEeuf",
        "resource_factor": 1,
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut body = stock();
    body[field] = value;
    body
}

fn parse(body: &Value) -> Result<StartBody, Refusal> {
    StartBody::parse(body.to_string().as_bytes())
}

fn policy() -> StartPolicy {
    StartPolicy {
        on_this_machine: false,
        v0_server: vec!["agent".to_owned()],
        persistent: true,
        resource_factor_limit: 8,
        pod: PodPolicy::of(
            &podbay_config::Config::default(),
            &podbay_config::ServeConfig::default(),
        ),
    }
}

fn drawn() -> Drawn {
    Drawn {
        secret_key: "drawn".into(),
        machine: None,
    }
}

fn drawn_here() -> Drawn {
    Drawn {
        machine: Some(Machine {
            ports: [4, 5],
            v1_program: "agent-server",
        }),
        ..drawn()
    }
}

fn request(body: &Value) -> SessionRequest {
    parse(body).unwrap().request(&policy(), &drawn()).unwrap()
}

fn refused(body: &Value) -> String {
    let refusal = parse(body).unwrap_err();
    assert_eq!(refusal.status, 422);
    refusal.detail
}

#[test]
fn what_a_stock_client_asks_is_a_session_with_the_agent_on_its_port() {
    let request = request(&stock());
    assert_eq!(request.image.as_deref(), Some("ghcr.io/openhands/runtime:1"));
    assert_eq!(request.workdir.as_deref(), Some("/workspace"));
    assert_eq!(request.user.as_deref(), Some("1000:1000"));
    assert_eq!(request.actions, Some(60_000));
    assert_eq!(request.persistent, Some(true));
    assert_eq!(request.resource_factor, None);
    assert_eq!(request.env["DEBUG"].expose_secret(), "true");
}

#[test]
fn a_command_is_a_list_or_a_text_and_one_that_can_not_be_split_is_refused() {
    let text = with("command", json!(STOCK.join(" ")));
    assert_eq!(parse(&text).unwrap().kind, parse(&stock()).unwrap().kind);
    assert_eq!(parse(&with("command", json!(null))).unwrap().kind, Kind::Image);
    assert_eq!(parse(&with("command", json!([]))).unwrap().kind, Kind::Image);
    assert!(refused(&with("command", json!("sh -c 'exit"))).contains("a single quote is not closed"));
    assert!(refused(&with("command", json!(["a", 1]))).contains("list of texts"));
    assert!(refused(&with("command", json!(7))).contains("a list of texts, a text or null"));
}

#[test]
fn values_of_the_environment_arrive_as_they_are_and_keys_are_no_client_s_choice() {
    let environment = json!({
        "HEADER": "Bearer ${SESSION_API_KEY} $(HOME) $$(X)",
        "N": 1, "B": true, "NONE": null,
        "SESSION_API_KEY": "mine", "OH_SESSION_API_KEYS_0": "mine",
    });
    let request = request(&with("environment", environment));
    let values: Vec<_> = request
        .env
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose_secret()))
        .collect();
    assert_eq!(
        values,
        [
            ("B", "true"),
            ("HEADER", "Bearer ${SESSION_API_KEY} $(HOME) $$(X)"),
            ("N", "1")
        ]
    );
    assert!(refused(&with("environment", json!({"A": {}}))).contains("\"A\""));
    assert!(refused(&with("environment", json!([]))).contains("environment"));
    assert!(refused(&with("environment", json!({"OH_DEFERRED_INIT": "true"}))).contains("OH_DEFERRED_INIT"));
}

#[test]
fn everything_that_is_wrong_is_told_at_once_and_what_is_unknown_passed_over() {
    let told = refused(&json!({
        "image": 1, "command": 2, "working_dir": 3, "run_as_user": "x", "fs_group": 2_147_483_648_u64, "resource_factor": 3,
        "image_pull_policy": "Sometimes", "runtime_class": 4,
    }));
    for field in [
        "session_id",
        "image is no text",
        "command",
        "working_dir",
        "run_as_user",
        "fs_group is a whole number from 0 to 2147483647",
        "image_pull_policy is Always",
        "runtime_class is no text",
        "resource_factor",
    ] {
        assert!(told.contains(field), "{field}: {told}");
    }
    assert!(!told.contains("image is missing"), "{told}");
    assert!(parse(&with("warm", json!({"any": ["thing"]}))).is_ok());
    let cut = StartBody::parse(b"{\"image\":").unwrap_err();
    assert!(cut.status == 422 && cut.detail.contains("JSON"));
    assert_eq!(StartBody::parse(b"[]").unwrap_err().status, 422);
}

#[test]
fn a_resource_factor_is_capped() {
    let factor = |asked: Value, limit: u32| {
        let policy = StartPolicy {
            resource_factor_limit: limit,
            ..policy()
        };
        let body = parse(&with("resource_factor", asked)).unwrap();
        body.request(&policy, &drawn()).unwrap().resource_factor
    };
    assert_eq!(factor(json!(8), 8), Some(8));
    assert_eq!(factor(json!(8), 7), Some(4));
    assert_eq!(factor(json!(8), 1), None);
    assert_eq!(factor(json!(2.0), 4), Some(2));
    assert_eq!(factor(json!(null), 8), None);
}

#[test]
fn on_this_machine_there_is_one_image() {
    let here = StartPolicy {
        on_this_machine: true,
        ..policy()
    };
    let refusal = parse(&stock())
        .unwrap()
        .request(&here, &drawn_here())
        .unwrap_err();
    assert!(
        refusal.status == 422 && refusal.detail.contains("\"host\""),
        "{refusal:?}"
    );
    let request = parse(&with("image", json!("host")))
        .unwrap()
        .request(&here, &drawn_here())
        .unwrap();
    // Nothing is asked that a machine can't do.
    assert_eq!(
        (request.image, request.user, request.persistent),
        (None, None, None)
    );
    assert_eq!(request.actions, Some(60_000));
}

#[test]
fn the_root_user_is_asked_for_by_its_name() {
    let mut argv = STOCK.to_vec();
    argv[12] = "0";
    assert_eq!(
        request(&with("command", json!(argv))).user.as_deref(),
        Some("root")
    );
    let mut body = with("command", json!(STOCK[..7].to_vec()));
    assert_eq!(request(&body).user, None);
    body["run_as_user"] = json!(10_001);
    assert_eq!(request(&body).user.as_deref(), Some("10001:10001"));
    body["run_as_group"] = json!(5);
    assert_eq!(request(&body).user.as_deref(), Some("10001:5"));
}

#[test]
fn images_with_a_server_of_their_own_are_named_by_patterns() {
    let policy = |words: &[&str]| StartPolicy {
        v0_server: words.iter().map(|word| (*word).to_owned()).collect(),
        ..policy()
    };
    let image = "ghcr.io/openhands/runtime:1";
    for (words, of_image) in [
        (&["agent"][..], false),
        (&["image"], true),
        (&["ghcr.io/openhands/*"], true),
        (&["*/runtime:*"], true),
        (&["*"], true),
        (&["ghcr.io/openhands/runtime"], false),
        (&["*:2", "docker.io/*"], false),
        (&["*runtime*x*"], false),
    ] {
        assert_eq!(policy(words).runs_v0_server_of(image), of_image, "{words:?}");
    }
}
