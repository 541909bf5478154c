//! `podbay top`: what sessions use, and since when nobody needs them.

use clap::{Args, ValueEnum};
use futures::{StreamExt as _, stream};
use podbay_protocol::SessionState;
use podbay_protocol::agent::Figures;
use podbay_protocol::agent::figures::IdleSignal;
use podbay_runtime::{Error, Podbay};
use serde::Serialize;

use crate::addressing::of_owner;
use crate::args::GlobalArgs;
use crate::connection::{Needs, connect_to_sessions};
use crate::exit::Failure;
use crate::output::{Table, json, note, print};

/// How many sessions are asked at once.
const AT_ONCE: usize = 16;

/// Flags of `podbay top`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TopArgs {
    /// The sessions; all that are ready if none is named
    #[arg(value_name = "SESSION")]
    sessions: Vec<String>,
    /// Only sessions with these labels: team=x, team!=x, team in (x,y), !team
    #[arg(
        short = 'l',
        long,
        value_name = "SELECTOR",
        default_value = "",
        hide_default_value = true,
        conflicts_with = "sessions"
    )]
    selector: String,
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<TopFormat>,
    /// Leave the table's headers out
    #[arg(long)]
    no_headers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TopFormat {
    /// A JSON list
    Json,
}

const EXAMPLES: &str = "\
Only an agent knows what its session uses; sessions without one are left out with a word.
IDLE is the time since anything was seen of what WHY names: requests, processes that run, cpu, network, a hold.

Examples:
  podbay top
  podbay top demo
  podbay top -l team=x -o json";

/// What one session uses.
#[derive(Debug, Serialize)]
struct Line {
    session: String,
    /// The hash of its owner's name, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(flatten)]
    figures: Figures,
}

/// Shows the figures.
pub(crate) async fn run(global: &GlobalArgs, args: TopArgs) -> Result<u8, Failure> {
    let TopArgs {
        sessions,
        selector,
        output,
        no_headers,
    } = args;
    let podbay = connect_to_sessions(global, Needs::default()).await?;
    let are_named = !sessions.is_empty();
    let asked = if are_named {
        let named = |id| Asked {
            podbay: podbay.clone(),
            owner: None,
            id,
        };
        sessions.into_iter().map(named).collect()
    } else {
        ready(&podbay, &selector).await?
    };
    if asked.is_empty() && output.is_none() {
        note(&format!(
            "No sessions are ready in {} namespace.",
            podbay.namespace()
        ));
        return Ok(0);
    }
    let answers = stream::iter(asked)
        .map(|asked: Asked| async {
            let figures = asked.figures().await;
            (asked, figures)
        })
        .buffered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    let mut lines = Vec::new();
    for (asked, answer) in answers {
        let Asked { podbay: _, owner, id } = asked;
        match answer {
            Ok(figures) => lines.push(Line {
                session: id,
                owner,
                figures,
            }),
            // Who names a session wants it; of all, those that have no figures are no failure.
            Err(error) if are_named => return Err(error.into()),
            Err(error) => note(&format!("{id}: {}", error.chain())),
        }
    }
    let text = match output {
        Some(TopFormat::Json) => json(&lines)?,
        None => table(&lines, no_headers),
    };
    print(text.as_bytes())?;
    Ok(0)
}

/// A session that is asked.
struct Asked {
    /// What addresses it: two owners may use one id.
    podbay: Podbay,
    /// The hash of its owner's name, where it was listed with one.
    owner: Option<String>,
    id: String,
}

impl Asked {
    async fn figures(&self) -> Result<Figures, Error> {
        self.podbay.existing(&self.id)?.figures().await
    }
}

async fn ready(podbay: &Podbay, selector: &str) -> Result<Vec<Asked>, Error> {
    let sessions = podbay.list(selector).await?;
    let ready = sessions
        .into_iter()
        .filter(|session| matches!(session.state, SessionState::Ready(_)));
    ready
        .map(|session| {
            Ok(Asked {
                podbay: of_owner(podbay, session.owner.as_deref())?,
                owner: session.owner,
                id: session.session,
            })
        })
        .collect()
}

fn table(lines: &[Line], no_headers: bool) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    let owners = lines.iter().any(|line| line.owner.is_some());
    if !no_headers {
        let headers = [
            "NAME",
            "CPU(cores)",
            "MEMORY(bytes)",
            "DISK(free)",
            "NET(in/out)",
            "IDLE",
            "WHY",
        ];
        table.row(headers.into_iter().chain(owners.then_some("OWNER")));
    }
    for line in lines {
        let Line {
            session,
            owner,
            figures,
        } = line;
        let none = || "<none>".to_owned();
        let cores = figures.cpu.and_then(|cpu| cpu.cores);
        let network = figures.network;
        let mut cells = vec![
            session.clone(),
            cores.map_or_else(none, millicores),
            figures
                .memory
                .map_or_else(none, |memory| bytes(memory.working_set)),
            figures.disk.map_or_else(none, |disk| bytes(disk.free)),
            network.map_or_else(none, |network| {
                format!("{}/{}", bytes(network.received), bytes(network.sent))
            }),
            idle(figures.idle.seconds),
            match figures.idle.why {
                IdleSignal::Other => "unknown".to_owned(),
                why => why.as_str().to_owned(),
            },
        ];
        if owners {
            cells.push(owner.clone().unwrap_or_else(none));
        }
        table.row(cells);
    }
    table.to_text()
}

/// As `kubectl top` has it.
fn millicores(cores: f64) -> String {
    format!("{:.0}m", cores * 1000.0)
}

/// In the unit that leaves at most four digits, rounded down.
fn bytes(bytes: u64) -> String {
    let units = ["", "Ki", "Mi", "Gi", "Ti"];
    let mut value = bytes;
    let mut unit = 0;
    while value >= 10_000 && unit + 1 < units.len() {
        value /= 1024;
        unit += 1;
    }
    format!("{value}{}", units[unit])
}

/// Whole seconds, as ages are shown.
fn idle(seconds: f64) -> String {
    let whole = std::time::Duration::try_from_secs_f64(seconds)
        .unwrap_or_default()
        .as_secs();
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, _) => format!("{hours}h{minutes}m"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_a_session() {
        let figures = json!({
            "cpu": {"seconds": 12.5, "cores": 0.2504},
            "memory": {"workingSet": 0, "working_set": 52_428_800},
            "disk": {"total": 10, "used": 5, "free": 5_368_709_120_u64},
            "network": {"received": 9999, "sent": 10_000},
            "idle": {"seconds": 125.9, "why": "cpu", "signals": []},
        });
        let nothing = json!({"idle": {"seconds": 7322.0, "why": "somebody", "signals": []}});
        let line = |session: &str, figures: serde_json::Value| Line {
            session: session.to_owned(),
            owner: None,
            figures: serde_json::from_value(figures).unwrap(),
        };
        let mut lines = [line("demo", figures), line("new", nothing)];
        assert_eq!(
            table(&lines, false),
            "NAME   CPU(cores)   MEMORY(bytes)   DISK(free)   NET(in/out)   IDLE   WHY\n\
             demo   250m         50Mi            5120Mi       9999/9Ki      2m5s   cpu\n\
             new    <none>       <none>          <none>       <none>        2h2m   unknown\n"
        );
        assert_eq!(table(&[], false), "");
        assert!(!table(&lines, true).contains("NAME"));
        assert_eq!(json!(lines[1])["session"], "new");
        lines[1].owner = Some("fpma".to_owned());
        let owned = table(&lines, false);
        let last = |row: usize| {
            owned
                .lines()
                .nth(row)
                .and_then(|row| row.split_whitespace().last())
        };
        assert_eq!(
            (last(0), last(1), last(2)),
            (Some("OWNER"), Some("<none>"), Some("fpma"))
        );
    }
}
