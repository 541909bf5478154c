//! Commands whose output is known before they run.

use std::fmt::Write as _;
use std::io::Cursor;

use podbay_protocol::hex::to_hex;
use podbay_runtime::Session;
use podbay_runtime::protocol::{End, ProcessSpec};
use rand::rngs::StdRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

/// A file in the sandbox of bytes that are no text; commands write parts of it.
pub(crate) const BYTES: &str = "bytes";
/// How many there are.
const LENGTH: usize = 1 << 21;
/// Where each command that ran has left its number.
pub(crate) const RAN: &str = "ran";
/// Sizes around what is carried at once: frames, pipes, windows of HTTP/2 and of the agent, and pieces of input.
const EDGES: [usize; 6] = [1 << 12, 1 << 14, 65_535, 1 << 16, 1 << 17, 1 << 18];

/// The content of [`BYTES`].
pub(crate) fn bytes() -> Vec<u8> {
    let mut bytes = vec![0; LENGTH];
    StdRng::seed_from_u64(1).fill_bytes(&mut bytes);
    bytes
}

/// A command, what it is given, and what must come of it.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) number: u64,
    pub(crate) argv: Vec<String>,
    pub(crate) stdin: Option<Vec<u8>>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) end: Expected,
    /// Whether it leaves its number in [`RAN`].
    pub(crate) leaves_number: bool,
}

/// How it must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Exited(i32),
    Signaled(i32),
    NotFound,
}

impl Expected {
    pub(crate) fn is(self, end: &End) -> bool {
        match (self, end) {
            (Self::Exited(code), End::Exited { code: got }) => code == *got,
            (Self::Signaled(signal), End::Signaled { signal: got }) => signal == *got,
            (Self::NotFound, End::NotFound { .. }) => true,
            _ => false,
        }
    }
}

/// What came of it, as far as the model is concerned.
#[derive(Clone, Debug)]
pub(crate) struct Came {
    pub(crate) end: End,
    pub(crate) stdout: (u64, String),
    pub(crate) stderr: (u64, String),
    pub(crate) truncated: bool,
}

impl Task {
    /// The command with this number of a sequence: the same each time.
    pub(crate) fn number(seed: u64, number: u64, bytes: &[u8]) -> Self {
        let mut random = StdRng::seed_from_u64(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut task = Self {
            number,
            argv: Vec::new(),
            stdin: None,
            stdout: Vec::new(),
            stderr: Vec::new(),
            end: Expected::Exited(0),
            leaves_number: true,
        };
        let mut script = format!("echo {number} >>{RAN};");
        match random.random_range(0..8) {
            0 => task.text(&mut random, &mut script),
            1 | 2 => task.parts(&mut random, &mut script, bytes),
            3 | 4 => task.echo(&mut random, &mut script, bytes),
            5 => task.unread(&mut random, &mut script, bytes),
            6 => task.killed(&mut random, &mut script),
            _ => task.quiet(&mut random, &mut script),
        }
        if number % 50 == 49 {
            return Self {
                argv: vec![format!("/no/such/program-{number}")],
                stdin: None,
                stdout: Vec::new(),
                stderr: Vec::new(),
                end: Expected::NotFound,
                leaves_number: false,
                number,
            };
        }
        task.argv = ["sh", "-c", &script].map(str::to_owned).to_vec();
        task
    }

    /// Lines on both outputs.
    fn text(&mut self, random: &mut StdRng, script: &mut String) {
        let lines = |count: u64| (1..=count).map(|line| format!("{line}\n")).collect::<String>();
        let (out, err) = (random.random_range(0..9_000), random.random_range(0..3_000));
        let code = random.random_range(0..=255);
        let _ = write!(script, "seq 1 {out}; seq 1 {err} >&2; exit {code}");
        (self.stdout, self.stderr) = (lines(out).into(), lines(err).into());
        self.end = Expected::Exited(code);
    }

    /// Parts of the file on both outputs at once.
    fn parts(&mut self, random: &mut StdRng, script: &mut String, bytes: &[u8]) {
        let (out, err) = (part(random, bytes), part(random, bytes));
        let print = |(at, length): (usize, usize)| format!("tail -c +{} {BYTES} | head -c {length}", at + 1);
        let code = random.random_range(0..3);
        let _ = write!(script, "({}) >&2 & {}; wait; exit {code}", print(err), print(out));
        (self.stdout, self.stderr) = (of(bytes, out), of(bytes, err));
        self.end = Expected::Exited(code);
    }

    /// What it is given, and how much that was.
    fn echo(&mut self, random: &mut StdRng, script: &mut String, bytes: &[u8]) {
        let given = of(bytes, part(random, bytes));
        *script += "cat; echo end >&2";
        self.stderr = b"end\n".to_vec();
        self.stdout.clone_from(&given);
        self.stdin = Some(given);
    }

    /// The beginning of what it is given: the rest is never read.
    fn unread(&mut self, random: &mut StdRng, script: &mut String, bytes: &[u8]) {
        let given = of(bytes, part(random, bytes));
        let read = random.random_range(0..=given.len());
        let _ = write!(script, "head -c {read}; exit 7");
        self.stdout = given[..read].to_vec();
        self.stdin = Some(given);
        self.end = Expected::Exited(7);
    }

    /// A signal that it sends itself, after some output.
    fn killed(&mut self, random: &mut StdRng, script: &mut String) {
        let signal = [1, 2, 3, 6, 9, 10, 13, 15][random.random_range(0..8)];
        let _ = write!(script, "echo last; kill -{signal} $$; sleep 10");
        self.stdout = b"last\n".to_vec();
        self.end = Expected::Signaled(signal);
    }

    /// Nothing but a code.
    fn quiet(&mut self, random: &mut StdRng, script: &mut String) {
        let code = random.random_range(0..=255);
        let _ = write!(script, "exit {code}");
        self.end = Expected::Exited(code);
    }

    /// Runs it by the library.
    pub(crate) async fn run(&self, session: &Session) -> Result<Came, String> {
        let mut command = session.command(self.argv.clone()).capture(0);
        if let Some(stdin) = &self.stdin {
            command = command.stdin(Cursor::new(stdin.clone()));
        }
        let outcome = Box::pin(command.output()).await.map_err(|error| error.chain())?;
        Ok(Came {
            end: outcome.end,
            stdout: (outcome.stdout.bytes, outcome.stdout.sha256),
            stderr: (outcome.stderr.bytes, outcome.stderr.sha256),
            truncated: outcome.stdout.truncated || outcome.stderr.truncated,
        })
    }

    /// The same for a client that speaks to the transport itself.
    pub(crate) fn specification(&self, id: &str) -> ProcessSpec {
        let mut spec = ProcessSpec::new(id.parse().unwrap(), self.argv.clone());
        spec.stdin = self.stdin.is_some();
        spec
    }

    /// Whether what came is what must come; what is wrong in words.
    pub(crate) fn check(&self, came: &Came) -> Result<(), String> {
        let Self {
            number,
            stdout,
            stderr,
            end,
            ..
        } = self;
        if !end.is(&came.end) {
            return Err(format!("run {number} ended with {:?}, not {end:?}", came.end));
        }
        for (name, is, must) in [("stdout", &came.stdout, stdout), ("stderr", &came.stderr, stderr)] {
            if *is != (must.len() as u64, sha256(must)) {
                return Err(format!(
                    "run {number}: {} bytes of {name}, not the {}",
                    is.0,
                    must.len()
                ));
            }
        }
        if came.truncated {
            return Err(format!("run {number} is said to be truncated"));
        }
        Ok(())
    }
}

/// Where a part of the bytes begins, and its length: around the edges, or anything small.
fn part(random: &mut StdRng, bytes: &[u8]) -> (usize, usize) {
    let length = if random.random_range(0..3) == 0 {
        EDGES[random.random_range(0..EDGES.len())] + random.random_range(0..3) - 1
    } else {
        random.random_range(0..20_000)
    };
    (random.random_range(0..bytes.len() - length), length)
}

fn of(bytes: &[u8], (at, length): (usize, usize)) -> Vec<u8> {
    bytes[at..at + length].to_vec()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    to_hex(&hash)
}
