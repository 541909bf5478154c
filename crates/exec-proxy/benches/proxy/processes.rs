//! Processes of a measurement.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child as Process, Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

/// One that listens; it ends with this.
pub(crate) struct Child {
    process: Process,
    /// Where it listens on this machine.
    pub(crate) port: u16,
}

impl Child {
    /// This program, which says on which port it listens.
    pub(crate) fn ourselves(arguments: &[&str]) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line.trim().parse().expect("a port");
        Self { process, port }
    }

    /// Another program, of which it is known.
    pub(crate) fn other(command: &mut Command, port: u16) -> Self {
        let process = command.spawn().expect("a program that can be run");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "{command:?} does not listen"
            );
        }
        Self { process, port }
    }

    /// Its memory in KiB.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // One that has workers ends them.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

/// A port on which nothing listens at the moment.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
