//! `SANDBOX_ENV_NAME`: variables of the sandbox one by one, as OpenHands has them (`_default_env_vars` of its
//! `runtime/base.py`).

use secrecy::SecretString;

use crate::config::Config;
use crate::environment::Environment;
use crate::error::Fault;
use crate::origin::Origin;
use crate::reader::Reader;

/// What stands before the name.
pub(crate) const PREFIX: &str = "SANDBOX_ENV_";
/// The setting that they are laid over.
const SETTING: &str = "sandbox.runtime_startup_env_vars";
const ALLOWED: &str =
    "a name of letters, digits and \"_\" that does not begin with a digit, with a value that is UTF-8";

/// The variables that were found.
#[derive(Default)]
pub(crate) struct SandboxEnvironment {
    given: Vec<Given>,
    pub(crate) faults: Vec<Fault>,
}

struct Given {
    /// The whole name, for messages.
    variable: String,
    /// The name in the sandbox.
    name: String,
    value: SecretString,
}

/// Reads all of them. An empty value is one: it sets an empty variable, as in OpenHands.
pub(crate) fn read(environment: &dyn Environment) -> SandboxEnvironment {
    let mut found = SandboxEnvironment::default();
    let mut variables = environment.names();
    variables.sort_unstable();
    for variable in variables {
        let (Some(name), Some(value)) = (variable.strip_prefix(PREFIX), environment.get(&variable)) else {
            continue;
        };
        let fault = if is_name(name) {
            match value.into_string() {
                Ok(value) => {
                    found.given.push(Given {
                        name: name.to_owned(),
                        variable,
                        value: value.into(),
                    });
                    continue;
                }
                Err(_) => "not UTF-8".to_owned(),
            }
        } else {
            format!("{name:?} is no name for a variable")
        };
        found.faults.push(Fault::InvalidValue {
            place: Origin::Environment { name: variable }.into(),
            key: SETTING.to_owned(),
            value: None,
            detail: Some(fault),
            allowed: ALLOWED,
        });
    }
    found
}

/// As a shell takes it (POSIX), and the Secret that carries it.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl SandboxEnvironment {
    /// Lays them over what the setting has from the file or its own variable. A flag is stronger than any variable, and
    /// replaces all of it.
    pub(crate) fn apply(self, config: &mut Config, reader: &mut Reader<'_>) {
        if matches!(reader.place(SETTING).origin, Origin::Flag { .. }) {
            return;
        }
        for Given {
            variable,
            name,
            value,
        } in self.given
        {
            config.sandbox.runtime_startup_env_vars.insert(name, value);
            reader.also_given(SETTING, Origin::Environment { name: variable });
        }
    }
}
