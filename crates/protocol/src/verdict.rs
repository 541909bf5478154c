//! Why a session or a command failed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::choices;
use crate::code::ErrorCode;
use crate::hint::Hint;
use crate::words::Words;

/// The reason of a failure, with what a machine needs to act on it and what a person needs to mend it.
///
/// In JSON `hint` is a text, in the words of the library unless [`Verdict::in_words`] was asked for others; beside it
/// stands `advice`, the same as a code with parameters, so that whoever reads it can tell it in words of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "VerdictRecord", into = "VerdictRecord")]
pub struct Verdict {
    /// What happened.
    pub cause: Cause,
    /// Whose fault it is.
    pub blame: Blame,
    /// Whether trying again can help.
    pub retry: Retry,
    /// The cluster's own words: a condition's or an event's message, a container's state.
    pub message: String,
    /// What to do about it.
    pub hint: Hint,
}

impl Verdict {
    /// A verdict with the blame and the retry advice that `cause` has by itself.
    pub fn new(cause: Cause, message: impl Into<String>, hint: impl Into<Hint>) -> Self {
        Self {
            cause,
            blame: cause.blame(),
            retry: cause.retry(),
            message: message.into(),
            hint: hint.into(),
        }
    }

    /// The same with its hint put into the words of a surface, which its JSON has then.
    #[must_use]
    pub fn in_words(self, words: &dyn Words) -> Self {
        let text = self.hint.in_words(words);
        let code = match self.hint {
            Hint::Said { code, .. } => code,
            code => Some(Box::new(code)),
        };
        Self {
            hint: Hint::Said { text, code },
            ..self
        }
    }
}

/// A [`Verdict`] in JSON: its hint as text for people, and beside it as a code with parameters for programs.
#[derive(Serialize, Deserialize)]
struct VerdictRecord {
    cause: Cause,
    blame: Blame,
    retry: Retry,
    message: String,
    hint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    advice: Option<Hint>,
}

impl From<Verdict> for VerdictRecord {
    fn from(verdict: Verdict) -> Self {
        let Verdict {
            cause,
            blame,
            retry,
            message,
            hint,
        } = verdict;
        let (hint, advice) = match hint {
            Hint::Said { text, code } => (text, code.map(|code| *code)),
            Hint::Unknown => (String::new(), None),
            code => (code.to_string(), Some(code)),
        };
        Self {
            cause,
            blame,
            retry,
            message,
            hint,
            advice,
        }
    }
}

impl From<VerdictRecord> for Verdict {
    fn from(record: VerdictRecord) -> Self {
        let VerdictRecord {
            cause,
            blame,
            retry,
            message,
            hint,
            advice,
        } = record;
        Self {
            cause,
            blame,
            retry,
            message,
            hint: match advice {
                None | Some(Hint::Unknown) => Hint::said(hint),
                Some(code) => code,
            },
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (blame: {}, retry: {}): {}",
            self.cause, self.blame, self.retry, self.message
        )
    }
}

choices! {
    /// What happened.
    pub enum Cause: "cause of a failure" {
        /// The registry has no such image.
        ImageNotFound = "image_not_found",
        /// The registry refused: no or wrong credentials.
        ImageDenied = "image_denied",
        /// The image's name cannot be parsed by the container runtime.
        ImageInvalid = "image_invalid",
        /// Pulling fails for another reason (network, registry error, rate limit) and did not recover.
        ImagePull = "image_pull",
        /// The image lacks what the session's command needs (no `/bin/sh` for the keep-alive).
        ImageUnsupported = "image_unsupported",
        /// The image of Podbay's own agent can't be pulled; the session's image has nothing to do with it.
        AgentImage = "agent_image",
        /// No node matches the node selector or affinity.
        NodeMismatch = "node_mismatch",
        /// Every node that would do has a taint the pod doesn't tolerate.
        Taint = "taint",
        /// The pod asks for more than any node has.
        TooLarge = "too_large",
        /// The nodes that would do are full.
        Capacity = "capacity",
        /// The scheduler refuses for another reason.
        Unschedulable = "unschedulable",
        /// A ResourceQuota or LimitRange refuses.
        Quota = "quota",
        /// Pod Security admission refuses.
        PodSecurity = "pod_security",
        /// Another admission plugin or webhook refuses.
        Admission = "admission",
        /// The claim stays pending.
        ClaimPending = "claim_pending",
        /// A volume can't be attached or mounted.
        Volume = "volume",
        /// The container can't be configured (a Secret or key that is missing, a bad user).
        ContainerConfig = "container_config",
        /// The container can't be created or started for another reason.
        ContainerStart = "container_start",
        /// The container's program ended although it should run.
        Exited = "exited",
        /// The kernel killed a process of the sandbox because its memory limit was reached.
        OutOfMemory = "out_of_memory",
        /// The kubelet or the API evicted the pod.
        Evicted = "evicted",
        /// The scheduler removed the pod for one of higher priority.
        Preempted = "preempted",
        /// The pod's node stopped answering or was removed.
        NodeLost = "node_lost",
        /// Somebody deleted the pod.
        Deleted = "deleted",
        /// It took longer than the start time-out allows, with nothing in particular wrong.
        Deadline = "deadline",
        /// The connection to the command was lost and how it ended is not known.
        ConnectionLost = "connection_lost",
    }
}

impl Cause {
    /// Whose fault it usually is.
    pub const fn blame(self) -> Blame {
        match self {
            Self::ImageNotFound
            | Self::ImageDenied
            | Self::ImageInvalid
            | Self::ImageUnsupported
            | Self::AgentImage
            | Self::NodeMismatch
            | Self::Taint
            | Self::TooLarge
            | Self::Quota
            | Self::PodSecurity
            | Self::Admission
            | Self::ContainerConfig => Blame::Configuration,
            Self::OutOfMemory | Self::Exited => Blame::Task,
            Self::ImagePull
            | Self::Capacity
            | Self::Unschedulable
            | Self::ClaimPending
            | Self::Volume
            | Self::ContainerStart
            | Self::Evicted
            | Self::Preempted
            | Self::NodeLost
            | Self::Deleted
            | Self::Deadline
            | Self::ConnectionLost => Blame::Infrastructure,
        }
    }

    /// Whether trying again can help.
    pub const fn retry(self) -> Retry {
        match self {
            Self::ImageNotFound
            | Self::ImageDenied
            | Self::ImageInvalid
            | Self::ImageUnsupported
            | Self::AgentImage
            | Self::NodeMismatch
            | Self::Taint
            | Self::PodSecurity
            | Self::Admission
            | Self::ContainerConfig
            | Self::Exited => Retry::Never,
            Self::OutOfMemory => Retry::MoreResources,
            // A larger node would do.
            Self::TooLarge | Self::NodeLost | Self::Evicted | Self::Volume | Self::ContainerStart => {
                Retry::Elsewhere
            }
            Self::ImagePull
            | Self::Capacity
            | Self::Unschedulable
            | Self::Quota
            | Self::ClaimPending
            | Self::Preempted
            | Self::Deleted
            | Self::Deadline
            | Self::ConnectionLost => Retry::Same,
        }
    }

    /// The error code a failed start of this cause has.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::ImageNotFound
            | Self::ImageDenied
            | Self::ImageInvalid
            | Self::ImagePull
            | Self::ImageUnsupported
            | Self::AgentImage => ErrorCode::Build,
            Self::Deadline => ErrorCode::Timeout,
            Self::Evicted
            | Self::Preempted
            | Self::NodeLost
            | Self::Deleted
            | Self::ConnectionLost
            | Self::Exited
            | Self::OutOfMemory => ErrorCode::Disconnected,
            Self::NodeMismatch
            | Self::Taint
            | Self::TooLarge
            | Self::Capacity
            | Self::Unschedulable
            | Self::Quota
            | Self::PodSecurity
            | Self::Admission
            | Self::ClaimPending
            | Self::Volume
            | Self::ContainerConfig
            | Self::ContainerStart => ErrorCode::Unavailable,
        }
    }
}

choices! {
    /// Whose fault a failure is. An evaluation scores `task` and repeats `infrastructure`.
    pub enum Blame: "blame" {
        /// What ran in the sandbox.
        Task = "task",
        /// The cluster, its nodes, its network or a registry.
        Infrastructure = "infrastructure",
        /// What was asked for: an image's name, a limit, a policy of the namespace.
        Configuration = "configuration",
    }
}

choices! {
    /// Whether trying again can help.
    pub enum Retry: "retry advice" {
        /// The same request will fail again.
        Never = "never",
        /// The same request may succeed later.
        Same = "same",
        /// It may succeed with more memory, CPU or disk (or, on small nodes, with less).
        MoreResources = "more_resources",
        /// It may succeed on another node or cluster.
        Elsewhere = "elsewhere",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_causes_are_those_of_their_json() {
        for cause in Cause::ALL {
            assert_eq!(cause.as_str().parse(), Ok(*cause));
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
        }
    }

    fn denied() -> Verdict {
        let hint = Hint::MakePullSecret {
            secret: "registry".to_owned(),
        };
        Verdict::new(Cause::ImageDenied, "401 Unauthorized", hint)
    }

    #[test]
    fn a_verdict_goes_through_json_with_the_code_of_its_hint_and_its_text() {
        let json = serde_json::to_value(denied()).unwrap();
        assert_eq!(
            json["advice"],
            serde_json::json!({ "code": "make_pull_secret", "secret": "registry" })
        );
        assert!(
            json["hint"]
                .as_str()
                .unwrap()
                .starts_with("the Secret registry is not"),
            "{json}"
        );
        assert_eq!(serde_json::from_value::<Verdict>(json).unwrap(), denied());
    }

    #[test]
    fn a_hint_in_a_surfaces_words_keeps_its_code() {
        struct Shouting;
        impl Words for Shouting {
            fn field(&self, _: crate::Field) -> &'static str {
                "MEMORY"
            }
            fn operation(&self, _: crate::Operation<'_>) -> String {
                "LOG".to_owned()
            }
        }
        let verdict = Verdict::new(Cause::OutOfMemory, "killed", Hint::RaiseMemory);
        let json = serde_json::to_value(verdict.clone().in_words(&Shouting)).unwrap();
        assert_eq!(json["hint"], "give the session more with MEMORY");
        let read: Verdict = serde_json::from_value(json).unwrap();
        assert_eq!(read, verdict);
        assert_eq!(
            read.in_words(&Shouting).hint.to_string(),
            "give the session more with memory"
        );
    }

    /// Records of the versions before the codes, and of later versions with codes that are not known here.
    #[test]
    fn a_hint_whose_code_is_not_known_is_told_in_the_writers_words() {
        let mut json = serde_json::to_value(denied()).unwrap();
        json["hint"] = "do this".into();
        for advice in [
            serde_json::Value::Null,
            serde_json::json!({ "code": "of_a_later_version", "with": { "more": 1 } }),
        ] {
            json["advice"] = advice;
            let read: Verdict = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(read.hint, Hint::said("do this"));
            let again = serde_json::to_value(read).unwrap();
            assert_eq!((&again["hint"], again.get("advice")), (&json["hint"], None));
        }
        json.as_object_mut().unwrap().remove("advice");
        assert_eq!(
            serde_json::from_value::<Verdict>(json).unwrap().hint.to_string(),
            "do this"
        );
    }
}
