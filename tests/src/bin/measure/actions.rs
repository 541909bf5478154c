//! OpenHands' actions in sessions of this machine, and the first one in sessions of a cluster.

use futures::{StreamExt as _, stream};
use podbay_runtime::{Podbay, Session};
use podbay_tests::{DEBIAN, Namespace};
use serde_json::json;
use tokio::time::Instant;

use crate::figures::Figures;

/// Sessions with actions at once, and how many actions all of them have together.
const SESSIONS: usize = 16;
const ACTIONS: usize = 10_000;

/// Rounds of [`first`]; the one before them brings programs into memory.
const ROUNDS: usize = 20;

/// From the call that opens a session on the cluster, whose image its node has, until its first `run` action is answered: a shell is
/// started for it. Each session is gone before the next one is opened: else the kubelet takes the last pod down while the next
/// one comes up. How the agent comes in and is reached is by the settings (`PODBAY_AGENT_DELIVERY`, `PODBAY_AGENT_DIAL`).
pub(crate) async fn first(namespace: &Namespace) {
    let podbay = namespace.library(&[]).await;
    let (mut opened, mut answered, mut whole) = (Figures::default(), Figures::default(), Figures::default());
    for round in 0..=ROUNDS {
        let begun = Instant::now();
        let id = format!("s{round}");
        let builder = podbay.session(&id).image(DEBIAN).memory("64Mi");
        let session = Box::pin(builder.open()).await.unwrap();
        let (open, then) = (begun.elapsed(), Instant::now());
        let action = json!({"action": "run", "args": {"command": "echo x"}});
        let observation = Box::pin(session.run_action(&action)).await.unwrap();
        let (act, took) = (then.elapsed(), begun.elapsed());
        assert_eq!(observation["content"], "x", "{observation}");
        drop(session);
        Box::pin(podbay.close(&id, true)).await.unwrap();
        if round > 0 {
            opened.add(open);
            answered.add(act);
            whole.add(took);
        }
    }
    println!("{}", opened.line("open"));
    println!("{}", answered.line("the first `run` action"));
    println!("{}", whole.line("both (700 ms allowed on a quiet machine)"));
}

/// OpenHands' `run` actions in many sessions at once, each with an output and a code of its own.
pub(crate) async fn at_once(podbay: &Podbay) {
    let opened =
        stream::iter(0..SESSIONS).map(|number| podbay.session(format!("measure-actions-{number}")).open());
    let sessions: Vec<Session> = opened.buffered(4).map(Result::unwrap).collect().await;
    let of_one = sessions.iter().enumerate().map(async |(number, session)| {
        let (mut figures, mut wrong) = (Vec::new(), 0);
        for round in 0..ACTIONS / SESSIONS {
            let (text, code) = (format!("{number}-{round}"), round % 7);
            let command = format!("(echo {text}; exit {code})");
            let action = json!({"action": "run", "args": {"command": command}});
            let begun = Instant::now();
            let observation = Box::pin(session.run_action(&action)).await.unwrap();
            figures.push(begun.elapsed());
            let right = observation["content"]
                .as_str()
                .is_some_and(|content| content.trim_end() == text)
                && observation["extras"]["metadata"]["exit_code"] == json!(code);
            if !right {
                wrong += 1;
                println!("{command}: {observation}");
            }
        }
        (figures, wrong)
    });
    let (mut figures, mut wrong, mut count) = (Figures::default(), 0, 0);
    for (times, of_it) in futures::future::join_all(of_one).await {
        count += times.len();
        wrong += of_it;
        for time in times {
            figures.add(time);
        }
    }
    println!(
        "{}",
        figures.line(&format!("`run` actions, {SESSIONS} sessions at once"))
    );
    println!("  of {count}: {wrong} with a wrong output or code (0 allowed)");
    let mut alone = Figures::default();
    for _ in 0..200 {
        let begun = Instant::now();
        let action = json!({"action": "run", "args": {"command": "echo x"}});
        Box::pin(sessions[0].run_action(&action)).await.unwrap();
        alone.add(begun.elapsed());
    }
    println!("{}", alone.line("`run` of `echo`, one session"));
    for session in sessions {
        session.close().await.unwrap();
    }
}
