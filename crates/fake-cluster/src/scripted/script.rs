//! What becomes of a pod: how long each step of its start takes, what goes wrong on the way, what happens once it
//! runs.

use std::time::Duration;

use super::trouble::Trouble;

/// What becomes of a pod. The default one starts in some tens of milliseconds, is ready, and stays so.
///
/// ```
/// use std::time::Duration;
/// use podbay_fake_cluster::{ImageTrouble, Incident, Script, Trouble};
///
/// // A registry that fails at first, then a pod that is killed for memory ten seconds after its start.
/// let script = Script::default()
///     .pull_for(Duration::from_secs(3))
///     .trouble_for(Trouble::Image(ImageTrouble::Unreachable), Duration::from_secs(15))
///     .then(Duration::from_secs(10), Incident::OutOfMemory);
/// # drop(script);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// The container it is about; `None` is the first.
    pub(super) container: Option<String>,
    pub(super) timings: Timings,
    /// What goes wrong before the containers run, and for how long; none is for ever.
    pub(super) troubles: Vec<(Trouble, Option<Duration>)>,
    /// What happens after the containers have started, each time they do.
    pub(super) incidents: Vec<(Duration, Incident)>,
    pub(super) log: String,
}

/// How long each step takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Timings {
    pub(super) schedule: Duration,
    pub(super) attach: Duration,
    pub(super) sandbox: Duration,
    pub(super) init: Duration,
    pub(super) pull: Duration,
    pub(super) start: Duration,
    pub(super) ready: Duration,
    pub(super) terminate: Duration,
}

/// Small enough not to slow a test down on a clock that runs, and each step a change of its own.
impl Default for Timings {
    fn default() -> Self {
        Self {
            schedule: Duration::from_millis(5),
            attach: Duration::ZERO,
            sandbox: Duration::from_millis(10),
            init: Duration::from_millis(5),
            pull: Duration::ZERO,
            start: Duration::from_millis(5),
            ready: Duration::ZERO,
            terminate: Duration::from_millis(5),
        }
    }
}

/// Something that happens to a pod. What its container's end means for the pod depends on its `restartPolicy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incident {
    /// Its container exits: `Completed` with code 0, else `Error`.
    Exit {
        /// The exit code.
        code: i32,
    },
    /// The kernel kills a container for its memory limit (`OOMKilled`, 137).
    OutOfMemory,
    /// The kubelet evicts it: phase `Failed`, reason `Evicted`.
    Evict {
        /// The kubelet's words, like `The node was low on resource: memory.`
        message: String,
    },
    /// Someone evicts it by the eviction API (`kubectl drain`): it is marked and deleted.
    EvictByApi,
    /// The scheduler takes its place for a pod of higher priority: it is marked and deleted.
    Preempt,
    /// Its node stops answering. See `ScriptedCluster::lose_node`.
    LoseNode,
    /// Its node shuts down, orderly.
    ShutDownNode,
    /// Someone deletes it.
    Delete,
    /// Its container's readiness changes.
    Ready(
        /// To what.
        bool,
    ),
}

impl Script {
    /// A pod that starts and is ready.
    pub fn ready() -> Self {
        Self::default()
    }

    /// A pod that can't start, for ever.
    pub fn stuck(trouble: Trouble) -> Self {
        Self::default().trouble(trouble)
    }

    /// A pod whose container exits with `code` as often as it is started. With `restartPolicy: Always` that is a
    /// crash loop; a Job's pod fails.
    pub fn exits(code: i32) -> Self {
        Self::default().then(Duration::from_millis(10), Incident::Exit { code })
    }

    /// Makes this the script of one container of the pod, or of one init container, by its name: what goes wrong goes wrong
    /// with it, what happens happens to it, and the log is its own. Without, it is the first container of the
    /// specification.
    #[must_use]
    pub fn container(mut self, name: impl Into<String>) -> Self {
        self.container = Some(name.into());
        self
    }

    /// Adds something that goes wrong and stays so.
    #[must_use]
    pub fn trouble(mut self, trouble: Trouble) -> Self {
        self.troubles.push((trouble, None));
        self
    }

    /// Adds something that goes wrong for a time.
    #[must_use]
    pub fn trouble_for(mut self, trouble: Trouble, time: Duration) -> Self {
        self.troubles.push((trouble, Some(time)));
        self
    }

    /// Adds something that happens so long after the containers have started, each time they do.
    #[must_use]
    pub fn then(mut self, after: Duration, incident: Incident) -> Self {
        self.incidents.push((after, incident));
        self
    }

    /// How long the scheduler takes.
    #[must_use]
    pub const fn schedule_for(mut self, time: Duration) -> Self {
        self.timings.schedule = time;
        self
    }

    /// How long volumes take to be attached and mounted.
    #[must_use]
    pub const fn attach_for(mut self, time: Duration) -> Self {
        self.timings.attach = time;
        self
    }

    /// How long the pod's sandbox (network) takes.
    #[must_use]
    pub const fn sandbox_for(mut self, time: Duration) -> Self {
        self.timings.sandbox = time;
        self
    }

    /// How long each init container runs.
    #[must_use]
    pub const fn init_for(mut self, time: Duration) -> Self {
        self.timings.init = time;
        self
    }

    /// How long the images take to be pulled; zero stands for images that the node has.
    #[must_use]
    pub const fn pull_for(mut self, time: Duration) -> Self {
        self.timings.pull = time;
        self
    }

    /// How long the containers take to start.
    #[must_use]
    pub const fn start_for(mut self, time: Duration) -> Self {
        self.timings.start = time;
        self
    }

    /// How long a started pod takes to be ready; only where a container has a startup or readiness probe.
    #[must_use]
    pub const fn ready_after(mut self, time: Duration) -> Self {
        self.timings.ready = time;
        self
    }

    /// How long the containers take to end when the pod is deleted; its grace period is the most.
    #[must_use]
    pub const fn terminate_for(mut self, time: Duration) -> Self {
        self.timings.terminate = time;
        self
    }

    /// What its containers have written when they have started.
    #[must_use]
    pub fn log(mut self, text: impl Into<String>) -> Self {
        self.log = text.into();
        self
    }
}
