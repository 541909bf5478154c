//! The contents of files, in and out.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use bytes::Bytes;
use http::Method;
use podbay_protocol::agent::files::Written;
use podbay_protocol::agent::process::Taken;
use podbay_protocol::agent::{AgentErrorCode, HASH_TRAILER, KEY_HEADER, path};
use podbay_protocol::hex::to_hex;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Agent, BOTH, KEY, Protocol};

fn sha256(bytes: &[u8]) -> String {
    to_hex(&Sha256::digest(bytes))
}

fn content(size: usize) -> Vec<u8> {
    (0..=250).cycle().take(size).collect()
}

/// What is in a directory.
fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn files_come_back_as_they_were_sent() {
    let agent = Agent::start().await;
    for protocol in BOTH {
        for size in [0, 1, 100_000, 5_000_000] {
            let sent = content(size);
            let order = agent.of(
                path::FILES,
                "file",
                &format!("&mode=640&sha256={}", sha256(&sent)),
            );
            let written: Written = agent
                .ask(protocol, Method::PUT, &order, sent.clone())
                .await
                .ok()
                .json();
            assert_eq!(
                (written.offset, written.sha256),
                (size as u64, Some(sha256(&sent)))
            );
            let mode = std::fs::metadata(agent.at("file")).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o640);
            let read = agent
                .ask(protocol, Method::GET, &agent.of(path::FILES, "file", ""), "")
                .await
                .ok();
            assert!(read.body == sent, "{protocol:?} {size}");
            assert_eq!(read.trailer(HASH_TRAILER), sha256(&sent));
        }
    }
    // Its permissions stay when it is replaced.
    agent.put(&agent.of(path::FILES, "file", ""), "new").await.ok();
    assert_eq!(
        std::fs::metadata(agent.at("file")).unwrap().permissions().mode() & 0o7777,
        0o640
    );
    assert_eq!(names(agent.directory.path()), ["file"]);
}

#[tokio::test]
async fn ranges_are_of_the_file_that_was_meant() {
    let agent = Agent::start().await;
    std::fs::write(agent.at("file"), content(1_000_000)).unwrap();
    let target = agent.of(path::FILES, "file", "");
    let whole = agent
        .send(Protocol::Http1, Method::GET, &target, &[(KEY_HEADER, KEY)], "")
        .await
        .ok();
    assert_eq!(whole.headers["content-length"], "1000000");
    let tag = whole.headers["etag"].to_str().unwrap().to_owned();
    for protocol in BOTH {
        let ask = |headers: Vec<(&'static str, String)>| {
            let (agent, target) = (&agent, &target);
            async move {
                let mut all = vec![(KEY_HEADER, KEY), ("te", "trailers")];
                all.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
                agent.send(protocol, Method::GET, target, &all, "").await
            }
        };
        let part = ask(vec![("range", "bytes=999990-".into()), ("if-range", tag.clone())]).await;
        assert_eq!((part.status.as_u16(), part.body.len()), (206, 10));
        assert_eq!(part.headers["content-range"], "bytes 999990-999999/1000000");
        assert_eq!(part.trailer(HASH_TRAILER), sha256(&content(1_000_000)[999_990..]));
        let other = ask(vec![
            ("range", "bytes=5-9".into()),
            ("if-range", "\"other\"".into()),
        ])
        .await;
        assert_eq!((other.status.as_u16(), other.body.len()), (200, 1_000_000));
        let outside = ask(vec![("range", "bytes=1000000-".into())]).await;
        let error = outside.fails(416, AgentErrorCode::RangeNotSatisfiable);
        assert_eq!(error.size, Some(1_000_000));
        assert_eq!(outside.headers["content-range"], "bytes */1000000");
    }
    // Without a size: to the end.
    let maps = agent.get("/podbay/v1/files?path=/proc/self/status").await.ok();
    assert!(maps.body.starts_with(b"Name:"));
}

#[tokio::test]
async fn what_goes_wrong_leaves_the_old_file() {
    let agent = Agent::start().await;
    std::fs::write(agent.at("file"), "old").unwrap();
    let wrong = agent.of(path::FILES, "file", &format!("&sha256={}", sha256(b"x")));
    agent
        .put(&wrong, "y")
        .await
        .fails(422, AgentErrorCode::HashMismatch);
    // The connection is closed half way.
    for head in [
        "content-length: 100\r\n\r\nhalf",
        "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let mut stream = agent.tcp().await;
        let target = agent.of(path::FILES, "file", "");
        let request = format!("PUT {target} HTTP/1.1\r\nhost: a\r\n{KEY_HEADER}: {KEY}\r\n{head}");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    }
    // The server may still be at it when the client knows.
    while names(agent.directory.path()) != ["file"] {
        tokio::task::yield_now().await;
    }
    assert_eq!(std::fs::read(agent.at("file")).unwrap(), b"old");
    for (more, code) in [
        ("&mode=8", 400),
        ("&mode=77777", 400),
        ("&sha256=abc", 400),
        ("&offset=1", 400),
    ] {
        let reply = agent.put(&agent.of(path::FILES, "file", more), "x").await;
        reply.fails(code, AgentErrorCode::InvalidRequest);
    }
    agent
        .put(&agent.of(path::FILES, "no/file", ""), "x")
        .await
        .fails(404, AgentErrorCode::NotFound);
    agent
        .put(&agent.of(path::FILES, "file/x", ""), "x")
        .await
        .fails(409, AgentErrorCode::NotADirectory);
    agent
        .put(&agent.of(path::FILES, "", ""), "x")
        .await
        .fails(409, AgentErrorCode::IsADirectory);
    agent
        .get(&agent.of(path::FILES, "", ""))
        .await
        .fails(409, AgentErrorCode::IsADirectory);
    agent
        .get(&agent.of(path::FILES, "no", ""))
        .await
        .fails(404, AgentErrorCode::NotFound);
}

#[tokio::test]
async fn a_link_is_replaced_and_not_written_through() {
    let agent = Agent::start().await;
    std::fs::write(agent.at("precious"), "old").unwrap();
    symlink("precious", agent.at("link")).unwrap();
    agent.put(&agent.of(path::FILES, "link", ""), "new").await.ok();
    assert_eq!(std::fs::read(agent.at("precious")).unwrap(), b"old");
    assert!(agent.at("link").symlink_metadata().unwrap().is_file());
    // Nor is what has the name of a transfer's file.
    symlink("precious", agent.at(".podbay-t.part")).unwrap();
    let part = agent.of(path::FILES, "new", "&transfer=t&complete=true");
    agent.put(&part, "new").await.fails(400, AgentErrorCode::LinkLoop);
    std::fs::remove_file(agent.at(".podbay-t.part")).unwrap();
    std::fs::hard_link(agent.at("precious"), agent.at(".podbay-t.part")).unwrap();
    agent.put(&part, "new").await.fails(409, AgentErrorCode::Exists);
    assert_eq!(std::fs::read(agent.at("precious")).unwrap(), b"old");
}

#[tokio::test]
async fn a_transfer_goes_on_where_it_was_cut() {
    let agent = Agent::start().await;
    let all = content(1_000_000);
    let part = |offset: usize, complete: bool, hash: &str| {
        let more = format!("&transfer=t-1&offset={offset}&complete={complete}{hash}");
        agent.of(path::FILES, "file", &more)
    };
    let show = agent.of(path::TRANSFER, "file", "&transfer=t-1");
    assert_eq!(agent.get(&show).await.ok().json::<Taken>().offset, 0);
    agent
        .put(&part(5, false, ""), "x")
        .await
        .fails(409, AgentErrorCode::TransferGap);
    assert!(names(agent.directory.path()).is_empty());
    let written: Written = agent
        .put(&part(0, false, ""), all[..400_000].to_vec())
        .await
        .ok()
        .json();
    assert_eq!((written.offset, written.sha256), (400_000, None));
    // The next part is cut.
    let mut stream = agent.tcp().await;
    let head = format!(
        "PUT {} HTTP/1.1\r\nhost: a\r\n{KEY_HEADER}: {KEY}\r\ncontent-length: 600000\r\n\r\n",
        part(400_000, true, "")
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&all[400_000..700_000]).await.unwrap();
    while agent.get(&show).await.ok().json::<Taken>().offset < 600_000 {
        tokio::task::yield_now().await;
    }
    // Who only looks ends nothing, and while its connection is there, nobody else writes.
    agent
        .put(&part(400_000, false, ""), "x")
        .await
        .fails(503, AgentErrorCode::TransferBusy);
    drop(stream);
    let have = loop {
        let have = agent.get(&show).await.ok().json::<Taken>().offset;
        let gap = agent.put(&part(900_000, false, ""), "x").await;
        if gap.status == 409 {
            let error = gap.fails(409, AgentErrorCode::TransferGap);
            assert!(error.offset >= Some(have));
            break error.offset.unwrap();
        }
        gap.fails(503, AgentErrorCode::TransferBusy);
    };
    let have = usize::try_from(have).unwrap();
    assert!((600_000..=700_000).contains(&have), "{have}");
    assert!(!agent.at("file").exists());
    // Some of it once more, which changes nothing.
    let from = have - 1000;
    let hash = format!("&sha256={}", sha256(&all));
    let last = agent
        .ask(
            Protocol::Http2,
            Method::PUT,
            &part(from, true, &hash),
            all[from..].to_vec(),
        )
        .await;
    let written: Written = last.ok().json();
    assert_eq!((written.offset, written.sha256), (1_000_000, Some(sha256(&all))));
    assert!(std::fs::read(agent.at("file")).unwrap() == all);
    assert_eq!(names(agent.directory.path()), ["file"]);
}

#[tokio::test]
async fn a_transfer_of_wrong_content_or_given_up_is_gone() {
    let agent = Agent::start().await;
    let part = |more: &str| agent.of(path::FILES, "file", &format!("&transfer=t{more}"));
    agent.put(&part(""), "abc").await.ok();
    let wrong = part(&format!("&offset=3&complete=true&sha256={}", sha256(b"x")));
    agent
        .put(&wrong, "def")
        .await
        .fails(422, AgentErrorCode::HashMismatch);
    assert!(names(agent.directory.path()).is_empty());
    agent.put(&part(""), "abc").await.ok();
    let show = agent.of(path::TRANSFER, "file", "&transfer=t");
    agent.ask(Protocol::Http1, Method::DELETE, &show, "").await.ok();
    assert!(names(agent.directory.path()).is_empty());
    agent
        .put(&agent.of(path::FILES, "file", "&transfer=a/b"), "x")
        .await
        .fails(400, AgentErrorCode::InvalidRequest);
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// What others did: one thread that waits for ever for each look at a named pipe.
#[tokio::test]
async fn pipes_terminals_and_devices_are_refused_and_not_waited_for() {
    let agent = Agent::start().await;
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        agent.at("fifo"),
        rustix::fs::FileType::Fifo,
        mode,
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(agent.at("socket")).unwrap();
    for target in [
        agent.of(path::FILES, "fifo", ""),
        agent.of(path::FILES, "socket", ""),
        "/podbay/v1/files?path=/dev/zero".to_owned(),
        "/podbay/v1/files?path=/dev/tty".to_owned(),
        "/podbay/v1/files?path=/dev/ptmx".to_owned(),
    ] {
        for protocol in BOTH {
            agent
                .ask(protocol, Method::GET, &target, "")
                .await
                .fails(422, AgentErrorCode::SpecialFile);
            agent
                .ask(protocol, Method::PUT, &target, Bytes::from("x"))
                .await
                .fails(422, AgentErrorCode::SpecialFile);
        }
    }
    let tree = agent.of(path::TREES, "fifo", "&name=fifo");
    agent.get(&tree).await.fails(422, AgentErrorCode::SpecialFile);
    // In the middle of a tree it is too late for a status: the answer breaks off.
    std::fs::create_dir(agent.at("tree")).unwrap();
    std::fs::write(agent.at("tree/a"), vec![0; 1 << 20]).unwrap();
    std::fs::rename(agent.at("fifo"), agent.at("tree/b")).unwrap();
    assert!(agent.get(&agent.of(path::TREES, "tree", "")).await.cut);
    std::fs::rename(agent.at("tree/b"), agent.at("fifo")).unwrap();
    let before = threads();
    let target = agent.of(path::FILES, "fifo", "");
    for _ in 0..1000 {
        agent.get(&target).await.fails(422, AgentErrorCode::SpecialFile);
    }
    // Other tests' threads come and go; ours would be a thousand.
    assert!(threads() < before + 100, "{before} to {}", threads());
    assert!(agent.at("fifo").exists());
}
