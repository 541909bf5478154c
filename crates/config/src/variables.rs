//! The environment as a source: exact names only. Kubernetes puts `KUBERNETES_SERVICE_HOST` and the like into every
//! pod, and more for each Service, so that no prefix may be read as a whole.

use std::ffi::OsStr;

use crate::environment::Environment;
use crate::error::Fault;
use crate::origin::Origin;
use crate::raw::Raw;
use crate::service_link::is_address;
use crate::setting::{Setting, settings};
use crate::unknown_variables;
use crate::warning::Warning;

/// What the environment says.
#[derive(Default)]
pub(crate) struct Variables {
    pub(crate) values: Vec<(Origin, String, Raw)>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) warnings: Vec<Warning>,
}

pub(crate) fn read(environment: &dyn Environment) -> Variables {
    let mut variables = Variables::default();
    for setting in settings() {
        variables.read_setting(setting, environment);
    }
    variables
        .warnings
        .extend(unknown_variables::warnings(environment));
    variables
}

impl Variables {
    /// Takes the strongest name that has a value. An empty value is none, as in OpenHands.
    fn read_setting(&mut self, setting: &Setting, environment: &dyn Environment) {
        let mut given = Vec::new();
        for name in &setting.environment {
            match environment.get(name) {
                None => {}
                Some(value) if value.is_empty() || is_port_link(name, &value) => {}
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
fn is_port_link(name: &str, value: &OsStr) -> bool {
    name.ends_with("_PORT") && is_address(value)
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
