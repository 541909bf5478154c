//! Which image runs, and how it is pulled.

use podbay_config::{Config, PullPolicy};
use podbay_protocol::Field;
use serde::{Deserialize, Serialize};

use super::problems::Problems;
use crate::dns::DnsSubdomain;
use crate::image::ImageRef;
use crate::word::Word;

/// Tag of a repository that is named without one: Docker's.
const DEFAULT_TAG: &str = "latest";

/// How an image is pulled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PullSpec {
    /// The reference it is pulled by, where a mirror stands in for its registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mirrored: Option<ImageRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<Word<PullPolicy>>,
    /// Secrets with credentials of registries.
    pub(crate) secrets: Vec<DnsSubdomain>,
}

/// The image that is asked for, or the first of those that the configuration names.
pub(super) fn image(problems: &mut Problems, config: &Config, asked: Option<&String>) -> Option<ImageRef> {
    let kubernetes = &config.kubernetes;
    let sandbox = &config.sandbox;
    if kubernetes.runtime_image_tag.is_some() && kubernetes.runtime_image_repo.is_none() {
        problems.needs(
            Field::Setting("kubernetes.runtime_image_tag"),
            Field::Setting("kubernetes.runtime_image_repo"),
        );
    }
    let (setting, image) = if let Some(image) = asked {
        (Field::Image, image.clone())
    } else if let Some(image) = &sandbox.runtime_container_image {
        (Field::Setting("sandbox.runtime_container_image"), image.clone())
    } else if let Some(repository) = &kubernetes.runtime_image_repo {
        let tag = kubernetes.runtime_image_tag.as_deref().unwrap_or(DEFAULT_TAG);
        (
            Field::Setting("kubernetes.runtime_image_repo"),
            format!("{repository}:{tag}"),
        )
    } else {
        (
            Field::Setting("sandbox.base_container_image"),
            sandbox.base_container_image.clone(),
        )
    };
    problems.take(setting, image.parse())
}

impl PullSpec {
    pub(super) fn validate(
        problems: &mut Problems,
        config: &Config,
        image: Option<&ImageRef>,
        asked: Option<PullPolicy>,
    ) -> Self {
        let kubernetes = &config.kubernetes;
        let mirrored = image
            .and_then(|image| image.mirrored(&kubernetes.registry_mirrors))
            .and_then(|mirrored| problems.take(Field::Setting("kubernetes.registry_mirrors"), mirrored));
        let single = kubernetes
            .image_pull_secret
            .iter()
            .map(|name| (Field::Setting("kubernetes.image_pull_secret"), name));
        let list = kubernetes
            .image_pull_secrets
            .iter()
            .map(|name| (Field::Setting("kubernetes.image_pull_secrets"), name));
        let mut secrets = Vec::new();
        for (setting, name) in single.chain(list) {
            if let Some(name) = problems.object_name(setting, name)
                && !secrets.contains(&name)
            {
                secrets.push(name);
            }
        }
        Self {
            mirrored,
            policy: asked.or(kubernetes.pull_policy).map(Word),
            secrets,
        }
    }
}
