//! Transfers that go on over another connection, and hashes that come after a body.

use std::path::Path;

use http::Method;
use podbay_archive::tar::{Member, MemberKind, Owner, end_of_archive, header, padding};
use podbay_protocol::agent::files::{TreeWritten, Written};
use podbay_protocol::agent::process::Taken;
use podbay_protocol::agent::{AgentErrorCode, HASH_TRAILER, KEY_HEADER, path};
use podbay_protocol::hex::to_hex;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Agent, BOTH, KEY, Protocol};

fn sha256(bytes: &[u8]) -> String {
    to_hex(&Sha256::digest(bytes))
}

/// A tree of two files and a link, with no entry for the directory it goes into.
fn archive() -> Vec<u8> {
    let content = vec![7; 400_000];
    let mut all = Vec::new();
    for (name, kind) in [
        ("d", MemberKind::Directory),
        ("d/f", MemberKind::File(400_000)),
        ("d/link", MemberKind::Symlink(b"f")),
        ("g", MemberKind::File(400_000)),
    ] {
        all.extend(header(&Member {
            name: name.as_bytes(),
            kind,
            mode: 0o775,
            modified: 0,
            owner: Owner::default(),
        }));
        if let MemberKind::File(size) = kind {
            all.extend(&content);
            all.extend(padding(size));
        }
    }
    let length = all.len() as u64;
    all.extend(end_of_archive(length));
    all
}

/// Sends a body in chunks, with a trailer or without, and returns the answer.
async fn chunked(agent: &Agent, target: &str, body: &[u8], hash: Option<&str>) -> String {
    let mut stream = agent.tcp().await;
    let head = format!(
        "PUT {target} HTTP/1.1\r\nhost: a\r\n{KEY_HEADER}: {KEY}\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\ntrailer: {HASH_TRAILER}\r\n\r\n{:x}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let trailer = hash
        .map(|hash| format!("{HASH_TRAILER}: {hash}\r\n"))
        .unwrap_or_default();
    stream
        .write_all(format!("\r\n0\r\n{trailer}\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_hash_may_come_after_the_body() {
    let agent = Agent::start().await;
    std::fs::write(agent.at("file"), "old").unwrap();
    let target = agent.of(path::FILES, "file", "&hash_follows=true");
    for (hash, status) in [
        (None, "400"),
        (Some(sha256(b"other")), "422"),
        (Some(sha256(b"new")), "200"),
    ] {
        let answer = chunked(&agent, &target, b"new", hash.as_deref()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{hash:?}: {answer}"
        );
        let expected = if status == "200" { "new" } else { "old" };
        assert_eq!(std::fs::read_to_string(agent.at("file")).unwrap(), expected);
    }
    std::fs::create_dir(agent.at("tree")).unwrap();
    let target = agent.of(path::TREES, "tree", "&keep_links=true&hash_follows=true");
    let archive = archive();
    for (hash, status) in [(sha256(b"other"), "422"), (sha256(&archive), "200")] {
        let answer = chunked(&agent, &target, &archive, Some(&hash)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
    }
    assert_eq!(
        std::fs::read_link(agent.at("tree/d/link")).unwrap(),
        Path::new("f")
    );
}

#[tokio::test]
async fn what_was_completed_is_told_again_and_not_done_again() {
    let agent = Agent::start().await;
    let target = agent.of(
        path::FILES,
        "file",
        "&transfer=t&complete=true&modified=1500000000&offset=",
    );
    let written: Written = agent.put(&format!("{target}0"), "new").await.ok().json();
    std::fs::write(agent.at("file"), "newer").unwrap();
    for protocol in BOTH {
        let again = agent
            .ask(protocol, Method::PUT, &format!("{target}3"), "")
            .await
            .ok();
        assert_eq!(again.json::<Written>(), written);
    }
    let shown = agent
        .get(&agent.of(path::TRANSFER, "file", "&transfer=t"))
        .await
        .ok();
    assert_eq!(shown.json::<Taken>().offset, 3);
    assert_eq!(std::fs::read_to_string(agent.at("file")).unwrap(), "newer");
}

#[tokio::test]
async fn a_tree_goes_on_where_it_was_cut() {
    let agent = Agent::start().await;
    std::fs::create_dir(agent.at("tree")).unwrap();
    let archive = archive();
    let put = |offset: usize| {
        let more = format!("&keep_links=true&transfer=t&offset={offset}");
        agent.of(path::TREES, "tree", &more)
    };
    let show = agent.of(path::TRANSFER, "tree", "&transfer=t&at_work=end");
    agent
        .put(&put(5), "x")
        .await
        .fails(409, AgentErrorCode::TransferGap);
    // It is cut in the midst of the first file.
    let mut stream = agent.tcp().await;
    let head = format!(
        "PUT {} HTTP/1.1\r\nhost: a\r\n{KEY_HEADER}: {KEY}\r\ncontent-length: {}\r\n\r\n",
        put(0),
        archive.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&archive[..300_000]).await.unwrap();
    stream.flush().await.unwrap();
    // Who asks ends what is at work, also when none of it had been read yet: so only when something of it is there.
    while !agent.at("tree/d").exists() {
        tokio::task::yield_now().await;
    }
    // The connection stays.
    let have = loop {
        let shown = agent.get(&show).await;
        if shown.status.is_success() && shown.json::<Taken>().offset > 0 {
            break usize::try_from(shown.json::<Taken>().offset).unwrap();
        }
        tokio::task::yield_now().await;
    };
    assert!(have <= 300_000, "{have}");
    agent
        .put(&put(have + 1), "x")
        .await
        .fails(409, AgentErrorCode::TransferGap);
    // Some of it once more.
    let from = have.saturating_sub(1000);
    let written: TreeWritten = agent
        .ask(Protocol::Http2, Method::PUT, &put(from), archive[from..].to_vec())
        .await
        .ok()
        .json();
    assert_eq!((written.files, written.links, written.bytes), (2, 1, 800_000));
    for file in ["tree/d/f", "tree/g"] {
        assert!(std::fs::read(agent.at(file)).unwrap() == vec![7; 400_000]);
    }
    let again: TreeWritten = agent.put(&put(archive.len()), "").await.ok().json();
    assert_eq!(again, written);
    drop(stream);
}

#[tokio::test]
async fn a_download_goes_on_with_a_hash_of_all() {
    let agent = Agent::start().await;
    let content: Vec<u8> = (0..=250).cycle().take(700_000).collect();
    std::fs::write(agent.at("file"), &content).unwrap();
    let headers = [(KEY_HEADER, KEY), ("te", "trailers"), ("range", "bytes=500000-")];
    let target = agent.of(path::FILES, "file", "&hash_from=1000");
    let part = agent
        .send(Protocol::Http2, Method::GET, &target, &headers, "")
        .await;
    assert_eq!((part.status.as_u16(), part.body.len()), (206, 200_000));
    assert_eq!(part.trailer(HASH_TRAILER), sha256(&content[1000..]));

    std::fs::create_dir(agent.at("tree")).unwrap();
    std::fs::write(agent.at("tree/f"), &content).unwrap();
    let tree = agent.of(path::TREES, "tree", "&name=x");
    let whole = agent.get(&tree).await.ok().body;
    for have in [1, 512, 300_000, whole.len()] {
        let rest = agent
            .get(&format!("{tree}&offset={have}&sha256={}", sha256(&whole[..have])))
            .await
            .ok();
        assert!(rest.body == whole[have..], "{have}");
        assert_eq!(rest.trailer(HASH_TRAILER), sha256(&whole));
    }
    // Of another tree there is no rest.
    for have in [1, whole.len() + 1] {
        let other = agent
            .get(&format!("{tree}&offset={have}&sha256={}", sha256(b"other")))
            .await;
        other.fails(409, AgentErrorCode::Changed);
    }
    let alone = agent.get(&format!("{tree}&offset=7")).await;
    alone.fails(400, AgentErrorCode::InvalidRequest);
}

/// A process of the sandbox changes directories for links while they are removed: nothing that a link leads to goes.
#[tokio::test(flavor = "multi_thread")]
async fn removal_follows_no_link_that_comes_meanwhile() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use podbay_protocol::agent::files::Remove;

    let agent = Agent::start().await;
    std::fs::create_dir(agent.at("precious")).unwrap();
    for number in 0..50 {
        std::fs::write(agent.at(&format!("precious/{number}")), "").unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (stop, below) = (Arc::clone(&stop), agent.at("tree/d"));
        let (aside, precious) = (agent.at("aside"), agent.at("precious"));
        std::thread::spawn(move || {
            let mut swaps = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                if std::fs::rename(&below, &aside).is_ok() {
                    swaps += u32::from(std::os::unix::fs::symlink(&precious, &below).is_ok());
                    let _ = std::fs::remove_dir_all(&aside);
                }
            }
            swaps
        })
    };
    for _ in 0..200 {
        let _ = std::fs::create_dir_all(agent.at("tree/d/e"));
        for number in 0..20 {
            let _ = std::fs::write(agent.at(&format!("tree/d/e/{number}")), "");
        }
        let remove = Remove {
            path: agent.at("tree").into_os_string().into_encoded_bytes().into(),
            recursive: true,
        };
        // It may fail: that is the sandbox's own doing.
        let _ = agent.post(path::REMOVE, &remove).await;
    }
    stop.store(true, Ordering::Relaxed);
    assert!(swapping.join().unwrap() > 0);
    let left = std::fs::read_dir(agent.at("precious")).unwrap().count();
    // The test itself may have made some through the link, and removed none.
    assert!(left >= 50, "{left}");
}
