//! Commands and logs of scripted pods.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use podbay_fake_cluster::{ExecAnswer, Script, command};
use podbay_k8s_client::{
    ClusterClient as _, ErrorKind, ExecEnd, ExecOutput, ExecRequest, LogRequest, LogStream,
};
use serde_json::json;

use crate::harness::{NAMESPACE, after, seconds};

fn request(words: &[&str]) -> ExecRequest {
    ExecRequest {
        container: "main".to_owned(),
        argv: words.iter().map(|&word| word.to_owned()).collect(),
        stdin: false,
        tty: false,
    }
}

async fn read(output: ExecOutput) -> Vec<u8> {
    output.collect::<Vec<Bytes>>().await.concat()
}

#[tokio::test(start_paused = true)]
async fn commands_answer_as_scripted() {
    let (cluster, _) = after(Script::ready(), &json!({}), 1).await;
    let answer = ExecAnswer::exit(2)
        .stdout("out")
        .stderr("err")
        .after(Duration::from_secs(5));
    cluster.answer_exec(command(["make", "test"]), answer);
    let run = cluster
        .exec(NAMESPACE, "p", request(&["sh", "-c", "…", "make", "test"]))
        .await
        .unwrap();
    let (out, err, end) = tokio::join!(read(run.stdout), read(run.stderr), run.end);
    assert_eq!((out.as_slice(), err.as_slice()), (&b"out"[..], &b"err"[..]));
    assert_eq!(end, ExecEnd::Exited { code: 2 });
    assert_eq!(cluster.age(), Duration::from_secs(6));
    let other = cluster.exec(NAMESPACE, "p", request(&["true"])).await.unwrap();
    assert_eq!(other.end.await, ExecEnd::Exited { code: 0 });
}

#[tokio::test(start_paused = true)]
async fn a_command_may_do_something_with_its_input() {
    let (cluster, _) = after(Script::ready(), &json!({}), 1).await;
    let cat = ExecAnswer::by(|_, mut streams| async move {
        while let Some(piece) = streams.stdin.as_mut().unwrap().recv().await {
            streams.stdout.send(piece).await.ok();
        }
        ExecEnd::Exited { code: 0 }
    });
    cluster.answer_exec(command(["cat"]), cat);
    let mut wants = request(&["cat"]);
    wants.stdin = true;
    let run = cluster.exec(NAMESPACE, "p", wants).await.unwrap();
    let stdin = run.stdin.unwrap();
    stdin.write(Bytes::from_static(b"in")).await.unwrap();
    stdin.close();
    assert_eq!(read(run.stdout).await, b"in");
    assert_eq!(run.end.await, ExecEnd::Exited { code: 0 });
}

#[tokio::test(start_paused = true)]
async fn a_command_ends_with_its_container() {
    let (cluster, _) = after(Script::ready(), &json!({}), 1).await;
    cluster.answer_exec(|_| true, ExecAnswer::hangs());
    let run = cluster.exec(NAMESPACE, "p", request(&["sleep"])).await.unwrap();
    cluster.run_out_of_memory(NAMESPACE, "p").unwrap();
    assert_eq!(run.end.await, ExecEnd::Exited { code: 137 });
    let error = cluster
        .exec(NAMESPACE, "p", request(&["sleep"]))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Server { status: 500 });
    let error = cluster
        .exec(NAMESPACE, "none", request(&["sleep"]))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn logs_are_what_was_scripted_and_can_be_followed() {
    let (cluster, _) = after(Script::ready().log("one\ntwo\n"), &json!({}), 1).await;
    let text = |log: LogStream| async {
        let pieces: Vec<_> = log.collect().await;
        let bytes: Vec<Bytes> = pieces.into_iter().map(Result::unwrap).collect();
        String::from_utf8(bytes.concat()).unwrap()
    };
    let tail = LogRequest {
        tail_lines: Some(1),
        ..LogRequest::default()
    };
    let log = cluster.logs(NAMESPACE, "p", tail.clone()).await.unwrap();
    assert_eq!(text(log).await, "two\n");
    let follow = LogRequest { follow: true, ..tail };
    let log = cluster.logs(NAMESPACE, "p", follow).await.unwrap();
    let reading = tokio::spawn(text(log));
    seconds(1).await;
    cluster.append_log(NAMESPACE, "p", "three\n").unwrap();
    seconds(1).await;
    cluster.exit(NAMESPACE, "p", 0).unwrap();
    assert_eq!(reading.await.unwrap(), "two\nthree\n");
}
