//! Copies of one large file, hashed at both ends, beside those of `kubectl cp`.
//!
//! `PODBAY_AGENT_DIAL` says by which way `podbay` goes, as it does for the program itself; `PODBAY_MEASURE_MIB` how large the file is
//! (1024 unless told otherwise).

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use podbay_runtime::Session;
use podbay_tests::{DEBIAN, Namespace};
use tokio::process::Command;

use crate::figures::{Figures, time};

/// MiB of the file unless told otherwise.
const SIZE: u64 = 1024;
/// Rounds of each; the first is not counted.
const ROUNDS: u32 = 4;
/// A directory of memory in every container, with room for both programs' files.
const TEMPLATE: &str = "\
spec:
  containers:
  - name: runtime
    volumeMounts: [{name: memory, mountPath: /memory}]
  volumes: [{name: memory, emptyDir: {medium: Memory}}]
";

/// `podbay cp` and `kubectl cp` in turns, whole processes, both directions, to memory and to the disk. What `podbay` copies is
/// hashed on both sides and written through at its end; `kubectl` does neither.
pub(crate) async fn large_files(namespace: &Namespace) {
    let mebibytes = std::env::var("PODBAY_MEASURE_MIB").map_or(SIZE, |size| size.parse().unwrap());
    let way = std::env::var("PODBAY_AGENT_DIAL").unwrap_or_else(|_| "auto".to_owned());
    let podbay = namespace.library(&[("kubernetes.pod_template", TEMPLATE)]).await;
    // Both programs' files, each once more while it is replaced, and the cache of the disk's: at its limit a pod has its memory reclaimed
    // all the time.
    let memory = format!("{}Mi", 6 * mebibytes + 256);
    let session = podbay
        .session("demo")
        .image(DEBIAN)
        .memory(&memory)
        .open()
        .await
        .unwrap();
    let local = tempfile::tempdir_in("/dev/shm").unwrap();
    make(&local.path().join("file"), mebibytes).await;
    println!("{mebibytes} MiB, podbay's way: {way}");
    for place in ["/memory", "/workspace"] {
        let copies = Copies {
            namespace,
            pod: session.pod_name(),
            local: local.path(),
            place,
        };
        copies.measure(mebibytes).await;
        if place == "/workspace" {
            copies.measure_the_disk(&session).await;
        }
    }
}

/// Bytes that no filesystem leaves out.
async fn make(path: &Path, mebibytes: u64) {
    let script = format!("head -c {} /dev/urandom >\"$1\"", mebibytes << 20);
    time(Command::new("sh").args(["-c", &script, "sh"]).arg(path)).await;
}

/// How long the pod's own disk takes for what has been copied into its memory.
async fn written_through(session: &Session) -> Duration {
    let words = ["dd", "if=/memory/ours", "of=/workspace/dd", "bs=1M", "conv=fsync"];
    let begun = tokio::time::Instant::now();
    assert!(Box::pin(session.exec(words)).await.unwrap().success());
    begun.elapsed()
}

/// Copies between a directory of this side and one of a pod.
struct Copies<'a> {
    namespace: &'a Namespace,
    pod: String,
    local: &'a Path,
    place: &'a str,
}

impl Copies<'_> {
    async fn measure(&self, mebibytes: u64) {
        let podbay = self.namespace.podbay();
        let here = |name: &str| self.local.join(name).display().to_string();
        let (place, pod) = (self.place, &self.pod);
        let directions = [
            (
                "in",
                [here("file"), format!("demo:{place}/ours")],
                [here("file"), format!("{pod}:{place}/theirs")],
            ),
            (
                "out",
                [format!("demo:{place}/ours"), here("ours")],
                [format!("{pod}:{place}/theirs"), here("theirs")],
            ),
        ];
        for (direction, ours, theirs) in directions {
            let (mut mine, mut others) = (Figures::default(), Figures::default());
            for round in 0..ROUNDS {
                let us = time(&mut podbay.command(&["-q", "cp", &ours[0], &ours[1]])).await;
                let them = time(self.kubectl().arg("cp").args(&theirs)).await;
                if round > 0 {
                    mine.add(us);
                    others.add(them);
                }
            }
            println!("{}", mine.line(&format!("podbay cp {direction}, {place}")));
            println!("{}", others.line(&format!("kubectl cp {direction}, {place}")));
            #[expect(clippy::cast_precision_loss, reason = "far fewer MiB than 2^52")]
            let rate = mebibytes as f64 * 1000.0 / mine.median();
            let ratio = others.median() / mine.median();
            println!("{rate:.0} MiB/s, {ratio:.2} times as fast as kubectl");
        }
        // What came back is what was sent.
        for copy in ["ours", "theirs"] {
            time(Command::new("cmp").arg(here("file")).arg(here(copy))).await;
        }
    }

    /// `podbay cp` in, onto the disk, in turns with `dd` of as much in the pod, out of its memory and written through.
    async fn measure_the_disk(&self, session: &Session) {
        let podbay = self.namespace.podbay();
        let file = self.local.join("file").display().to_string();
        let to = format!("demo:{}/ours", self.place);
        let (mut mine, mut disk) = (Figures::default(), Figures::default());
        for round in 0..=ROUNDS {
            let remove = ["sh", "-c", "rm -f /workspace/* && sync -f /workspace"];
            assert!(Box::pin(session.exec(remove)).await.unwrap().success());
            let written = written_through(session).await;
            assert!(Box::pin(session.exec(remove)).await.unwrap().success());
            let copied = time(&mut podbay.command(&["-q", "cp", &file, &to])).await;
            if round > 0 {
                mine.add(copied);
                disk.add(written);
            }
        }
        println!("{}", mine.line(&format!("podbay cp in, {}", self.place)));
        println!("{}", disk.line("dd out of memory, written through"));
        let ratio = disk.median() / mine.median();
        println!("{ratio:.2} times as fast as the disk takes it");
    }

    fn kubectl(&self) -> Command {
        let mut kubectl = Command::new("kubectl");
        kubectl
            .arg("--kubeconfig")
            .arg(&self.namespace.cluster.kubeconfig)
            .args(["-n", &self.namespace.name])
            .stdin(Stdio::null());
        kubectl
    }
}
