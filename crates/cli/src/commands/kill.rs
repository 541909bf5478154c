//! `podbay kill`: a signal to a process of a session.

use clap::Args;
use podbay_runtime::protocol::{ProcessId, Signal, SignalTarget};

use crate::args::GlobalArgs;
use crate::connection::{Needs, connect_to_sessions};
use crate::exit::Failure;

/// Flags of `podbay kill`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct KillArgs {
    /// The session
    session: String,
    /// The processes' ids, as podbay ps lists them
    #[arg(required = true, value_name = "PROCESS")]
    processes: Vec<ProcessId>,
    /// The signal, by name or number
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    signal: Signal,
    /// Also to all that the process started, directly or not
    #[arg(long)]
    tree: bool,
}

const EXAMPLES: &str = "\
Examples:
  podbay kill demo 4f1c…                   ends it at once
  podbay kill -s TERM --tree demo 4f1c…    asks it and all that it started to end";

/// Sends the signal.
pub(crate) async fn run(global: &GlobalArgs, args: KillArgs) -> Result<u8, Failure> {
    let KillArgs {
        session,
        processes,
        signal,
        tree,
    } = args;
    let target = if tree {
        SignalTarget::Tree
    } else {
        SignalTarget::Process
    };
    let podbay = connect_to_sessions(global, Needs::default()).await?;
    let session = podbay.existing(&session)?;
    for process in &processes {
        session.signal_process(process, signal, target).await?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::args::{Args, Command};

    #[test]
    fn a_signal_is_named_as_for_kill() {
        let parse = |line: &str| match Args::try_parse_from(line.split(' '))?.command {
            Command::Kill(args) => Ok::<_, clap::Error>(args),
            other => panic!("{other:?}"),
        };
        for (line, number, tree) in [
            ("podbay kill demo p", 9, false),
            ("podbay kill -s TERM demo p --tree", 15, true),
            ("podbay kill demo p q --signal=SIGHUP", 1, false),
            ("podbay kill -s 10 demo p", 10, false),
        ] {
            let args = parse(line).unwrap();
            assert_eq!((args.signal.number(), args.tree), (number, tree), "{line}");
        }
        for line in ["podbay kill demo", "podbay kill -s NOPE demo p"] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
