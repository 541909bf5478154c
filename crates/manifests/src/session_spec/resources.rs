//! CPU, memory, disk and devices.

use std::collections::BTreeMap;
use std::fmt;

use podbay_config::{Config, KubernetesConfig};
use podbay_protocol::Field;
use serde::{Deserialize, Serialize};

use super::is_given;
use super::problem::SpecProblem;
use super::problems::Problems;
use super::reason::Reason;
use crate::labels::is_qualified_name;
use crate::quantity::Quantity;
use crate::request::SessionRequest;

const CPU_REQUEST: Field = Field::Setting("kubernetes.resource_cpu_request");
const CPU_LIMIT: Field = Field::Setting("kubernetes.resource_cpu_limit");
const MEMORY_REQUEST: Field = Field::Setting("kubernetes.resource_memory_request");
const MEMORY_LIMIT: Field = Field::Setting("kubernetes.resource_memory_limit");
const STORAGE_REQUEST: Field = Field::Setting("kubernetes.resource_ephemeral_storage_request");
const STORAGE_LIMIT: Field = Field::Setting("kubernetes.resource_ephemeral_storage_limit");
const EXTENDED: Field = Field::Setting("kubernetes.extended_resources");
const GPU_NAME: Field = Field::Setting("kubernetes.gpu_resource_name");
const FACTOR: Field = Field::Setting("sandbox.remote_runtime_resource_factor");
/// What resources may be multiplied with, as OpenHands' remote runtimes take it.
const FACTORS: [u32; 4] = [1, 2, 4, 8];

/// What the session's container gets of its node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSpec {
    /// CPU, in cores; already multiplied with `factor`, as the others are.
    pub(crate) cpu: ResourceBounds,
    /// Memory, in bytes.
    pub(crate) memory: ResourceBounds,
    /// Disk of the node, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ephemeral_storage: Option<ResourceBounds>,
    /// Extended resources, which are counted.
    pub(crate) extended: BTreeMap<String, u32>,
    pub(crate) gpus: u32,
    pub(crate) factor: u32,
}

/// What a container may count on and what it may not exceed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceBounds {
    /// What the scheduler reserves.
    pub request: Quantity,
    /// What the node enforces, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Quantity>,
}

impl ResourceSpec {
    /// What all amounts were multiplied with.
    pub const fn factor(&self) -> u32 {
        self.factor
    }

    pub(super) fn validate(
        problems: &mut Problems,
        config: &Config,
        request: &SessionRequest,
    ) -> Option<Self> {
        let (setting, factor) = match request.resource_factor {
            Some(factor) => (Field::ResourceFactor, factor),
            None => (FACTOR, config.sandbox.remote_runtime_resource_factor),
        };
        if !FACTORS.contains(&factor) {
            problems.of(
                setting,
                Reason::NotAllowed {
                    value: factor.to_string(),
                    expected: "1, 2, 4 or 8".into(),
                },
            );
        }
        let kubernetes = &config.kubernetes;
        let cpu = cpu(problems, request.cpu.as_deref(), config, factor);
        let memory = memory(problems, request.memory.as_deref(), config, factor);
        let ephemeral_storage = ephemeral_storage(problems, kubernetes, factor);
        let gpus = gpus(config, request);
        Some(Self {
            cpu: cpu?,
            memory: memory?,
            ephemeral_storage,
            extended: extended(problems, kubernetes, gpus),
            gpus: gpus.unwrap_or(0),
            factor,
        })
    }
}

fn cpu(problems: &mut Problems, asked: Option<&str>, config: &Config, factor: u32) -> Option<ResourceBounds> {
    if let Some(asked) = asked {
        let amount = problems.amount(Field::Cpu, asked);
        return same(problems, Field::Cpu, &amount?, factor);
    }
    let kubernetes = &config.kubernetes;
    let default = KubernetesConfig::default();
    // No limit unless one is set: CPU that nobody else wants is free to use. OpenHands has none either.
    let request = problems.amount(CPU_REQUEST, &kubernetes.resource_cpu_request);
    let limit = given(kubernetes.resource_cpu_limit.as_ref(), |limit| {
        problems.amount(CPU_LIMIT, limit)
    });
    let request_is_ours =
        kubernetes.resource_cpu_request == default.resource_cpu_request && !is_given(config, CPU_REQUEST);
    let (request, limit) = follow(request?, request_is_ours, limit.ok()?, false);
    bounds(problems, (CPU_REQUEST, request), (CPU_LIMIT, limit), factor)
}

fn memory(
    problems: &mut Problems,
    asked: Option<&str>,
    config: &Config,
    factor: u32,
) -> Option<ResourceBounds> {
    if let Some(asked) = asked {
        let amount = problems.bytes(Field::Memory, asked);
        return same(problems, Field::Memory, &amount?, factor);
    }
    let kubernetes = &config.kubernetes;
    let default = KubernetesConfig::default();
    let request = problems.bytes(MEMORY_REQUEST, &kubernetes.resource_memory_request);
    let limit = problems.bytes(MEMORY_LIMIT, &kubernetes.resource_memory_limit);
    let (request, limit) = follow(
        request?,
        kubernetes.resource_memory_request == default.resource_memory_request
            && !is_given(config, MEMORY_REQUEST),
        Some(limit?),
        kubernetes.resource_memory_limit == default.resource_memory_limit && !is_given(config, MEMORY_LIMIT),
    );
    bounds(problems, (MEMORY_REQUEST, request), (MEMORY_LIMIT, limit), factor)
}

/// Lets an amount that nobody gave follow the other, where they would contradict each other: a limit alone is the
/// request too, as the API server has it, and a request alone lifts the limit. `_is_ours` tells a default.
fn follow(
    request: Quantity,
    request_is_ours: bool,
    limit: Option<Quantity>,
    limit_is_ours: bool,
) -> (Quantity, Option<Quantity>) {
    match limit {
        Some(limit) if request > limit && request_is_ours => (limit.clone(), Some(limit)),
        Some(limit) if request > limit && limit_is_ours => (request.clone(), Some(request)),
        limit => (request, limit),
    }
}

fn ephemeral_storage(
    problems: &mut Problems,
    config: &KubernetesConfig,
    factor: u32,
) -> Option<ResourceBounds> {
    let request = config.resource_ephemeral_storage_request.as_ref();
    let limit = config.resource_ephemeral_storage_limit.as_ref();
    let request = given(request, |request| problems.bytes(STORAGE_REQUEST, request));
    let limit = given(limit, |limit| problems.bytes(STORAGE_LIMIT, limit));
    let (request, limit) = (request.ok()?, limit.ok()?);
    // A limit without a request is the request too: the API server fills it in just so.
    let request = request.or_else(|| limit.clone())?;
    bounds(
        problems,
        (STORAGE_REQUEST, request),
        (STORAGE_LIMIT, limit),
        factor,
    )
}

/// What is left of a check whose problem is noted.
struct Wrong;

/// Checks an amount where one is given.
fn given(
    text: Option<&String>,
    check: impl FnOnce(&str) -> Option<Quantity>,
) -> Result<Option<Quantity>, Wrong> {
    text.map(|text| check(text).ok_or(Wrong)).transpose()
}

fn same(problems: &mut Problems, setting: Field, amount: &Quantity, factor: u32) -> Option<ResourceBounds> {
    let request = times(problems, setting, amount, factor)?;
    Some(ResourceBounds {
        limit: Some(request.clone()),
        request,
    })
}

fn bounds(
    problems: &mut Problems,
    (request_setting, request): (Field, Quantity),
    (limit_setting, limit): (Field, Option<Quantity>),
    factor: u32,
) -> Option<ResourceBounds> {
    if let Some(limit) = limit.as_ref().filter(|limit| request > **limit) {
        let limit = limit.clone();
        problems.push(SpecProblem::new(
            [request_setting, limit_setting],
            Reason::AboveLimit { request, limit },
        ));
        return None;
    }
    let request = times(problems, request_setting, &request, factor);
    let limit = match limit {
        Some(limit) => Some(times(problems, limit_setting, &limit, factor)?),
        None => None,
    };
    Some(ResourceBounds {
        request: request?,
        limit,
    })
}

fn times(problems: &mut Problems, setting: Field, amount: &Quantity, factor: u32) -> Option<Quantity> {
    let multiple = amount.times(factor);
    if multiple.is_none() {
        problems.push(SpecProblem::new(
            [setting, FACTOR],
            Reason::TooLargeMultiple {
                amount: amount.clone(),
                factor,
            },
        ));
    }
    multiple
}

/// How many GPUs are asked, if anything says so.
fn gpus(config: &Config, request: &SessionRequest) -> Option<u32> {
    let listed = config.sandbox.cuda_visible_devices.as_deref().map(|devices| {
        let devices = devices.split(',').filter(|device| !device.trim().is_empty());
        u32::try_from(devices.count()).unwrap_or(u32::MAX)
    });
    request
        .gpus
        .or_else(|| config.sandbox.enable_gpu.then(|| listed.unwrap_or(1)))
}

fn extended(problems: &mut Problems, config: &KubernetesConfig, gpus: Option<u32>) -> BTreeMap<String, u32> {
    let configured = config
        .extended_resources
        .iter()
        .map(|(name, count)| (EXTENDED, name, *count));
    let gpus = gpus.map(|gpus| (GPU_NAME, &config.gpu_resource_name, gpus));
    let mut extended = BTreeMap::new();
    // GPUs last: what is asked for them goes before what is listed.
    for (setting, name, count) in configured.chain(gpus) {
        if is_extended(name) {
            extended.insert(name.clone(), count);
        } else {
            problems.entry_not_allowed(
                setting,
                name,
                "a resource is named by domain and name, as nvidia.com/gpu",
            );
        }
    }
    extended.retain(|_, count| *count > 0);
    extended
}

/// `IsExtendedResourceName`: a qualified name outside Kubernetes' own domains.
fn is_extended(name: &str) -> bool {
    let Some((domain, _)) = name.split_once('/') else {
        return false;
    };
    let own = domain == "kubernetes.io" || domain.ends_with(".kubernetes.io");
    !own && !domain.starts_with("requests.") && is_qualified_name(name)
}

impl fmt::Display for ResourceBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.limit {
            Some(limit) if *limit == self.request => write!(f, "{limit}"),
            Some(limit) => write!(f, "{} to {limit}", self.request),
            None => write!(f, "{}, no limit", self.request),
        }
    }
}
