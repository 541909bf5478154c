//! From what a client asks for to what a supervisor starts.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use podbay_protocol::{ProcessSpec, Retention, TerminalSize};
use sha2::{Digest as _, Sha256};

use super::MARK;
use super::error::InvalidSpec;
use super::settings::ProcessSettings;
use crate::supervise::{Launch, Manner, Streams, UserChoice, variable};

/// The shell that reads a text, by the one path that POSIX systems agree about.
const SHELL: &str = "/bin/sh";
/// Where programs are sought when neither the sandbox nor the client says.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What a terminal is called when nobody says: what each terminal's users and programs know.
const TERM: &str = "xterm";

/// A request that can be carried out.
pub(super) struct Request {
    pub(super) launch: Launch,
    pub(super) retention: Retention,
    pub(super) stdin: bool,
    pub(super) terminal: Option<TerminalSize>,
    pub(super) timeout: Option<Timeout>,
    /// What all its processes have in their environment.
    pub(super) mark: OsString,
}

/// How long a process may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Timeout {
    pub(super) duration: Duration,
    /// The number that was asked for.
    pub(super) seconds: f64,
}

/// What tells one specification from another, without keeping the secrets of its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of(spec: &ProcessSpec) -> Self {
        // Text, numbers and flags, maps with text for keys: JSON knows all of them.
        Self(Sha256::digest(serde_json::to_vec(spec).unwrap_or_default()).into())
    }
}

/// Checks a specification, and fills in what the agent adds.
pub(super) fn request(spec: &ProcessSpec, settings: &ProcessSettings) -> Result<Request, InvalidSpec> {
    let argv: Vec<OsString> = match &spec.shell {
        Some(text) => [SHELL, "-c", text, "sh"]
            .into_iter()
            .chain(spec.argv.iter().map(String::as_str))
            .map(OsString::from)
            .collect(),
        None => spec.argv.iter().map(OsString::from).collect(),
    };
    if argv.first().is_none_or(|program| program.is_empty()) {
        return Err(InvalidSpec::NothingToRun);
    }
    no_nul("arguments", argv.iter().map(OsString::as_os_str))?;
    for (name, _) in spec.environment.iter() {
        if name.is_empty() || name.contains('=') {
            return Err(InvalidSpec::VariableName);
        }
    }
    let own = spec.environment.iter().flat_map(|(name, value)| [name, value]);
    no_nul("environment", own.map(OsStr::new))?;
    let directory = spec.directory.as_ref().map(OsString::from);
    no_nul("directory", directory.as_deref())?;
    let mut mark = OsString::from(&settings.mark);
    mark.push("/");
    mark.push(spec.id.as_str());
    let mark = variable(OsStr::new(MARK), &mark);
    Ok(Request {
        launch: Launch {
            argv,
            environment: environment(spec, settings, &mark),
            directory: directory.or_else(|| settings.directory.clone().map(OsString::from)),
            manner: manner(spec, settings)?,
        },
        retention: spec.retention,
        stdin: spec.stdin,
        terminal: spec.terminal,
        timeout: spec.timeout_seconds.map(timeout).transpose()?,
        mark,
    })
}

fn no_nul<'a>(part: &'static str, texts: impl IntoIterator<Item = &'a OsStr>) -> Result<(), InvalidSpec> {
    let has_nul = |text: &OsStr| text.as_encoded_bytes().contains(&0);
    if texts.into_iter().any(has_nul) {
        return Err(InvalidSpec::Nul { part });
    }
    Ok(())
}

/// The sandbox's variables, the client's in place of these, and the mark.
fn environment(spec: &ProcessSpec, settings: &ProcessSettings, mark: &OsStr) -> Vec<OsString> {
    let mut variables: BTreeMap<&OsStr, &OsStr> = BTreeMap::from([(OsStr::new("PATH"), OsStr::new(PATH))]);
    if spec.terminal.is_some() {
        variables.insert(OsStr::new("TERM"), OsStr::new(TERM));
    }
    let own = settings
        .environment
        .iter()
        .map(|(name, value)| (name.as_os_str(), value.as_os_str()));
    let asked = spec
        .environment
        .iter()
        .map(|(name, value)| (OsStr::new(name), OsStr::new(value)));
    variables.extend(own.chain(asked));
    variables.remove(OsStr::new(MARK));
    let mut environment: Vec<OsString> = variables
        .into_iter()
        .map(|(name, value)| variable(name, value))
        .collect();
    environment.push(mark.to_owned());
    environment
}

fn manner(spec: &ProcessSpec, settings: &ProcessSettings) -> Result<Manner, InvalidSpec> {
    let user = match (&spec.user, &spec.user_name) {
        (Some(_), Some(_)) => return Err(InvalidSpec::TwoUsers),
        (Some(user), None) => Some(*user),
        (None, Some(_)) => None,
        (None, None) => settings.user,
    };
    let is_id = |number: i64| u32::try_from(number).is_ok_and(|id| id != u32::MAX);
    if user.is_some_and(|user| !is_id(user.uid) || !user.gid.is_none_or(is_id)) {
        return Err(InvalidSpec::UserNumber);
    }
    let user_name = spec.user_name.clone().map(UserChoice::Name);
    Ok(Manner {
        streams: match spec.terminal {
            Some(_) => Streams::default(),
            None => Streams {
                stdin: spec.stdin,
                stdout: true,
                stderr: true,
            },
        },
        terminal: spec.terminal,
        terminal_input: spec.stdin,
        user: user_name.or_else(|| user.map(UserChoice::Number)),
        keep_home: spec.environment.get("HOME").is_some(),
        no_new_privileges: settings.no_new_privileges,
        open_files: settings.open_files,
    })
}

/// The longest time-out: what is added to a time has to be a time. A hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

fn timeout(seconds: f64) -> Result<Timeout, InvalidSpec> {
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() && duration <= LONGEST => Ok(Timeout { duration, seconds }),
        _ => Err(InvalidSpec::Timeout),
    }
}

#[cfg(test)]
mod tests {
    use podbay_protocol::ProcessUser;

    use super::*;

    fn spec(argv: &[&str]) -> ProcessSpec {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        ProcessSpec::new("p".parse().unwrap(), argv)
    }

    fn settings() -> ProcessSettings {
        ProcessSettings {
            environment: vec![("A".into(), "agent".into()), ("B".into(), "agent".into())],
            mark: "m".to_owned(),
            ..ProcessSettings::default()
        }
    }

    fn refused(spec: &ProcessSpec) -> InvalidSpec {
        request(spec, &settings()).map(|_| ()).unwrap_err()
    }

    #[test]
    fn the_clients_variables_stand_before_the_agents() {
        let mut spec = spec(&["x"]);
        spec.environment = [("B", "client"), (MARK, "forged")].into_iter().collect();
        spec.terminal = Some(TerminalSize::default());
        let request = request(&spec, &settings()).unwrap();
        let path = format!("PATH={PATH}");
        let expected = ["A=agent", "B=client", &path, "TERM=xterm", "PODBAY_PROCESS=m/p"];
        assert_eq!(request.launch.environment, expected);
    }

    #[test]
    fn a_text_is_for_the_shell_and_the_words_are_its_parameters() {
        let mut spec = spec(&["a b"]);
        spec.shell = Some("echo \"$1\"".to_owned());
        let request = request(&spec, &settings()).unwrap();
        assert_eq!(request.launch.argv, ["/bin/sh", "-c", "echo \"$1\"", "sh", "a b"]);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        assert_eq!(refused(&spec(&[])), InvalidSpec::NothingToRun);
        assert_eq!(refused(&spec(&[""])), InvalidSpec::NothingToRun);
        assert_eq!(refused(&spec(&["a\0"])), InvalidSpec::Nul { part: "arguments" });
        let with = |change: fn(&mut ProcessSpec)| {
            let mut spec = spec(&["x"]);
            change(&mut spec);
            refused(&spec)
        };
        assert_eq!(
            with(|spec| spec.environment = [("A=B", "1")].into_iter().collect()),
            InvalidSpec::VariableName
        );
        assert_eq!(
            with(|spec| spec.environment = [("A", "\0")].into_iter().collect()),
            InvalidSpec::Nul { part: "environment" }
        );
        assert_eq!(
            with(|spec| spec.user = Some(ProcessUser { uid: -1, gid: None })),
            InvalidSpec::UserNumber
        );
        for seconds in [0.0, -1.0, 1e19, f64::NAN, f64::INFINITY] {
            let mut spec = spec(&["x"]);
            spec.timeout_seconds = Some(seconds);
            assert_eq!(refused(&spec), InvalidSpec::Timeout);
        }
    }

    #[test]
    fn specifications_are_told_apart_by_their_secrets_too() {
        let with = |value: &str| {
            let mut spec = spec(&["x"]);
            spec.environment = [("KEY", value)].into_iter().collect();
            Digest::of(&spec)
        };
        assert_eq!(with("1"), with("1"));
        assert_ne!(with("1"), with("2"));
    }
}
