//! How Podbay's agent comes into a session's pod.

use serde::{Deserialize, Serialize};

use crate::image::ImageRef;
use crate::quantity::Quantity;

/// Directory of the pod in which the agent is: no image has it, and no volume of a user's may be there.
pub const AGENT_DIRECTORY: &str = "/.podbay";
/// The agent's program in the pod.
pub const AGENT_PROGRAM: &str = "/.podbay/podbay-agent";
/// Where an agent that is uploaded finds the session's key, which it removes.
pub const AGENT_KEY_FILE: &str = "/.podbay/key";
/// Directory in which the agent keeps outputs that nobody waits for. Not below [`AGENT_DIRECTORY`], because container
/// runtimes have faults with a mount inside of an image volume (containerd#14032).
pub const AGENT_SPOOL_DIRECTORY: &str = "/.podbay-spool";
/// The most bytes of an agent, and what is beside it in memory: several times what one has.
pub const AGENT_SIZE_LIMIT: u64 = 32 * 1024 * 1024;
/// Name of the volume with the agent, and of the init container that puts it there.
pub const AGENT_NAME: &str = "podbay-agent";
/// Name of the volume for outputs.
pub(crate) const AGENT_SPOOL: &str = "podbay-spool";

/// How the agent comes into the pod. A record without a word of it is of a session without an agent, and so is one that
/// names a way that only later versions know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum AgentDelivery {
    /// From the machine of the session's creator, through the API server's exec, once the container runs.
    Upload {
        /// Where it listens.
        port: u16,
        /// The most bytes of outputs that are kept on the node's disk.
        spool_size: Quantity,
    },
    /// An init container copies it out of its image.
    InitContainer {
        /// The image.
        #[serde(flatten)]
        image: AgentImage,
        /// Where it listens.
        port: u16,
        /// The most bytes of outputs that are kept on the node's disk.
        spool_size: Quantity,
    },
    /// Its image is mounted.
    ImageVolume {
        /// The image.
        #[serde(flatten)]
        image: AgentImage,
        /// Where it listens.
        port: u16,
        /// The most bytes of outputs that are kept on the node's disk.
        spool_size: Quantity,
    },
    /// There is none: commands and files go by the API server's exec.
    #[default]
    #[serde(other)]
    None,
}

/// An image with the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentImage {
    /// As it was named.
    pub(crate) image: ImageRef,
    /// The reference it is pulled by, where a mirror stands in for its registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mirrored: Option<ImageRef>,
}

/// Which ways of bringing an agent are open to whoever opens sessions, for `agent.delivery = "auto"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentMeans {
    /// Whether there is a static agent to upload.
    pub upload: bool,
    /// Whether the cluster is known to mount images.
    pub image_volumes: bool,
}

impl AgentDelivery {
    /// Whether there is no agent in the pod.
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether whoever opens the session brings the agent.
    pub const fn is_upload(&self) -> bool {
        matches!(self, Self::Upload { .. })
    }

    /// The word for it, as the setting `agent.delivery` has it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Upload { .. } => "upload",
            Self::InitContainer { .. } => "init_container",
            Self::ImageVolume { .. } => "image_volume",
        }
    }

    /// Where the agent listens.
    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::None => None,
            Self::Upload { port, .. } | Self::InitContainer { port, .. } | Self::ImageVolume { port, .. } => {
                Some(*port)
            }
        }
    }

    /// The most bytes of outputs that are kept on the node's disk.
    pub const fn spool_size(&self) -> Option<&Quantity> {
        match self {
            Self::None => None,
            Self::Upload { spool_size, .. }
            | Self::InitContainer { spool_size, .. }
            | Self::ImageVolume { spool_size, .. } => Some(spool_size),
        }
    }

    /// The image that it comes out of.
    pub const fn image(&self) -> Option<&AgentImage> {
        match self {
            Self::None | Self::Upload { .. } => None,
            Self::InitContainer { image, .. } | Self::ImageVolume { image, .. } => Some(image),
        }
    }

    /// The same with its image mounted, where an init container would copy it.
    #[must_use]
    pub fn mounted(self) -> Self {
        match self {
            Self::InitContainer {
                image,
                port,
                spool_size,
            } => Self::ImageVolume {
                image,
                port,
                spool_size,
            },
            other => other,
        }
    }
}

impl AgentImage {
    /// The image as it was named.
    pub const fn named(&self) -> &ImageRef {
        &self.image
    }

    /// The reference that it is pulled by.
    pub fn pulled(&self) -> &ImageRef {
        self.mirrored.as_ref().unwrap_or(&self.image)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_later_versions_write_is_read_as_far_as_it_is_known() {
        let read = |value: serde_json::Value| serde_json::from_value::<AgentDelivery>(value).unwrap();
        let later = json!({"kind": "beamed", "port": 7, "from": "orbit"});
        assert_eq!(read(later), AgentDelivery::None);
        let more = json!({"kind": "upload", "port": 7, "spoolSize": "1Gi", "more": true});
        let upload = AgentDelivery::Upload {
            port: 7,
            spool_size: "1Gi".parse().unwrap(),
        };
        assert_eq!(read(more), upload);
        assert_eq!(read(json!(upload)), upload);
    }

    #[test]
    fn an_image_is_mounted_in_place_of_being_copied_from_and_nothing_else_changes() {
        let copied = json!({
            "kind": "init_container", "image": "a", "mirrored": "m.example/a", "port": 7, "spoolSize": "1Gi"
        });
        let copied: AgentDelivery = serde_json::from_value(copied).unwrap();
        let mounted = copied.clone().mounted();
        assert_eq!(mounted.as_str(), "image_volume");
        assert_eq!(mounted.clone().mounted(), mounted);
        assert_eq!(mounted.image().unwrap().pulled().to_string(), "m.example/a");
        assert_eq!(
            (mounted.image(), mounted.port(), mounted.spool_size()),
            (copied.image(), copied.port(), copied.spool_size())
        );
    }
}
