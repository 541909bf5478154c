//! `podbay close`: ends sessions; a persistent workspace is kept.

use clap::Args;
use futures::{StreamExt as _, stream};
use podbay_protocol::outcome::EXIT_FAILED;
use podbay_runtime::{Closed, Error};

use crate::args::GlobalArgs;
use crate::connection::{Needs, connect_to_sessions, no_sessions};
use crate::exit::{Failure, narrow};
use crate::output::{note, print_line};

/// How many named sessions are closed at once: as the library has it for all of them.
const AT_ONCE: usize = 16;

/// Flags of `podbay close`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CloseArgs {
    /// The sessions
    #[arg(
        value_name = "SESSION",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    sessions: Vec<String>,
    /// All sessions of the namespace
    #[arg(long)]
    all: bool,
    /// With --all, only sessions with these labels
    #[arg(
        short = 'l',
        long,
        value_name = "SELECTOR",
        requires = "all",
        conflicts_with = "sessions"
    )]
    selector: Option<String>,
    /// Wait until the objects are gone
    #[arg(long)]
    wait: bool,
}

const EXAMPLES: &str = "\
Examples:
  podbay close demo
  podbay close --all -l team=x
  podbay close demo --wait";

/// Closes sessions.
pub(crate) async fn run(global: &GlobalArgs, args: CloseArgs) -> Result<u8, Failure> {
    let CloseArgs {
        sessions,
        all,
        selector,
        wait,
    } = args;
    let podbay = connect_to_sessions(global, Needs::default()).await?;
    let results = if all {
        podbay
            .close_all(selector.as_deref().unwrap_or_default(), wait)
            .await?
    } else {
        let closing = sessions.iter().map(|id| podbay.close(name_of(id), wait));
        stream::iter(closing).buffered(AT_ONCE).collect().await
    };
    if results.is_empty() {
        note(&no_sessions(&podbay));
    }
    tell(results, "closed")
}

/// The session's name, with `session/` before it or not: as `ls -o name` prints it.
pub(super) fn name_of(text: &str) -> &str {
    text.strip_prefix("session/").unwrap_or(text)
}

/// Prints what became of each session. One that could not be ended does not hide the others.
pub(super) fn tell(results: Vec<Result<Closed, Error>>, done: &str) -> Result<u8, Failure> {
    let mut code = 0;
    for result in results {
        match result {
            Ok(closed) => {
                let Closed {
                    session,
                    existed,
                    claim,
                } = closed;
                let removed = existed || claim.as_ref().is_some_and(|claim| claim.deleted);
                print_line(if removed {
                    format!("session/{session} {done}")
                } else {
                    format!("session/{session} was not open")
                })?;
                match claim {
                    Some(claim) if claim.deleted => note(&format!("its claim {} was deleted", claim.name)),
                    Some(claim) => {
                        note(&format!(
                            "hint: its claim {} was kept; podbay delete {session} deletes it",
                            claim.name
                        ));
                    }
                    None => {}
                }
            }
            // Of several failures the last one's code counts; all are told.
            Err(error) => code = Failure::from(error).tell().max(code),
        }
    }
    Ok(code.min(narrow(EXIT_FAILED)))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};

    fn parse(line: &str) -> Result<CloseArgs, clap::Error> {
        match Args::try_parse_from(line.split(' '))?.command {
            Command::Close(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_or_all() {
        let args = parse("podbay close a b --wait").unwrap();
        assert_eq!(
            (args.sessions.as_slice(), args.all, args.wait),
            (&["a".into(), "b".into()][..], false, true)
        );
        let args = parse("podbay close --all -l team=x").unwrap();
        assert_eq!((args.all, args.selector.as_deref()), (true, Some("team=x")));
    }

    #[test]
    fn neither_both_and_a_selector_alone_are_refused() {
        for line in [
            "podbay close",
            "podbay close --all a",
            "podbay close -l team=x",
            "podbay close a -l team=x",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn one_failure_is_a_failure_and_nothing_there_is_none() {
        let closed = |existed| {
            Ok(Closed {
                session: "a".into(),
                existed,
                claim: None,
            })
        };
        let failed = || {
            Err(Error::Unfinished {
                session: "b".into(),
                seconds: 1,
            })
        };
        assert_eq!(tell(vec![closed(true), closed(false)], "closed").unwrap(), 0);
        assert_eq!(tell(vec![failed(), closed(true)], "closed").unwrap(), 125);
    }
}
