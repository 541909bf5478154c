//! How the agent comes into the pod: the choice among the ways that there are.

use podbay_config::{AgentDelivery as Setting, AgentLogLevel, Config};
use podbay_protocol::Field;

use super::problems::Problems;
use super::{ExposureSpec, NetworkSpec, ServerSpec};
use crate::agent_delivery::{AgentDelivery, AgentImage, AgentMeans};
use crate::word::Word;

const DELIVERY: Field = Field::Setting("agent.delivery");
const IMAGE: Field = Field::Setting("agent.image");
const PORT: Field = Field::Setting("agent.port");
const SPOOL_SIZE: Field = Field::Setting("agent.spool_size");

/// What else the session has that the choice depends on.
pub(super) struct Surroundings<'a> {
    pub(super) server: Option<&'a ServerSpec>,
    pub(super) network: &'a NetworkSpec,
    pub(super) exposure: Option<&'a ExposureSpec>,
    /// The port that OpenHands' V0 clients expect the agent on.
    pub(super) actions: Option<u16>,
    /// Whether the container runs what its image says: an agent, which is the container's first process, has no place there.
    pub(super) runs_image: bool,
}

/// The way that the agent comes into the pod. All settings are checked, also where none does.
pub(super) fn delivery(
    problems: &mut Problems,
    config: &Config,
    means: AgentMeans,
    around: &Surroundings<'_>,
) -> Option<AgentDelivery> {
    let settings = &config.agent;
    let image = match &settings.image {
        Some(named) => Some(image(problems, config, named)?),
        None => None,
    };
    let spool_size = problems.bytes(SPOOL_SIZE, &settings.spool_size)?;
    let port = around.actions.unwrap_or(settings.port);
    // An image with a server of its own runs that.
    if around.server.is_some() || around.runs_image || settings.delivery == Setting::None {
        return Some(AgentDelivery::None);
    }
    // There the agents of two sessions would want one port, and whoever reaches the node would reach them.
    if around.network.host_network {
        if settings.delivery != Setting::Auto {
            let advice = "an agent listens in a network of the pod's own";
            problems.contradiction(DELIVERY, Field::Setting("kubernetes.host_network"), advice);
        }
        return Some(AgentDelivery::None);
    }
    let delivery = match (settings.delivery, image) {
        (Setting::Upload, _) => AgentDelivery::Upload { port, spool_size },
        (Setting::Auto, None) if means.upload => AgentDelivery::Upload { port, spool_size },
        (Setting::None, _) | (Setting::Auto, None) => AgentDelivery::None,
        (Setting::InitContainer | Setting::ImageVolume, None) => {
            problems.needs(DELIVERY, IMAGE);
            return None;
        }
        (way @ (Setting::Auto | Setting::InitContainer | Setting::ImageVolume), Some(image)) => {
            let copied = AgentDelivery::InitContainer {
                image,
                port,
                spool_size,
            };
            if way == Setting::ImageVolume || way == Setting::Auto && means.image_volumes {
                copied.mounted()
            } else {
                copied
            }
        }
    };
    let mut served = around.exposure.iter().flat_map(|exposure| &exposure.ports);
    if !delivery.is_none() && served.any(|served| *served == port) {
        problems.contradiction(
            Field::Ports,
            PORT,
            "the agent listens there; choose another for one of them",
        );
    }
    Some(delivery)
}

/// How much the agent writes into its log; none where it is to be as it is without a setting.
pub(super) fn log_level(config: &Config) -> Option<Word<AgentLogLevel>> {
    let level = config.agent.log_level;
    (level != AgentLogLevel::Warn).then_some(Word(level))
}

fn image(problems: &mut Problems, config: &Config, named: &str) -> Option<AgentImage> {
    let image: crate::image::ImageRef = problems.take(IMAGE, named.parse())?;
    let mirrored = match image.mirrored(&config.kubernetes.registry_mirrors) {
        Some(mirrored) => Some(problems.take(Field::Setting("kubernetes.registry_mirrors"), mirrored)?),
        None => None,
    };
    Some(AgentImage { image, mirrored })
}
