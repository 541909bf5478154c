//! The arguments of the mode `serve`. None of them is a secret.

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::log::Level;

/// How the process says to the one that takes its place that the key comes through standard input.
pub(super) const KEY_ON_STDIN: &str = "--key-on-stdin";

/// What the mode `serve` takes.
pub(crate) const USAGE: &str = "\
podbay-agent serve [--port PORT] [--address ADDRESS] [--key-file FILE] [--pod-uid UID] [--directory DIRECTORY]
                   [--spool DIRECTORY] [--spool-limit BYTES] [--grace SECONDS] [--no-new-privileges] [--mark TEXT]
                   [--socket PATH] [--lock FILE] [--log LEVEL]";

/// The arguments of the mode `serve`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The port; 0 leaves the choice to the system.
    pub port: u16,
    /// The address to listen on. `None` is all there are, and without a key this machine's own.
    pub address: Option<IpAddr>,
    /// The file that the key is in; it is removed.
    pub key_file: Option<PathBuf>,
    /// Standard input has the key.
    pub key_on_stdin: bool,
    /// The uid of the pod that this runs in, of which the proof of the key speaks.
    pub pod_uid: String,
    /// Where processes start that name no directory.
    pub directory: Option<PathBuf>,
    /// Where outputs go that nobody takes.
    pub spool: Option<PathBuf>,
    /// How many bytes these may have.
    pub spool_limit: Option<u64>,
    /// How long processes have to end by themselves.
    pub grace: Duration,
    /// Whether neither the server nor any process gains rights by a set-user-id program.
    pub no_new_privileges: bool,
    /// What marks the processes of this agent ([`ProcessSettings::mark`](crate::process::ProcessSettings::mark)).
    pub mark: Option<String>,
    /// The socket to listen on in place of a port.
    pub socket: Option<PathBuf>,
    /// The file that is locked for as long as this process lives: by it, others of its user know that it does. Once the file
    /// is gone, so is what this serves, and it ends.
    pub lock: Option<PathBuf>,
    /// What is written to the log. `None` is as the environment says ([`VARIABLE`](crate::log::VARIABLE)).
    pub log: Option<Level>,
}

/// The arguments can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; usage:\n{USAGE}")]
pub struct WrongArguments {
    /// What is wrong with them.
    pub problem: String,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            // OpenHands' servers are asked there.
            port: 8080,
            address: None,
            key_file: None,
            key_on_stdin: false,
            pod_uid: String::new(),
            directory: None,
            spool: None,
            spool_limit: None,
            // A little less than Kubernetes waits (30 s).
            grace: Duration::from_secs(25),
            no_new_privileges: false,
            mark: None,
            socket: None,
            lock: None,
            log: None,
        }
    }
}

impl Arguments {
    /// Reads them: `--name VALUE` or `--name=VALUE`, the last one of a name counts.
    pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Self, WrongArguments> {
        let (mut arguments, mut words) = (Self::default(), words.into_iter());
        while let Some(word) = words.next() {
            let (name, inline) = split(&word);
            if name == KEY_ON_STDIN && inline.is_none() {
                arguments.key_on_stdin = true;
                continue;
            }
            if name == "--no-new-privileges" && inline.is_none() {
                arguments.no_new_privileges = true;
                continue;
            }
            let mut value = || {
                let value = inline.clone().or_else(|| words.next());
                value.ok_or_else(|| wrong(format!("{name} needs a value")))
            };
            match name.as_str() {
                "--port" => arguments.port = read(&name, &value()?)?,
                "--address" => arguments.address = Some(read(&name, &value()?)?),
                "--key-file" => arguments.key_file = Some(value()?.into()),
                "--pod-uid" => arguments.pod_uid = read(&name, &value()?)?,
                "--directory" => arguments.directory = Some(value()?.into()),
                "--spool" => arguments.spool = Some(value()?.into()),
                "--spool-limit" => arguments.spool_limit = Some(read(&name, &value()?)?),
                "--mark" => arguments.mark = Some(read(&name, &value()?)?),
                "--socket" => arguments.socket = Some(value()?.into()),
                "--lock" => arguments.lock = Some(value()?.into()),
                "--log" => arguments.log = Some(read(&name, &value()?)?),
                "--grace" => {
                    let seconds = read(&name, &value()?)?;
                    arguments.grace = Duration::try_from_secs_f64(seconds)
                        .map_err(|error| wrong(format!("{name} is {seconds}: {error}")))?;
                }
                _ => return Err(wrong(format!("there is no argument {name:?}"))),
            }
        }
        Ok(arguments)
    }
}

/// The name of an argument, and what follows it after a `=`.
fn split(word: &OsStr) -> (String, Option<OsString>) {
    match word.to_str().and_then(|word| word.split_once('=')) {
        Some((name, value)) => (name.to_owned(), Some(value.into())),
        None => (word.to_string_lossy().into_owned(), None),
    }
}

fn read<T: FromStr<Err: std::fmt::Display>>(name: &str, value: &OsStr) -> Result<T, WrongArguments> {
    let text = value.to_string_lossy();
    text.parse()
        .map_err(|error: T::Err| wrong(format!("{name} is {text:?}: {error}")))
}

const fn wrong(problem: String) -> WrongArguments {
    WrongArguments { problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Arguments, WrongArguments> {
        Arguments::parse(words.iter().map(OsString::from))
    }

    #[test]
    fn arguments_are_read_in_both_forms() {
        assert_eq!(parse(&[]).unwrap(), Arguments::default());
        let arguments = parse(&[
            "--port=0",
            "--address",
            "::1",
            "--key-file",
            "/k",
            "--pod-uid=u",
            "--spool",
            "/s",
            "--spool-limit",
            "5",
            "--grace=0.5",
            "--directory",
            "/w",
            "--no-new-privileges",
            "--key-on-stdin",
            "--mark=m",
            "--socket",
            "/d/socket",
            "--lock=/d/lock",
            "--log=debug",
        ]);
        let expected = Arguments {
            port: 0,
            address: Some("::1".parse().unwrap()),
            key_file: Some("/k".into()),
            key_on_stdin: true,
            pod_uid: "u".to_owned(),
            directory: Some("/w".into()),
            spool: Some("/s".into()),
            spool_limit: Some(5),
            grace: Duration::from_millis(500),
            no_new_privileges: true,
            mark: Some("m".to_owned()),
            socket: Some("/d/socket".into()),
            lock: Some("/d/lock".into()),
            log: Some("debug".parse().unwrap()),
        };
        assert_eq!(arguments.unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for words in [
            &["--port"] as &[_],
            &["--port", "x"],
            &["--port", "65536"],
            &["--address", "host.example"],
            &["--grace", "-1"],
            &["--grace", "nan"],
            &["--log", "loud"],
            &["--key", "secret"],
            &["--no-new-privileges=false"],
            &["serve"],
        ] {
            let error = parse(words).unwrap_err();
            assert!(
                error.to_string().contains(words[0].split('=').next().unwrap()),
                "{error}"
            );
        }
    }
}
