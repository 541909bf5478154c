//! Trees in and out, and archives that try to leave.

use std::os::unix::fs::symlink;

use http::Method;
use podbay_archive::tar::{Member, MemberKind, Owner, end_of_archive, header, padding};
use podbay_protocol::agent::files::TreeWritten;
use podbay_protocol::agent::{AgentErrorCode, HASH_TRAILER, MEMBERS_TRAILER, path};
use podbay_protocol::hex::to_hex;
use sha2::{Digest as _, Sha256};

use crate::client::{Agent, BOTH};

/// An archive of these members below `./`, files with the content "evil".
fn archive(members: &[(&str, MemberKind<'_>)]) -> Vec<u8> {
    let mut all = Vec::new();
    for (name, kind) in [&[(".", MemberKind::Directory)], members].concat() {
        all.extend(header(&Member {
            name: name.as_bytes(),
            kind,
            mode: 0o755,
            modified: 0,
            owner: Owner::default(),
        }));
        if let MemberKind::File(size) = kind {
            all.extend(&b"evil"[..usize::try_from(size).unwrap().min(4)]);
            all.extend(padding(size));
        }
    }
    let length = all.len() as u64;
    all.extend(end_of_archive(length));
    all
}

#[tokio::test]
async fn a_tree_comes_back_as_it_was() {
    let agent = Agent::start().await;
    std::fs::create_dir_all(agent.at("from/a/b")).unwrap();
    std::fs::write(agent.at("from/a/b/file"), vec![7; 700_000]).unwrap();
    std::fs::write(agent.at("from/empty"), "").unwrap();
    for (protocol, to) in BOTH.into_iter().zip(["to1", "to2"]) {
        std::fs::create_dir(agent.at(to)).unwrap();
        let packed = agent
            .ask(
                protocol,
                Method::GET,
                &agent.of(path::TREES, "from", "&name=x"),
                "",
            )
            .await
            .ok();
        assert_eq!(
            packed.trailer(HASH_TRAILER),
            to_hex(&Sha256::digest(&packed.body))
        );
        assert_eq!(packed.trailer(MEMBERS_TRAILER), "5");
        let put = agent.of(path::TREES, to, "&name=x");
        let written: TreeWritten = agent
            .ask(protocol, Method::PUT, &put, packed.body)
            .await
            .ok()
            .json();
        assert_eq!(
            (written.files, written.directories, written.bytes),
            (2, 3, 700_000)
        );
        assert_eq!(
            std::fs::read(agent.at(&format!("{to}/x/a/b/file"))).unwrap(),
            vec![7; 700_000]
        );
        assert!(agent.at(&format!("{to}/x/empty")).exists());
        // What is in it, without a name for it.
        let packed = agent
            .ask(protocol, Method::GET, &agent.of(path::TREES, "from", ""), "")
            .await
            .ok();
        agent
            .ask(protocol, Method::PUT, &agent.of(path::TREES, to, ""), packed.body)
            .await
            .ok();
        assert!(agent.at(&format!("{to}/a/b/file")).exists());
    }
    agent
        .get(&agent.of(path::TREES, "no", ""))
        .await
        .fails(404, AgentErrorCode::NotFound);
    agent
        .get(&agent.of(path::TREES, "from", "&name=a/b"))
        .await
        .fails(400, AgentErrorCode::InvalidRequest);
    agent
        .get(&agent.of(path::TREES, "from/empty", ""))
        .await
        .fails(409, AgentErrorCode::NotADirectory);
}

#[tokio::test]
async fn archives_that_lead_elsewhere_are_refused() {
    let agent = Agent::start().await;
    std::fs::create_dir(agent.at("to")).unwrap();
    std::fs::create_dir(agent.at("outside")).unwrap();
    let file = MemberKind::File(4);
    let hostile: [&[(&str, MemberKind<'_>)]; 6] = [
        &[("../outside/file", file)],
        &[("/outside/file", file)],
        &[("a/../../outside/file", file)],
        &[("a", MemberKind::Symlink(b"../outside")), ("a/file", file)],
        &[
            ("a", MemberKind::Directory),
            ("a/b", MemberKind::Symlink(b"/")),
            ("a/b/file", file),
        ],
        &[("nowhere/file", file)],
    ];
    for members in hostile {
        let reply = agent
            .put(&agent.of(path::TREES, "to", ""), archive(members))
            .await;
        reply.fails(422, AgentErrorCode::ArchiveRefused);
    }
    let to = agent.of(path::TREES, "to", "");
    agent
        .put(&to, "no archive")
        .await
        .fails(400, AgentErrorCode::ArchiveMalformed);
    agent
        .put(&to, "")
        .await
        .fails(400, AgentErrorCode::ArchiveMalformed);
    let mut cut = archive(&[("x", file)]);
    cut.truncate(700);
    agent
        .put(&to, cut)
        .await
        .fails(400, AgentErrorCode::ArchiveMalformed);
    // A bomb: a file that claims more than there is room for.
    let mut bomb = archive(&[]);
    bomb.truncate(512);
    let claims = header(&Member {
        name: b"bomb",
        kind: MemberKind::File(u64::from(u32::MAX) * 2),
        mode: 0o600,
        modified: 0,
        owner: Owner::default(),
    });
    bomb.extend(claims);
    agent
        .put(&to, bomb)
        .await
        .fails(400, AgentErrorCode::ArchiveMalformed);
    assert!(std::fs::read_dir(agent.at("outside")).unwrap().next().is_none());
    for entry in std::fs::read_dir(agent.at("to")).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(name == "a", "{name:?}");
    }
}

/// Somebody puts a link where the archive's directory was, again and again, while it is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_appears_meanwhile_is_not_followed() {
    let agent = Agent::start().await;
    std::fs::create_dir(agent.at("to")).unwrap();
    std::fs::create_dir(agent.at("outside")).unwrap();
    let (place, aside, outside) = (agent.at("to/a"), agent.at("to/aside"), agent.at("outside"));
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let racing = std::thread::spawn({
        let stop = std::sync::Arc::clone(&stop);
        move || {
            let mut swaps = 0_u64;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                if std::fs::rename(&place, &aside).is_ok() && symlink(&outside, &place).is_ok() {
                    swaps += 1;
                    std::thread::yield_now();
                    let _ = std::fs::remove_file(&place);
                }
                let _ = std::fs::remove_dir_all(&aside);
            }
            swaps
        }
    });
    let names: Vec<String> = (0..50).map(|number| format!("a/{number}")).collect();
    let mut members = vec![("a", MemberKind::Directory)];
    members.extend(names.iter().map(|name| (name.as_str(), MemberKind::File(4))));
    let archive = archive(&members);
    for _ in 0..100 {
        // Whether it succeeds is a matter of chance.
        agent.put(&agent.of(path::TREES, "to", ""), archive.clone()).await;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(racing.join().unwrap() > 0);
    assert!(std::fs::read_dir(agent.at("outside")).unwrap().next().is_none());
}
