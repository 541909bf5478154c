//! The environment as a source: exact names only. Kubernetes puts `KUBERNETES_SERVICE_HOST` and the like into every
//! pod, and more for each Service, so that no prefix may be read as a whole.

use std::ffi::OsStr;

use crate::environment::Environment;
use crate::error::Fault;
use crate::origin::Origin;
use crate::raw::Raw;
use crate::search::FILE_VARIABLE;
use crate::setting::{Setting, settings};
use crate::warning::Warning;

/// What the environment says.
#[derive(Default)]
pub(crate) struct Variables {
    pub(crate) values: Vec<(Origin, String, Raw)>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) warnings: Vec<Warning>,
}

/// Prefixes that are ours alone, so that an unknown name under them may be a misspelling.
const OWN_PREFIXES: [&str; 2] = ["PODBAY_", "OH_K8S_"];
/// How many letters a misspelling differs in. More, and it is the variable of someone else, such as what
/// Kubernetes sets for a Service called `podbay`.
const MISSPELLED_LETTERS: usize = 2;

pub(crate) fn read(environment: &dyn Environment) -> Variables {
    let mut variables = Variables::default();
    for setting in settings() {
        variables.read_setting(setting, environment);
    }
    variables.warnings.extend(misspellings(environment));
    variables
}

impl Variables {
    /// Takes the strongest name that has a value. An empty value is none, as in OpenHands.
    fn read_setting(&mut self, setting: &Setting, environment: &dyn Environment) {
        let mut given = Vec::new();
        for name in &setting.environment {
            match environment.get(name) {
                None => {}
                Some(value) if value.is_empty() || is_service_link(name, &value) => {}
                // A name like DEBUG or RUNTIME is used by many programs. OpenHands passes over what it cannot read.
                Some(value) if setting.is_bare(name) && !is_readable(setting, &value) => {
                    self.warnings.push(Warning::UnreadableVariable {
                        name: name.clone(),
                        key: setting.key.clone(),
                        value: Raw::Text(value.to_string_lossy().into_owned()).to_string(),
                        allowed: setting.allowed,
                    });
                }
                Some(value) => given.push((name, value)),
            }
        }
        let mut given = given.into_iter();
        let Some((name, value)) = given.next() else { return };
        let origin = Origin::Environment { name: name.clone() };
        for (ignored, other) in given {
            if other != value {
                self.warnings.push(Warning::Conflict {
                    key: setting.key.clone(),
                    used: origin.clone().into(),
                    ignored: Origin::Environment {
                        name: ignored.clone(),
                    }
                    .into(),
                });
            }
        }
        match value.into_string() {
            Ok(text) => self.values.push((origin, setting.key.clone(), Raw::Text(text))),
            Err(bytes) => self
                .faults
                .push(not_utf8(origin, setting, &bytes.to_string_lossy())),
        }
    }
}

fn is_readable(setting: &Setting, value: &OsStr) -> bool {
    value
        .to_str()
        .is_some_and(|text| (setting.faults)(Raw::Text(text.to_owned())).is_empty())
}

/// What Kubernetes sets in every container for a Service whose name ends a setting's name as in
/// `SANDBOX_VSCODE_PORT=tcp://10.0.0.7:80`, for a Service `sandbox-vscode`.
fn is_service_link(name: &str, value: &OsStr) -> bool {
    name.ends_with("_PORT")
        && value.to_str().is_some_and(|value| {
            ["tcp://", "udp://", "sctp://"]
                .iter()
                .any(|scheme| value.starts_with(scheme))
        })
}

pub(crate) fn not_utf8(origin: Origin, setting: &Setting, shown: &str) -> Fault {
    Fault::InvalidValue {
        place: origin.into(),
        key: setting.key.clone(),
        value: (!setting.secret).then(|| format!("{shown:?}")),
        detail: Some("not UTF-8".to_owned()),
        allowed: setting.allowed,
    }
}

fn misspellings(environment: &dyn Environment) -> Vec<Warning> {
    let known: Vec<&str> = settings()
        .iter()
        .flat_map(|setting| setting.environment.iter().map(String::as_str))
        .chain([FILE_VARIABLE])
        .collect();
    let mut names = environment.names();
    names.sort_unstable();
    names
        .into_iter()
        .filter(|name| OWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
        .filter(|name| !known.contains(&name.as_str()))
        .filter_map(|name| {
            let (distance, nearest) = known
                .iter()
                .map(|candidate| (strsim::damerau_levenshtein(&name, candidate), candidate))
                .min_by_key(|(distance, _)| *distance)?;
            (distance <= MISSPELLED_LETTERS).then(|| Warning::UnknownVariable {
                nearest: (*nearest).to_owned(),
                name,
            })
        })
        .collect()
}
