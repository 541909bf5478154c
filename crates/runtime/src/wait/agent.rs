//! Waiting for a session's agent to answer, and to prove that it is the one.

use std::sync::Arc;
use std::time::Duration;

use podbay_manifests::pod::CONTAINER;
use podbay_protocol::{PhaseTimes, Verdict};
use secrecy::SecretString;
use tokio::time::Instant;

use super::log_tail::with_log_tail;
use super::start_failed;
use crate::agent::AgentConnection;
use crate::context::SessionContext;
use crate::dial::{DialError, SandboxAddress};
use crate::error::{AgentFailure, Error};
use crate::index::{PodState, SessionReceiver};
use crate::readiness::{deleted_while_starting, end_of_pod};

/// How long an agent may take to answer once its container runs. It takes milliseconds, on a node that is busy seconds.
pub(crate) const AGENT_PATIENCE: Duration = Duration::from_secs(15);
/// The pause before the second try, and the longest one: each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Which agent is waited for.
pub(crate) struct AgentWait<'a> {
    pub(crate) session: SessionContext<'a>,
    pub(crate) address: SandboxAddress,
    /// Where it listens.
    pub(crate) port: u16,
    /// What it has to know.
    pub(crate) key: SecretString,
    /// How long it may take.
    pub(crate) patience: Duration,
    /// The seconds of the steps before.
    pub(crate) times: &'a PhaseTimes,
}

/// Waits until the agent answers, within its patience, and returns the connection to it, or why there is none. Fails where the
/// pod ends meanwhile.
pub(crate) async fn wait_for_agent(
    wait: AgentWait<'_>,
    receiver: &mut SessionReceiver,
) -> Result<Result<AgentConnection, AgentFailure>, Error> {
    let AgentWait {
        session,
        address,
        port,
        key,
        patience,
        times,
    } = wait;
    let (pod, uid) = (address.pod_name().to_owned(), address.uid().to_owned());
    let connection = AgentConnection::new(Arc::clone(&session.ctx.ways), address, port, key);
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    let work = async {
        loop {
            let Err(failure) = connection.ensure().await else {
                return Ok(());
            };
            if begun.elapsed() >= patience {
                return Err(failure);
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    };
    tokio::select! {
        answered = work => Ok(answered.map(|()| connection)),
        verdict = pod_ended(receiver, &uid) => {
            let verdict = with_log_tail(session, &pod, CONTAINER, verdict).await;
            Err(start_failed(session.id, verdict, *times))
        }
    }
}

/// Waits until the pod with this UID has ended. Why it did.
async fn pod_ended(receiver: &mut SessionReceiver, uid: &str) -> Verdict {
    loop {
        match receiver.pod() {
            PodState::Present(pod) if pod.metadata.uid.as_deref() == Some(uid) => {
                if let Some(verdict) = end_of_pod(&pod) {
                    return verdict;
                }
            }
            PodState::Gone(pod) if pod.metadata.uid.as_deref() == Some(uid) => {
                return deleted_while_starting(&pod);
            }
            // Nobody tells any longer.
            PodState::Failed(_) => std::future::pending().await,
            PodState::Unseen | PodState::Present(_) | PodState::Gone(_) => {}
        }
        receiver.changed().await;
    }
}

/// Whether the agent itself is at fault, and not the ways to it: one of them led into the pod. A cluster that makes no
/// connection, and a network that has no way to the pod's address, say nothing of the agent.
pub(crate) fn is_agents_fault(failure: &AgentFailure) -> bool {
    match failure {
        AgentFailure::NoWay { tried } => tried.iter().any(|tried| is_agents_fault(&tried.failure)),
        AgentFailure::Unreachable { source, .. } => {
            matches!(source.downcast_ref(), Some(DialError::Bridge { .. }))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use podbay_k8s_client::{Error as ClientError, ErrorKind};
    use podbay_protocol::DialWay;

    use super::*;
    use crate::error::TriedWay;

    fn unreachable(error: DialError) -> AgentFailure {
        AgentFailure::Unreachable {
            code: error.code(),
            source: error.into(),
        }
    }

    fn refused(kind: ErrorKind) -> AgentFailure {
        unreachable(DialError::Refused {
            session: "demo".to_owned(),
            source: Box::new(ClientError::new("forward", kind)),
        })
    }

    fn bridge() -> AgentFailure {
        unreachable(DialError::Bridge {
            session: "demo".to_owned(),
            message: "connecting to port 10022: refused".to_owned(),
        })
    }

    #[test]
    fn the_agent_is_at_fault_where_a_way_led_into_the_pod() {
        let tried = |failures: Vec<AgentFailure>| {
            let tried = failures.into_iter().map(|failure| TriedWay {
                way: DialWay::Stdio,
                failure,
            });
            is_agents_fault(&AgentFailure::NoWay {
                tried: tried.collect(),
            })
        };
        let stranger = || AgentFailure::Stranger { pod: "p".to_owned() };
        assert!(!tried(vec![
            refused(ErrorKind::Forbidden),
            refused(ErrorKind::Unsupported)
        ]));
        assert!(tried(vec![refused(ErrorKind::Forbidden), bridge()]));
        assert!(tried(vec![stranger(), refused(ErrorKind::Forbidden)]));
        assert!(is_agents_fault(&AgentFailure::TimedOut { seconds: 10 }));
        let no_address = DialError::NoAddress {
            session: "demo".to_owned(),
            pod: "p".to_owned(),
        };
        assert!(!is_agents_fault(&unreachable(no_address)));
    }
}
