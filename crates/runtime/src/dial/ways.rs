//! Which ways there are to a sandbox, and in which order they are tried.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use podbay_config::AgentDial;
use podbay_k8s_client::ClusterClient;
use podbay_protocol::DialWay;
use tokio::time::Instant;

use super::{BoxIo, DialError, Dialer, PodIp, PortForwarding, SandboxAddress, StdioBridge, UnixSocket};

/// How long a way that failed, where another led there, is tried last: a service with many sessions would otherwise wait for it
/// at each of them.
const AVOIDED_FOR: Duration = Duration::from_secs(60);
/// How long a pod's address is waited for where there are other ways: in a cluster's network a connection takes milliseconds,
/// and a lost packet is sent again after one second.
const POD_IP_TIMEOUT: Duration = Duration::from_secs(2);

/// The ways to sandboxes that one process has, the best first, and what it has learned of them.
pub(crate) struct Ways {
    dialers: Vec<Arc<dyn Dialer>>,
    is_named: bool,
    /// Until when a way is tried last.
    avoided: Mutex<HashMap<DialWay, Instant>>,
}

impl fmt::Debug for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ways: Vec<_> = self.dialers.iter().map(|dialer| dialer.way()).collect();
        f.debug_struct("Ways")
            .field("ways", &ways)
            .field("is_named", &self.is_named)
            .finish_non_exhaustive()
    }
}

impl Ways {
    /// Those to the pods of a namespace, as `setting` chooses among them: `auto` is the pod's address first where this process
    /// is `in_cluster`, and port-forward first where it is not.
    pub(crate) fn of_cluster(
        client: &Arc<dyn ClusterClient>,
        namespace: &str,
        in_cluster: bool,
        setting: AgentDial,
    ) -> Self {
        let pod_ip = |timeout| Arc::new(PodIp { timeout }) as Arc<dyn Dialer>;
        let port_forward = || Arc::new(PortForwarding::new(Arc::clone(client), namespace)) as Arc<dyn Dialer>;
        let stdio = || Arc::new(StdioBridge::new(Arc::clone(client), namespace)) as Arc<dyn Dialer>;
        let dialers = match setting {
            AgentDial::Auto if in_cluster => vec![pod_ip(POD_IP_TIMEOUT), port_forward(), stdio()],
            AgentDial::Auto => vec![port_forward(), stdio()],
            AgentDial::PodIp => vec![pod_ip(super::CONNECT_TIMEOUT)],
            AgentDial::PortForward => vec![port_forward()],
            AgentDial::Stdio => vec![stdio()],
        };
        Self::new(dialers, setting != AgentDial::Auto)
    }

    /// That to a sandbox of this machine.
    pub(crate) fn of_socket(path: PathBuf) -> Self {
        Self::new(vec![Arc::new(UnixSocket::new(path))], false)
    }

    /// These, the best first. One that `is_named` was chosen by the user: nothing takes its place.
    pub(crate) fn new(dialers: Vec<Arc<dyn Dialer>>, is_named: bool) -> Self {
        Self {
            dialers,
            is_named,
            avoided: Mutex::default(),
        }
    }

    /// Connects to a port of the sandbox by the first way that leads there. Nothing goes on to another way where the sandbox
    /// itself has refused: it was reached, and nothing listens.
    pub(crate) async fn connect(&self, address: &SandboxAddress, port: u16) -> Result<BoxIo, DialError> {
        let mut failed: Vec<(DialWay, DialError)> = Vec::new();
        for dialer in self.in_order(None, Instant::now()) {
            let way = dialer.way();
            match dialer.connect(address, port).await {
                Ok(io) => {
                    self.avoid(failed.into_iter().map(|(way, _)| way), Instant::now());
                    return Ok(io);
                }
                Err(error) if error.is_refusal_of_sandbox() => return Err(error),
                Err(error) => {
                    tracing::debug!(%error, %way, "a way to a sandbox leads nowhere");
                    failed.push((way, error));
                }
            }
        }
        // The best way tells most; there is always one.
        let first = failed.into_iter().next().map(|(_, error)| error);
        Err(first.unwrap_or_else(|| DialError::NoAddress {
            session: address.session().to_owned(),
            pod: address.pod_name().to_owned(),
        }))
    }

    /// Whether the user chose the way, so that nothing else may take its place.
    pub(crate) const fn is_named(&self) -> bool {
        self.is_named
    }

    /// All of them, the best first.
    pub(crate) fn all(&self) -> Vec<Arc<dyn Dialer>> {
        self.dialers.clone()
    }

    /// The order in which they are tried at `now`: the one that led to this sandbox `before`, then the best first, and last
    /// those that failed lately.
    pub(crate) fn in_order(&self, before: Option<DialWay>, now: Instant) -> Vec<Arc<dyn Dialer>> {
        let avoided = self.avoided();
        let mut dialers = self.dialers.clone();
        dialers.sort_by_key(|dialer| {
            let way = Some(dialer.way());
            let is_avoided = avoided.get(&dialer.way()).is_some_and(|until| now < *until);
            (way != before, is_avoided)
        });
        dialers
    }

    /// Notes that these failed at `now` where another led there.
    pub(crate) fn avoid(&self, failed: impl IntoIterator<Item = DialWay>, now: Instant) {
        let mut avoided = self.avoided();
        for way in failed {
            avoided.insert(way, now + AVOIDED_FOR);
        }
    }

    fn avoided(&self) -> MutexGuard<'_, HashMap<DialWay, Instant>> {
        self.avoided.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use podbay_k8s_client::mock::MockClusterClient;

    use super::*;

    fn ways(in_cluster: bool, setting: AgentDial) -> Ways {
        let client: Arc<dyn ClusterClient> = Arc::new(MockClusterClient::new());
        Ways::of_cluster(&client, "agents", in_cluster, setting)
    }

    fn order(ways: &Ways, before: Option<DialWay>, now: Instant) -> Vec<DialWay> {
        let dialers = ways.in_order(before, now);
        dialers.iter().map(|dialer| dialer.way()).collect()
    }

    #[test]
    fn the_best_way_depends_on_where_we_are_and_a_named_one_is_alone() {
        use DialWay::{PodIp, PortForward, Stdio};
        let now = Instant::now();
        for (in_cluster, setting, expected) in [
            (true, AgentDial::Auto, &[PodIp, PortForward, Stdio][..]),
            (false, AgentDial::Auto, &[PortForward, Stdio]),
            (false, AgentDial::PodIp, &[PodIp]),
            (true, AgentDial::PortForward, &[PortForward]),
            (true, AgentDial::Stdio, &[Stdio]),
        ] {
            let ways = ways(in_cluster, setting);
            assert_eq!(order(&ways, None, now), expected, "{in_cluster} {setting}");
            assert_eq!(ways.is_named(), setting != AgentDial::Auto);
        }
    }

    #[test]
    fn a_way_that_failed_is_tried_last_for_a_minute() {
        use DialWay::{PodIp, PortForward, Stdio};
        let (ways, now) = (ways(true, AgentDial::Auto), Instant::now());
        ways.avoid([PodIp], now);
        let later = now + AVOIDED_FOR;
        assert_eq!(
            order(&ways, None, now + Duration::from_secs(59)),
            [PortForward, Stdio, PodIp]
        );
        assert_eq!(order(&ways, None, later), [PodIp, PortForward, Stdio]);
        // What led to this sandbox before is likely to again.
        assert_eq!(order(&ways, Some(Stdio), later), [Stdio, PodIp, PortForward]);
        assert_eq!(order(&ways, Some(PodIp), now), [PodIp, PortForward, Stdio]);
    }
}
