//! `podbay close`: ends sessions; a persistent workspace is kept.

use clap::Args;
use futures::{StreamExt as _, stream};
use podbay_protocol::outcome::EXIT_FAILED;
use podbay_runtime::{Closed, ClosedUnowned, Error, Podbay};

use crate::addressing::{addressed, hint_of_owned};
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
    /// All sessions of the namespace that belong to no owner; with --owner those of that one
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
  podbay close --all --owner team-a       those that a service started for the owner of a key
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
    let selector = selector.as_deref().unwrap_or_default();
    if !all {
        let closing = sessions.iter().map(|id| podbay.close(name_of(id), wait));
        let results: Vec<_> = stream::iter(closing).buffered(AT_ONCE).collect().await;
        hint_at_owned(global, &podbay, &results, "close").await;
        return tell(results, "closed");
    }
    let (results, owned) = if global.owner.is_some() {
        (podbay.close_all(selector, wait).await?, 0)
    } else {
        let ClosedUnowned { closed, owned } = podbay.close_unowned(selector, wait).await?;
        (closed, owned)
    };
    if results.is_empty() && owned == 0 {
        note(&no_sessions(&podbay));
    }
    let code = tell(results, "closed");
    if let Some(left) = left_alone(owned) {
        note(&left);
    }
    code
}

/// What `--all` did not mean.
fn left_alone(owned: usize) -> Option<String> {
    let left = match owned {
        0 => return None,
        1 => "1 session that belongs to an owner was left alone".to_owned(),
        _ => format!("{owned} sessions that belong to owners were left alone"),
    };
    Some(format!(
        "{left}: podbay ls shows whose, podbay close --all --owner OWNER ends an owner's"
    ))
}

/// Tells how sessions of owners are addressed, where one was not found without.
pub(super) async fn hint_at_owned(
    global: &GlobalArgs,
    podbay: &Podbay,
    results: &[Result<Closed, Error>],
    command: &str,
) {
    let missing = |result: &'_ Result<Closed, Error>| match result {
        Ok(closed) if !closed.existed && closed.claim.is_none() => Some(closed.session.clone()),
        _ => None,
    };
    let missing: Vec<String> = results.iter().filter_map(missing).collect();
    if missing.is_empty() || global.owner.is_some() {
        return;
    }
    // The hint alone is missing where they can't be listed.
    let listed = podbay.list("").await.unwrap_or_default();
    for hint in missing
        .iter()
        .filter_map(|id| hint_of_owned(id, &listed, command))
    {
        note(&hint);
    }
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
                            "hint: its claim {} was kept; {} deletes it",
                            claim.name,
                            addressed(format!("podbay delete {session}"))
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
    fn what_was_left_alone_is_counted_and_told_how_to_end() {
        assert_eq!(left_alone(0), None);
        assert_eq!(
            left_alone(1).unwrap(),
            "1 session that belongs to an owner was left alone: podbay ls shows whose, podbay close --all --owner OWNER ends \
             an owner's"
        );
        assert!(
            left_alone(2)
                .unwrap()
                .starts_with("2 sessions that belong to owners were left alone: ")
        );
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
