//! `podbay open`: a session that stays.

use std::time::Duration;

use clap::{Args, ValueEnum};
use podbay_protocol::PhaseTimes;
use podbay_runtime::{BackendKind, Error, OpenMode, OpenReport, Session};
use tokio::time::Instant;

use super::run::listen;
use crate::addressing::addressed;
use crate::args::{GlobalArgs, SessionArgs, duration, our_variable};
use crate::connection::{Needs, connect_to_sessions};
use crate::exit::Failure;
use crate::output::{Progress, json, note, print, print_line, warn, yaml};
use crate::words::CommandLine;

/// Flags of `podbay open`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct OpenArgs {
    /// The session: any text without control characters
    session_id: String,
    /// End a session of this name that is there, and make it anew
    #[arg(long)]
    replace: bool,
    /// How long the session may take to become ready
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    start_timeout: Option<Duration>,
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<OpenFormat>,
    #[command(flatten)]
    session: SessionArgs,
}

/// How an opened session is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum OpenFormat {
    /// All there is to know of it, as JSON
    Json,
    /// All there is to know of it, as YAML
    Yaml,
    /// session/NAME
    Name,
}

const EXAMPLES: &str = "\
Examples:
  podbay open demo --image debian:12
  podbay open demo --image debian:12 --user root --profile baseline --cpu 2 --memory 4Gi
  podbay open build --image rust:1 --persistent --label team=x --env TOKEN
  podbay open demo --image debian:13 --replace
  podbay open --backend local demo            on this machine, kept by podbay-agent, without isolation";

/// Opens a session.
pub(crate) async fn run(global: &GlobalArgs, args: OpenArgs) -> Result<u8, Failure> {
    let OpenArgs {
        session_id: id,
        replace,
        start_timeout,
        output,
        session,
    } = args;
    let wanted = Wanted {
        id,
        mode: if replace {
            OpenMode::Replace
        } else {
            OpenMode::AttachOrCreate
        },
        start_timeout,
        output,
        session,
    };
    wanted.open(global).await
}

/// A session to be opened, or to be attached to.
pub(super) struct Wanted {
    pub(super) id: String,
    pub(super) mode: OpenMode,
    pub(super) start_timeout: Option<Duration>,
    pub(super) output: Option<OpenFormat>,
    pub(super) session: SessionArgs,
}

impl Wanted {
    /// Opens it, and tells how that went.
    pub(super) async fn open(self, global: &GlobalArgs) -> Result<u8, Failure> {
        let Self {
            id,
            mode,
            start_timeout,
            output,
            session,
        } = self;
        let begun = Instant::now();
        let signals = listen()?;
        let progress = Progress::new(global);
        let work = async {
            let needs = Needs {
                session: Some(&session),
                start_timeout,
            };
            let podbay = connect_to_sessions(global, needs).await?;
            let request = session.request(our_variable)?;
            let starting = podbay
                .session(&id)
                .request(request)
                .mode(mode)
                .cancel_on(signals.token())
                .start()?;
            let state = starting.state();
            let opened = tokio::select! {
                opened = starting.ready() => opened?,
                never = progress.follow(&id, state) => match never {},
            };
            tell(&opened, begun.elapsed(), progress);
            print_session(&opened, output).await
        };
        let left = || {
            let delete = addressed(format!("podbay delete {id}"));
            Some(format!("session {id} may be left: {delete} removes it"))
        };
        match signals.guard(Box::pin(work), left).await {
            Ok(Ok(())) => Ok(0),
            Ok(Err(failure)) => match signals.exit_code() {
                Some(code) => match cancelled(&failure) {
                    Some(told) => {
                        note(&format!("session {id} {told}"));
                        Ok(code)
                    }
                    None => Err(failure),
                },
                None => Err(failure),
            },
            Err(code) => Ok(code),
        }
    }
}

/// What became of a session whose start was cancelled.
fn cancelled(failure: &Failure) -> Option<&'static str> {
    let Failure::Session(error) = failure else {
        return None;
    };
    match **error {
        Error::Cancelled { goes_on: true, .. } => Some("was there before, and goes on"),
        Error::Cancelled { goes_on: false, .. } => Some("was not opened; what had been made was removed"),
        _ => None,
    }
}

/// Says on standard error how the start went.
fn tell(session: &Session, elapsed: Duration, progress: Progress) {
    let (id, is_here) = (session.id(), session.podbay().kind() == BackendKind::Local);
    let OpenReport {
        attached,
        recreated,
        resumed,
        started_again,
        differences,
        times,
        without_agent,
    } = session.report();
    if let Some(why) = without_agent {
        warn(format_args!(
            "the agent of session {id:?} can't be used, and commands and files go by the API server's exec: {why}"
        ));
    }
    if *recreated && is_here {
        warn(format_args!(
            "session {id:?} had lost its agent and has a new one: its files are there, what ran in it is not"
        ));
    } else if *recreated {
        warn(format_args!(
            "session {id:?} had lost its pod and has a new one: of its files only a persistent workspace was kept"
        ));
    }
    if *resumed && progress != Progress::Silent {
        let back = if is_here { "goes on" } else { "has its pod back" };
        note(&format!("session {id} was paused, and {back}"));
    }
    if *started_again && progress != Progress::Silent {
        note(&format!("session {id} had failed, and was started again"));
    }
    if *attached {
        for difference in differences {
            warn(format_args!(
                "session {id:?} exists with another {}; --replace recreates it",
                difference.in_words(&CommandLine)
            ));
        }
    }
    if progress != Progress::Silent {
        note(&ready_line(id, elapsed, times.as_ref()));
    }
}

fn ready_line(id: &str, elapsed: Duration, times: Option<&PhaseTimes>) -> String {
    let ready = format!("session {id} ready in {:.2} s", elapsed.as_secs_f64());
    match times {
        Some(PhaseTimes {
            creating,
            scheduling,
            preparing,
            starting,
            total: _,
        }) => format!(
            "{ready} (creating {creating:.2}, scheduling {scheduling:.2}, preparing {preparing:.2}, starting \
             {starting:.2})"
        ),
        None => ready,
    }
}

async fn print_session(session: &Session, format: Option<OpenFormat>) -> Result<(), Failure> {
    let id = session.id();
    match format {
        None if session.report().attached => print_line(format_args!("session/{id} attached")),
        None => print_line(format_args!("session/{id} opened")),
        Some(OpenFormat::Name) => print_line(format_args!("session/{id}")),
        Some(OpenFormat::Json) => print(json(&session.describe().await?)?.as_bytes()),
        Some(OpenFormat::Yaml) => print(yaml(&session.describe().await?)?.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_tells_where_the_time_went() {
        let times = PhaseTimes {
            creating: 0.031,
            scheduling: 0.01,
            preparing: 0.2,
            starting: 0.3,
            total: 0.54,
        };
        assert_eq!(
            ready_line("demo", Duration::from_millis(541), Some(&times)),
            "session demo ready in 0.54 s (creating 0.03, scheduling 0.01, preparing 0.20, starting 0.30)"
        );
        assert_eq!(
            ready_line("demo", Duration::from_millis(20), None),
            "session demo ready in 0.02 s"
        );
    }
}
