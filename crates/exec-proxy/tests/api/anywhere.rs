//! What is the same wherever sessions are: keys, owners, ids, refusals.

use podbay_exec_proxy::sessions::{ServiceSessions, Sessions as _};
use podbay_manifests::SessionOwner;
use serde_json::{Value, json};

use crate::world::{ALICE, BOB, World, stock};

const ID: &str = "3DcnEd0iex2KcChdCDEeuf";

#[tokio::test]
async fn nobody_is_answered_without_exactly_one_right_key() {
    let world = World::here(|_| {}).await;
    for (method, target) in [
        ("GET", "/sessions/a"),
        ("GET", "/sessions/batch?ids=a"),
        ("GET", "/runtime/a"),
        ("GET", "/list"),
        ("GET", "/registry_prefix"),
        ("GET", "/image_exists?image=a"),
        ("GET", "/build_status"),
        ("GET", "/api/warm-runtime-configs"),
        ("POST", "/start"),
        ("POST", "/stop"),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/build"),
    ] {
        for keys in [&[][..], &["no key"], &[""], &[ALICE, ALICE], &[ALICE, BOB]] {
            let (status, body) = world.ask(method, target, keys, "{}").await;
            assert_eq!(status, 401, "{method} {target} {keys:?}");
            assert!(body["detail"].as_str().unwrap().contains("X-API-Key"), "{body}");
        }
    }
    for target in ["/alive", "/health", "/ready", "/openapi.json"] {
        assert_eq!(world.ask("GET", target, &[], "").await.0, 200, "{target}");
    }
    assert_eq!(world.ask("HEAD", "/alive", &[], "").await, (200, Value::Null));
}

#[tokio::test]
async fn a_session_is_ready_in_the_first_answer_and_the_same_in_every_one() {
    let world = World::here(|_| {}).await;
    let begun = world.start(&stock(ID, "host")).await;
    let id = begun["runtime_id"].as_str().unwrap();
    assert_eq!(
        (begun["status"].as_str(), begun["pod_status"].as_str()),
        (Some("running"), Some("ready"))
    );
    assert_eq!(begun["session_id"], ID);
    assert_eq!(begun["id"], begun["runtime_id"]);
    assert_eq!(begun["url"], format!("https://{id}.run.example"));
    assert_eq!(
        begun["work_hosts"][format!("https://work-1-{id}.run.example")],
        12_000
    );
    assert_eq!(begun["session_api_key"].as_str().unwrap().len(), 64);
    assert_eq!((&begun["kind"], &begun["image"]), (&json!("v0"), &json!("host")));
    assert_eq!(begun["status_detail"], Value::Null);
    // Safe to repeat.
    assert_eq!(world.start(&stock(ID, "host")).await, begun);
    for target in [format!("/sessions/{ID}"), format!("/runtime/{id}")] {
        assert_eq!(world.get(&target).await, (200, begun.clone()), "{target}");
    }
    assert_eq!(world.get("/list").await, (200, json!({"runtimes": [begun]})));
    let (_, batch) = world
        .get(&format!("/sessions/batch?ids=none&ids={ID}&ids={ID}&ids="))
        .await;
    assert_eq!(batch, json!([null, begun, begun, null]));
    // Ids are case-sensitive.
    assert_eq!(
        world.get(&format!("/sessions/{}", ID.to_lowercase())).await.0,
        404
    );
}

#[tokio::test]
async fn a_session_is_its_owner_s_alone() {
    let world = World::here(|_| {}).await;
    let ask = async |method: &str, target: &str, body: &Value| {
        world.ask(method, target, &[BOB], &body.to_string()).await
    };
    let mine = world.start(&stock(ID, "host")).await;
    let id = json!({"runtime_id": mine["runtime_id"]});
    assert_eq!(ask("GET", &format!("/sessions/{ID}"), &json!({})).await.0, 404);
    assert_eq!(
        ask(
            "GET",
            &format!("/runtime/{}", mine["runtime_id"].as_str().unwrap()),
            &json!({})
        )
        .await
        .0,
        404
    );
    assert_eq!(ask("GET", "/list", &json!({})).await.1, json!({"runtimes": []}));
    assert_eq!(
        ask("GET", &format!("/sessions/batch?ids={ID}"), &json!({}))
            .await
            .1,
        json!([null])
    );
    assert_eq!(ask("POST", "/resume", &id).await.0, 404);
    assert_eq!(ask("POST", "/pause", &id).await.0, 404);
    // As good as stopped, and is not.
    assert_eq!(ask("POST", "/stop", &id).await.0, 200);
    assert_eq!(world.get(&format!("/sessions/{ID}")).await, (200, mine.clone()));
    // Two owners may use one id.
    let (status, theirs) = ask("POST", "/start", &stock(ID, "host")).await;
    assert_eq!(status, 200);
    assert_ne!(theirs["runtime_id"], mine["runtime_id"]);
    assert_ne!(theirs["session_api_key"], mine["session_api_key"]);
    assert_eq!(ask("GET", &format!("/sessions/{ID}"), &json!({})).await.1, theirs);
}

#[tokio::test]
async fn what_is_stopped_is_gone_and_may_be_stopped_again() {
    let world = World::here(|_| {}).await;
    let begun = world.start(&stock(ID, "host")).await;
    let id = json!({"runtime_id": begun["runtime_id"]});
    for _ in 0..2 {
        assert_eq!(
            world.post("/stop", &id).await,
            (200, json!({"status": "stopped"}))
        );
        assert_eq!(world.get(&format!("/sessions/{ID}")).await.0, 404);
    }
    // V0's clients do so after a start that failed.
    for none in [json!({"runtime_id": null}), json!({"runtime_id": "None"})] {
        assert_eq!(world.post("/stop", &none).await.0, 200, "{none}");
        assert_eq!(world.post("/pause", &none).await.0, 404, "{none}");
        assert_eq!(world.post("/resume", &none).await.0, 404, "{none}");
    }
    for target in ["/stop", "/pause", "/resume"] {
        for wrong in [json!({}), json!([]), json!(null), json!({"runtime_id": 7})] {
            let (status, body) = world.post(target, &wrong).await;
            assert!(
                status == 422 && body["detail"].is_string(),
                "{target} {wrong}: {body}"
            );
        }
    }
    let again = world.start(&stock(ID, "host")).await;
    assert_ne!(again["runtime_id"], begun["runtime_id"]);
}

#[tokio::test]
async fn every_refusal_says_why() {
    let world = World::here(|_| {}).await;
    let all = stock(ID, "host");
    let with = |field: &str, value: Value| {
        let mut body = all.clone();
        body[field] = value;
        body.to_string()
    };
    for (method, target, body, status, told) in [
        (
            "POST",
            "/start",
            with("image", json!("debian:12")),
            422,
            "\"host\"",
        ),
        (
            "POST",
            "/start",
            with("session_id", json!("a\u{7}b")),
            422,
            "session_id",
        ),
        (
            "POST",
            "/start",
            with("environment", json!({"A\u{0}": "x"})),
            422,
            "variable name",
        ),
        ("POST", "/start", with("command", json!("'")), 422, "quote"),
        ("POST", "/start", "{".to_owned(), 422, "JSON"),
        ("POST", "/stop", "nothing".to_owned(), 422, "JSON"),
        ("POST", "/build", String::new(), 501, "builds no images"),
        (
            "GET",
            "/build_status?build_id=1",
            String::new(),
            501,
            "builds no images",
        ),
        ("GET", "/registry_prefix", String::new(), 501, "builds no images"),
        ("GET", "/image_exists", String::new(), 422, "image is missing"),
        ("GET", "/nowhere", String::new(), 404, "/nowhere"),
        ("GET", "/start", String::new(), 405, "POST"),
        ("GET", "/sessions/%ff", String::new(), 400, "encoded"),
    ] {
        let (answered, body) = world.ask(method, target, &[ALICE], &body).await;
        let detail = body["detail"].as_str().unwrap_or_default();
        assert!(
            answered == status && detail.contains(told),
            "{method} {target}: {answered} {body}"
        );
    }
    assert_eq!(world.get("/image_exists?image=host").await.1["exists"], true);
    assert_eq!(world.get("/image_exists?image=a").await.1["exists"], false);
    let long = "a".repeat(5 << 20);
    assert_eq!(world.ask("POST", "/stop", &[ALICE], &long).await.0, 413);
}

#[tokio::test]
async fn sessions_without_an_owner_are_shown_to_the_one_who_adopts_them() {
    for (adopts, seen) in [(None, false), (Some("alice"), true), (Some("bob"), false)] {
        let world = World::here(|config| config.adopt_unowned = adopts.map(str::to_owned)).await;
        world.podbay.session(ID).open().await.unwrap();
        let (status, _) = world.get(&format!("/sessions/{ID}")).await;
        assert_eq!(status == 200, seen, "{adopts:?}");
        let (_, listed) = world.get("/list").await;
        assert_eq!(
            listed["runtimes"].as_array().unwrap().len(),
            usize::from(seen),
            "{adopts:?}"
        );
        // Nor is anybody led to it by its URL.
        let look = world.podbay.look(ID).await.unwrap().unwrap();
        let adopts = adopts.map(|name| SessionOwner::of(name).unwrap());
        let led = adopts.is_some();
        let sessions = ServiceSessions::new(world.podbay.clone(), adopts).unwrap();
        let route = sessions.route(&look.record.runtime_id.unwrap()).await.unwrap();
        assert_eq!(route.is_some(), led);
    }
}

#[tokio::test]
async fn a_session_is_public_by_choice() {
    let world = World::here(|_| {}).await;
    let sessions = ServiceSessions::new(world.podbay.clone(), None).unwrap();
    for (id, public) in [("a", json!(true)), ("b", json!(false)), ("c", json!(null))] {
        let mut body = stock(id, "host");
        body["public"] = public.clone();
        let session = world.start(&body).await;
        let runtime_id = session["runtime_id"].as_str().unwrap().parse().unwrap();
        let route = sessions.route(&runtime_id).await.unwrap().unwrap();
        assert_eq!(route.public, public == json!(true), "{id}");
    }
    let mut body = stock("d", "host");
    body["public"] = json!("yes");
    assert_eq!(world.post("/start", &body).await.0, 422);
}
