//! Clients that are wrong on purpose: the faults and the model find each of them out. What they are checked by is what
//! the library itself is checked by, so it would be found out as well.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use podbay_protocol::hex::to_hex;
use podbay_runtime::protocol::{End, Offsets, ProcessEnd, ProcessId};
use podbay_runtime::transport::{Attachment, AttachmentEnd, ProcessTransport};
use sha2::{Digest as _, Sha256};

use crate::faults::{Class, Faults};
use crate::sandbox::sandbox;
use crate::task::{self, Came, Task};

/// What is wrong with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Defect {
    /// Nothing.
    None,
    /// It starts a process again under a new id when the answer was lost.
    StartsAnother,
    /// It goes on one byte behind what it has.
    SkipsAByte,
    /// It goes on before what it has, and takes all that comes.
    RepeatsBytes,
    /// It takes the loss of a connection for the end of a process that succeeded.
    TakesLossForSuccess,
    /// It goes on with the next piece of input when the answer to one was lost.
    DropsInput,
    /// It writes a piece of input again at the place that was reached, when the answer was lost.
    RepeatsInput,
}

impl Defect {
    const ALL: [Self; 6] = [
        Self::StartsAnother,
        Self::SkipsAByte,
        Self::RepeatsBytes,
        Self::TakesLossForSuccess,
        Self::DropsInput,
        Self::RepeatsInput,
    ];

    /// Bytes after which each connection has failed, at most: the fewer, the more often something small is hit.
    const fn reach(self) -> u64 {
        match self {
            // The head of one answer, of some hundred bytes, must be lost.
            Self::StartsAnother => 6_000,
            _ => 60_000,
        }
    }
}

/// Runs of one client over one class of faults, at most, before it is found out.
const RUNS: u64 = 40;
/// Bytes of input that are written at once.
const PIECE: usize = 2_000;
/// How often a client tries again.
const TRIES: u32 = 2000;
const PAUSE: Duration = Duration::from_millis(5);

#[tokio::test(flavor = "multi_thread")]
async fn each_class_of_faults_finds_a_broken_client_out() {
    let bytes: Arc<[u8]> = task::bytes().into();
    let found = Class::ALL.map(|class| tokio::spawn(over(class, Arc::clone(&bytes))));
    let mut by_class = BTreeMap::new();
    for (class, found) in Class::ALL.into_iter().zip(futures::future::join_all(found).await) {
        let found = found.unwrap();
        println!("{class:?} finds out {found:?}");
        by_class.insert(class, found);
    }
    for (class, found) in &by_class {
        assert!(found.len() >= 3, "{class:?} found out {found:?} alone");
    }
    for defect in Defect::ALL {
        assert!(
            by_class.values().any(|found| found.contains(&defect)),
            "nothing finds out {defect:?}"
        );
    }
}

/// Which clients are found out by a class of faults. One that is not broken must not be.
async fn over(class: Class, bytes: Arc<[u8]>) -> Vec<Defect> {
    let mut found = Vec::new();
    for defect in [Defect::None].into_iter().chain(Defect::ALL) {
        let sandbox = sandbox(Faults::seeded(&[class], defect.reach(), 11)).await;
        std::fs::write(sandbox.path(task::BYTES), &bytes).unwrap();
        let transport = sandbox.session.processes().await.unwrap();
        let runs = if defect == Defect::None { RUNS / 2 } else { RUNS };
        for number in 0..runs {
            let task = Task::number(5, number, &bytes);
            let client = Client {
                transport: Arc::clone(&transport),
                defect,
            };
            let run = tokio::time::timeout(Duration::from_secs(60), client.run(&task));
            let wrong = match run.await {
                Ok(Ok(came)) => task.check(&came),
                Ok(Err(lost)) => Err(lost),
                Err(_) => Err("it does not end".to_owned()),
            };
            let ran = std::fs::read_to_string(sandbox.path(task::RAN)).unwrap_or_default();
            let times = ran.lines().filter(|line| *line == number.to_string()).count();
            let wrong = wrong.and(if times == usize::from(task.leaves_number) {
                Ok(())
            } else {
                Err(format!("run {number} ran {times} times"))
            });
            match wrong {
                Ok(()) => {}
                Err(wrong) if defect == Defect::None => panic!("{class:?}: {wrong}"),
                Err(_) => {
                    found.push(defect);
                    break;
                }
            }
        }
    }
    found
}

/// A simple client of a transport.
struct Client {
    transport: Arc<dyn ProcessTransport>,
    defect: Defect,
}

/// One output, as far as it has come.
#[derive(Default)]
struct Taken {
    bytes: u64,
    hash: Sha256,
}

impl Taken {
    fn came(self) -> (u64, String) {
        let hash = self.hash.finalize();
        (self.bytes, to_hex(&hash))
    }
}

impl Client {
    async fn run(&self, task: &Task) -> Result<Came, String> {
        let (id, attachment) = self.start(task).await?;
        let feeding = async {
            if let Some(stdin) = &task.stdin {
                self.feed(&id, stdin).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            came = self.follow(&id, attachment) => came,
            () = feeding => Err("no end".to_owned()),
        }
    }

    async fn start(&self, task: &Task) -> Result<(ProcessId, Attachment), String> {
        let mut lost = String::new();
        let mut id = ProcessId::from_random(rand::random()).to_string();
        for _ in 0..TRIES {
            let spec = task.specification(&id);
            match self.transport.start(spec).await {
                Ok(attachment) => return Ok((id.parse().unwrap(), attachment)),
                Err(error) => lost = error.chain(),
            }
            if self.defect == Defect::StartsAnother {
                id = ProcessId::from_random(rand::random()).to_string();
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(lost)
    }

    async fn follow(&self, id: &ProcessId, mut attachment: Attachment) -> Result<Came, String> {
        let (mut out, mut err) = (Taken::default(), Taken::default());
        for _ in 0..TRIES {
            let Attachment {
                stdout,
                stderr,
                end,
                guard,
            } = attachment;
            let ((), (), end) = tokio::join!(self.take(stdout, &mut out), self.take(stderr, &mut err), end);
            drop(guard);
            match end {
                AttachmentEnd::Ended(record) => {
                    let end = match record.end {
                        ProcessEnd::Exited { code } => End::Exited { code },
                        ProcessEnd::Signaled { signal } => End::Signaled { signal },
                        ProcessEnd::NotStarted { message, .. } => End::NotFound { message },
                        other => return Err(format!("{other:?}")),
                    };
                    return Ok(Came {
                        end,
                        stdout: out.came(),
                        stderr: err.came(),
                        truncated: record.stdout.truncated || record.stderr.truncated,
                    });
                }
                _ if self.defect == Defect::TakesLossForSuccess => {
                    return Ok(Came {
                        end: End::Exited { code: 0 },
                        stdout: out.came(),
                        stderr: err.came(),
                        truncated: false,
                    });
                }
                _ => attachment = self.attach(id, &out, &err).await?,
            }
        }
        Err("lost too often".to_owned())
    }

    async fn attach(&self, id: &ProcessId, out: &Taken, err: &Taken) -> Result<Attachment, String> {
        let mut lost = String::new();
        let place = |taken: &Taken| match self.defect {
            Defect::SkipsAByte if taken.bytes > 0 => taken.bytes + 1,
            Defect::RepeatsBytes => taken.bytes.saturating_sub(10),
            _ => taken.bytes,
        };
        let from = Offsets {
            stdout: place(out),
            stderr: place(err),
        };
        for _ in 0..TRIES {
            tokio::time::sleep(PAUSE).await;
            match self.transport.attach(id, from).await {
                Ok(attachment) => return Ok(attachment),
                Err(error) => lost = error.chain(),
            }
        }
        Err(lost)
    }

    async fn take(&self, mut output: podbay_runtime::transport::Output, taken: &mut Taken) {
        while let Some(chunk) = output.next().await {
            let known = taken.bytes.saturating_sub(chunk.offset);
            let known = if self.defect == Defect::RepeatsBytes {
                0
            } else {
                known
            };
            let fresh = chunk
                .bytes
                .get(usize::try_from(known).unwrap()..)
                .unwrap_or_default();
            taken.hash.update(fresh);
            taken.bytes += fresh.len() as u64;
        }
    }

    async fn feed(&self, id: &ProcessId, stdin: &[u8]) {
        // Where the agent is, and where we are.
        let (mut reached, mut at) = (0_u64, 0_usize);
        let mut tries = 0;
        while at < stdin.len() && tries < TRIES {
            let piece = &stdin[at..stdin.len().min(at + PIECE)];
            let written = self
                .transport
                .write(id, reached, Bytes::copy_from_slice(piece))
                .await;
            match written {
                Ok(now) => {
                    at += usize::try_from(now.saturating_sub(reached)).unwrap();
                    reached = now;
                    continue;
                }
                Err(error) if error.chain().contains("no longer reads") => return,
                Err(_) => tries += 1,
            }
            tokio::time::sleep(PAUSE).await;
            let known = || async { self.transport.info(id).await.ok()?.stdin };
            match self.defect {
                Defect::DropsInput => {
                    at += piece.len();
                    reached = known().await.unwrap_or(reached);
                }
                Defect::RepeatsInput => reached = known().await.unwrap_or(reached),
                _ => {}
            }
        }
        for _ in 0..TRIES {
            if self.transport.close_stdin(id).await.is_ok() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
