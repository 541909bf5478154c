//! Processes over the exec subresource, carried by the image's own shell.
//!
//! ```text
//!   run.sh, stage.sh, signal.sh, kill.sh, memory_kills.sh   what runs in the container
//!   script.rs    the words that bring them there (pure)
//!   end_mark.rs  where a command's own output ends, in streams that its descendants keep open (pure)
//!   outputs.rs   the outputs, which end there
//!   conclude.rs  from how a command ended, and the pod, to the end that is reported (pure)
//! ```
//!
//! A command lives apart from its connection and can't be reached by another one: a connection that is lost is the end of
//! what is known of it.

pub(super) mod conclude;
mod end_mark;
pub(super) mod outputs;
mod script;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt as _;
use podbay_k8s_client::{ExecEnd, ExecProcess, ExecRequest};
use podbay_manifests::pod::CONTAINER;
use podbay_protocol::{
    End, Offsets, ProcessId, ProcessInfo, ProcessSpec, Signal, SignalTarget, TerminalSize, Verdict,
};

use self::conclude::{SIGNALLED, conclude, needs_a_look, was_killed};
use self::outputs::{Outputs, marked, whole};
use self::script::{Input, Mark};
use super::capabilities::Capabilities;
use super::connections::{Connections, Handles, attachment_end, begin};
use super::errand::{self, Errand};
use super::processes::{Attachment, AttachmentEnd, ProcessTransport};
use super::report::killed_for_memory;
use super::user;
use crate::error::{Error, Operation, ProcessError};
use crate::readiness::end_of_pod;
use crate::session::ClusterSession;
use crate::state::pod_is_gone;

const CAPABILITIES: Capabilities = Capabilities::of_one_connection("exec");

/// Processes of a session's container, each over an exec of its own.
pub(super) struct ExecProcesses {
    session: ClusterSession,
    connections: Connections<Own>,
}

/// What is needed to look after a command.
#[derive(Clone)]
struct Own {
    mark: Mark,
    /// The words that make a command the user's; none where it is the container's own.
    as_user: Vec<String>,
}

impl ExecProcesses {
    pub(super) fn new(session: ClusterSession) -> Self {
        Self {
            session,
            connections: Connections::default(),
        }
    }

    /// Brings arguments into the container that are too long for the URL of an exec.
    async fn bring_in(&self, mark: &Mark, argv: &[String]) -> Result<(), Error> {
        let words = script::staged(argv).into();
        let errand = errand::run_when_ready(&self.session, script::stage(mark), Some(words));
        let Errand { end, stderr, .. } = errand.await?;
        if end == (ExecEnd::Exited { code: 0 }) {
            return Ok(());
        }
        Err(Error::Unsupported {
            what: "a command of more than 16 KiB",
            why: format!(
                "its words could not be kept in the sandbox's /dev/shm ({end}): {}; pass them by standard input or a \
                 file",
                stderr.trim()
            ),
        })
    }

    /// Looks at the pod, where the end of the command with this mark alone does not tell.
    async fn look_and_conclude(&self, mark: Option<Mark>, end: AttachmentEnd) -> (End, Option<Verdict>) {
        let pod = match self.session.pod().await {
            Ok(Some(pod)) => pod,
            Ok(None) => return conclude(end, Some(self.session.unless_paused(pod_is_gone()).await), None),
            // The cluster doesn't answer: the end stands as it is.
            Err(error) => {
                tracing::debug!(error = error.chain(), "the pod could not be looked at");
                return conclude(end, None, None);
            }
        };
        if end_of_pod(&pod).is_none() {
            if !was_killed(&end) {
                return conclude(end, None, None);
            }
            // The kubelet ends a pod's processes before it says so. Whether the container still runs commands tells
            // such an end from a kill of the command's own.
            let killed_by_kernel = match mark {
                Some(mark) => self.ask_memory_kill(&mark).await,
                None => None,
            };
            match killed_by_kernel {
                Some(false) => return conclude(end, None, None),
                Some(true) => return conclude(end, None, Some(killed_for_memory())),
                None => {}
            }
        }
        let verdict = self.session.end_of(pod).await;
        conclude(end, verdict, None)
    }

    /// Whether the kernel killed a process of the container for memory since the command began. `None` if the container
    /// runs no commands any longer.
    async fn ask_memory_kill(&self, mark: &Mark) -> Option<bool> {
        match errand::run(&self.session, script::ask_memory_kill(mark)).await {
            Ok(Errand {
                end: ExecEnd::Exited { code },
                stdout,
                ..
            }) if code < SIGNALLED => Some(stdout.contains(script::MEMORY_KILL)),
            Ok(Errand { end, .. }) => {
                tracing::debug!(?end, "the container could not be asked for memory kills");
                None
            }
            Err(error) => {
                tracing::debug!(
                    error = error.chain(),
                    "the container could not be asked for memory kills"
                );
                None
            }
        }
    }

    /// Kills a command and all its descendants.
    async fn kill(&self, Own { mark, as_user }: &Own) -> Result<(), ProcessError> {
        if !as_user.is_empty() {
            // Root without the capability SYS_PTRACE can't read the marks of another user's processes: that user can.
            // What it leaves, the next one finds and tells.
            let argv = as_user.iter().cloned().chain(script::kill(mark)).collect();
            if let Err(error) = errand::run(&self.session, argv).await {
                tracing::debug!(
                    error = error.chain(),
                    "the user's processes could not be killed by itself"
                );
            }
        }
        match errand::run(&self.session, script::kill(mark)).await?.end {
            ExecEnd::Exited { code: 0 } => Ok(()),
            end => Err(ProcessError::SignalFailed(format!("killing it ended with {end}"))),
        }
    }
}

#[async_trait]
impl ProcessTransport for ExecProcesses {
    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn start(&self, spec: ProcessSpec) -> Result<Attachment, ProcessError> {
        CAPABILITIES.require_specification(&spec)?;
        self.connections.require_free(&spec.id)?;
        // The id may be short, and others may know it: it can't tell the command's processes from others.
        let mark = Mark::new(rand::random());
        let input = match spec.terminal {
            Some(size) => Input::Terminal(size),
            None if spec.stdin => Input::Stream,
            None => Input::None,
        };
        let as_user = user::prefix_in(&self.session, spec.user).await?;
        let argv: Vec<String> = as_user.iter().cloned().chain(spec.argv).collect();
        if script::needs_staging(&argv) {
            self.bring_in(&mark, &argv).await?;
        }
        let request = ExecRequest {
            container: CONTAINER.to_owned(),
            argv: script::run(&mark, spec.directory.as_deref(), input, &argv),
            stdin: spec.stdin,
            tty: spec.terminal.is_some(),
        };
        let ExecProcess {
            stdin,
            stdout,
            stderr,
            resize,
            signals,
            end,
            guard,
        } = begin(&self.session, request).await?;
        // With a terminal there is no mark: the system hangs it up when its command ends.
        let Outputs { stdout, stderr, end } = if spec.terminal.is_some() {
            Outputs {
                stdout: whole(stdout),
                stderr: whole(stderr),
                end,
            }
        } else {
            let (connections, id) = (self.connections.clone(), spec.id.clone());
            // One that was given up meanwhile has none.
            marked(&mark, stdout, stderr, end, move || {
                let _ = connections.close_stdin(&id);
            })
        };
        let handles = Handles {
            stdin,
            resize,
            signals,
            guard,
        };
        let held = self
            .connections
            .hold(spec.id.clone(), handles, Own { mark, as_user });
        if let Some(size) = spec.terminal {
            self.connections.resize(&spec.id, size)?;
        }
        Ok(Attachment {
            stdout,
            stderr,
            end: end.map(attachment_end).boxed(),
            guard: Box::new(held),
        })
    }

    async fn attach(&self, _: &ProcessId, _: Offsets) -> Result<Attachment, ProcessError> {
        Err(CAPABILITIES.refusal(Operation::Attach).into())
    }

    async fn write(&self, id: &ProcessId, offset: u64, bytes: Bytes) -> Result<u64, ProcessError> {
        self.connections.write(id, offset, bytes, &CAPABILITIES).await
    }

    async fn close_stdin(&self, id: &ProcessId) -> Result<(), ProcessError> {
        self.connections.close_stdin(id)
    }

    async fn resize(&self, id: &ProcessId, size: TerminalSize) -> Result<(), ProcessError> {
        self.connections.resize(id, size)
    }

    async fn signal(&self, id: &ProcessId, signal: Signal, target: SignalTarget) -> Result<(), ProcessError> {
        let own = self.connections.own(id)?;
        match target {
            SignalTarget::Tree if signal == Signal::KILL => self.kill(&own).await,
            SignalTarget::Tree => Err(CAPABILITIES.refusal(Operation::SignalTree).into()),
            // A carrier that has a way of its own for signals needs no script.
            SignalTarget::Process if self.connections.pass_signal(id, signal.number())? => Ok(()),
            SignalTarget::Process => {
                let argv = script::signal(&own.mark, signal.number());
                match errand::run(&self.session, argv).await?.end {
                    ExecEnd::Exited { code: 0 } => Ok(()),
                    end => Err(ProcessError::SignalFailed(format!("{signal} ended with {end}"))),
                }
            }
        }
    }

    async fn list(&self) -> Result<Vec<ProcessInfo>, ProcessError> {
        Err(CAPABILITIES.refusal(Operation::ListProcesses).into())
    }

    async fn forget(&self, id: &ProcessId) -> Result<(), ProcessError> {
        self.connections.forget_known(id)
    }

    async fn conclude(&self, id: &ProcessId, end: AttachmentEnd) -> (End, Option<Verdict>) {
        if needs_a_look(&end) {
            let mark = self.connections.own(id).ok().map(|own| own.mark);
            self.look_and_conclude(mark, end).await
        } else {
            conclude(end, None, None)
        }
    }
}
