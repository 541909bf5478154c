//! `podbay show`: all there is to know of a session.

use clap::Args;
use jiff::Timestamp;
use podbay_protocol::StartFailure;
use podbay_runtime::BackendKind;
use podbay_runtime::Description;
use podbay_runtime::SessionKind;
use podbay_runtime::Summary;
use podbay_runtime::session::{AgentLine, EventLine};

use crate::args::GlobalArgs;
use crate::connection::{Needs, connect_to_sessions};
use crate::exit::Failure;
use crate::output::{Format, Table, age, or_none, print, printable};
use crate::words::CommandLine;

/// Flags of `podbay show`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShowArgs {
    /// The session
    session: String,
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<Format>,
}

const EXAMPLES: &str = "\
Examples:
  podbay show demo
  podbay show demo -o json | jq -r .ip";

/// Shows a session.
pub(crate) async fn run(global: &GlobalArgs, args: ShowArgs) -> Result<u8, Failure> {
    let ShowArgs { session, output } = args;
    // As `ls -o name` prints it.
    let id = session.strip_prefix("session/").unwrap_or(&session);
    let podbay = connect_to_sessions(global, Needs::default()).await?;
    let mut description = podbay.existing(id)?.describe().await?;
    description.verdict = description.verdict.map(|verdict| verdict.in_words(&CommandLine));
    if let Some(failure) = &mut description.summary.failure {
        failure.verdict = failure.verdict.clone().in_words(&CommandLine);
    }
    let text = match output {
        Some(format) => format.write(&description)?,
        None => text(&description, Timestamp::now()),
    };
    print(text.as_bytes())?;
    Ok(0)
}

fn text(description: &Description, now: Timestamp) -> String {
    // What a pod alone has stands in a function of its own.
    let Description {
        summary,
        kind,
        backend,
        namespace,
        env,
        agent,
        server_url,
        vscode_url,
        web_hosts,
        verdict,
        degraded,
        events,
        events_error,
        ..
    } = description;
    let Summary {
        session,
        owner,
        state,
        image,
        created,
        labels,
        failure,
        ..
    } = summary;
    let list = |items: Vec<String>| {
        if items.is_empty() {
            or_none(None)
        } else {
            items.join(", ")
        }
    };
    let mut rows = vec![("Session".to_owned(), session.clone())];
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    if let Some(owner) = owner {
        row("Owner", owner.clone());
    }
    match (backend, namespace) {
        (BackendKind::Cluster, Some(namespace)) => row("Namespace", namespace.clone()),
        _ => row("Runs", "on this machine, without isolation".to_owned()),
    }
    row("Status", state.to_string());
    if let Some(verdict) = verdict {
        row("Reason", verdict.to_string());
        row("Hint", verdict.hint.in_words(&CommandLine));
    }
    if let Some(StartFailure { attempt, at, .. }) = failure {
        row(
            "Failed",
            format!("{} ago, at attempt {attempt}", age(Some(*at), now)),
        );
    }
    if let Some(degraded) = degraded {
        row("Reason", degraded.to_string());
    }
    row("Image", or_none(image.as_ref()));
    row("Kind", kind_text(*kind).to_owned());
    row("Age", age(*created, now));
    rows.extend(in_pod(description));
    let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
    if let Some(agent) = agent {
        row("Agent", agent_text(agent));
    }
    if let Some(url) = server_url {
        row("Server", url.clone());
    }
    for (url, port) in web_hosts {
        row(&format!("Port {port}"), url.clone());
    }
    if let Some(url) = vscode_url {
        row("VS Code", url.clone());
    }
    row("Environment", list(env.clone()));
    let pair = |(key, value): (&String, &String)| format!("{key}={value}");
    row("Labels", list(labels.iter().map(pair).collect()));
    let mut table = Table::new();
    for (name, value) in rows {
        table.row([format!("{name}:"), value]);
    }
    table.to_text() + &events_text(events, events_error.as_deref(), now)
}

/// What a session has by its pod; on this machine that is its directory alone.
fn in_pod(description: &Description) -> Vec<(String, String)> {
    let Description {
        summary,
        profile,
        user,
        cpu,
        memory,
        workspace,
        workdir,
        claim,
        workload,
        network,
        ..
    } = description;
    let row = |name: &str, value: String| (name.to_owned(), value);
    if description.backend == BackendKind::Local {
        return vec![row("Workspace", workspace.clone())];
    }
    let or_own = |value: &Option<String>, own: &str| value.clone().unwrap_or_else(|| own.to_owned());
    vec![
        row("Pod", or_none(summary.pod.as_ref())),
        row("Node", or_none(summary.node.as_ref())),
        row("IP", or_none(summary.ip.as_ref())),
        row("Profile", or_none(profile.as_ref())),
        row("User", or_own(user, "the profile's or the image's own")),
        row("CPU", or_none(cpu.as_ref())),
        row("Memory", or_none(memory.as_ref())),
        row("Workspace", workspace.clone()),
        row("Workdir", or_own(workdir, "the image's own")),
        row("Claim", or_none(claim.as_ref())),
        row("Workload", or_none(workload.as_ref())),
        row("Network", or_none(network.as_ref())),
    ]
}

/// The kind of a session in words.
const fn kind_text(kind: SessionKind) -> &'static str {
    match kind {
        SessionKind::V0 => "v0 (OpenHands' V0 clients)",
        SessionKind::V1 => "v1 (OpenHands' agent-server)",
        SessionKind::Image => "image (what the image starts by itself)",
        SessionKind::Command => "command (the agent runs it)",
        SessionKind::Plain => "none (commands are run in it)",
    }
}

/// How the agent came in, and whether it is there.
fn agent_text(agent: &AgentLine) -> String {
    let AgentLine {
        delivery,
        image,
        port,
        running,
        dial,
        unreachable,
    } = agent;
    let from = image
        .as_ref()
        .map(|image| format!(" from {image}"))
        .unwrap_or_default();
    let state = match running {
        Some(true) => format!("runs, port {port}"),
        Some(false) => "does not run".to_owned(),
        None => "not known whether it runs".to_owned(),
    };
    let reached = match (dial, unreachable) {
        (Some(way), _) => format!(", reached by {way}"),
        (None, Some(why)) => format!(", not reached: {}", printable(why)),
        (None, None) => String::new(),
    };
    format!("{delivery}{from} ({state}{reached})")
}

/// What the cluster says of the session's pod.
fn events_text(events: &[EventLine], error: Option<&str>, now: Timestamp) -> String {
    let mut text = String::new();
    if !events.is_empty() {
        let mut table = Table::new();
        table.row(["  AGE", "TYPE", "REASON", "MESSAGE"]);
        for event in events {
            let message = event.message.split_whitespace().collect::<Vec<_>>().join(" ");
            table.row([
                format!("  {}", age(event.time, now)),
                event.kind.clone(),
                event.reason.clone(),
                message,
            ]);
        }
        text.push_str("Events:\n");
        text.push_str(&table.to_text());
    }
    if let Some(error) = error {
        text.push_str("Events: not known: ");
        text.push_str(&printable(error));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use podbay_protocol::{Cause, Degraded, DialWay, PhaseTimes, SessionState, Verdict};

    use super::*;

    fn description() -> Description {
        let verdict = Verdict::new(Cause::Evicted, "the node was low on memory", "ask for less");
        let summary = Summary {
            session: "demo".into(),
            owner: None,
            state: SessionState::Lost(verdict.clone()),
            image: Some("debian:12".into()),
            created: Some(Timestamp::UNIX_EPOCH),
            persistent: true,
            pod: Some("podbay-demo".into()),
            ip: None,
            node: Some("node".into()),
            labels: [("team".to_owned(), "x".to_owned())].into(),
            failure: None,
        };
        Description {
            summary,
            kind: SessionKind::Plain,
            backend: BackendKind::Cluster,
            namespace: Some("default".into()),
            profile: Some("restricted".into()),
            user: None,
            env: vec!["TOKEN".into()],
            workdir: None,
            workspace: "/workspace".into(),
            cpu: Some("1".into()),
            memory: Some("1Gi".into()),
            claim: Some("podbay-demo-workspace".into()),
            workload: Some("pod".into()),
            network: Some("default".into()),
            agent: None,
            server_url: Some("http://openhands-runtime-demo-svc.default.svc.cluster.local:8080".into()),
            vscode_url: Some("http://demo.localhost/?folder=/workspace".into()),
            web_hosts: [("http://demo-3000.localhost".to_owned(), 3000)].into(),
            verdict: Some(verdict),
            degraded: None,
            events: Vec::new(),
            events_error: None,
        }
    }

    #[test]
    fn in_words() {
        insta::assert_snapshot!(text(&description(), Timestamp::from_second(60).unwrap()));
    }

    #[test]
    fn of_a_session_of_this_machine_nothing_of_a_pod_is_told() {
        let mut description = description();
        description.backend = BackendKind::Local;
        description.summary.pod = None;
        description.workspace = "/home/u/files".into();
        for field in [
            &mut description.namespace,
            &mut description.profile,
            &mut description.cpu,
            &mut description.memory,
            &mut description.workload,
            &mut description.network,
        ] {
            *field = None;
        }
        let told = text(&description, Timestamp::from_second(60).unwrap());
        assert!(
            told.contains("Runs:          on this machine, without isolation\n"),
            "{told}"
        );
        assert!(told.contains("Workspace:     /home/u/files\n"), "{told}");
        for row in [
            "Namespace",
            "Pod",
            "Profile",
            "CPU",
            "Memory",
            "Claim",
            "Workload",
            "Network",
            "Workdir",
        ] {
            assert!(!told.contains(&format!("\n{row}:")), "{row}: {told}");
        }
    }

    #[test]
    fn the_agent_is_told_with_how_it_came_in() {
        let mut description = description();
        let reached = Some(DialWay::PortForward);
        for (image, running, dial, row) in [
            (
                None,
                Some(true),
                reached,
                "Agent:         upload (runs, port 10022, reached by port-forward)\n",
            ),
            (
                None,
                Some(false),
                None,
                "Agent:         upload (does not run, not reached: a b)\n",
            ),
            (
                Some("a:1"),
                None,
                None,
                "Agent:         upload from a:1 (not known whether it runs, not reached: a b)\n",
            ),
        ] {
            description.agent = Some(AgentLine {
                delivery: "upload",
                image: image.map(str::to_owned),
                port: 10022,
                running,
                dial,
                unreachable: dial.is_none().then(|| "a b".to_owned()),
            });
            let told = text(&description, Timestamp::from_second(60).unwrap());
            assert!(told.contains(row), "{row:?} is not in:\n{told}");
            let told = serde_json::json!(description);
            assert_eq!(told["agent"]["running"], serde_json::json!(running));
        }
    }

    #[test]
    fn a_failed_session_tells_its_verdict_and_its_attempts() {
        let mut description = description();
        let verdict = Verdict::new(Cause::ImageNotFound, "manifest unknown", "mend the name");
        description.summary.state = SessionState::Failed(verdict.clone());
        description.verdict = Some(verdict.clone());
        description.summary.failure = Some(StartFailure::new(
            verdict,
            PhaseTimes::default(),
            2,
            Timestamp::UNIX_EPOCH,
        ));
        let told = text(&description, Timestamp::from_second(60).unwrap());
        for row in [
            "Status:        Failed\n",
            "Reason:        image_not_found (blame: configuration, retry: never): manifest unknown\n",
            "Hint:          mend the name\n",
            "Failed:        60s ago, at attempt 2\n",
        ] {
            assert!(told.contains(row), "{row:?} is not in:\n{told}");
        }
        let told = serde_json::json!(description);
        assert_eq!(told["failure"]["attempt"], 2);
        assert_eq!(told["failure"]["verdict"]["cause"], "image_not_found");
    }

    #[test]
    fn a_server_that_no_longer_answers_is_told_as_not_ready_with_the_reason() {
        let degraded = Degraded::ServerUnresponsive {
            since: Timestamp::UNIX_EPOCH,
            message: Some("connection refused".to_owned()),
        };
        let mut description = description();
        description.summary.state = SessionState::Ready(Some(degraded.clone()));
        description.verdict = None;
        description.degraded = Some(degraded);
        let text = text(&description, Timestamp::from_second(60).unwrap());
        let row = |name: &str| {
            text.lines()
                .find(|line| line.starts_with(name))
                .map(|line| line[name.len()..].trim())
        };
        assert_eq!(row("Status:"), Some("NotReady"));
        assert_eq!(
            row("Reason:"),
            Some("its server has not answered since 1970-01-01T00:00:00Z: connection refused")
        );
    }

    /// The list that `tests/compatibility` checks the rest of.
    const NAMES: &str = include_str!("../../tests/compatibility/names.txt");

    #[test]
    fn each_field_that_programs_know_is_still_told() {
        let mut description = description();
        description.events_error = Some("forbidden".to_owned());
        description.events = vec![EventLine {
            time: None,
            kind: "Normal".to_owned(),
            reason: "Pulled".to_owned(),
            message: "done".to_owned(),
        }];
        let (shown, listed) = (
            serde_json::json!(description),
            serde_json::json!(description.summary),
        );
        let mut fields = 0;
        for line in NAMES.lines() {
            let there = if let Some(field) = line.strip_prefix("json show events[].") {
                shown["events"][0].get(field)
            } else if let Some(field) = line.strip_prefix("json show ") {
                shown.get(field)
            } else if let Some(field) = line.strip_prefix("json ls ") {
                listed.get(field)
            } else {
                continue;
            };
            assert!(there.is_some(), "{line}");
            fields += 1;
        }
        assert!(fields > 20, "{fields}");
    }

    #[test]
    fn for_programs() {
        insta::assert_snapshot!(Format::Yaml.write(&description()).unwrap());
    }
}
