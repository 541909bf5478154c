//! `podbay ps`: the processes of a session.

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use podbay_protocol::outcome::{
    EXIT_CANNOT_EXECUTE, EXIT_FAILED, EXIT_NOT_FOUND, EXIT_SIGNAL_BASE, EXIT_TIMED_OUT,
};
use podbay_protocol::{ProcessEnd, ProcessInfo};
use serde::Serialize;

use crate::args::GlobalArgs;
use crate::connection::{Needs, connect_to_sessions};
use crate::exit::Failure;
use crate::output::{Table, age, json, note, or_none, print, yaml};

/// Flags of `podbay ps`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PsArgs {
    /// The session
    session: String,
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<ListFormat>,
    /// Only those that run
    #[arg(long)]
    running: bool,
    /// Leave the table's headers out
    #[arg(long)]
    no_headers: bool,
}

/// How processes are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    /// A JSON list
    Json,
    /// A YAML list
    Yaml,
    /// The ids, one a line
    Name,
}

const EXAMPLES: &str = "\
Examples:
  podbay ps demo                           those that run, and those that ended in the last hour
  podbay ps demo --running -o name | xargs -r podbay kill demo
  podbay ps demo -o json

Of each output the last 256 MiB are kept, and of all of a session what agent.spool_size says. TRUNCATED, there where something is no longer
kept, is how many bytes of a process's outputs that are; podbay attach shows the rest.";

/// Lists the processes.
pub(crate) async fn run(global: &GlobalArgs, args: PsArgs) -> Result<u8, Failure> {
    let PsArgs {
        session,
        output,
        running,
        no_headers,
    } = args;
    let podbay = connect_to_sessions(global, Needs::default()).await?;
    let mut processes = podbay.existing(&session)?.list_processes().await?;
    processes.retain(|process| !running || process.end.is_none());
    if processes.is_empty() && output.is_none() {
        note(&format!("No processes found in session {session}."));
        return Ok(0);
    }
    print(text(&processes, output, no_headers, Timestamp::now())?.as_bytes())?;
    Ok(0)
}

/// A process for programs.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    info: &'a ProcessInfo,
    /// What attaching to it exits with; none while it runs.
    exit_code: Option<i32>,
    /// Whether the beginning of an output is not kept any longer: `first` tells from which byte on it is.
    truncated: bool,
}

fn text(
    processes: &[ProcessInfo],
    format: Option<ListFormat>,
    no_headers: bool,
    now: Timestamp,
) -> Result<String, Failure> {
    let listed = || -> Vec<Listed<'_>> {
        let with_code = |info| Listed {
            info,
            exit_code: exit_code(info),
            truncated: gone(info) > 0,
        };
        processes.iter().map(with_code).collect()
    };
    match format {
        Some(ListFormat::Json) => json(&listed()),
        Some(ListFormat::Yaml) => yaml(&listed()),
        Some(ListFormat::Name) => Ok(processes
            .iter()
            .map(|process| format!("{}\n", process.id))
            .collect()),
        None => Ok(table(processes, no_headers, now)),
    }
}

fn table(processes: &[ProcessInfo], no_headers: bool, now: Timestamp) -> String {
    let mut table = Table::new();
    let truncated = processes.iter().any(|process| gone(process) > 0);
    if !no_headers {
        let headers = ["ID", "STATUS", "EXIT", "AGE", "STDOUT", "STDERR"];
        let more = [truncated.then_some("TRUNCATED"), Some("COMMAND")];
        table.row(headers.into_iter().chain(more.into_iter().flatten()));
    }
    for process in processes {
        let code = exit_code(process).map_or_else(|| "<none>".to_owned(), |code| code.to_string());
        let mut cells = vec![
            process.id.to_string(),
            status(process).to_owned(),
            code,
            age(begun(process, now), now),
            process.written.stdout.to_string(),
            process.written.stderr.to_string(),
        ];
        if truncated {
            let gone = Some(gone(process)).filter(|gone| *gone > 0);
            cells.push(or_none(gone.map(|bytes| bytes.to_string()).as_ref()));
        }
        cells.push(command(process));
        table.row(cells);
    }
    table.to_text()
}

/// How many bytes of the beginnings of its outputs are not kept any longer.
fn gone(process: &ProcessInfo) -> u64 {
    process.first.map_or(0, |first| first.stdout + first.stderr)
}

const fn status(process: &ProcessInfo) -> &'static str {
    let Some(record) = &process.end else {
        return "Running";
    };
    match record.end {
        ProcessEnd::Exited { .. } => "Exited",
        ProcessEnd::Signaled { .. } => "Signaled",
        ProcessEnd::TimedOut { .. } => "TimedOut",
        ProcessEnd::OutOfMemory => "OOMKilled",
        ProcessEnd::NotStarted { .. } => "NotStarted",
        // Lost, or what a later agent tells.
        _ => "Lost",
    }
}

fn exit_code(process: &ProcessInfo) -> Option<i32> {
    let code = match &process.end.as_ref()?.end {
        ProcessEnd::Exited { code } => *code,
        ProcessEnd::Signaled { signal } => EXIT_SIGNAL_BASE + signal,
        ProcessEnd::TimedOut { .. } => EXIT_TIMED_OUT,
        ProcessEnd::NotStarted { reason, .. } if reason == "ENOENT" => EXIT_NOT_FOUND,
        ProcessEnd::NotStarted { .. } => EXIT_CANNOT_EXECUTE,
        _ => EXIT_FAILED,
    };
    Some(code)
}

fn begun(process: &ProcessInfo, now: Timestamp) -> Option<Timestamp> {
    let age = SignedDuration::try_from_secs_f64(process.age_seconds?).ok()?;
    now.checked_sub(age).ok()
}

/// The words as they were given: a space within one does not show.
fn command(process: &ProcessInfo) -> String {
    let words = process.shell.iter().chain(&process.argv);
    words.map(String::as_str).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use podbay_protocol::{EndRecord, Offsets};

    use super::*;

    fn processes() -> Vec<ProcessInfo> {
        let process = |id: &str, argv: &[&str], stdout, end: Option<ProcessEnd>| {
            let argv = argv.iter().map(|word| (*word).to_owned()).collect();
            let written = Offsets { stdout, stderr: 0 };
            let mut info = ProcessInfo::new(id.parse().unwrap(), argv, written, end.map(EndRecord::new));
            info.age_seconds = Some(185.0);
            info
        };
        let reason = "EACCES".to_owned();
        let message = "permission denied".to_owned();
        vec![
            process("a1", &["make", "test"], 12_345, None),
            process(
                "b2",
                &["sh", "-c", "exit 3\n"],
                0,
                Some(ProcessEnd::Exited { code: 3 }),
            ),
            process("c3", &["sleep", "9"], 0, Some(ProcessEnd::Signaled { signal: 9 })),
            process(
                "d4",
                &["/tmp"],
                0,
                Some(ProcessEnd::NotStarted { reason, message }),
            ),
        ]
    }

    fn show(format: Option<ListFormat>, no_headers: bool) -> String {
        text(
            &processes(),
            format,
            no_headers,
            Timestamp::from_second(1000).unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn running_and_ended_ones_in_a_table() {
        let shown = show(None, false);
        let rows: Vec<Vec<&str>> = shown
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            rows[0],
            ["ID", "STATUS", "EXIT", "AGE", "STDOUT", "STDERR", "COMMAND"]
        );
        assert_eq!(
            rows[1],
            ["a1", "Running", "<none>", "3m5s", "12345", "0", "make", "test"]
        );
        assert_eq!(rows[2][..7], ["b2", "Exited", "3", "3m5s", "0", "0", "sh"]);
        assert_eq!(rows[3][..3], ["c3", "Signaled", "137"]);
        assert_eq!(rows[4][..3], ["d4", "NotStarted", "126"]);
        assert!(
            rows[2][1..].contains(&"3\\n"),
            "a line end stays in its cell: {shown}"
        );
        assert!(show(None, true).starts_with("a1 "));
        assert_eq!(show(Some(ListFormat::Name), false), "a1\nb2\nc3\nd4\n");
    }

    #[test]
    fn outputs_whose_beginnings_are_gone_are_marked() {
        let mut processes = processes();
        let untouched = table(&processes, false, Timestamp::UNIX_EPOCH);
        assert!(!untouched.contains("TRUNCATED"), "{untouched}");
        // All of what it wrote is kept.
        processes[0].first = Some(Offsets::default());
        processes[1].first = Some(Offsets {
            stdout: 40,
            stderr: 2,
        });
        let shown = table(&processes, false, Timestamp::UNIX_EPOCH);
        let column = |row: usize| {
            shown
                .lines()
                .nth(row)
                .and_then(|row| row.split_whitespace().nth(6))
        };
        assert_eq!(
            (column(0), column(1), column(2)),
            (Some("TRUNCATED"), Some("<none>"), Some("42"))
        );
        let listed = text(&processes, Some(ListFormat::Json), false, Timestamp::UNIX_EPOCH).unwrap();
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        assert_eq!(
            (&listed[0]["truncated"], &listed[1]["truncated"]),
            (&false.into(), &true.into())
        );
    }

    #[test]
    fn for_programs() {
        let parsed: serde_json::Value = serde_json::from_str(&show(Some(ListFormat::Json), false)).unwrap();
        assert_eq!(
            (&parsed[0]["id"], &parsed[0]["exit_code"]),
            (&"a1".into(), &serde_json::Value::Null)
        );
        assert_eq!(
            (&parsed[1]["exit_code"], &parsed[1]["end"]["end"]["kind"]),
            (&3.into(), &"exited".into())
        );
    }
}
