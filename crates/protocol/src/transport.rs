//! How a command got into its sandbox.

use serde::{Deserialize, Serialize};

crate::choices! {
    /// What carries commands and files into a sandbox.
    pub enum TransportKind: "transport" {
        /// Podbay's agent in the sandbox.
        Agent = "agent",
        /// The API server's exec subresource, without an agent.
        Exec = "exec",
        /// A process of this machine starts them itself.
        Local = "local",
    }
}

crate::choices! {
    /// How what listens in a sandbox is connected to.
    pub enum DialWay: "way to a sandbox" {
        /// By the pod's address.
        PodIp = "pod-ip",
        /// Through the API server, by the subresource `portforward`.
        PortForward = "port-forward",
        /// Through the API server, by the subresource `exec`: a program in the pod passes on what comes through its standard
        /// streams.
        Stdio = "stdio",
        /// On this machine.
        Loopback = "loopback",
    }
}

/// How a command got into its sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransportUsed {
    /// What carried it.
    pub kind: TransportKind,
    /// How the agent was connected to; none where no agent carried it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dial: Option<DialWay>,
    /// What would have been better, and was tried before in vain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
}

/// A way to an agent that was tried in vain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// The way.
    pub way: DialWay,
    /// What was wrong with it, on one line.
    pub why: String,
}

impl TransportUsed {
    /// One that needs no connection to an agent.
    pub const fn plain(kind: TransportKind) -> Self {
        Self {
            kind,
            dial: None,
            passed_over: Vec::new(),
        }
    }

    /// An agent that was connected to this way, after these had failed.
    pub const fn agent(dial: DialWay, passed_over: Vec<PassedOver>) -> Self {
        Self {
            kind: TransportKind::Agent,
            dial: Some(dial),
            passed_over,
        }
    }

    /// One sentence about what was passed over, where a user should know: a pod's address that leads nowhere costs time, and
    /// without an agent less is possible. That one of the ways through the API server took the other's place is not told.
    pub fn told(&self) -> Option<String> {
        let costs_time = self.passed_over.iter().any(|passed| passed.way == DialWay::PodIp);
        if !costs_time && (self.kind == TransportKind::Agent || self.passed_over.is_empty()) {
            return None;
        }
        let taken = match (self.kind, self.dial) {
            (_, Some(way)) => format!("the sandbox's agent is reached by {way}"),
            (TransportKind::Exec, None) => {
                "the sandbox's agent can't be reached, and commands go by the API server's exec".to_owned()
            }
            (kind, None) => format!("commands go by {kind}"),
        };
        let tried: Vec<String> = self
            .passed_over
            .iter()
            .map(|PassedOver { way, why }| format!("{way}: {why}"))
            .collect();
        Some(format!("{taken} ({})", tried.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn no_answer() -> PassedOver {
        PassedOver {
            way: DialWay::PodIp,
            why: "no answer".to_owned(),
        }
    }

    #[test]
    fn what_was_passed_over_is_told_and_the_best_way_is_not() {
        assert_eq!(TransportUsed::plain(TransportKind::Exec).told(), None);
        assert_eq!(TransportUsed::agent(DialWay::PodIp, Vec::new()).told(), None);
        let forbidden = PassedOver {
            way: DialWay::PortForward,
            why: "forbidden".to_owned(),
        };
        assert_eq!(TransportUsed::agent(DialWay::Stdio, vec![forbidden]).told(), None);
        let forwarded = TransportUsed::agent(DialWay::PortForward, vec![no_answer()]);
        assert_eq!(
            forwarded.told().as_deref(),
            Some("the sandbox's agent is reached by port-forward (pod-ip: no answer)")
        );
        let exec = TransportUsed {
            passed_over: vec![no_answer()],
            ..TransportUsed::plain(TransportKind::Exec)
        };
        assert!(
            exec.told()
                .unwrap_or_default()
                .contains("exec (pod-ip: no answer)")
        );
    }

    #[test]
    fn it_stands_in_json_in_its_words() {
        let plain = json!(TransportUsed::plain(TransportKind::Local));
        assert_eq!(plain, json!({"kind": "local"}));
        let used = TransportUsed::agent(DialWay::Stdio, vec![no_answer()]);
        let text = json!({
            "kind": "agent", "dial": "stdio", "passed_over": [{"way": "pod-ip", "why": "no answer"}],
        });
        assert_eq!(json!(used), text);
        assert_eq!(serde_json::from_value::<TransportUsed>(text).ok(), Some(used));
    }
}
