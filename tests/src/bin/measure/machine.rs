//! The agent on this machine: its program, and what a session that it keeps costs. Needs no cluster.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use podbay_protocol::hex::to_hex;
use podbay_runtime::{Backend, Config, Podbay, Session};
use podbay_tests::agent::static_agent;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::actions;
use crate::figures::Figures;

/// A program that does nothing, by its path, so that neither side searches.
const TRUE: &str = "/bin/true";
/// Rounds of what is small; the first fifty are not counted.
const ROUNDS: usize = 1050;
const NOT_COUNTED: usize = 50;
/// Bytes of the large output.
const LARGE: u64 = 1 << 30;

pub(crate) async fn agent() {
    let program = static_agent();
    let size = std::fs::metadata(&program).unwrap().len();
    println!("size of the static program: {:.2} MB (at most 5)", mega(size));
    starts(&program);
    let known = agents(&program);
    let podbay = podbay(&program).await;
    let session = podbay.session("measure-agent").open().await.unwrap();
    let agent = Agent(*agents(&program).iter().find(|pid| !known.contains(pid)).unwrap());
    assert!(session.exec([TRUE]).await.unwrap().success());
    let idle = agent.memory("VmRSS:");
    println!("memory with nothing to do: {:.2} MB (at most 4)", mega(idle));
    small_commands(&session, &program).await;
    println!(
        "memory with the records of the last 1,000 commands: {:.2} MB",
        mega(agent.memory("VmRSS:"))
    );
    large_output(&session, &agent, idle).await;
    println!(
        "memory after all of that: {:.2} MB (at most 8)",
        mega(agent.memory("VmRSS:"))
    );
    session.close().await.unwrap();
    actions::at_once(&podbay).await;
}

/// Of [`agent`] the small commands alone.
pub(crate) async fn commands() {
    let program = static_agent();
    let podbay = podbay(&program).await;
    let session = podbay.session("measure-commands").open().await.unwrap();
    small_commands(&session, &program).await;
    session.close().await.unwrap();
}

/// Sessions of this machine that agents of this program keep.
async fn podbay(program: &str) -> Podbay {
    let mut config = Config::default();
    config.agent.binary = Some(program.into());
    let podbay = Podbay::builder(config).backend(Backend::Local);
    podbay.connect().await.unwrap()
}

/// From the start of the process until `/alive` is answered.
fn starts(program: &str) {
    let mut figures = Figures::default();
    for round in 0..21 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let begun = Instant::now();
        let mut server = Ended(
            Command::new(program)
                .args(["serve", "--address", "127.0.0.1", "--port", &port.to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        while !alive(port) {
            assert!(server.0.try_wait().unwrap().is_none(), "it ended");
        }
        if round > 0 {
            figures.add(begun.elapsed());
        }
    }
    println!(
        "{} (median at most 10)",
        figures.line("process start to the first answer")
    );
}

fn alive(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
        return false;
    };
    let request = b"GET /alive HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

/// A process that ends with its owner.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process by its id.
struct Agent(u32);

impl Agent {
    /// Memory in bytes, as a field of `/proc/PID/status` tells it.
    fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Forgets the most that it had so far (proc(5), `clear_refs`).
    fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.0), "5").unwrap();
    }
}

/// The processes that run this program and listen on a socket.
fn agents(program: &str) -> Vec<u32> {
    let program = std::fs::canonicalize(program).unwrap();
    let runs = |pid: &u32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let serves = words.split(|&byte| byte == 0).any(|word| word == b"--socket");
        serves && std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program)
    };
    let processes = std::fs::read_dir("/proc").unwrap();
    let names = processes.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    names.filter(runs).collect()
}

/// `true` in the session against the same by `posix_spawn` and wait in this process, and the start of the program that each
/// command's supervisor is, in turns.
async fn small_commands(session: &Session, program: &str) {
    let (mut ours, mut theirs, mut supervisor) = <(Figures, Figures, Figures)>::default();
    for round in 0..ROUNDS {
        let begun = Instant::now();
        assert!(Box::pin(session.exec([TRUE])).await.unwrap().success());
        let by_agent = begun.elapsed();
        let directly = spawned(TRUE);
        let again = spawned(program);
        if round >= NOT_COUNTED {
            ours.add(by_agent);
            theirs.add(directly);
            supervisor.add(again);
        }
    }
    println!("{}", theirs.line("posix_spawn and wait of `true`"));
    println!(
        "{}",
        supervisor.line("the same of the agent's program, which then ends")
    );
    println!("{}", ours.line("`true` by the agent"));
    println!(
        "  more than posix_spawn, medians: {:.2} ms (at most 1)",
        ours.median() - theirs.median()
    );
}

/// How long it takes to start a program without arguments and to wait for its end.
fn spawned(program: &str) -> Duration {
    let begun = Instant::now();
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().unwrap();
    begun.elapsed()
}

/// A large output by the agent against the same work in one process: a pipe, a hash, a connection, a hash. In turns.
async fn large_output(session: &Session, agent: &Agent, idle: u64) {
    let (mut ours, mut theirs) = <(Figures, Figures)>::default();
    let mut most = 0;
    for round in 0..6 {
        agent.forget_peak();
        let begun = Instant::now();
        let bytes = LARGE.to_string();
        let command = session.command(["head", "-c", &bytes, "/dev/zero"]);
        let outcome = Box::pin(command.capture(0).output()).await.unwrap();
        let by_agent = begun.elapsed();
        most = most.max(agent.memory("VmHWM:"));
        let begun = Instant::now();
        let hash = tokio::task::spawn_blocking(in_one_process).await.unwrap();
        let directly = begun.elapsed();
        assert!(outcome.success() && !outcome.stdout.truncated);
        assert_eq!((outcome.stdout.bytes, &outcome.stdout.sha256), (LARGE, &hash));
        if round > 0 {
            ours.add(by_agent);
            theirs.add(directly);
        }
    }
    println!("{}", theirs.line("1 GiB of output, hashed twice, in one process"));
    println!(
        "{}",
        ours.line("1 GiB of output, hashed on both sides, by the agent")
    );
    println!(
        "  as fast, ratio of medians: {:.2} (at least 0.7); the agent's memory at most {:.2} MB more than idle (at most 16)",
        theirs.median() / ours.median(),
        mega(most.saturating_sub(idle))
    );
}

/// The same work: who reads the pipe hashes and sends, who receives hashes.
fn in_one_process() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let mut child = Command::new("head")
        .args(["-c", &LARGE.to_string(), "/dev/zero"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdout.take().unwrap();
    let sender = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        hashed(&mut pipe, |piece| stream.write_all(piece).unwrap())
    });
    let mut received = listener.accept().unwrap().0;
    let hash = hashed(&mut received, |_| {});
    assert_eq!(sender.join().unwrap(), hash);
    assert!(child.wait().unwrap().success());
    hash
}

fn hashed(from: &mut impl std::io::Read, mut each: impl FnMut(&[u8])) -> String {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 << 10]);
    loop {
        let read = from.read(&mut buffer).unwrap();
        if read == 0 {
            return to_hex(&hash.finalize());
        }
        hash.update(&buffer[..read]);
        each(&buffer[..read]);
    }
}

#[expect(clippy::cast_precision_loss, reason = "far fewer bytes than 2^52")]
fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
