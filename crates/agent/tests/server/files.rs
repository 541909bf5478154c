//! What is known of files, and changes to directories.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use http::Method;
use podbay_protocol::agent::files::{MakeDirectory, Move, Remove};
use podbay_protocol::agent::{AgentErrorCode, FileKind, FileList, FileStat, RawText, path};

use crate::client::{Agent, BOTH};

fn raw(path: &std::path::Path) -> RawText {
    path.as_os_str().as_encoded_bytes().to_vec().into()
}

#[tokio::test]
async fn files_are_looked_at_and_listed() {
    use std::os::unix::ffi::OsStrExt as _;

    let agent = Agent::start().await;
    let odd = std::ffi::OsStr::from_bytes(b"odd\xff\n\"");
    std::fs::write(agent.directory.path().join(odd), "abc").unwrap();
    std::fs::set_permissions(
        agent.directory.path().join(odd),
        std::fs::Permissions::from_mode(0o640),
    )
    .unwrap();
    symlink("nowhere", agent.at("link")).unwrap();
    std::fs::create_dir(agent.at("many")).unwrap();
    for number in 0..1500 {
        std::fs::write(agent.at(&format!("many/{number}")), "").unwrap();
    }
    for protocol in BOTH {
        let list = |target: String| {
            let agent = &agent;
            async move { agent.ask(protocol, Method::GET, &target, "").await }
        };
        let listed: FileList = list(agent.of(path::LIST, "", "")).await.ok().json();
        let mut names: Vec<_> = listed.entries.iter().map(|entry| entry.name.as_bytes()).collect();
        names.sort_unstable();
        assert_eq!(names, [b"link".as_slice(), b"many", odd.as_bytes()]);
        let odd_stat = &listed
            .entries
            .iter()
            .find(|entry| entry.name.as_bytes() == odd.as_bytes())
            .unwrap()
            .stat;
        assert_eq!(
            (odd_stat.kind, odd_stat.size, odd_stat.mode),
            (FileKind::File, 3, 0o640)
        );
        let many: FileList = list(agent.of(path::LIST, "many", "")).await.ok().json();
        assert_eq!(many.entries.len(), 1500);
        let link: FileStat = list(agent.of(path::STAT, "link", "")).await.ok().json();
        assert_eq!(
            (link.kind, link.link),
            (FileKind::Symlink, Some("nowhere".into()))
        );
        let followed = list(agent.of(path::STAT, "link", "&follow=true")).await;
        assert_eq!(
            followed.fails(404, AgentErrorCode::NotFound).errno.as_deref(),
            Some("ENOENT")
        );
        let file = list(agent.of(path::LIST, "link", "")).await;
        file.fails(404, AgentErrorCode::NotFound);
        let empty = tempfile::tempdir_in(agent.directory.path()).unwrap();
        let name = empty.path().file_name().unwrap().to_str().unwrap();
        let listed: FileList = list(agent.of(path::LIST, name, "")).await.ok().json();
        assert!(listed.entries.is_empty());
    }
    agent
        .get("/podbay/v1/files/stat")
        .await
        .fails(400, AgentErrorCode::InvalidRequest);
    agent
        .get("/podbay/v1/files/stat?path=relative")
        .await
        .fails(404, AgentErrorCode::NotFound);
    // Relative to where processes start: this program's own directory here.
    agent.get("/podbay/v1/files/stat?path=Cargo.toml").await.ok();
    agent
        .get("/podbay/v1/files/stat?path=/a%00b")
        .await
        .fails(400, AgentErrorCode::InvalidRequest);
}

#[tokio::test]
async fn directories_are_made_moved_and_removed() {
    let agent = Agent::start().await;
    let make = |name: &str, parents| MakeDirectory {
        path: raw(&agent.at(name)),
        mode: Some(0o750),
        parents,
    };
    agent
        .post(path::MAKE_DIRECTORY, &make("a/b", false))
        .await
        .fails(404, AgentErrorCode::NotFound);
    agent.post(path::MAKE_DIRECTORY, &make("a/b", true)).await.ok();
    agent.post(path::MAKE_DIRECTORY, &make("a/b", true)).await.ok();
    agent
        .post(path::MAKE_DIRECTORY, &make("a/b", false))
        .await
        .fails(409, AgentErrorCode::Exists);
    assert_eq!(
        std::fs::metadata(agent.at("a/b")).unwrap().permissions().mode() & 0o777,
        0o750
    );
    std::fs::write(agent.at("f"), "f").unwrap();
    std::fs::write(agent.at("g"), "g").unwrap();
    agent
        .post(path::MAKE_DIRECTORY, &make("f", true))
        .await
        .fails(409, AgentErrorCode::NotADirectory);
    let moved = |from: &str, to: &str, replace| Move {
        from: raw(&agent.at(from)),
        to: raw(&agent.at(to)),
        replace,
    };
    agent
        .post(path::MOVE, &moved("f", "g", false))
        .await
        .fails(409, AgentErrorCode::Exists);
    assert_eq!(std::fs::read(agent.at("g")).unwrap(), b"g");
    agent.post(path::MOVE, &moved("f", "g", true)).await.ok();
    assert_eq!(std::fs::read(agent.at("g")).unwrap(), b"f");
    agent
        .post(path::MOVE, &moved("f", "h", false))
        .await
        .fails(404, AgentErrorCode::NotFound);
    agent
        .post(path::MOVE, &moved("a", "a/b/c", false))
        .await
        .fails(400, AgentErrorCode::InvalidRequest);
    let remove = |name: &str, recursive| Remove {
        path: raw(&agent.at(name)),
        recursive,
    };
    agent
        .post(path::REMOVE, &remove("a", false))
        .await
        .fails(409, AgentErrorCode::NotEmpty);
    std::fs::create_dir(agent.at("kept")).unwrap();
    std::fs::write(agent.at("kept/file"), "").unwrap();
    symlink(agent.at("kept"), agent.at("a/link")).unwrap();
    symlink(agent.at("kept"), agent.at("link")).unwrap();
    agent.post(path::REMOVE, &remove("a", true)).await.ok();
    agent.post(path::REMOVE, &remove("link", true)).await.ok();
    assert!(!agent.at("a").exists() && !agent.at("link").exists());
    assert!(agent.at("kept/file").exists());
    agent
        .post(path::REMOVE, &remove("a", true))
        .await
        .fails(404, AgentErrorCode::NotFound);
    agent
        .post(path::REMOVE, &remove("kept/..", true))
        .await
        .fails(400, AgentErrorCode::InvalidRequest);
    agent
        .post(path::REMOVE, &serde_json::json!({"path": "/"}))
        .await
        .fails(400, AgentErrorCode::InvalidRequest);
}
