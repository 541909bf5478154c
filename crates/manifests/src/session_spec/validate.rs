//! From a request and the configuration to a specification, with all problems at once.

use std::collections::BTreeMap;

use podbay_config::{Config, Origin};
use podbay_protocol::Field;
use secrecy::SecretString;

use super::problem::SpecProblem;
use super::problems::{PRIVILEGED, PROFILE, Problems};
use super::reason::Reason;
use super::{
    ANNOTATION_KEY, ExposureSpec, NetworkSpec, PlacementSpec, PullSpec, ResourceSpec, SecuritySpec,
    ServerSpec, SessionSecrets, SessionSpec, SpecErrors, StorageSpec, WorkloadSpec, agent, image, network,
    security, storage,
};
use crate::agent_delivery::{AgentDelivery, AgentMeans};
use crate::environment::{self, EnvName};
use crate::labels::{UserLabels, is_annotation_key, is_own_key};
use crate::launch::{Launch, MainCommand};
use crate::names::SessionNames;
use crate::path::ContainerPath;
use crate::pod::POD_UID_VARIABLE;
use crate::pod_template::{PodTemplate, PodTemplateError};
use crate::record::CreationValues;
use crate::request::SessionRequest;
use crate::secret::{AGENT_SERVER_KEY_VARIABLE, SESSION_KEY_VARIABLE};
use crate::server::ServerKind;
use crate::session_id::SessionId;
use crate::{api_object, pod_security, record};

const ENV: Field = Field::Env;
const STARTUP_ENV: Field = Field::Setting("sandbox.runtime_startup_env_vars");
const ANNOTATIONS: Field = Field::Setting("kubernetes.annotations");
const POD_TEMPLATE: Field = Field::Setting("kubernetes.pod_template");
const NAMESPACE: &str = "kubernetes.namespace";
/// Most bytes of a record as JSON. A ConfigMap holds 1 MiB, and etcd 1.5 MiB with what the API server adds.
const MAX_BYTES: usize = 1024 * 1024;

impl SessionSpec {
    /// Checks `request` and fills in what it leaves open from `config`.
    ///
    /// The errors name every field that is wrong, what it came from and what is allowed. Of the ways to bring an agent, only
    /// those that the configuration alone can tell of are taken: see [`SessionSpec::validate_with`].
    pub fn validate(
        id: SessionId,
        namespace: &str,
        config: &Config,
        request: SessionRequest,
    ) -> Result<(Self, SessionSecrets), SpecErrors> {
        Self::validate_with(id, namespace, config, request, AgentMeans::default())
    }

    /// The same by one who has these ways to bring an agent into the pod.
    pub fn validate_with(
        id: SessionId,
        namespace: &str,
        config: &Config,
        request: SessionRequest,
        means: AgentMeans,
    ) -> Result<(Self, SessionSecrets), SpecErrors> {
        let mut problems = Problems(Vec::new());
        let made = assemble(&mut problems, id, namespace, config, request, means);
        let made = made.filter(|_| problems.0.is_empty());
        let made = made.and_then(|(spec, secrets)| {
            check_whole(&mut problems, &spec);
            problems.0.is_empty().then_some((spec, secrets))
        });
        // A missing part has left its problem behind.
        made.ok_or_else(|| SpecErrors::new(problems.0, config))
    }
}

fn assemble(
    problems: &mut Problems,
    id: SessionId,
    namespace: &str,
    config: &Config,
    mut request: SessionRequest,
    means: AgentMeans,
) -> Option<(SessionSpec, SessionSecrets)> {
    let namespace = problems.take(namespace_field(config), namespace.parse());
    let image = image::image(problems, config, request.image.as_ref());
    let pull = PullSpec::validate(problems, config, image.as_ref(), request.pull_policy);
    let profile = security::profile(problems, config, request.profile);
    let security = SecuritySpec::validate(problems, profile, config, &request);
    let env = environment(
        problems,
        std::mem::take(&mut request.env),
        config,
        brings_server(&request),
    );
    let workspace = storage::workspace_mount_path(problems, config);
    let workdir = workdir(problems, &request, workspace.as_ref());
    let server = ServerSpec::validate(problems, config, &request, workdir.as_ref());
    let resources = ResourceSpec::validate(problems, config, &request);
    let storage = StorageSpec::validate(problems, profile, config, &request, workspace);
    let placement = PlacementSpec::validate(problems, config, request.runtime_class.as_ref());
    let network = NetworkSpec::validate(problems, profile, config, &request);
    let names = SessionNames::of(request.owner.as_ref(), &id);
    let exposure = ExposureSpec::validate(problems, config, &request, server.as_ref(), &names);
    let workload = WorkloadSpec::validate(problems, config, &request);
    let labels = UserLabels::new(request.labels).unwrap_or_else(|errors| {
        problems.0.extend(
            errors
                .into_iter()
                .map(|error| SpecProblem::invalid(Field::Labels, error)),
        );
        UserLabels::default()
    });
    let annotations = annotations(problems, config);
    let pod_template = pod_template(problems, config);
    let agent = agent::delivery(
        problems,
        config,
        means,
        &agent::Surroundings {
            server: server.as_ref(),
            network: &network,
            exposure: exposure.as_ref(),
            actions: request.actions,
            runs_image: matches!(request.launch, Some(Launch::Image)),
        },
    );
    if let Some(agent) = &agent {
        agents_variables(problems, agent, config, &env);
    }
    let spec = SessionSpec {
        id,
        owner: request.owner,
        namespace: namespace?,
        image: image?,
        pull,
        server,
        security,
        env: env.keys().cloned().collect(),
        workdir,
        resources: resources?,
        storage: storage?,
        placement,
        network,
        exposure: exposure.map(Box::new),
        workload,
        labels,
        annotations,
        pod_template,
        agent: agent?,
        agent_log: agent::log_level(config),
        actions: request.actions,
        main: match request.launch {
            Some(Launch::Image) => Some(MainCommand::Image),
            Some(Launch::Program(argv)) => Some(MainCommand::Program(argv)),
            Some(Launch::Server(_)) | None => None,
        },
    };
    Some((spec, SessionSecrets { env }))
}

/// What said the namespace. A setting of the configuration's own is named by its key, where it can be looked up.
fn namespace_field(config: &Config) -> Field {
    match config.origin(NAMESPACE) {
        Origin::File { .. } | Origin::Environment { .. } => Field::Setting(NAMESPACE),
        Origin::Default | Origin::Flag { .. } => Field::Namespace,
    }
}

/// What only the finished objects show.
fn check_whole(problems: &mut Problems, spec: &SessionSpec) {
    // Nothing in it has a form that JSON lacks.
    let bytes = serde_json::to_vec(&record::record(spec, &CreationValues::placeholder()))
        .map_or(usize::MAX, |json| json.len());
    if bytes >= MAX_BYTES {
        problems.of(
            POD_TEMPLATE,
            Reason::TooLarge {
                bytes,
                most: MAX_BYTES,
            },
        );
        return;
    }
    let pod = crate::pod::before_template(spec);
    problems.0.extend(crate::pod::reserved_paths(&pod));
    problems.0.extend(crate::pod::mount_conflicts(&pod));
    let pod = match &spec.pod_template {
        None => pod,
        Some(template) => match template.check(&pod, spec) {
            Ok(pod) => {
                let refused = api_object::refused_in_pod(&pod).into_iter();
                problems.0.extend(
                    refused.map(|error| SpecProblem::invalid(POD_TEMPLATE, PodTemplateError::from(error))),
                );
                pod
            }
            Err(errors) => {
                problems.0.extend(
                    errors
                        .into_iter()
                        .map(|error| SpecProblem::invalid(POD_TEMPLATE, error)),
                );
                return;
            }
        },
    };
    let in_node = pod.spec.as_ref().and_then(|pod| pod.host_network) == Some(true);
    if in_node {
        network::no_policy_holds(problems, POD_TEMPLATE, spec.network());
    }
    for violation in pod_security::violations(spec.profile(), &pod) {
        problems.push(SpecProblem::new(
            [POD_TEMPLATE, PROFILE, PRIVILEGED],
            Reason::PodSecurity {
                profile: spec.profile(),
                violation,
            },
        ));
    }
}

fn workdir(
    problems: &mut Problems,
    request: &SessionRequest,
    workspace: Option<&ContainerPath>,
) -> Option<ContainerPath> {
    match (&request.workdir, request.server) {
        (Some(workdir), _) => problems.path(Field::Workdir, workdir),
        // OpenHands' server starts commands where it is told to.
        (None, None | Some(ServerKind::OpenHands)) => workspace.cloned(),
        // A server was built to start where its image says.
        (None, Some(ServerKind::Image | ServerKind::AgentServer)) => None,
    }
}

/// Whether something in the image reads the session's key.
fn brings_server(request: &SessionRequest) -> bool {
    request.server.is_some() || matches!(request.launch, Some(Launch::Image))
}

/// The configuration's variables with the request's over them.
fn environment(
    problems: &mut Problems,
    asked: BTreeMap<String, SecretString>,
    config: &Config,
    brings_server: bool,
) -> BTreeMap<EnvName, SecretString> {
    let mut variables = BTreeMap::new();
    let configured = config.sandbox.runtime_startup_env_vars.clone();
    let sources = configured
        .into_iter()
        .map(|(name, value)| (STARTUP_ENV, name, value));
    let sources = sources.chain(asked.into_iter().map(|(name, value)| (ENV, name, value)));
    for (setting, name, value) in sources {
        let keys = [SESSION_KEY_VARIABLE, AGENT_SERVER_KEY_VARIABLE];
        if let Some(name) = keys.into_iter().find(|key| brings_server && name == *key) {
            problems.push(SpecProblem::new(
                [setting, Field::Server],
                Reason::Reserved {
                    name: name.to_owned(),
                    why: "Podbay sets it when the image brings a server (each session has its own key)",
                },
            ));
        }
        let checked = environment::variable(&name, &value);
        if let Some(name) = problems.take(setting, checked) {
            variables.insert(name, value);
        }
    }
    for source in environment::totals(&variables) {
        problems.push(SpecProblem::invalid(ENV, source));
    }
    variables
}

/// Variables that the agent reads: the session's key, and whose pod it is in. The first is taken out of the environment of
/// commands wherever there is an agent.
fn agents_variables(
    problems: &mut Problems,
    agent: &AgentDelivery,
    config: &Config,
    variables: &BTreeMap<EnvName, SecretString>,
) {
    if agent.is_none() {
        return;
    }
    for name in [SESSION_KEY_VARIABLE, POD_UID_VARIABLE] {
        if !variables.keys().any(|given| given.as_str() == name) {
            continue;
        }
        let configured = config.sandbox.runtime_startup_env_vars.contains_key(name);
        let setting = if configured { STARTUP_ENV } else { ENV };
        problems.push(SpecProblem::new(
            [setting, Field::Setting("agent.delivery")],
            Reason::Reserved {
                name: name.to_owned(),
                why: "Podbay's agent reads it",
            },
        ));
    }
}

fn annotations(problems: &mut Problems, config: &Config) -> BTreeMap<String, String> {
    let annotations = &config.kubernetes.annotations;
    for key in annotations.keys() {
        if !is_annotation_key(key) {
            problems.entry_not_allowed(ANNOTATIONS, key, ANNOTATION_KEY);
        } else if is_own_key(key) {
            problems.of(
                ANNOTATIONS,
                Reason::Reserved {
                    name: key.clone(),
                    why: "podbay.dev/* are set by Podbay",
                },
            );
        }
    }
    annotations.clone()
}

fn pod_template(problems: &mut Problems, config: &Config) -> Option<PodTemplate> {
    let template = config.kubernetes.pod_template.as_ref()?;
    match PodTemplate::new(template.as_value()) {
        Ok(template) => Some(template),
        Err(errors) => {
            problems.0.extend(
                errors
                    .into_iter()
                    .map(|error| SpecProblem::invalid(POD_TEMPLATE, error)),
            );
            None
        }
    }
}
