//! Which ways of bringing the agent are open, and what of them is asked for.

use std::error::Error as _;
use std::sync::Once;

use podbay_config::{AgentDelivery as Setting, Config};
use podbay_k8s_client::{ClusterClient, ServerVersion};
use podbay_manifests::AgentMeans;

use super::binary::{AgentBinary, NoAgent};
use crate::error::Error;

/// From this version on the API server takes image volumes without a switch (`ImageVolume`, beta and on).
const IMAGE_VOLUMES: ServerVersion = ServerVersion { major: 1, minor: 35 };

/// What of an agent is at hand here, and whether a way was named.
#[derive(Clone, Debug)]
pub(crate) struct Means {
    /// A static agent to upload.
    pub(crate) binary: Option<AgentBinary>,
    /// The setting `agent.delivery`.
    setting: Setting,
}

/// Whether it was said that sessions get no agent.
static TOLD: Once = Once::new();

impl Means {
    /// Looks for an agent on this machine, where one would be uploaded. Without one, `auto` goes on by the API server's exec
    /// and says so once; an upload that was asked for is refused.
    pub(crate) fn look(config: &Config) -> Result<Self, Error> {
        let settings = &config.agent;
        let setting = settings.delivery;
        let uploads = match setting {
            Setting::Upload => true,
            Setting::Auto => settings.image.is_none(),
            Setting::None | Setting::InitContainer | Setting::ImageVolume => false,
        };
        if !uploads {
            return Ok(Self {
                binary: None,
                setting,
            });
        }
        match AgentBinary::find(settings.binary.as_deref()) {
            Ok(Some(binary)) => Ok(Self {
                binary: Some(binary),
                setting,
            }),
            Ok(None) if setting == Setting::Upload => Err(Error::Setting {
                key: "agent.delivery",
                message: "there is no agent to upload: no podbay-agent beside this program, and agent.binary names none"
                    .to_owned(),
            }),
            // A path that was given is meant.
            Err(error) if setting == Setting::Upload || settings.binary.is_some() => Err(Error::Setting {
                key: "agent.binary",
                message: in_words(&error),
            }),
            found => {
                let why = found.err().map_or_else(
                    || "there is no podbay-agent beside this program".to_owned(),
                    |error| in_words(&error),
                );
                TOLD.call_once(|| {
                    tracing::info!("sessions get no agent, and commands go by the API server's exec: {why}");
                });
                Ok(Self { binary: None, setting })
            }
        }
    }

    /// Nothing, and nothing is asked for.
    pub(crate) const fn none() -> Self {
        Self {
            binary: None,
            setting: Setting::None,
        }
    }

    /// Whether sessions that are opened here get an agent, as far as that is known without a cluster.
    pub(crate) fn bring_agents(config: &Config) -> bool {
        match config.agent.delivery {
            Setting::None => false,
            _ if config.agent.image.is_some() => true,
            _ => Self::look(config).is_ok_and(|means| means.binary.is_some()),
        }
    }

    /// For what is made without a cluster: what would be uploaded is not looked at.
    pub(crate) const fn of_manifests(&self) -> AgentMeans {
        AgentMeans {
            upload: self.binary.is_some(),
            image_volumes: false,
        }
    }

    /// Whether an upload that fails fails the start: it was asked for by name.
    pub(crate) fn must_upload(&self) -> bool {
        self.setting == Setting::Upload
    }

    /// Whether an image may be mounted where it would be copied from: nobody has said which.
    pub(crate) fn may_choose(&self) -> bool {
        self.setting == Setting::Auto
    }
}

/// Whether the cluster mounts images. One that does not say its version may not.
pub(crate) async fn mounts_images(client: &dyn ClusterClient) -> bool {
    match client.version().await {
        Ok(version) => version.is_some_and(|version| version >= IMAGE_VOLUMES),
        Err(error) => {
            tracing::debug!(%error, "the cluster's version could not be asked for");
            false
        }
    }
}

fn in_words(error: &NoAgent) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use podbay_k8s_client::mock::MockClusterClient;
    use podbay_k8s_client::{Error as ClientError, ErrorKind};

    use super::*;

    fn look(change: impl FnOnce(&mut Config)) -> Result<Means, Error> {
        let mut config = Config::default();
        change(&mut config);
        Means::look(&config)
    }

    #[test]
    fn no_start_fails_for_want_of_an_agent_unless_it_was_asked_for() {
        assert!(!look(|_| {}).unwrap().of_manifests().upload);
        let refused = look(|config| config.agent.delivery = Setting::Upload).unwrap_err();
        assert!(
            matches!(
                refused,
                Error::Setting {
                    key: "agent.delivery",
                    ..
                }
            ),
            "{refused}"
        );
        let named = |config: &mut Config| config.agent.binary = Some("/nowhere/podbay-agent".into());
        let refused = look(named).unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("/nowhere/podbay-agent can't be read"),
            "{refused}"
        );
        // Nothing is uploaded, so that nothing is looked for.
        assert!(
            look(|config| {
                named(config);
                config.agent.delivery = Setting::None;
            })
            .is_ok()
        );
    }

    #[tokio::test]
    async fn images_are_mounted_where_the_cluster_does_so_by_itself() {
        let version = |minor| ServerVersion { major: 1, minor };
        for (answer, mounts) in [
            (Ok(Some(version(35))), true),
            (Ok(Some(version(36))), true),
            (Ok(Some(version(34))), false),
            (Ok(None), false),
            (Err(ClientError::new("ask", ErrorKind::Forbidden)), false),
        ] {
            let mut client = MockClusterClient::new();
            client.expect_version().return_once(move || answer);
            assert_eq!(mounts_images(&client).await, mounts);
        }
    }
}
