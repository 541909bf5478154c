//! Questions to registries: what is answered, and what a name can't make the service do.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use podbay_exec_proxy::registry::{Found, NotTold, Registries};
use podbay_fake_cluster::ScriptedCluster;
use podbay_runtime::Config;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::world::World;

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A request that came: its target, and what it was authorised with.
type Seen = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// A registry on this machine.
struct Registry {
    address: SocketAddr,
    seen: Seen,
}

impl Registry {
    async fn new(
        answer: impl Fn(&str, Option<&str>, SocketAddr) -> Response<String> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, answer) = (Seen::default(), Arc::new(answer));
        let noted = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (noted, answer) = (Arc::clone(&noted), Arc::clone(&answer));
                tokio::spawn(async move {
                    let service = service_fn(move |request: Request<Incoming>| {
                        let target = request.uri().to_string();
                        let authorization = request.headers().get("authorization");
                        let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
                        let answer = answer(&target, authorization.as_deref(), address);
                        noted.lock().unwrap().push((target, authorization));
                        async move { Ok::<_, Infallible>(answer.map(|body| Full::new(Bytes::from(body)))) }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, seen }
    }

    fn image(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }

    fn entry(&self) -> String {
        format!("http://{}", self.address)
    }

    fn seen(&self) -> Vec<(String, Option<String>)> {
        self.seen.lock().unwrap().clone()
    }
}

fn answer(status: u16, headers: &[(&str, &str)], body: &Value) -> Response<String> {
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(body.to_string()).unwrap()
}

fn config(private: &[&str]) -> Config {
    let mut config = Config::default();
    config.serve.private_image_registries = private.iter().map(|entry| (*entry).to_owned()).collect();
    config
}

fn registries(private: &[&str]) -> Registries {
    Registries::of(&config(private)).unwrap()
}

fn unknown(found: Result<Found, NotTold>) -> String {
    match found {
        Err(error @ (NotTold::Unknown { .. } | NotTold::NotListed { .. })) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// One with an image of two platforms.
fn full(target: &str) -> Response<String> {
    let manifest = json!({"config": {"size": 7}, "layers": [{"size": 1000}, {"size": 2000}]});
    match target {
        "/v2/a/b/manifests/1" => {
            let other =
                json!({"digest": "sha256:other", "platform": {"os": "linux", "architecture": "arm64"}});
            let usual =
                json!({"digest": "sha256:usual", "platform": {"os": "linux", "architecture": "amd64"}});
            answer(
                200,
                &[("docker-content-digest", DIGEST)],
                &json!({"manifests": [other, usual]}),
            )
        }
        "/v2/a/b/manifests/sha256:usual" => answer(200, &[], &manifest),
        _ => answer(404, &[], &json!({"errors": [{"code": "MANIFEST_UNKNOWN"}]})),
    }
}

#[tokio::test]
async fn what_a_registry_has_is_told_with_its_digest_and_size_and_asked_once() {
    let registry = Registry::new(|target, _, _| full(target)).await;
    let registries = registries(&[&registry.entry()]);
    let there = Found::There {
        digest: Some(DIGEST.to_owned()),
        bytes: Some(3007),
    };
    for _ in 0..3 {
        assert_eq!(registries.look(&registry.image("a/b:1")).await, Ok(there.clone()));
    }
    assert_eq!(registry.seen().len(), 2);
    assert_eq!(
        registries.look(&registry.image("a/b:2")).await,
        Ok(Found::Missing)
    );
    assert_eq!(
        registries.look(&registry.image("a/none")).await,
        Ok(Found::Missing)
    );
    assert_eq!(registry.seen()[3].0, "/v2/a/none/manifests/latest");
    assert!(matches!(registries.look("A B").await, Err(NotTold::Image(_))));
}

#[tokio::test]
async fn a_mirror_is_asked_in_the_place_of_its_registry() {
    let registry = Registry::new(|target, _, _| full(target)).await;
    let mut config = config(&[&registry.entry()]);
    config.kubernetes.registry_mirrors = [("docker.io/library".to_owned(), registry.image("a"))].into();
    let registries = Registries::of(&config).unwrap();
    assert!(matches!(registries.look("b:1").await, Ok(Found::There { .. })));
    assert_eq!(registry.seen()[0].0, "/v2/a/b/manifests/1");
}

/// SSRF by image name: whatever name a client gives, nothing is connected to that is not listed.
#[tokio::test]
async fn no_name_leads_to_what_is_not_listed() {
    let registry = Registry::new(|target, _, _| full(target)).await;
    let port = registry.address.port();
    let mut config = config(&[]);
    config.serve.image_registries = vec![
        format!("http://localhost:{port}"),
        format!("http://127.0.0.1:{port}"),
    ];
    let registries = Registries::of(&config).unwrap();
    // Listed, and not as one whose addresses may be private.
    for name in [
        format!("localhost:{port}/a/b:1"),
        format!("127.0.0.1:{port}/a/b:1"),
    ] {
        let why = unknown(registries.look(&name).await);
        assert!(why.contains("private address"), "{why}");
    }
    for name in [
        format!("127.1:{port}/a/b:1"),
        format!("0x7f.0.0.1:{port}/a/b:1"),
        format!("2130706433:{port}/a/b:1"),
        format!("0.0.0.0:{port}/a/b:1"),
        format!("[::1]:{port}/a/b:1"),
        format!("[::ffff:127.0.0.1]:{port}/a/b:1"),
        "169.254.169.254/latest/meta-data".to_owned(),
        "metadata.google.internal/a/b".to_owned(),
        "kubernetes.default.svc/api/v1".to_owned(),
        "debian:12".to_owned(),
    ] {
        assert!(
            matches!(
                registries.look(&name).await,
                Err(NotTold::NotListed { .. } | NotTold::Image(_))
            ),
            "{name}"
        );
    }
    assert_eq!(registry.seen(), []);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Registry::new(|target, _, _| full(target)).await;
    let location = format!("{}/v2/a/b/manifests/1", other.entry());
    let registry = Registry::new(move |_, _, _| answer(307, &[("location", &location)], &json!({}))).await;
    let registries = registries(&[&registry.entry(), &other.entry()]);
    let why = unknown(registries.look(&registry.image("a/b:1")).await);
    assert!(why.contains("is not followed"), "{why}");
    assert_eq!(other.seen(), []);
}

/// A registry that wants a token from there.
async fn with_realm(realm: impl Fn(SocketAddr) -> String + Send + Sync + 'static) -> Registry {
    Registry::new(move |target, authorization, own| {
        if target.starts_with("/token?") {
            return answer(200, &[], &json!({"token": "t0k"}));
        }
        if authorization == Some("Bearer t0k") {
            return full(target);
        }
        let wanted = format!(
            "Bearer realm=\"{}\",service=\"s v\",scope=\"repository:x:push\"",
            realm(own)
        );
        answer(401, &[("www-authenticate", &wanted)], &json!({}))
    })
    .await
}

fn with_credentials(registry: &Registry, private: &[&str]) -> Registries {
    let file = tempfile::NamedTempFile::new().unwrap();
    let auths = json!({"auths": {registry.address.to_string(): {"auth": "bWU6aHVudGVyMg=="}}});
    std::fs::write(file.path(), auths.to_string()).unwrap();
    let mut config = config(private);
    config.serve.registry_auth_file = Some(file.path().to_owned());
    Registries::of(&config).unwrap()
}

#[tokio::test]
async fn a_token_is_fetched_with_the_registry_s_own_credentials() {
    let registry = with_realm(|own| format!("http://{own}/token")).await;
    let registries = with_credentials(&registry, &[&registry.entry()]);
    assert!(matches!(
        registries.look(&registry.image("a/b:1")).await,
        Ok(Found::There { .. })
    ));
    let seen = registry.seen();
    assert_eq!(seen[0].1, None);
    assert_eq!(seen[1].0, "/token?service=s%20v&scope=repository%3Aa%2Fb%3Apull");
    assert_eq!(seen[1].1.as_deref(), Some("Basic bWU6aHVudGVyMg=="));
    assert_eq!(seen[2].1.as_deref(), Some("Bearer t0k"));
}

#[tokio::test]
async fn credentials_go_to_no_realm_that_is_not_listed_and_to_no_other_registry() {
    let thief = Registry::new(|_, _, _| answer(200, &[], &json!({"token": "x"}))).await;
    let address = thief.address;
    let registry = with_realm(move |_| format!("http://{address}/token")).await;
    let registries = with_credentials(&registry, &[&registry.entry()]);
    let why = unknown(registries.look(&registry.image("a/b:1")).await);
    assert!(why.contains("serve.image_registries"), "{why}");
    assert_eq!(thief.seen(), []);
    // Another registry, which is listed and asks for a password, gets none of this one.
    let basic =
        Registry::new(|_, _, _| answer(401, &[("www-authenticate", "Basic realm=\"x\"")], &json!({}))).await;
    let registries = with_credentials(&registry, &[&registry.entry(), &basic.entry()]);
    let why = unknown(registries.look(&basic.image("a/b:1")).await);
    assert!(why.contains("other credentials"), "{why}");
    assert!(
        basic
            .seen()
            .iter()
            .all(|(_, authorization)| authorization.is_none())
    );
    assert_eq!(basic.seen().len(), 1);
}

#[tokio::test]
async fn a_registry_that_was_asked_too_often_is_left_alone() {
    let registry = Registry::new(|_, _, _| answer(429, &[("retry-after", "120")], &json!({}))).await;
    let registries = registries(&[&registry.entry()]);
    let why = unknown(registries.look(&registry.image("a/b:1")).await);
    assert!(why.contains("too often"), "{why}");
    for tag in 0..5 {
        let why = unknown(registries.look(&registry.image(&format!("a/b:{tag}"))).await);
        assert!(why.contains("left alone"), "{why}");
    }
    assert_eq!(registry.seen().len(), 1);
}

#[tokio::test]
async fn what_a_registry_answers_is_bounded_and_never_taken_for_an_image() {
    let huge = Registry::new(|_, _, _| {
        let body = "x".repeat(5 << 20);
        Response::builder().status(200).body(body).unwrap()
    })
    .await;
    let broken = Registry::new(|_, _, _| answer(500, &[], &json!({}))).await;
    let registries = registries(&[&huge.entry(), &broken.entry()]);
    let why = unknown(registries.look(&huge.image("a/b:1")).await);
    assert!(why.contains("can't be read"), "{why}");
    let why = unknown(registries.look(&broken.image("a/b:1")).await);
    assert!(why.contains("500"), "{why}");
}

#[tokio::test]
async fn clients_are_answered_as_their_builder_reads_it() {
    let registry = Registry::new(|target, _, _| full(target)).await;
    let cluster = ScriptedCluster::new();
    let world = World::on(&cluster, |config| {
        config.registry_prefix = Some("registry.example/team".to_owned());
    });
    assert_eq!(world.get("/image_exists?image=debian").await.0, 501);
    let prefix = world.get("/registry_prefix").await;
    assert_eq!(prefix, (200, json!({"registry_prefix": "registry.example/team"})));
    let World { api, .. } = world;
    let world = World {
        api: api.with_registries(registries(&[&registry.entry()])),
        ..World::on(&cluster, |_| {})
    };
    let ask = |image: String| {
        let world = &world;
        async move {
            world
                .get(&format!("/image_exists?image={}", image.replace('/', "%2F")))
                .await
        }
    };
    let there = json!({
        "exists": true, "image": {"upload_time": null, "image_size_bytes": 3007, "digest": DIGEST},
    });
    assert_eq!(ask(registry.image("a/b:1")).await, (200, there));
    assert_eq!(
        ask(registry.image("a/b:9")).await,
        (200, json!({"exists": false, "image": null}))
    );
    assert_eq!(ask("quay.io/a/b".to_owned()).await.0, 501);
    assert_eq!(ask("A".to_owned()).await.0, 422);
    assert_eq!(world.get("/registry_prefix").await.0, 200);
}
