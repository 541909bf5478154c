//! `podbay ls`: the sessions of a namespace.

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use podbay_runtime::Summary;

use crate::args::GlobalArgs;
use crate::connection::{Needs, connect_to_sessions, no_sessions};
use crate::exit::Failure;
use crate::output::{Table, age, json, note, or_none, print, printable_cell, yaml};
use crate::words::CommandLine;

/// Flags of `podbay ls`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LsArgs {
    /// Only sessions with these labels: team=x, team!=x, team in (x,y), !team
    #[arg(
        short = 'l',
        long,
        value_name = "SELECTOR",
        default_value = "",
        hide_default_value = true
    )]
    selector: String,
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<ListFormat>,
    /// Leave the table's headers out
    #[arg(long)]
    no_headers: bool,
}

/// How sessions are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    /// A table with more columns
    Wide,
    /// A JSON list
    Json,
    /// A YAML list
    Yaml,
    /// session/NAME, one a line
    Name,
}

const EXAMPLES: &str = "\
Examples:
  podbay ls
  podbay ls -l team=x -o wide
  podbay ls -o name | xargs -n1 podbay show
  podbay ls --owner team-a

OWNER is a hash of the owner's name, and there where a service (podbay serve) started sessions for the owners of its keys. With
--owner and that name or hash other commands address them.";

/// Lists the sessions.
pub(crate) async fn run(global: &GlobalArgs, args: LsArgs) -> Result<u8, Failure> {
    let LsArgs {
        selector,
        output,
        no_headers,
    } = args;
    let podbay = connect_to_sessions(global, Needs::default()).await?;
    let mut sessions = podbay.list(&selector).await?;
    for failure in sessions.iter_mut().filter_map(|session| session.failure.as_mut()) {
        failure.verdict = failure.verdict.clone().in_words(&CommandLine);
    }
    if sessions.is_empty() && matches!(output, None | Some(ListFormat::Wide)) {
        note(&no_sessions(&podbay));
        return Ok(0);
    }
    print(text(&sessions, output, no_headers, Timestamp::now())?.as_bytes())?;
    Ok(0)
}

/// All of the list, so that a reader gets it at once.
fn text(
    sessions: &[Summary],
    format: Option<ListFormat>,
    no_headers: bool,
    now: Timestamp,
) -> Result<String, Failure> {
    match format {
        Some(ListFormat::Json) => json(&sessions),
        Some(ListFormat::Yaml) => yaml(&sessions),
        Some(ListFormat::Name) => Ok(sessions
            .iter()
            .map(|session| format!("session/{}\n", printable_cell(&session.session)))
            .collect()),
        None => Ok(table(sessions, false, no_headers, now)),
        Some(ListFormat::Wide) => Ok(table(sessions, true, no_headers, now)),
    }
}

/// The columns with owners and with the causes of verdicts come last, and only where there is one: who cuts columns out by their
/// numbers finds the others where they were.
fn table(sessions: &[Summary], wide: bool, no_headers: bool, now: Timestamp) -> String {
    let mut table = Table::new();
    let owners = sessions.iter().any(|session| session.owner.is_some());
    let reasons = sessions.iter().any(|session| session.state.verdict().is_some());
    if !no_headers {
        let headers = [
            "NAME",
            "STATUS",
            "IMAGE",
            "AGE",
            "PERSISTENT",
            "POD",
            "NODE",
            "IP",
            "LABELS",
        ];
        let shown = if wide { headers.len() } else { 4 };
        let more = [owners.then_some("OWNER"), reasons.then_some("REASON")];
        table.row(headers.into_iter().take(shown).chain(more.into_iter().flatten()));
    }
    for summary in sessions {
        let Summary {
            session,
            owner,
            state,
            image,
            created,
            persistent,
            pod,
            ip,
            node,
            labels,
            // Its verdict is that of the state.
            failure: _,
        } = summary;
        let mut cells = vec![
            session.clone(),
            state.to_string(),
            or_none(image.as_ref()),
            age(*created, now),
        ];
        if wide {
            let labels: Vec<String> = labels
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            cells.push(persistent.to_string());
            cells.push(or_none(pod.as_ref()));
            cells.push(or_none(node.as_ref()));
            cells.push(or_none(ip.as_ref()));
            cells.push(or_none(
                Some(&labels.join(",")).filter(|labels| !labels.is_empty()),
            ));
        }
        if owners {
            cells.push(or_none(owner.as_ref()));
        }
        if reasons {
            let cause = state.verdict().map(|verdict| verdict.cause.to_string());
            cells.push(or_none(cause.as_ref()));
        }
        table.row(cells);
    }
    table.to_text()
}

#[cfg(test)]
mod tests {
    use podbay_protocol::{Cause, PhaseTimes, SessionState, StartFailure, Verdict};

    use super::*;

    fn sessions() -> Vec<Summary> {
        let demo = Summary {
            session: "demo".into(),
            owner: None,
            state: SessionState::Ready(None),
            image: Some("debian:12".into()),
            created: Some(Timestamp::UNIX_EPOCH),
            persistent: true,
            pod: Some("podbay-demo".into()),
            ip: Some("10.0.0.1".into()),
            node: Some("node".into()),
            labels: [("team".to_owned(), "x".to_owned())].into(),
            failure: None,
        };
        let verdict = Verdict::new(Cause::ImageNotFound, "manifest unknown", "mend the name");
        let failed = Summary {
            session: "failed".into(),
            state: SessionState::Failed(verdict.clone()),
            persistent: false,
            pod: Some("podbay-failed".into()),
            ip: None,
            node: None,
            labels: [].into(),
            failure: Some(StartFailure::new(
                verdict,
                PhaseTimes::default(),
                2,
                Timestamp::from_second(5).unwrap(),
            )),
            ..demo.clone()
        };
        let lost = Summary {
            session: "lost".into(),
            state: SessionState::Lost(Verdict::new(Cause::Deleted, "gone", "open it again")),
            created: None,
            image: None,
            ip: None,
            node: None,
            labels: [].into(),
            ..demo.clone()
        };
        vec![demo, failed, lost]
    }

    fn show(format: Option<ListFormat>, no_headers: bool) -> String {
        text(
            &sessions(),
            format,
            no_headers,
            Timestamp::from_second(185).unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn tables() {
        insta::assert_snapshot!(show(None, false) + &show(None, true) + &show(Some(ListFormat::Wide), false));
    }

    #[test]
    fn names_alone() {
        assert_eq!(
            show(Some(ListFormat::Name), false),
            "session/demo\nsession/failed\nsession/lost\n"
        );
    }

    #[test]
    fn a_list_without_verdicts_has_the_columns_it_always_had() {
        let ready = &sessions()[..1];
        assert_eq!(
            text(ready, None, false, Timestamp::from_second(185).unwrap()).unwrap(),
            "NAME   STATUS   IMAGE       AGE\ndemo   Ready    debian:12   3m5s\n"
        );
    }

    #[test]
    fn an_owner_has_a_column_where_there_is_one() {
        let mut some = sessions()[..1].to_vec();
        some.push(Summary {
            owner: Some("fpmansl7byak6gq7ymzi7j3dvetjoi6i".to_owned()),
            ..some[0].clone()
        });
        let shown = text(&some, None, false, Timestamp::from_second(185).unwrap()).unwrap();
        let rows: Vec<Vec<&str>> = shown
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(rows[0], ["NAME", "STATUS", "IMAGE", "AGE", "OWNER"]);
        assert_eq!(
            (rows[1][4], rows[2][4]),
            ("<none>", "fpmansl7byak6gq7ymzi7j3dvetjoi6i")
        );
    }

    #[test]
    fn for_programs() {
        let parsed: serde_json::Value = serde_json::from_str(&show(Some(ListFormat::Json), false)).unwrap();
        assert_eq!(parsed[0]["session"], "demo");
        assert_eq!(parsed[0]["labels"]["team"], "x");
        insta::assert_snapshot!(show(Some(ListFormat::Yaml), false));
    }
}
