//! What to do about a failure, as a code that each surface has its own words for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::words::{Library, Words};

mod each;
mod sentences;

/// What to do about a failure. [`Hint::in_words`] tells it to people; `Display` does so in the words of the library.
///
/// In JSON an object with the `code` and its parameters: `{"code": "make_pull_secret", "secret": "registry"}`. A reader
/// that does not know a code has the text that stands beside it (see [`Verdict`](crate::Verdict)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Hint {
    /// A hint that was put into words already.
    #[serde(skip)]
    Said {
        /// The sentence.
        text: String,
        /// What it says; `None` if the program that wrote it knew no code, or one of another version.
        code: Option<Box<Hint>>,
    },
    // What ended a session that was there.
    /// The program's log tells why it ended.
    ReadLog,
    /// The image's program has to go on running, and the clean-up policy can keep such a session to be looked at.
    KeepToReadLog,
    /// A pod of higher priority took the place.
    RaisePriority,
    /// The node is gone or does not answer.
    CheckNodes,
    /// The lifetime that was asked for is over.
    RaiseLifetime,
    /// The sandbox wrote more than a volume may hold.
    RaiseWorkspaceSize,
    /// The sandbox wrote more than its limit of the node's disk.
    RaiseEphemeralStorage,
    /// The node ran short, or was drained.
    TryElsewhere,
    /// Somebody closed the session or deleted its pod.
    ClosedBySomebody,
    /// The session is to be opened again, if it is still wanted.
    OpenAgainIfWanted,
    /// A new pod can be made on what the session keeps.
    OpenAgain,
    /// A new agent can be started on the files of a session of this machine.
    OpenAgainHere,
    /// The session needs more memory.
    RaiseMemory,
    /// The cluster's own tools tell more of the pod.
    DescribePod,
    /// Looking comes before running the command again: it may have run, or still run.
    LookBeforeRunningAgain,
    /// Closing the session ends all that runs in it.
    CloseToEndAll,
    /// Only an agent in the session's pod can do that.
    OpenWithAgent,

    // The image and its program.
    /// The image needs a shell, or a server of its own.
    UseImageWithShell,
    /// Commands need the image's shell.
    UseImageWithShellForCommands,
    /// The command that this kind of server is started with is not in the image.
    UseImageWithServer {
        /// The kind of server, as `--server` takes it.
        server: String,
        /// The program that is missing, a path in the container.
        program: String,
        /// An image that has it.
        image: String,
    },
    /// The container's command is not in the image.
    MendCommand {
        /// The program that is missing.
        program: String,
    },
    /// The server runs and does not answer.
    CheckServer,
    /// An init container failed, which the configuration or the cluster's admission has added.
    CheckInitContainer,
    /// An init container needs more memory.
    RaiseInitContainerMemory,
    /// The name and tag are to be checked.
    CheckImageName,
    /// The agent's image, which the configuration names, is not to be had.
    CheckAgentImage,
    /// The image is never pulled, and not on the node.
    LoadImage,
    /// The repository does not exist or is private.
    GiveImageCredentials,
    /// The reference has another form.
    WriteImageReference,
    /// The image is not built for the nodes' architecture.
    UseImageForArchitecture,
    /// The registry could not be reached or failed.
    WaitForRegistry,
    /// A pull secret is not there.
    MakePullSecret {
        /// Its name, or several as the kubelet lists them.
        secret: String,
    },

    // What the container needs.
    /// A Secret, a key or a user that the pod names is not as it should be.
    CheckSecretsAndUser,
    /// The node could not start the container.
    TryAnotherNode,
    /// The node could not start a command.
    NodeCannotStartCommand,
    /// The node can't set up pods.
    AskNodeOwner,
    /// A volume names a key that is not there.
    AddVolumeKey,
    /// A volume names a ConfigMap that is not there.
    MakeConfigMap,
    /// A volume names a Secret that is not there.
    MakeVolumeSecret,
    /// The cluster's own tools tell more of the volumes.
    DescribeVolumes,

    // Where the pod may run.
    /// A claim that a setting names is not there.
    MakeClaim,
    /// The claim waits for its storage class.
    CheckStorageClass,
    /// The storage class that was asked for is not there.
    NameStorageClass,
    /// No storage class was asked for, and the cluster has no default one.
    SetStorageClass,
    /// No node is as large.
    AskForLess,
    /// No node has as many of a device.
    AskForFewerDevices {
        /// The extended resource, such as `nvidia.com/gpu`.
        device: String,
    },
    /// The nodes are full.
    WaitForCapacity,
    /// Nodes have taints that need a toleration.
    AddToleration,
    /// No node has the labels asked for.
    CheckNodeLabels,
    /// The scheduler refuses; the pod's events tell more.
    DescribeUnschedulable,
    /// A queue has not admitted the Job.
    CheckQueue,
    /// The Job controller has made no pod.
    DescribeJob,
    /// The start needs more time.
    RaiseStartTimeout,

    // What the namespace and the cluster allow.
    /// The namespace enforces a stricter profile.
    UseRestrictedProfile,
    /// The quota is used up.
    FreeQuota,
    /// The quota wants requests and limits to be stated.
    StateResources,
    /// The LimitRange forbids the amount.
    CheckLimitRange,
    /// A policy of the cluster forbids it.
    AskPolicyOwner,
    /// The namespace is being deleted.
    UseAnotherNamespace,
    /// The RuntimeClass is not there.
    CheckRuntimeClass,
    /// The PriorityClass is not there.
    CheckPriorityClass,
    /// The service account is not there.
    CheckServiceAccount,
    /// Admission refuses it.
    RefusedByAdmission,

    // Sessions of other states than was thought.
    /// The objects of a failed start were kept.
    Kept {
        /// The session's id.
        session: String,
        /// What to do about the failure itself.
        hint: Box<Hint>,
    },
    /// The namespace has as many sessions as it may have.
    CloseOrPauseOne,
    /// Pausing needs a claim.
    OpenPersistent {
        /// The session's id.
        session: String,
    },
    /// The session is paused.
    Resume {
        /// The session's id.
        session: String,
    },
    /// There is no such session.
    ListOrOpen {
        /// The session's id.
        session: String,
    },
    /// Only the client that began the session can finish it.
    Replace {
        /// The session's id.
        session: String,
    },
    /// Something holds an object that is being deleted.
    WaitForDeletion,
    /// There is no agent on this machine.
    InstallAgent,

    // Calls to the cluster.
    /// No cluster was found.
    NameClusterOrRunLocally,
    /// The credentials lack a right.
    GrantRights,
    /// The credentials are no good.
    CheckCredentials,
    /// The namespace may not be there.
    CheckNamespace,
    /// The API server does not answer.
    CheckApiServer,
    /// The API server answers too late.
    ApiServerOverloaded,
    /// The API server sheds load.
    FewerSessionsAtOnce,
    /// The API server refuses an object's fields.
    CheckObjects,

    // Copies.
    /// Links may lead anywhere.
    SkipLinks,

    /// A code of another version, of which only the text can be told.
    #[serde(other)]
    Unknown,
}

impl Hint {
    /// A sentence without a code.
    pub fn said(text: impl Into<String>) -> Self {
        Self::Said {
            text: text.into(),
            code: None,
        }
    }

    /// The sentence, in the words of a surface; empty if there is nothing to tell.
    pub fn in_words(&self, words: &dyn Words) -> String {
        sentences::sentence(self, words).into_owned()
    }
}

impl From<String> for Hint {
    fn from(text: String) -> Self {
        Self::said(text)
    }
}

impl From<&str> for Hint {
    fn from(text: &str) -> Self {
        Self::said(text)
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_words(&Library))
    }
}
