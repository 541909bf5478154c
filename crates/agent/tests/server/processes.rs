//! Processes over HTTP.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use podbay_protocol::agent::process::{ProcessList, Taken};
use podbay_protocol::agent::{AgentErrorCode, Frame, FrameDecoder, KEY_HEADER, READER_HEADER, path};
use podbay_protocol::{EndRecord, Offsets, ProcessEnd, ProcessInfo, ProcessSpec, Retention, StreamName};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::client::{Agent, BOTH, KEY, PATIENCE, Protocol};

fn shell(id: &str, text: &str) -> ProcessSpec {
    let mut spec = ProcessSpec::new(id.parse().unwrap(), Vec::new());
    spec.shell = Some(text.to_owned());
    spec.retention = Retention::Spool;
    spec
}

async fn start(agent: &Agent, spec: &ProcessSpec) -> http::StatusCode {
    let reply = agent
        .put(&path::process(&spec.id), serde_json::to_vec(spec).unwrap())
        .await
        .ok();
    assert_eq!(reply.json::<ProcessInfo>().id, spec.id);
    reply.status
}

type ReadEnd = fn(&[u8]) -> serde_json::Result<EndRecord>;

fn decoder(from: Offsets) -> FrameDecoder<ReadEnd> {
    FrameDecoder::new(from, |json| serde_json::from_slice(json))
}

/// Both outputs and the end of what was read whole.
fn decode(mut wire: &[u8], from: Offsets) -> (Vec<u8>, Vec<u8>, EndRecord) {
    let (mut decoder, mut stdout, mut stderr, mut end) = (decoder(from), Vec::new(), Vec::new(), None);
    while let Some(frame) = decoder.next(&mut wire).unwrap() {
        match frame {
            Frame::Output {
                stream: StreamName::Stdout,
                bytes,
                ..
            } => stdout.extend(bytes),
            Frame::Output { bytes, .. } => stderr.extend(bytes),
            Frame::End(record) => end = Some(*record),
            Frame::Idle => {}
        }
    }
    decoder.finish().unwrap();
    (stdout, stderr, end.unwrap())
}

#[tokio::test]
async fn who_starts_a_process_reads_it_from_the_same_answer() {
    let agent = Agent::start().await;
    for (protocol, id) in BOTH.into_iter().zip(["p-1", "p-2"]) {
        let mut spec = shell(id, "echo out; echo err >&2; exit 3");
        spec.retention = Retention::Backpressure;
        let start = async |reader: &str| {
            let headers = [(KEY_HEADER, KEY), (READER_HEADER, reader)];
            let text = serde_json::to_vec(&spec).unwrap();
            let path = path::process(&spec.id);
            agent.send(protocol, Method::PUT, &path, &headers, text).await
        };
        let refused = start("no name").await;
        refused.fails(400, AgentErrorCode::InvalidRequest);
        let unknown = agent.get(&path::process(&spec.id)).await;
        unknown.fails(404, AgentErrorCode::UnknownProcess);
        for status in [201, 200] {
            let reply = start("first").await;
            assert_eq!(reply.status, status);
            let (stdout, stderr, record) = decode(&reply.body, Offsets::default());
            assert_eq!(
                (stdout.as_slice(), stderr.as_slice()),
                (&b"out\n"[..], &b"err\n"[..])
            );
            assert_eq!(record.end, ProcessEnd::Exited { code: 3 });
        }
        // He is the one whose word counts.
        let acknowledged = path::ProcessPart::Acknowledged.of(&spec.id);
        let told = |reader: &str| json!({"reader": reader, "stdout": 4, "stderr": 4});
        agent
            .post(&acknowledged, &told("other"))
            .await
            .fails(409, AgentErrorCode::OtherReader);
        agent.post(&acknowledged, &told("first")).await.ok();
    }
}

#[tokio::test]
async fn a_process_runs_once_and_its_output_is_read_from_anywhere() {
    let agent = Agent::start().await;
    for (protocol, id) in BOTH.into_iter().zip(["p-1", "p-2"]) {
        let spec = shell(id, "echo out; echo err >&2; exit 3");
        assert_eq!(start(&agent, &spec).await, 201);
        assert_eq!(start(&agent, &spec).await, 200);
        let other = shell(id, "exit 4");
        let reply = agent
            .put(&path::process(&spec.id), serde_json::to_vec(&other).unwrap())
            .await;
        reply.fails(409, AgentErrorCode::IdTaken);
        let output = path::ProcessPart::Output.of(&spec.id);
        let all = agent.ask(protocol, Method::GET, &output, "").await.ok();
        let (stdout, stderr, record) = decode(&all.body, Offsets::default());
        assert_eq!(
            (stdout.as_slice(), stderr.as_slice()),
            (b"out\n".as_slice(), b"err\n".as_slice())
        );
        assert_eq!(record.end, ProcessEnd::Exited { code: 3 });
        let rest = agent
            .ask(protocol, Method::GET, &format!("{output}?stdout=2&stderr=4"), "")
            .await
            .ok();
        let (stdout, stderr, _) = decode(&rest.body, Offsets { stdout: 2, stderr: 4 });
        assert_eq!(
            (stdout.as_slice(), stderr.as_slice()),
            (b"t\n".as_slice(), b"".as_slice())
        );
        let ahead = agent.get(&format!("{output}?stdout=9")).await;
        ahead.fails(400, AgentErrorCode::InvalidRequest);
        let info: ProcessInfo = agent.get(&path::process(&spec.id)).await.ok().json();
        assert_eq!(info.end.unwrap().end, record.end);
        let list: ProcessList = agent.get(path::PROCESSES).await.ok().json();
        assert!(list.processes.iter().any(|process| process.id == spec.id));
        agent
            .ask(protocol, Method::DELETE, &path::process(&spec.id), "")
            .await
            .ok();
        agent
            .get(&path::process(&spec.id))
            .await
            .fails(404, AgentErrorCode::UnknownProcess);
    }
}

#[tokio::test]
async fn input_is_written_at_offsets_and_ends() {
    let agent = Agent::start().await;
    let mut spec = shell("cat", "cat");
    spec.stdin = true;
    start(&agent, &spec).await;
    let stdin = path::ProcessPart::Stdin.of(&spec.id);
    let write = |offset: u64, bytes: &'static str| {
        let target = format!("{stdin}?offset={offset}");
        let agent = &agent;
        async move { agent.ask(Protocol::Http2, Method::POST, &target, bytes).await }
    };
    assert_eq!(write(0, "abc").await.ok().json::<Taken>().offset, 3);
    // The answer was lost, and it is sent again, with more.
    assert_eq!(write(0, "abcdef").await.ok().json::<Taken>().offset, 6);
    let gap = write(9, "x").await.fails(409, AgentErrorCode::StdinGap);
    assert_eq!(gap.offset, Some(6));
    let large = vec![0; (256 << 10) + 1];
    let reply = agent
        .ask(Protocol::Http1, Method::POST, &format!("{stdin}?offset=6"), large)
        .await;
    reply.fails(413, AgentErrorCode::BodyTooLarge);
    agent
        .ask(Protocol::Http1, Method::POST, &stdin, "x")
        .await
        .fails(400, AgentErrorCode::InvalidRequest);
    agent.ask(Protocol::Http1, Method::DELETE, &stdin, "").await.ok();
    let all = agent.get(&path::ProcessPart::Output.of(&spec.id)).await.ok();
    assert_eq!(decode(&all.body, Offsets::default()).0, b"abcdef");
    write(6, "x").await.fails(409, AgentErrorCode::StdinClosed);
}

#[tokio::test]
async fn signals_sizes_and_acknowledgements() {
    let agent = Agent::start().await;
    let spec = ProcessSpec::new("sleep".parse().unwrap(), vec!["sleep".into(), "1000".into()]);
    start(&agent, &spec).await;
    let part = |part: path::ProcessPart| part.of(&spec.id);
    let size = json!({"width": 80, "height": 24});
    agent
        .post(&part(path::ProcessPart::Size), &size)
        .await
        .fails(409, AgentErrorCode::NoTerminal);
    let nine = json!({"reader": "r", "stdout": 9, "stderr": 0});
    let reply = agent.post(&part(path::ProcessPart::Acknowledged), &nine).await;
    assert!(reply.status.is_client_error());
    let none = json!({"signal": 0, "target": "tree"});
    agent
        .post(&part(path::ProcessPart::Signal), &none)
        .await
        .fails(400, AgentErrorCode::InvalidRequest);
    let term = json!({"signal": 15, "target": "process"});
    agent.post(&part(path::ProcessPart::Signal), &term).await.ok();
    let all = agent.get(&part(path::ProcessPart::Output)).await.ok();
    assert_eq!(
        decode(&all.body, Offsets::default()).2.end,
        ProcessEnd::Signaled { signal: 15 }
    );
    agent
        .post(&part(path::ProcessPart::Signal), &term)
        .await
        .fails(409, AgentErrorCode::ProcessEnded);
    let unknown = "none".parse().unwrap();
    agent
        .post(&path::ProcessPart::Signal.of(&unknown), &term)
        .await
        .fails(404, AgentErrorCode::UnknownProcess);
    agent
        .get(&path::ProcessPart::Output.of(&unknown))
        .await
        .fails(404, AgentErrorCode::UnknownProcess);
}

/// What others did: nothing was sent until the process ended, or the stream never ended.
#[tokio::test]
async fn output_comes_when_it_is_written_and_idle_frames_when_it_is_not() {
    let agent = Agent::start_with(|limits| limits.idle = Duration::from_millis(100)).await;
    let mut spec = shell("live", "read a; echo $a; read b; echo $b");
    spec.stdin = true;
    start(&agent, &spec).await;
    let (mut client, connection) = h2::client::handshake(agent.tcp().await).await.unwrap();
    tokio::spawn(connection);
    let output = format!("http://a{}", path::ProcessPart::Output.of(&spec.id));
    let request = Request::get(output).header(KEY_HEADER, KEY).body(()).unwrap();
    let (answer, _) = client.send_request(request, true).unwrap();
    let mut body = timeout(PATIENCE, answer).await.unwrap().unwrap().into_body();
    let (mut decoder, mut idle, mut delays, mut ended) = (decoder(Offsets::default()), 0, Vec::new(), false);
    let stdin = path::ProcessPart::Stdin.of(&spec.id);
    let mut offset = 0;
    let mut written = Instant::now();
    while let Some(data) = timeout(PATIENCE, body.data()).await.unwrap() {
        let data: Bytes = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        let mut data = data.as_ref();
        while let Some(frame) = decoder.next(&mut data).unwrap() {
            match frame {
                Frame::Idle => {
                    idle += 1;
                    // Two idle frames before each line.
                    if idle % 2 == 0 && offset < 4 {
                        let target = format!("{stdin}?offset={offset}");
                        agent
                            .ask(Protocol::Http1, Method::POST, &target, "x\n")
                            .await
                            .ok();
                        offset += 2;
                        written = Instant::now();
                    }
                }
                Frame::Output { bytes, .. } => {
                    assert_eq!(bytes, b"x\n");
                    delays.push(written.elapsed());
                }
                Frame::End(record) => {
                    assert_eq!(record.end, ProcessEnd::Exited { code: 0 });
                    ended = true;
                }
            }
        }
    }
    assert!(ended && idle >= 4, "{idle}");
    let best = delays.iter().min().unwrap();
    assert!(
        delays.len() == 2 && *best <= Duration::from_millis(50),
        "{delays:?}"
    );
}
