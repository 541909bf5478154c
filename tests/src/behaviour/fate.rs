//! What is to become of a pod: a command and an image for a real node, a script for the scripted cluster.

use std::time::Duration;

use podbay_fake_cluster::{ImageTrouble, Incident, Script, Trouble, Unschedulable};
use serde_json::{Value, json};

use crate::DEBIAN;

/// Where a pod says what is to become of it. Only the scripted cluster reads it.
const ANNOTATION: &str = "podbay.test/fate";

/// An image that the registry of [`crate::registry`] does not have.
pub const MISSING_IMAGE: &str = "podbay.test/missing/image:1";

/// What is to become of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It runs until it is deleted, and then ends at once.
    Runs,
    /// It runs until it is killed: it does not listen to SIGTERM.
    IgnoresTermination,
    /// Its container ends with this code.
    Exits(i32),
    /// Its first init container ends with this code.
    InitExits(i32),
    /// Its container takes more memory than it may.
    OutOfMemory,
    /// Its image is not in the registry.
    MissingImage,
    /// No node has the labels it asks for.
    NoSuchNode,
    /// No node has the CPUs it asks for.
    TooLarge,
}

impl Fate {
    const ALL: [Self; 9] = [
        Self::Runs,
        Self::IgnoresTermination,
        Self::Exits(0),
        Self::Exits(3),
        Self::InitExits(4),
        Self::OutOfMemory,
        Self::MissingImage,
        Self::NoSuchNode,
        Self::TooLarge,
    ];

    /// The fate that a pod's annotations name.
    pub fn of(pod: &k8s_openapi::api::core::v1::Pod) -> Option<Self> {
        let annotations = pod.metadata.annotations.as_ref()?;
        let named = annotations.get(ANNOTATION)?;
        Self::ALL.into_iter().find(|fate| fate.name() == *named)
    }

    /// A pod of this fate. It does not restart, and is small enough that dozens fit on one node.
    pub fn pod(self, name: &str) -> Value {
        let mut template = self.template();
        template["metadata"]["name"] = json!(name);
        template
    }

    /// The same without a name, as a Job has it.
    pub fn template(self) -> Value {
        let mut container = json!({
            "name": "main",
            "image": DEBIAN,
            "command": self.command(),
            "resources": {"requests": {"cpu": "5m", "memory": "8Mi"}},
        });
        let mut spec = json!({
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 5,
            "automountServiceAccountToken": false,
        });
        match self {
            Self::Runs | Self::IgnoresTermination | Self::Exits(_) => {}
            Self::InitExits(code) => {
                let command = ["sh".to_owned(), "-c".to_owned(), format!("exit {code}")];
                spec["initContainers"] = json!([{"name": "first", "image": DEBIAN, "command": command}]);
            }
            Self::OutOfMemory => container["resources"]["limits"] = json!({"memory": "16Mi"}),
            Self::MissingImage => container["image"] = json!(MISSING_IMAGE),
            Self::NoSuchNode => spec["nodeSelector"] = json!({"podbay.test/none": "such"}),
            Self::TooLarge => container["resources"]["requests"]["cpu"] = json!("1000"),
        }
        spec["containers"] = json!([container]);
        json!({"metadata": {"annotations": {ANNOTATION: self.name()}}, "spec": spec})
    }

    /// The same for the scripted cluster.
    pub fn script(self) -> Script {
        let soon = Duration::from_millis(50);
        match self {
            Self::Runs => Script::ready().log("started\n"),
            Self::IgnoresTermination => Script::ready().terminate_for(Duration::MAX),
            Self::Exits(code) => Script::exits(code),
            Self::InitExits(code) => Script::stuck(Trouble::Init { index: 0, code }),
            Self::OutOfMemory => Script::ready().then(soon, Incident::OutOfMemory),
            Self::MissingImage => Script::stuck(Trouble::Image(ImageTrouble::NotFound)),
            Self::NoSuchNode => Script::stuck(Trouble::Unschedulable(Unschedulable::NodeSelector)),
            Self::TooLarge => Script::stuck(Trouble::Unschedulable(Unschedulable::TooLarge {
                resource: "cpu".to_owned(),
            })),
        }
    }

    fn name(self) -> String {
        format!("{self:?}")
    }

    /// `trap`, because a shell that is process 1 ignores SIGTERM otherwise.
    fn command(self) -> Vec<String> {
        let script = match self {
            Self::Exits(code) => format!("exit {code}"),
            Self::IgnoresTermination => "trap '' TERM; while :; do sleep 1; done".to_owned(),
            Self::OutOfMemory => return ["tail", "/dev/zero"].map(str::to_owned).to_vec(),
            _ => "trap 'exit 0' TERM; echo started; sleep 3600 & wait".to_owned(),
        };
        vec!["sh".to_owned(), "-c".to_owned(), script]
    }
}
