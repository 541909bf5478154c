//! `--env`: variables for a session, without their values in messages. The files of `--env-file` are in `env_file`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;

use podbay_manifests::EnvName;
use secrecy::SecretString;

use super::env_file;
use crate::exit::Failure;

/// One `--env`: `NAME=VALUE`, or `NAME` alone for the value that this process's environment has, so that a
/// secret need not stand in the arguments, which every user of the machine can read.
#[derive(Clone, Debug)]
pub(crate) struct EnvArg {
    name: String,
    value: Option<SecretString>,
}

/// Parses an `--env`. It can't fail: clap would print the text, and with it a secret. The name is checked
/// with the rest of the request.
#[expect(clippy::unnecessary_wraps, reason = "clap takes parsers that return a Result")]
pub(crate) fn env_arg(text: &str) -> Result<EnvArg, Infallible> {
    Ok(match text.split_once('=') {
        Some((name, value)) => EnvArg {
            name: name.to_owned(),
            value: Some(value.into()),
        },
        None => EnvArg {
            name: text.to_owned(),
            value: None,
        },
    })
}

/// All variables: those of the files, then those of the flags; the last one of a name holds. `ours` gives
/// the values of this process's environment.
pub(crate) fn variables(
    files: &[PathBuf],
    args: &[EnvArg],
    ours: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, SecretString>, Failure> {
    let mut variables = BTreeMap::new();
    for path in files {
        variables.extend(env_file::read(path, &ours)?);
    }
    for (index, EnvArg { name, value }) in args.iter().enumerate() {
        let value = match value {
            Some(value) => value.clone(),
            None => ours(name)
                .map(SecretString::from)
                .ok_or_else(|| missing(index + 1, name))?,
        };
        variables.insert(name.clone(), value);
    }
    Ok(variables)
}

/// `number` counts the flags from one. What can't be a name is not shown: it may be a value whose name was forgotten, or
/// that is set off by something else than "=".
fn missing(number: usize, name: &str) -> Failure {
    let message = if is_name(name) {
        format!(
            "--env {name:?} names a variable that this process's environment doesn't have (or not as UTF-8): export it, \
             or write NAME=VALUE"
        )
    } else {
        format!(
            "--env number {number} is neither NAME=VALUE nor NAME: a name has letters, digits and \"_\" alone (the text is \
             left out, as it may be secret)"
        )
    };
    Failure::Usage { message }
}

/// Whether a session takes a variable of this name.
pub(super) fn is_name(text: &str) -> bool {
    text.parse::<EnvName>().is_ok()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn shown(variables: &BTreeMap<String, SecretString>) -> Vec<String> {
        variables
            .iter()
            .map(|(name, value)| format!("{name}={}", value.expose_secret()))
            .collect()
    }

    #[test]
    fn values_come_from_the_flag_or_from_our_environment() {
        let args = ["A=1", "B", "A=2=3", "C="].map(|text| env_arg(text).unwrap());
        let ours = |name: &str| (name == "B").then(|| "ours".to_owned());
        assert_eq!(
            shown(&variables(&[], &args, ours).unwrap()),
            ["A=2=3", "B=ours", "C="]
        );
    }

    #[test]
    fn a_variable_we_do_not_have_is_refused_by_name() {
        let error = variables(&[], &[env_arg("TOKEN").unwrap()], |_| None).unwrap_err();
        assert!(error.to_string().contains("\"TOKEN\""), "{error}");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn a_file_has_comments_and_names_alone_and_flags_win() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "# comment\n\nA=from file\nB\n  C=\"quoted\"\n").unwrap();
        let args = [env_arg("A=from flag").unwrap()];
        let found = variables(&[file.path().to_owned()], &args, |_| Some("ours".to_owned())).unwrap();
        assert_eq!(shown(&found), ["A=from flag", "B=ours", "C=\"quoted\""]);
    }

    #[test]
    fn a_text_that_is_no_name_is_not_shown() {
        let args = ["A=1", "TOKEN:hunter2"].map(|text| env_arg(text).unwrap());
        let said = variables(&[], &args, |_| None).unwrap_err().to_string();
        assert!(
            said.starts_with("--env number 2 is neither NAME=VALUE nor NAME"),
            "{said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
    }

    #[test]
    fn no_value_is_shown() {
        assert!(!format!("{:?}", env_arg("A=hunter2")).contains("hunter2"));
    }
}
