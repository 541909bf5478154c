//! `--env` and `--env-file`: variables for a session, without their values in messages.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

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
    let mut all = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(path).map_err(|source| Failure::Usage {
            message: format!("--env-file {} can't be read: {source}", path.display()),
        })?;
        all.extend(lines(&text).map(|(number, arg)| (Some((path.as_path(), number)), arg)));
    }
    all.extend(args.iter().map(|arg| (None, arg.clone())));
    let mut variables = BTreeMap::new();
    for (place, EnvArg { name, value }) in all {
        let value = match value {
            Some(value) => value,
            None => ours(&name)
                .map(SecretString::from)
                .ok_or_else(|| missing(place, &name))?,
        };
        variables.insert(name, value);
    }
    Ok(variables)
}

/// The lines of an environment file, as docker has them: `NAME=VALUE` or `NAME`, nothing quoted; blank lines
/// and those that begin with `#` are skipped. Lines count from 1.
fn lines(text: &str) -> impl Iterator<Item = (usize, EnvArg)> {
    text.lines().enumerate().filter_map(|(index, line)| {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        env_arg(line).ok().map(|arg| (index + 1, arg))
    })
}

fn missing(place: Option<(&Path, usize)>, name: &str) -> Failure {
    let given = match place {
        Some((path, line)) => format!("{}:{line}: {name:?}", path.display()),
        None => format!("--env {name:?}"),
    };
    Failure::Usage {
        message: format!(
            "{given} names a variable that this process's environment doesn't have (or not as UTF-8): export it, \
             or write NAME=VALUE"
        ),
    }
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
        let error = variables(&[file.path().to_owned()], &[], |_| None).unwrap_err();
        assert!(error.to_string().contains(":4: \"B\""), "{error}");
    }

    #[test]
    fn no_value_is_shown() {
        assert!(!format!("{:?}", env_arg("A=hunter2")).contains("hunter2"));
    }
}
