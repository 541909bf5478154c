//! Running commands: streams, exit codes, input, terminals, records.

use podbay_tests::{DEBIAN, Finished, Namespace, SMALL, in_namespace};

/// `podbay run` with a small session.
async fn run(namespace: &Namespace, options: &[&str], command: &[&str]) -> Finished {
    let words = [&["run", "--image", DEBIAN], &SMALL[..], options, &["--"], command].concat();
    namespace.podbay().run(&words).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn run_keeps_streams_apart_and_has_the_commands_code() {
    in_namespace("run", async |namespace| {
        let done = run(
            &namespace,
            &["-q"],
            &["sh", "-c", "echo out; echo err >&2; exit 3"],
        )
        .await
        .expect(3);
        assert_eq!(done.text(), "out\n");
        assert_eq!(done.stderr, "err\n");
        let done = run(&namespace, &[], &["cat", "/etc/os-release"]).await.expect(0);
        assert!(done.text().contains("bookworm"), "{}", done.text());
        namespace.wait_until_empty().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn exit_codes_are_those_of_the_command_or_say_what_went_wrong() {
    in_namespace("codes", async |namespace| {
        let podbay = namespace.podbay();
        let open = [&["open", "s", "--image", DEBIAN], &SMALL[..]].concat();
        let _ = podbay.run(&open).await.expect(0);
        for (command, code) in [
            (&["true"][..], 0),
            (&["false"], 1),
            (&["sh", "-c", "exit 137"], 137),
            (&["sh", "-c", "kill -9 $$"], 137),
            (&["sh", "-c", "kill -TERM $$"], 143),
            (&["no-such-program"], 127),
            (&["/etc/passwd"], 126),
            (&["/tmp"], 126),
        ] {
            let words = [&["exec", "s", "--"], command].concat();
            let _ = podbay.run(&words).await.expect(code);
        }
        // Longer than the URL of an exec may be.
        let long = "it's ".repeat(20_000);
        let done = podbay
            .run(&["exec", "s", "--", "printf", "%s", &long])
            .await
            .expect(0);
        assert!(done.text() == long, "{} bytes", done.stdout.len());
        // The time-out kills the command and what it left behind, in the pod too.
        let words = [
            "exec",
            "--timeout",
            "2s",
            "s",
            "--",
            "sh",
            "-c",
            "setsid sleep 3141 & sleep 3141",
        ];
        let _ = podbay.run(&words).await.expect(124);
        let left = podbay
            .run(&[
                "exec",
                "s",
                "--",
                "sh",
                "-c",
                "cat /proc/[0-9]*/cmdline | tr '\\0' ' '",
            ])
            .await;
        assert!(!left.text().contains("sleep 3141"), "{}", left.text());
        let _ = podbay.run(&["exec", "nobody", "--", "true"]).await.expect(125);
        let _ = podbay.run(&["exec", "s"]).await.expect(2);
        let _ = podbay.run(&["close", "s"]).await.expect(0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn standard_input_arrives_whole_and_ends() {
    in_namespace("stdin", async |namespace| {
        let podbay = namespace.podbay();
        let open = [&["open", "s", "--image", DEBIAN], &SMALL[..]].concat();
        let _ = podbay.run(&open).await.expect(0);
        // Without -i it is empty, not absent.
        let done = podbay
            .run_with_input(&["exec", "s", "--", "wc", "-c"], b"ignored".to_vec())
            .await
            .expect(0);
        assert_eq!(done.text().trim(), "0");
        let binary: Vec<u8> = (0..4_000_000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let done = podbay
            .run_with_input(&["exec", "-i", "s", "--", "cat"], binary.clone())
            .await
            .expect(0);
        assert_eq!(done.stdout.len(), binary.len());
        assert!(done.stdout == binary, "the bytes differ");
        // A command that doesn't read goes on without its input, and each has its own code: of such commands one in twenty was told
        // as lost, because the connection broke under what was still sent.
        let unread = async |words: &[&str], code: i32| {
            let words = [&["exec", "-i"], words].concat();
            let done = podbay.run_with_input(&words, binary.clone()).await.expect(code);
            assert!(done.stdout.is_empty());
            // What came was not told as cut either.
            assert!(!done.stderr.contains("is missing"), "{}", done.stderr);
        };
        for _ in 0..10 {
            tokio::join!(
                unread(&["s", "--", "true"], 0),
                unread(&["s", "--", "false"], 1),
                unread(&["s", "--", "no-such-program"], 127),
                unread(&["-w", "/nowhere", "s", "--", "true"], 126),
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_record_is_one_line_of_json() {
    in_namespace("record", async |namespace| {
        let done = run(
            &namespace,
            &["-o", "json"],
            &["sh", "-c", "printf 'a\\n'; printf '\\377' >&2; exit 4"],
        )
        .await
        .expect(4);
        assert_eq!(done.text().trim_end().lines().count(), 1);
        let record = done.json();
        assert_eq!(record["end"], serde_json::json!({"kind": "exited", "code": 4}));
        assert_eq!(record["exit_code"], 4);
        assert_eq!(record["stdout"]["text"], "a\n");
        assert_eq!(record["stdout"]["bytes"], 2);
        assert_eq!(record["stderr"]["base64"], "/w==");
        assert!(
            record["start"]["total"]
                .as_f64()
                .is_some_and(|seconds| seconds > 0.0),
            "{record}"
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("outcome.json");
        let done = run(
            &namespace,
            &["--outcome-file", file.to_str().unwrap()],
            &["echo", "live"],
        )
        .await
        .expect(0);
        assert_eq!(done.text(), "live\n");
        let record: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(record["stdout"]["bytes"], 5);
        assert!(record["stdout"].get("text").is_none(), "{record}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn the_environment_travels_in_a_secret_alone() {
    in_namespace("env", async |namespace| {
        let podbay = namespace.podbay().env("FROM_HERE", "hunter2-inherited");
        let words = [
            &[
                "open",
                "s",
                "--image",
                DEBIAN,
                "--env",
                "TOKEN=hunter2-given",
                "--env",
                "FROM_HERE",
                "--workdir",
                "/tmp",
            ],
            &SMALL[..],
        ]
        .concat();
        let _ = podbay.run(&words).await.expect(0);
        let done = podbay
            .run(&[
                "exec",
                "s",
                "--",
                "sh",
                "-c",
                "echo $TOKEN $FROM_HERE $(pwd) $(id -u)",
            ])
            .await;
        assert_eq!(done.text(), "hunter2-given hunter2-inherited /tmp 10001\n");
        let pods: kube::Api<k8s_openapi::api::core::v1::Pod> = namespace.api();
        let records: kube::Api<k8s_openapi::api::core::v1::ConfigMap> = namespace.api();
        for text in [
            serde_json::to_string(&pods.get("openhands-runtime-s").await.unwrap()).unwrap(),
            serde_json::to_string(&records.get("openhands-runtime-s").await.unwrap()).unwrap(),
            podbay.run(&["show", "s", "-o", "json"]).await.expect(0).text(),
        ] {
            assert!(!text.contains("hunter2"), "{text}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn root_needs_a_profile_that_allows_it() {
    in_namespace("root", async |namespace| {
        let refused = run(&namespace, &["--user", "root"], &["id", "-u"])
            .await
            .expect(2);
        assert!(refused.stderr.contains("baseline"), "{}", refused.stderr);
        assert!(namespace.objects().await.is_empty());
        let done = run(
            &namespace,
            &["--user", "root", "--profile", "baseline"],
            &["id", "-u"],
        )
        .await
        .expect(0);
        assert_eq!(done.text(), "0\n");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn a_terminal_is_one_and_has_a_size() {
    in_namespace("tty", async |namespace| {
        let podbay = namespace.podbay();
        let open = [&["open", "s", "--image", DEBIAN], &SMALL[..]].concat();
        let _ = podbay.run(&open).await.expect(0);
        // `script` gives podbay a terminal of its own; `stty` in the pod tells the size it was given.
        let program = podbay_tests::program::binary();
        let line = format!(
            "stty rows 33 cols 77; exec {} --kubeconfig {} -n {} exec -it s -- sh -c 'tty; stty size; exit 5'",
            program.display(),
            namespace.cluster.kubeconfig.display(),
            namespace.name
        );
        let output = tokio::process::Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .stdin(std::process::Stdio::null())
            .output()
            .await
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("/dev/pts/"), "{text}");
        assert!(text.contains("33 77"), "{text}");
        assert_eq!(output.status.code(), Some(5), "{text}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a cluster: PODBAY_TEST_KUBECONFIG"]
async fn files_are_copied_in_and_out() {
    in_namespace("cp", async |namespace| {
        let podbay = namespace.podbay();
        let folder = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let tree = folder.path().join("tree");
        std::fs::create_dir_all(tree.join("deep/er")).unwrap();
        std::fs::write(tree.join("deep/er/data.bin"), &content).unwrap();
        std::fs::write(tree.join("empty"), "").unwrap();
        let large = folder.path().join("large");
        std::fs::write(&large, vec![7; 4_000_000]).unwrap();
        for image in [DEBIAN, podbay_tests::BUSYBOX] {
            let open = [&["open", "s", "--image", image, "--replace"], &SMALL[..]].concat();
            let _ = podbay.run(&open).await.expect(0);
            let _ = podbay
                .run(&["cp", tree.to_str().unwrap(), "s:/workspace/"])
                .await
                .expect(0);
            let back = folder.path().join("back");
            let _ = podbay
                .run(&["cp", "s:/workspace/tree", back.to_str().unwrap()])
                .await
                .expect(0);
            assert!(
                std::fs::read(back.join("deep/er/data.bin")).unwrap() == content,
                "{image}: the bytes differ"
            );
            assert_eq!(std::fs::read(back.join("empty")).unwrap(), b"");
            std::fs::remove_dir_all(&back).unwrap();
            // A link in the sandbox leads nowhere on this side.
            let link = [
                "exec",
                "s",
                "--",
                "ln",
                "-s",
                "/etc/passwd",
                "/workspace/tree/link",
            ];
            let _ = podbay.run(&link).await.expect(0);
            let refused = podbay
                .run(&["cp", "s:/workspace/tree", back.to_str().unwrap()])
                .await
                .expect(125);
            assert!(refused.stderr.contains("link"), "{}", refused.stderr);
            let _ = std::fs::remove_dir_all(&back);
            // Nothing of it is read, and what is wrong is told all the same.
            for _ in 0..5 {
                let unwritable = podbay
                    .run(&["cp", large.to_str().unwrap(), "s:/proc/copy"])
                    .await
                    .expect(125);
                assert!(!unwritable.stderr.contains("connection"), "{}", unwritable.stderr);
            }
            let missing = podbay
                .run(&["cp", "s:/nowhere", back.to_str().unwrap()])
                .await
                .expect(125);
            assert!(
                missing.stderr.contains("/nowhere") || missing.stderr.contains("nowhere"),
                "{}",
                missing.stderr
            );
        }
    })
    .await;
}
