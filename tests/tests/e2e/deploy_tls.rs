//! The service with a certificate of its own, as `deploy/tls` has it: asked over TLS while it is rolled, and given another certificate.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::Api;
use podbay_tests::{Namespace, in_namespace};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::deploy::{KEY, ROLLED, kubectl, layer, secret};

/// The host of the API, which is not below the domain of sessions.
const HOST: &str = "podbay.test";

/// Makes a certificate for the API and the domain's wildcard, with this number.
async fn certificate(folder: &Path, number: &str) {
    let done = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            "/CN=run.test",
            "-addext",
            "subjectAltName=DNS:podbay.test,DNS:*.run.test",
            "-set_serial",
            number,
        ])
        .arg("-keyout")
        .arg(folder.join("tls.key"))
        .arg("-out")
        .arg(folder.join("tls.crt"))
        .output()
        .await
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Puts the certificate into its Secret.
async fn put(namespace: &Namespace, folder: &Path) {
    let path = |name: &str| folder.join(name).display().to_string();
    let made = kubectl(
        namespace,
        &[
            "-n",
            &namespace.name,
            "create",
            "secret",
            "tls",
            "podbay-serve-tls",
            "--dry-run=client",
            "-o",
            "yaml",
            "--cert",
            &path("tls.crt"),
            "--key",
            &path("tls.key"),
        ],
    )
    .await;
    let file = folder.join("secret.yaml");
    std::fs::write(&file, made).unwrap();
    kubectl(namespace, &["apply", "-f", &file.display().to_string()]).await;
}

/// curl, by which the service is asked over TLS with this certificate as its authority.
fn curl(folder: &Path, ip: &str) -> Command {
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--max-time",
        "20",
        "--output",
        "/dev/null",
    ])
    .args(["--write-out", "%{http_code} %{http_version} %{num_connects}\\n"])
    .args([
        "--resolve",
        &format!("{HOST}:443:{ip}"),
        "--header",
        &format!("X-API-Key: {KEY}"),
    ])
    .arg("--cacert")
    .arg(folder.join("tls.crt"))
    .stdin(Stdio::null())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .kill_on_drop(true);
    curl
}

async fn answered(folder: &Path, ip: &str) -> bool {
    let done = curl(folder, ip)
        .arg(format!("https://{HOST}/ready"))
        .output()
        .await
        .unwrap();
    done.stdout.starts_with(b"200 ")
}

/// Asks again and again on connections that are kept, by one version of HTTP. curl tries nothing twice of what got an answer, and writes a
/// line for each request.
async fn keep_asking(folder: &Path, ip: &str, version: &str) -> Vec<String> {
    let done = curl(folder, ip)
        .args([version, "--rate", "8/s", "--no-progress-meter"])
        .arg(format!("https://{HOST}/list?[1-480]"))
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let complained = String::from_utf8_lossy(&done.stderr);
    assert!(complained.is_empty(), "{complained}");
    said.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster, kubectl, openssl, curl, PODBAY_TEST_AGENT_IMAGE and PODBAY_TEST_SERVE_IMAGE"]
async fn a_certificate_of_its_own_is_shown_replaced_and_rolled_under_requests() {
    in_namespace("deploy-tls", async |namespace| {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("1"), folder.path().join("2"));
        for (folder, number) in [(&first, "1"), (&second, "2")] {
            std::fs::create_dir(folder).unwrap();
            certificate(folder, number).await;
        }
        secret(&namespace).await;
        put(&namespace, &first).await;
        let layer = layer(&namespace, folder.path(), "tls");
        kubectl(&namespace, &["apply", "-k", layer.to_str().unwrap()]).await;
        let run = async |args: &[&str]| {
            kubectl(&namespace, &[&["-n", namespace.name.as_str()], args].concat()).await
        };
        run(&ROLLED).await;
        let services: Api<Service> = namespace.api();
        let ip = services
            .get("podbay-serve")
            .await
            .unwrap()
            .spec
            .unwrap()
            .cluster_ip
            .unwrap();
        let until = async |folder: &Path| {
            while !answered(folder, &ip).await {
                sleep(Duration::from_millis(500)).await;
            }
        };
        timeout(Duration::from_secs(30), until(&first)).await.unwrap();
        assert!(
            !answered(&second, &ip).await,
            "it shows a certificate that it does not have"
        );

        // Rolled, while clients keep their connections.
        let asking = async {
            tokio::join!(
                keep_asking(&first, &ip, "--http1.1"),
                keep_asking(&first, &ip, "--http2")
            )
        };
        let rolling = async {
            sleep(Duration::from_secs(5)).await;
            run(&["rollout", "restart", "deployment/podbay-serve"]).await;
            run(&ROLLED).await;
        };
        let ((old, new), ()) = tokio::join!(asking, rolling);
        for (lines, version) in [(&old, "1.1"), (&new, "2")] {
            let expected = format!("200 {version} ");
            assert!(
                lines.len() == 480 && lines.iter().all(|line| line.starts_with(&expected)),
                "{lines:?}"
            );
            // The first one, and few more: the connections are kept, and followed by others when a replica goes.
            let connections: usize = lines.iter().filter(|line| line.ends_with(" 1")).count();
            assert!(
                (2..=6).contains(&connections),
                "HTTP/{version}: {connections} connections"
            );
        }

        // Another certificate is shown by all replicas once the node has it, without a restart.
        put(&namespace, &second).await;
        let shown = async {
            for _ in 0..10 {
                until(&second).await;
            }
            while answered(&first, &ip).await {
                sleep(Duration::from_millis(500)).await;
            }
        };
        timeout(Duration::from_secs(180), shown).await.unwrap();
        let restarts = run(&[
            "get",
            "pods",
            "-o",
            "jsonpath={.items[*].status.containerStatuses[*].restartCount}",
        ])
        .await;
        assert!(restarts.split(' ').all(|count| count == "0"), "{restarts}");
    })
    .await;
}
