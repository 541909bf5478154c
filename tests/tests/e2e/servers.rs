//! Sessions whose image brings a server: how it is reached, and what tells who may talk to it.

use podbay_tests::{DEBIAN, Podbay, SMALL, in_namespace};
use serde_json::json;

/// Answers `/alive` to anybody and all else to who has the session's key, as OpenHands' servers do.
const SERVER: &str = r#"
import http.server, os

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.headers.get("X-Session-API-Key") == os.environ["SESSION_API_KEY"]
        self.send_response(200 if known or self.path == "/alive" else 401)
        self.end_headers()

http.server.HTTPServer(("", 8080), Handler).serve_forever()
"#;

async fn key(podbay: &Podbay) -> String {
    podbay.run(&["key", "demo"]).await.expect(0).text()
}

/// The status that the session's server answers another session with.
async fn status(podbay: &Podbay, url: &str, key: &str) -> String {
    let header = format!("X-Session-API-Key: {key}");
    let curl = [
        "curl",
        "-s",
        "-m",
        "10",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "-H",
        &header,
        url,
    ];
    podbay
        .run(&[&["exec", "peer", "--"], &curl[..]].concat())
        .await
        .expect(0)
        .text()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_server_is_reached_at_its_address_with_its_key_before_and_after_a_pause() {
    in_namespace("server", async |namespace| {
        let podbay = namespace.podbay();
        let template =
            json!({"spec": {"containers": [{"name": "runtime", "command": ["python3", "-c", SERVER]}]}});
        let serving = podbay
            .clone()
            .env("PODBAY_KUBERNETES_POD_TEMPLATE", &template.to_string());
        let image = [&["--image", DEBIAN], &SMALL[..]].concat();
        let _ = serving
            .run(&[&["open", "demo", "--server", "--persistent"], &image[..]].concat())
            .await
            .expect(0);
        let open = ["open", "peer", "--network", "open"];
        let _ = podbay.run(&[&open[..], &image[..]].concat()).await.expect(0);

        let printed = key(&podbay).await;
        let given = podbay
            .run(&["exec", "demo", "--", "printenv", "SESSION_API_KEY"])
            .await
            .expect(0);
        assert_eq!(printed, given.text(), "the key, a line end, and nothing else");
        let shown = podbay.run(&["show", "demo", "-o", "json"]).await.expect(0).json();
        let url = format!("{}/server_info", shown["server_url"].as_str().unwrap());
        assert_eq!(status(&podbay, &url, printed.trim_end()).await, "200");
        assert_eq!(status(&podbay, &url, "another").await, "401");

        let _ = podbay.run(&["pause", "demo", "--wait"]).await.expect(0);
        assert_eq!(key(&podbay).await, printed, "paused");
        let _ = podbay.run(&["resume", "demo"]).await.expect(0);
        assert_eq!(key(&podbay).await, printed, "resumed");
        assert_eq!(status(&podbay, &url, printed.trim_end()).await, "200");
        let _ = podbay.run(&["close", "demo", "--wait"]).await.expect(0);
        assert_eq!(podbay.run(&["key", "demo"]).await.expect(125).text(), "");
    })
    .await;
}
