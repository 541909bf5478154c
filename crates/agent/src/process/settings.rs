//! What all processes of an agent have in common.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use podbay_protocol::ProcessUser;

/// The program that supervises processes when nothing else is said: this one.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// What a stream's log keeps in memory, in bytes.
const WINDOW: usize = 1 << 20;
/// How much all spool files may hold together, in bytes.
const SPOOL_LIMIT: u64 = 1 << 30;
/// How much the spool file of one stream may hold, in bytes, so that one process can't take all.
const STREAM_LIMIT: u64 = SPOOL_LIMIT / 4;
/// How many ended processes are kept.
const KEPT: usize = 1000;
/// How long an ended process is kept.
const KEPT_FOR: Duration = Duration::from_secs(60 * 60);
/// How long a process that waits for its reader waits for one who is not there.
const REATTACH_GRACE: Duration = Duration::from_secs(60);
/// How long after a process's end its output is waited for if processes it left behind keep it open. Long enough for
/// the last filter of a pipeline (`> >(tee log)`) to finish, short enough not to be a hang.
const LINGER: Duration = Duration::from_secs(1);

/// What all processes of an agent have in common.
///
/// No `Debug`: the environment may hold secrets.
#[derive(Clone)]
#[non_exhaustive]
pub struct ProcessSettings {
    /// The agent's own program, which supervises each process in its mode `supervise`. By default the program that
    /// runs; a program that uses the agent as a library names the agent's.
    pub program: PathBuf,
    /// Whether supervisors are started ahead, so that the next processes start faster: two processes of this agent that wait
    /// while there is nothing to do. By default not.
    pub spare: bool,
    /// Whether each process is put into a cgroup of its own and killed with that as a whole, where the agent may make cgroups
    /// and no limit stands in its own, which would be hidden by that. By default not.
    pub cgroups: bool,
    /// The variables that each process gets, unless it brings its own. By default none.
    pub environment: Vec<(OsString, OsString)>,
    /// The directory that a process starts in if it names none. `None` is the agent's.
    pub directory: Option<PathBuf>,
    /// The user that a process runs as if it names none. `None` is the agent's.
    pub user: Option<ProcessUser>,
    /// Whether processes are kept from gaining rights by set-user-id programs (`no_new_privs` of prctl(2)).
    pub no_new_privileges: bool,
    /// How many descriptors a process may open at first (the soft limit of getrlimit(2)): what the agent was started with,
    /// if it has [raised](crate::init::raise_open_files) its own. `None` is the agent's.
    pub open_files: Option<u64>,
    /// What marks the processes of this agent: the variable [`MARK`](crate::process::MARK) is `<mark>/<process id>` in
    /// each of them.
    pub mark: String,
    /// How many bytes of a stream are kept in memory, and how many a process that waits for its reader is ahead of him
    /// at most.
    pub window: usize,
    /// How long a process that waits for its reader waits for one who is not there.
    pub reattach_grace: Duration,
    /// How long after a process's end its output is waited for if processes it left behind keep it open.
    pub linger: Duration,
    /// Where spool files are made; each is unlinked once opened. `None`: what does not stay in memory is truncated, and
    /// what nobody has read of ended processes stays in memory, a window for each stream.
    pub spool: Option<PathBuf>,
    /// How many bytes all spool files hold together.
    pub spool_limit: u64,
    /// How many bytes the spool file of one stream holds.
    pub stream_limit: u64,
    /// How many ended processes are kept; the one that ended first is forgotten first.
    pub kept: usize,
    /// How long an ended process is kept.
    pub kept_for: Duration,
}

impl Default for ProcessSettings {
    fn default() -> Self {
        Self {
            program: OWN_PROGRAM.into(),
            spare: false,
            cgroups: false,
            environment: Vec::new(),
            directory: None,
            user: None,
            no_new_privileges: false,
            open_files: None,
            mark: "podbay".to_owned(),
            window: WINDOW,
            reattach_grace: REATTACH_GRACE,
            linger: LINGER,
            spool: None,
            spool_limit: SPOOL_LIMIT,
            stream_limit: STREAM_LIMIT,
            kept: KEPT,
            kept_for: KEPT_FOR,
        }
    }
}
