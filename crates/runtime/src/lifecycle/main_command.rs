//! The command that a session's agent runs beside what is asked of it later: a client's own, or on this machine a server.

use std::path::Path;
use std::time::Duration;

use http::Method;
use podbay_manifests::{MainCommand, SESSION_KEY_VARIABLE, SessionSpec};
use podbay_protocol::agent::AgentErrorCode;
use podbay_protocol::agent::path;
use podbay_protocol::{
    Blame, Cause, PhaseTimes, ProcessEnd, ProcessId, ProcessInfo, ProcessSpec, Retention, Retry, Verdict,
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;

use crate::agent::AgentConnection;
use crate::agent::request::{done, empty, json, request, to_json};
use crate::error::{AgentFailure, Error};

/// The process's name, by which the agent starts it once, however often it is asked.
pub(crate) const ID: &str = "podbay-main";
/// How long the agent may take to start a program, and how often it is asked meanwhile.
const STARTS_WITHIN: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// What OpenHands' V1 server reads its first key from.
const V1_KEY_VARIABLE: &str = "OH_SESSION_API_KEYS_0";

/// What the agent of a session is to run, if anything: in a pod a server is the container's own process.
fn command(spec: &SessionSpec, is_on_this_machine: bool) -> Option<(Vec<String>, bool)> {
    if let Some(MainCommand::Program(argv)) = spec.main_command() {
        return Some((argv.clone(), false));
    }
    let server = spec.server().filter(|_| is_on_this_machine)?;
    Some((server.command()?.to_vec(), true))
}

/// Has the agent start the session's command, if it has one and none was started. A server is told the session's key; other
/// commands never see it.
pub(crate) async fn run_main_command(
    agent: &AgentConnection,
    spec: &SessionSpec,
    is_on_this_machine: bool,
    key: &SecretString,
) -> Result<(), Error> {
    let Some((argv, is_server)) = command(spec, is_on_this_machine) else {
        return Ok(());
    };
    // The constant is one.
    let Ok(id) = ID.parse::<ProcessId>() else {
        return Ok(());
    };
    let program = argv.first().cloned().unwrap_or_default();
    let mut process = ProcessSpec::new(id, argv);
    // Nobody may ever read it, and it is not to wait for that.
    process.retention = Retention::Tail;
    if is_on_this_machine && !is_server {
        // Nothing is mounted: the directory that a client names is this machine's.
        let named = spec.container_workdir().filter(|named| Path::new(named).is_dir());
        process.directory = named.map(ToOwned::to_owned);
    }
    if is_server {
        let key = key.expose_secret();
        process.environment = [(SESSION_KEY_VARIABLE, key), (V1_KEY_VARIABLE, key)]
            .into_iter()
            .collect();
    }
    let asked = async {
        let start = request(Method::PUT, &path::process(&process.id), to_json(&process)?)?;
        let mut info = json::<ProcessInfo>(agent, start).await?;
        let begun = Instant::now();
        // The answer does not wait for the program to be found.
        while info.pid.is_none() && info.end.is_none() && begun.elapsed() < STARTS_WITHIN {
            tokio::time::sleep(LOOK_AGAIN).await;
            let look = request(Method::GET, &path::process(&process.id), empty())?;
            info = json(agent, look).await?;
        }
        Ok(info)
    };
    match asked.await {
        Ok(ProcessInfo {
            end: Some(record), ..
        }) => match record.end {
            ProcessEnd::NotStarted { message, .. } => Err(failed(spec, &program, &message)),
            _ => Ok(()),
        },
        Ok(_) => Ok(()),
        Err(failure) if is_taken(&failure) => Ok(()),
        Err(source) => Err(Error::Agent {
            session: spec.id().to_string(),
            source: Box::new(source),
        }),
    }
}

/// Has the agent of a session of this machine start its server again, if that has ended; one that runs is left alone.
pub(crate) async fn start_ended_server(
    agent: &AgentConnection,
    spec: &SessionSpec,
    key: &SecretString,
) -> Result<(), Error> {
    let is_server = matches!(command(spec, true), Some((_, true)));
    let Some(id) = ID.parse::<ProcessId>().ok().filter(|_| is_server) else {
        return Ok(());
    };
    let forgotten = async {
        let look = request(Method::GET, &path::process(&id), empty())?;
        if json::<ProcessInfo>(agent, look).await?.end.is_some() {
            done(agent, request(Method::DELETE, &path::process(&id), empty())?).await?;
        }
        Ok(())
    };
    match forgotten.await {
        Ok(()) => {}
        Err(AgentFailure::Refused { error, .. }) if error.code == AgentErrorCode::UnknownProcess => {}
        Err(source) => {
            return Err(Error::Agent {
                session: spec.id().to_string(),
                source: Box::new(source),
            });
        }
    }
    run_main_command(agent, spec, true, key).await
}

fn is_taken(failure: &AgentFailure) -> bool {
    failure
        .refusal()
        .is_some_and(|refusal| refusal.code == AgentErrorCode::IdTaken)
}

fn failed(spec: &SessionSpec, program: &str, why: &str) -> Error {
    let message = format!("its command could not be started: {why}");
    let hint = format!(
        "the session's machine or image needs {program} where its search path leads, or the command its whole path"
    );
    let verdict = Verdict {
        blame: Blame::Configuration,
        retry: Retry::Never,
        ..Verdict::new(Cause::ContainerStart, message, hint)
    };
    Error::Start {
        session: spec.id().to_string(),
        verdict: Box::new(verdict),
        times: PhaseTimes::default(),
        kept: false,
    }
}

#[cfg(test)]
mod tests {
    use podbay_config::Config;
    use podbay_manifests::{Launch, ServerCommand, ServerKind, SessionRequest};

    use super::*;

    fn spec(server: Option<ServerKind>, launch: Launch) -> SessionSpec {
        let request = SessionRequest {
            image: Some("host".to_owned()),
            server,
            launch: Some(launch),
            ..SessionRequest::default()
        };
        let valid = SessionSpec::validate("demo".parse().unwrap(), "default", &Config::default(), request);
        valid.unwrap().0
    }

    #[test]
    fn the_agent_runs_programs_everywhere_and_servers_where_there_is_no_container() {
        let argv = vec!["serve".to_owned(), "--port".to_owned(), "1".to_owned()];
        let program = spec(None, Launch::Program(argv.clone()));
        for here in [true, false] {
            assert_eq!(command(&program, here), Some((argv.clone(), false)));
        }
        let server = ServerCommand {
            argv: argv.clone(),
            port: 1,
            vscode_port: 2,
        };
        let server = spec(Some(ServerKind::AgentServer), Launch::Server(server));
        assert_eq!(command(&server, true), Some((argv, true)));
        assert_eq!(command(&server, false), None);
        assert_eq!(command(&spec(None, Launch::Image), true), None);
    }
}
