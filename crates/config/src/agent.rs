//! `[agent]`: how Podbay's own server comes into the pods.

use std::path::PathBuf;

use crate::declaration::settings;
use crate::kubernetes_rule::{AGENT_DELIVERY, AGENT_DIAL, AGENT_LOG_LEVEL, PORT, QUANTITY};
use crate::rule::{OPTIONAL_PATH, OPTIONAL_TEXT};
use crate::setting::Section;
use crate::vocabulary::{AgentDelivery, AgentDial, AgentLogLevel};

settings! {
    /// `[agent]`: how Podbay's agent, the small server that commands and files go by, comes into the pods of images without a
    /// server of their own. OpenHands has a section of this name too: its keys are passed over.
    pub struct AgentConfig in Section::Agent;

    /// How the agent comes into a pod. `auto` takes `image` where that is set, as an image volume on Kubernetes 1.35 and newer
    /// and through an init container on older clusters; without an image it uploads a static agent, if this machine has one
    /// (`binary`, or `podbay-agent` beside the program that runs), and without that commands and files go by the API server's
    /// exec. What is named here is taken, or the session is refused; `none` never brings an agent.
    delivery: AgentDelivery = AgentDelivery::Auto, AGENT_DELIVERY;

    /// Image with the agent, and nothing else that is looked at. Its pull policy, pull secrets and mirrors are those of
    /// `[kubernetes]`.
    image: Option<String> = None, OPTIONAL_TEXT;

    /// Path of a static agent on this machine, built for the nodes' architecture, that is uploaded. Of the local backend, the
    /// agent that keeps its sessions. When it is not set, `podbay-agent` beside the program that runs, and for the local backend
    /// in `PATH`, too.
    binary: Option<PathBuf> = None, OPTIONAL_PATH;

    /// Port that the agent listens on in the pod. The default is one that programs in a sandbox seldom want (8080, 3000 and
    /// 8000 are theirs), and below 32768, from where Linux gives ports to outgoing connections.
    port: u16 = 10022, PORT;

    /// How the agent is connected to. `auto` is the pod's address from within the cluster, and the API server's port-forward
    /// from outside; where a way is forbidden or leads nowhere, it goes on to the next: port-forward, then the agent's bridge,
    /// which is run through the API server's exec, then exec without the agent. What is named here is taken, or the command
    /// fails.
    dial: AgentDial = AgentDial::Auto, AGENT_DIAL;

    /// The most that the output of detached commands may take on the node's disk in one session. It is a volume of its own, so
    /// that a command that writes without end fills nobody else's space.
    spool_size: String = "1Gi".to_owned(), QUANTITY;

    /// How much the agent writes into its log, which `podbay logs` shows. An agent as it is shipped has no lines below `info`: the
    /// levels `debug` and `trace` are for one that was built otherwise. With the default the session's variable
    /// `PODBAY_AGENT_LOG` decides, where it has one.
    log_level: AgentLogLevel = AgentLogLevel::Warn, AGENT_LOG_LEVEL;
}
