//! Not a byte lost, not a code wrong.

use futures::{StreamExt as _, stream};
use podbay_protocol::hex::to_hex;
use podbay_tests::{DEBIAN, SMALL, in_namespace};
use sha2::{Digest as _, Sha256};

/// Bytes of each stream.
const SIZE: usize = 10 << 20;

/// Writes [`SIZE`] pseudo-random bytes to each stream, interleaved, different ones, the same each time.
const BOTH_STREAMS: &str = "
import os, random
a, b = random.Random(1), random.Random(2)
for _ in range(160):
    os.write(1, a.randbytes(65536)); os.write(2, b.randbytes(65536))
";

fn sha256(bytes: &[u8]) -> String {
    to_hex(&Sha256::digest(bytes))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn ten_mebibytes_on_both_streams_a_hundred_times() {
    in_namespace("bytes", async |namespace| {
        let podbay = namespace.podbay();
        let open = [&["open", "s", "--image", DEBIAN], &SMALL[..]].concat();
        let _ = podbay.run(&open).await.expect(0);
        let words = ["exec", "s", "--", "python3", "-c", BOTH_STREAMS];
        // What the program writes, by a way of its own: hashed in the pod.
        let inside = "import hashlib, random
for seed in 1, 2:
    r = random.Random(seed); h = hashlib.sha256()
    for _ in range(160): h.update(r.randbytes(65536))
    print(h.hexdigest())";
        let hashes = podbay
            .run(&["exec", "s", "--", "python3", "-c", inside])
            .await
            .expect(0)
            .text();
        let expected: Vec<&str> = hashes.lines().collect();
        for round in 0..100 {
            let output = podbay.command(&words).output().await.unwrap();
            assert_eq!(output.status.code(), Some(0), "round {round}");
            assert_eq!(output.stdout.len(), SIZE, "round {round}");
            assert_eq!(
                sha256(&output.stdout),
                expected[0],
                "round {round}: standard output"
            );
            assert_eq!(
                sha256(&output.stderr),
                expected[1],
                "round {round}: standard error"
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn sixty_four_commands_at_once() {
    in_namespace("many", async |namespace| {
        let podbay = namespace.podbay();
        let open = [&["open", "s", "--image", DEBIAN, "--cpu", "1", "--memory", "256Mi"][..]].concat();
        let _ = podbay.run(&open).await.expect(0);
        let runs = stream::iter(0..64).map(|n| {
            let podbay = podbay.clone();
            async move {
                let script = format!("seq {n} 20000; echo {n} >&2; exit {}", n % 7);
                let done = podbay
                    .run(&["exec", "s", "--", "sh", "-c", &script])
                    .await
                    .expect(n % 7);
                let expected: String = (n..=20000).map(|line| format!("{line}\n")).collect();
                assert!(
                    done.text() == expected,
                    "command {n}: {} bytes",
                    done.stdout.len()
                );
                assert_eq!(done.stderr, format!("{n}\n"));
            }
        });
        runs.buffer_unordered(64).collect::<Vec<()>>().await;
    })
    .await;
}
