//! From a request and the configuration to a specification, with all problems at once.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Toleration;
use podbay_config::{Config, KubernetesConfig};
use secrecy::SecretString;

use super::{ClaimSpec, ResourceBounds, SessionSecrets, SessionSpec, SpecError, SpecErrors};
use crate::dns::DnsSubdomain;
use crate::environment::{self, EnvName};
use crate::labels::node_selector;
use crate::{ContainerPath, ImageRef, Profile, Quantity, RunAs, SESSION_KEY_VARIABLE, SessionId};
use crate::{SessionRequest, UserLabels};

const ENV: &str = "--env";
const CPU_REQUEST: &str = "kubernetes.resource_cpu_request";
const MEMORY_REQUEST: &str = "kubernetes.resource_memory_request";
const MEMORY_LIMIT: &str = "kubernetes.resource_memory_limit";
const WORKSPACE: &str = "workspace_mount_path_in_sandbox";
const STARTUP_ENV: &str = "sandbox.runtime_startup_env_vars";

impl SessionSpec {
    /// Checks `request` and fills in what it leaves open from `config`.
    ///
    /// The errors name every field that is wrong, what it came from and what is allowed.
    pub fn validate(
        id: SessionId,
        namespace: &str,
        config: &Config,
        request: SessionRequest,
    ) -> Result<(Self, SessionSecrets), SpecErrors> {
        let SessionRequest {
            image,
            user,
            profile,
            env,
            workdir,
            cpu,
            memory,
            persistent,
            labels,
            server,
        } = request;
        let mut problems = Problems(Vec::new());

        let namespace = problems.take(namespace.parse(), SpecError::Namespace);
        let image = problems.image(image, config);
        let profile = problems.profile(profile, config.kubernetes.privileged);
        let run_as = problems.user(user.as_deref(), profile);
        let env = problems.env(env, config, server);
        let workspace_mount_path = problems.workspace(config);
        let workdir = match workdir {
            Some(workdir) => problems.path("--workdir", &workdir),
            // A server was built to start where its image says.
            None if server => None,
            None => workspace_mount_path.clone(),
        };
        let cpu = problems.cpu(cpu.as_deref(), &config.kubernetes);
        let memory = problems.memory(memory.as_deref(), &config.kubernetes);
        let claim = if persistent.unwrap_or(false) {
            problems.claim(&config.kubernetes)
        } else {
            None
        };
        let labels = UserLabels::new(labels).unwrap_or_else(|errors| {
            problems.0.extend(errors.into_iter().map(SpecError::Label));
            UserLabels::default()
        });
        let node_selector = problems.node_selector(&config.kubernetes);
        let image_pull_secret = config
            .kubernetes
            .image_pull_secret
            .as_deref()
            .and_then(|name| problems.object_name("kubernetes.image_pull_secret", name));

        match (
            problems.0.is_empty(),
            namespace,
            image,
            workspace_mount_path,
            cpu,
            memory,
        ) {
            (true, Some(namespace), Some(image), Some(workspace_mount_path), Some(cpu), Some(memory)) => {
                let spec = Self {
                    id,
                    namespace,
                    image,
                    server,
                    profile,
                    run_as,
                    env: env.keys().cloned().collect(),
                    workdir,
                    workspace_mount_path,
                    cpu,
                    memory,
                    claim,
                    labels,
                    node_selector,
                    tolerations: config
                        .kubernetes
                        .tolerations_yaml
                        .iter()
                        .map(toleration)
                        .collect(),
                    image_pull_secret,
                    termination_grace_seconds: config.podbay.termination_grace_seconds,
                    start_timeout_seconds: config.podbay.start_timeout_seconds,
                };
                Ok((spec, SessionSecrets { env }))
            }
            // A missing part has left its problem behind.
            _ => Err(SpecErrors(problems.0)),
        }
    }
}

/// What was wrong so far. Its methods parse one field each; where they give nothing for a field that was
/// given, they have added the reason.
struct Problems(Vec<SpecError>);

impl Problems {
    fn take<T, E>(&mut self, result: Result<T, E>, error: impl FnOnce(E) -> SpecError) -> Option<T> {
        result.map_err(|source| self.0.push(error(source))).ok()
    }

    fn image(&mut self, asked: Option<String>, config: &Config) -> Option<ImageRef> {
        let configured = || config.sandbox.runtime_container_image.clone();
        let (setting, image) = match (asked, configured()) {
            (Some(image), _) => ("--image", image),
            (None, Some(image)) => ("sandbox.runtime_container_image", image),
            (None, None) => (
                "sandbox.base_container_image",
                config.sandbox.base_container_image.clone(),
            ),
        };
        self.take(image.parse(), |source| SpecError::Image { setting, source })
    }

    fn profile(&mut self, asked: Option<Profile>, privileged: bool) -> Profile {
        match (asked, privileged) {
            (None | Some(Profile::Privileged), true) => Profile::Privileged,
            (Some(asked), true) => {
                self.0.push(SpecError::ProfileContradiction { asked });
                asked
            }
            (asked, false) => asked.unwrap_or_default(),
        }
    }

    fn user(&mut self, asked: Option<&str>, profile: Profile) -> Option<RunAs> {
        let user: RunAs = self.take(asked?.parse(), SpecError::User)?;
        if user.is_root() && profile == Profile::Restricted {
            self.0.push(SpecError::Root { user });
        }
        Some(user)
    }

    /// The configuration's variables with the request's over them.
    fn env(
        &mut self,
        asked: BTreeMap<String, SecretString>,
        config: &Config,
        server: bool,
    ) -> BTreeMap<EnvName, SecretString> {
        let mut variables = BTreeMap::new();
        let configured = config.sandbox.runtime_startup_env_vars.clone();
        let sources = configured
            .into_iter()
            .map(|(name, value)| (STARTUP_ENV, name, value));
        let sources = sources.chain(asked.into_iter().map(|(name, value)| (ENV, name, value)));
        for (setting, name, value) in sources {
            if server && name == SESSION_KEY_VARIABLE {
                self.0.push(SpecError::EnvReserved {
                    setting,
                    name: SESSION_KEY_VARIABLE,
                });
            }
            let checked = environment::variable(&name, &value);
            if let Some(name) = self.take(checked, |source| SpecError::Env { setting, source }) {
                variables.insert(name, value);
            }
        }
        let totals = environment::totals(&variables);
        self.0.extend(
            totals
                .into_iter()
                .map(|source| SpecError::Env { setting: ENV, source }),
        );
        variables
    }

    fn path(&mut self, setting: &'static str, text: &str) -> Option<ContainerPath> {
        self.take(text.parse(), |source| SpecError::Path { setting, source })
    }

    fn workspace(&mut self, config: &Config) -> Option<ContainerPath> {
        let path = self.path(WORKSPACE, &config.workspace_mount_path_in_sandbox)?;
        if path.is_root() {
            self.0.push(SpecError::WorkspaceAtRoot);
            return None;
        }
        Some(path)
    }

    fn cpu(&mut self, asked: Option<&str>, config: &KubernetesConfig) -> Option<ResourceBounds> {
        if let Some(asked) = asked {
            let request = self.amount("--cpu", asked)?;
            return Some(ResourceBounds {
                limit: Some(request.clone()),
                request,
            });
        }
        // No limit: CPU that nobody else wants is free to use. OpenHands has none either.
        let request = self.amount(CPU_REQUEST, &config.resource_cpu_request)?;
        Some(ResourceBounds { request, limit: None })
    }

    fn memory(&mut self, asked: Option<&str>, config: &KubernetesConfig) -> Option<ResourceBounds> {
        if let Some(asked) = asked {
            let request = self.bytes("--memory", asked)?;
            return Some(ResourceBounds {
                limit: Some(request.clone()),
                request,
            });
        }
        let request = self.bytes(MEMORY_REQUEST, &config.resource_memory_request);
        let limit = self.bytes(MEMORY_LIMIT, &config.resource_memory_limit)?;
        let request = request?;
        if request > limit {
            let (request_setting, limit_setting) = (MEMORY_REQUEST, MEMORY_LIMIT);
            self.0.push(SpecError::RequestAboveLimit {
                request_setting,
                request,
                limit_setting,
                limit,
            });
            return None;
        }
        Some(ResourceBounds {
            request,
            limit: Some(limit),
        })
    }

    fn amount(&mut self, setting: &'static str, text: &str) -> Option<Quantity> {
        let quantity: Quantity = self.take(text.parse(), |source| SpecError::Quantity { setting, source })?;
        if quantity.is_zero() {
            self.0.push(SpecError::Zero { setting });
            return None;
        }
        Some(quantity)
    }

    fn bytes(&mut self, setting: &'static str, text: &str) -> Option<Quantity> {
        let value = self.amount(setting, text)?;
        if !value.is_whole() {
            self.0.push(SpecError::Fraction { setting, value });
            return None;
        }
        Some(value)
    }

    fn claim(&mut self, config: &KubernetesConfig) -> Option<ClaimSpec> {
        let size = self.bytes("kubernetes.pvc_storage_size", &config.pvc_storage_size);
        let storage_class = config
            .pvc_storage_class
            .as_deref()
            .and_then(|name| self.object_name("kubernetes.pvc_storage_class", name));
        Some(ClaimSpec {
            size: size?,
            storage_class,
        })
    }

    fn node_selector(&mut self, config: &KubernetesConfig) -> BTreeMap<String, String> {
        let (key_field, value_field) = ("kubernetes.node_selector_key", "kubernetes.node_selector_val");
        let problem = match (&config.node_selector_key, &config.node_selector_val) {
            (None, None) => return BTreeMap::new(),
            (Some(key), Some(value)) => match node_selector(key, value) {
                Ok(selector) => return selector,
                Err(source) => SpecError::NodeSelector(source),
            },
            (Some(_), None) => SpecError::NodeSelectorHalf {
                given: key_field,
                missing: value_field,
            },
            (None, Some(_)) => SpecError::NodeSelectorHalf {
                given: value_field,
                missing: key_field,
            },
        };
        self.0.push(problem);
        BTreeMap::new()
    }

    fn object_name(&mut self, setting: &'static str, name: &str) -> Option<DnsSubdomain> {
        self.take(name.parse(), |source| SpecError::ObjectName { setting, source })
    }
}

fn toleration(configured: &podbay_config::Toleration) -> Toleration {
    let podbay_config::Toleration {
        key,
        operator,
        value,
        effect,
        toleration_seconds,
    } = configured.clone();
    Toleration {
        key,
        operator,
        value,
        effect,
        toleration_seconds,
    }
}
