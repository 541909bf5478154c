//! Podbay's agent in real pods: each way in, what it carries, what hostile code beside it can do, and its own failures.

use podbay_tests::agent::{agent_image, static_agent};
use podbay_tests::{BUSYBOX, DEBIAN, Namespace, PAUSE, Podbay, SMALL, in_namespace};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The ways into a pod, by what `agent.delivery` calls them.
const WAYS: [&str; 3] = ["upload", "init_container", "image_volume"];

/// The program with an agent that comes in by `way`.
fn podbay_with_agent(namespace: &Namespace, way: &str) -> Podbay {
    let podbay = namespace.podbay().env("PODBAY_AGENT_DELIVERY", way);
    if way == "upload" {
        podbay.env("PODBAY_AGENT_BINARY", &static_agent())
    } else {
        podbay.env("PODBAY_AGENT_IMAGE", &agent_image())
    }
}

async fn open(podbay: &Podbay, id: &str, options: &[&str]) {
    let _ = podbay
        .run(&[&["open", id], options, &SMALL[..]].concat())
        .await
        .expect(0);
}

/// The agent's line of `podbay show`: it must run, and have come in by `way`.
async fn expect_agent(podbay: &Podbay, id: &str, way: &str) {
    let shown: Value = podbay.run(&["show", id, "-o", "json"]).await.expect(0).json();
    assert_eq!(
        (&shown["agent"]["delivery"], &shown["agent"]["running"]),
        (&way.into(), &true.into()),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster, PODBAY_TEST_AGENT and PODBAY_TEST_AGENT_IMAGE"]
async fn each_way_in_makes_it_pid_1_and_carries_commands() {
    in_namespace("agent", async |namespace| {
        namespace
            .label("pod-security.kubernetes.io/enforce", "restricted")
            .await;
        for (way, image) in WAYS.into_iter().flat_map(|way| [(way, DEBIAN), (way, BUSYBOX)]) {
            let podbay = podbay_with_agent(&namespace, way);
            open(&podbay, "s", &["--image", image, "--env", "COLOUR=blue"]).await;
            expect_agent(&podbay, "s", way).await;
            let done = podbay
                .run(&["exec", "s", "--", "cat", "/proc/1/comm"])
                .await
                .expect(0);
            assert_eq!(done.text(), "podbay-agent\n", "{way} {image}");
            for (command, code) in [
                (&["true"][..], 0),
                (&["sh", "-c", "exit 7"], 7),
                (&["sh", "-c", "kill -9 $$"], 137),
                (&["no-such-program"], 127),
                (&["/etc/passwd"], 126),
            ] {
                let _ = podbay
                    .run(&[&["exec", "s", "--"], command].concat())
                    .await
                    .expect(code);
            }
            let done = podbay
                .run(&[
                    "exec",
                    "s",
                    "--",
                    "sh",
                    "-c",
                    "echo $COLOUR; pwd; id -u; echo err >&2",
                ])
                .await
                .expect(0);
            assert_eq!(
                (done.text().as_str(), done.stderr.as_str()),
                ("blue\n/workspace\n10001\n", "err\n")
            );
            // Every byte value, in and out, with a window's worth more than once.
            let input: Vec<u8> = (0..3_000_000_u32)
                .map(|n| (n ^ (n >> 8)).to_le_bytes()[0])
                .collect();
            let done = podbay
                .run_with_input(&["exec", "-i", "s", "--", "cat"], input.clone())
                .await
                .expect(0);
            assert!(
                Sha256::digest(&done.stdout) == Sha256::digest(&input),
                "{way} {image}: {} bytes",
                done.stdout.len()
            );
            let _ = podbay.run(&["close", "s", "--wait"]).await.expect(0);
        }
        namespace.wait_until_empty().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster, PODBAY_TEST_AGENT and PODBAY_TEST_AGENT_IMAGE"]
async fn an_image_without_a_shell_takes_commands_where_the_agent_comes_from_its_image() {
    in_namespace("bare", async |namespace| {
        for way in ["init_container", "image_volume"] {
            let podbay = podbay_with_agent(&namespace, way);
            open(&podbay, "s", &["--image", PAUSE]).await;
            // The only other program there is.
            let done = podbay
                .run(&["exec", "s", "--", "/.podbay/podbay-agent"])
                .await
                .expect(2);
            assert!(done.stderr.contains("usage: podbay-agent"), "{}", done.stderr);
            let done = podbay.run(&["exec", "s", "--", "sh"]).await.expect(127);
            assert!(done.stderr.contains("sh"), "{}", done.stderr);
            let _ = podbay.run(&["close", "s", "--wait"]).await.expect(0);
        }
    })
    .await;
}

/// What a command of the sandbox's own user tries against the agent, which is of the same user; each line says what came of it.
const HOSTILE: &str = r#"
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
def attempt(name, call):
    try:
        print(name, call() or "done")
    except OSError as error:
        print(name, error.strerror)
def read(path):
    with open(path, "rb") as file:
        return len(file.read(1))
def attach():
    if libc.ptrace(16, 1, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
attempt("environ", lambda: read("/proc/1/environ"))
attempt("mem", lambda: read("/proc/1/mem"))
attempt("fd", lambda: os.listdir("/proc/1/fd"))
attempt("ptrace", attach)
for name in ("KILL", "STOP", "SEGV", "BUS", "ABRT", "QUIT"):
    os.kill(1, getattr(signal, "SIG" + name))
print("keys", [name for name in os.environ if "KEY" in name])
print("descriptors", sorted(os.listdir("/proc/self/fd"))[:3])
print("file", os.path.exists("/.podbay/key"))
"#;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster, PODBAY_TEST_AGENT and PODBAY_TEST_AGENT_IMAGE"]
async fn hostile_code_of_the_same_user_neither_reads_nor_ends_it() {
    in_namespace("hostile", async |namespace| {
        for way in WAYS {
            let podbay = podbay_with_agent(&namespace, way);
            open(&podbay, "s", &["--image", DEBIAN]).await;
            let done = podbay
                .run(&["exec", "s", "--", "python3", "-c", HOSTILE])
                .await
                .expect(0);
            let expected = "environ Permission denied\nmem Permission denied\nfd Permission denied\n\
                            ptrace Operation not permitted\nkeys []\ndescriptors ['0', '1', '2']\nfile False\n";
            assert_eq!(done.text(), expected, "{way}");
            // It is there, and is the same.
            let done = podbay
                .run(&["exec", "s", "--", "cat", "/proc/1/comm"])
                .await
                .expect(0);
            assert_eq!(done.text(), "podbay-agent\n");
            let key = podbay.run(&["key", "s"]).await.expect(0).text();
            // Over exec, too, where the commands' shell is started beside it by the node.
            let by_exec = podbay.clone().env("PODBAY_AGENT_DELIVERY", "none");
            let done = by_exec.run(&["exec", "s", "--", "env"]).await.expect(0);
            assert!(!done.text().contains(key.trim()), "{way}");
            let _ = podbay.run(&["close", "s", "--wait"]).await.expect(0);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn an_agents_image_that_is_not_there_is_told_as_the_agents() {
    in_namespace("noagent", async |namespace| {
        for way in ["init_container", "image_volume"] {
            let podbay = namespace
                .podbay()
                .env("PODBAY_AGENT_DELIVERY", way)
                .env("PODBAY_AGENT_IMAGE", "podbay/no-agent:1");
            let words = [
                &["run", "-o", "json", "--image", DEBIAN],
                &SMALL[..],
                &["--", "true"],
            ]
            .concat();
            let record = podbay.run(&words).await.expect(125).json();
            let verdict = &record["verdict"];
            assert_eq!(
                (&verdict["cause"], &verdict["blame"]),
                (&"agent_image".into(), &"configuration".into()),
                "{way}: {record}"
            );
            assert!(
                verdict["message"]
                    .as_str()
                    .is_some_and(|message| message.contains("podbay/no-agent:1")),
                "{record}"
            );
            namespace.wait_until_empty().await;
        }
    })
    .await;
}
