//! How much memory the program needs for what is large.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use podbay_protocol::agent::path;

use super::{KEY, Served, command};

const LARGE: u64 = 512 << 20;
/// What the server may need more than when it has nothing to do, in bytes.
const MORE: u64 = 16 << 20;

impl Served {
    /// Memory that it has, or had at most, resident, in bytes.
    fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    fn begin(&self, method: &str, target: &str, length: u64) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-session-api-key: {KEY}\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }
}

#[test]
fn large_files_and_trees_go_through_in_little_memory() {
    let directory = tempfile::tempdir().unwrap();
    let of = |api: &str, name: &str| {
        let file = directory.path().join(name);
        format!(
            "{api}?path={}",
            path::encoded(file.as_os_str().as_encoded_bytes())
        )
    };
    // Without blocks on the disk, and with all the bytes.
    std::fs::create_dir(directory.path().join("from")).unwrap();
    std::fs::File::create(directory.path().join("from/large"))
        .unwrap()
        .set_len(LARGE)
        .unwrap();
    let served = Served::start(command(&[]).env("SESSION_API_KEY", KEY));
    let idle = served.memory("VmRSS:");

    let mut download = served.begin("GET", &of(path::FILES, "from/large"), 0);
    let bytes = std::io::copy(&mut download, &mut std::io::sink()).unwrap();
    assert!((LARGE..LARGE + 2048).contains(&bytes), "{bytes}");

    let mut upload = served.begin("PUT", &of(path::FILES, "copy"), LARGE);
    std::io::copy(&mut std::io::repeat(7).take(LARGE), &mut upload).unwrap();
    let mut answer = String::new();
    upload.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(
        std::fs::metadata(directory.path().join("copy")).unwrap().len(),
        LARGE
    );

    let mut tree = served.begin("GET", &of(path::TREES, "from"), 0);
    let bytes = std::io::copy(&mut tree, &mut std::io::sink()).unwrap();
    assert!(bytes > LARGE, "{bytes}");

    // A reader who does not read: what he was not given stays on the disk.
    let _stalled: Vec<TcpStream> = (0..20)
        .map(|_| served.begin("GET", &of(path::FILES, "from/large"), 0))
        .collect();
    assert_eq!(served.ask("GET", path::PROCESSES, KEY, "").0, 200);
    let most = served.memory("VmHWM:");
    assert!(most < idle + MORE, "{idle}, at most {most}");
}
