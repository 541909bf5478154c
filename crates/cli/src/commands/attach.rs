//! `podbay attach`: the output of a process that was detached, and its end.

use clap::Args;
use podbay_runtime::protocol::ProcessId;
use podbay_runtime::{Outcome, Running, Session};
use std::time::Duration;
use tokio::time::Instant;

use super::run::listen;
use crate::args::{GlobalArgs, OutcomeArgs};
use crate::connection::{Needs, connect_to_sessions};
use crate::execution::to_its_end;
use crate::exit::Failure;
use crate::output::note;
use crate::report::{Attempt, Channels, report};
use crate::signals::Signals;
use crate::standard;
use crate::terminal;

/// Flags of `podbay attach`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AttachArgs {
    /// The session
    session: String,
    /// The process's id, as podbay exec -d printed it
    process: ProcessId,
    /// Pass standard input on, and its end; the keys as they are typed, where the process has a terminal
    #[arg(short = 'i', long)]
    stdin: bool,
    /// Give the process's terminal the size of this one, now and as it changes, which -i does too; who watches without leaves it
    #[arg(short, long)]
    tty: bool,
    /// Pass signals on to the process in place of leaving it
    #[arg(long)]
    sig_proxy: bool,
    #[command(flatten)]
    outcome: OutcomeArgs,
}

const EXAMPLES: &str = "\
Examples:
  podbay attach demo 4f1c…                 from the beginning of what is kept, up to its end, with its exit code
  podbay attach -it demo 4f1c…             a terminal that was started with podbay exec -dit
  podbay attach demo 4f1c…                 one of podbay exec -it, watched from here: podbay ps tells the id
  podbay attach demo 4f1c… -o json         one record, with the output in it

Ctrl-C leaves the process, which goes on; podbay kill ends it. With -i on a terminal Ctrl-C goes to the process as all keys do, and who
closes this terminal leaves it.";

/// Attaches to a process.
pub(crate) async fn run(global: &GlobalArgs, args: AttachArgs) -> Result<u8, Failure> {
    let AttachArgs {
        session: id,
        process,
        stdin,
        tty,
        sig_proxy,
        outcome,
    } = args;
    let begun = Instant::now();
    let channels = Channels::prepare(&outcome)?;
    let signals = listen()?;
    let left = signals.token();
    let follow = Follow {
        process: process.clone(),
        stdin,
        sizes: stdin || tty,
        keep: outcome.output.map(|_| outcome.max_output),
        signals: sig_proxy.then(|| signals.clone()),
    };
    let work = async {
        let podbay = connect_to_sessions(global, Needs::default()).await?;
        follow.until_its_end(podbay.existing(&id)?).await
    };
    let (argv, result) = tokio::select! {
        biased;
        result = Box::pin(work) => match result {
            Ok((argv, outcome)) => (argv, Ok(outcome)),
            Err(failure) => (Vec::new(), Err(failure)),
        },
        () = left.cancelled() => {
            note(&format!("podbay: left process {process}, which goes on"));
            return Ok(signals.exit_code().unwrap_or_default());
        }
    };
    let attempt = Attempt {
        session: Some(id),
        argv,
        start: None,
        seconds: begun.elapsed().as_secs_f64(),
        result,
        signalled: signals.exit_code(),
    };
    report(&attempt, channels)
}

/// How a process is followed.
struct Follow {
    process: ProcessId,
    stdin: bool,
    /// Whether its terminal has the size of this one.
    sizes: bool,
    /// Keeps so many bytes of each stream in place of passing them on.
    keep: Option<usize>,
    /// Signals to this process that are passed on.
    signals: Option<Signals>,
}

impl Follow {
    /// What the process was started as, and what came of it.
    async fn until_its_end(self, session: Session) -> Result<(Vec<String>, Outcome), Failure> {
        let Self {
            process,
            stdin,
            sizes,
            keep,
            signals,
        } = self;
        let mut attach = session.attach(process);
        if sizes {
            attach = attach.terminal(terminal::size());
        }
        if stdin {
            attach = attach.stdin(standard::input()?);
        }
        attach = match keep {
            Some(bytes) => attach.capture(bytes),
            None => attach
                .capture(0)
                .stdout(standard::output()?)
                .stderr(standard::error()?),
        };
        let mut running = attach.start().await?;
        tell_what_is_missing(&running);
        let argv = running.argv().to_vec();
        if let Some(signals) = signals {
            let grace = session.podbay().config().podbay.termination_grace_seconds;
            running = running.signals(signals.pass_on(Duration::from_secs(grace)));
        }
        Ok((argv, to_its_end(running, stdin).await?))
    }
}

/// Says how much of the outputs came before what is kept.
fn tell_what_is_missing(running: &Running) {
    let from = running.from();
    for (stream, bytes) in [("standard output", from.stdout), ("standard error", from.stderr)] {
        if bytes > 0 {
            note(&format!(
                "podbay: the first {bytes} bytes of {stream} are not kept any longer"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::args::{Args, Command};

    #[test]
    fn a_process_is_named_after_its_session() {
        let parse = |line: &str| match Args::try_parse_from(line.split(' '))?.command {
            Command::Attach(args) => Ok::<_, clap::Error>(args),
            other => panic!("{other:?}"),
        };
        let args = parse("podbay attach -i demo p-1 -o json").unwrap();
        assert!(args.stdin && !args.tty && !args.sig_proxy && args.outcome.output.is_some());
        assert!(parse("podbay attach -it demo p-1").unwrap().tty);
        assert_eq!((args.session.as_str(), args.process.as_str()), ("demo", "p-1"));
        for line in ["podbay attach demo", "podbay attach demo a/b"] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
