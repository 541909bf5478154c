//! What the sandbox uses, and what keeps it from being taken for idle.

use http::Method;
use podbay_protocol::agent::figures::{Figures, IdleSignal};
use podbay_protocol::agent::{AgentErrorCode, ServerInfo, path};

use crate::client::{Agent, BOTH, PATIENCE};

/// The fields that OpenHands' own server of actions has, for those who have no key, too.
#[tokio::test]
async fn what_openhands_reads_is_told_to_everybody() {
    let agent = Agent::start().await;
    let looked = async {
        loop {
            let reply = agent
                .send(BOTH[0], Method::GET, path::SERVER_INFO, &[], "")
                .await
                .ok();
            let told: serde_json::Value = reply.json();
            if told.get("resources").is_some() {
                return told;
            }
        }
    };
    let told = tokio::time::timeout(PATIENCE, looked).await.unwrap();
    for field in [
        "/uptime",
        "/idle_time",
        "/resources/cpu_percent",
        "/resources/memory/rss",
        "/resources/memory/vms",
        "/resources/memory/percent",
        "/resources/disk/total",
        "/resources/disk/used",
        "/resources/disk/free",
        "/resources/disk/percent",
        "/resources/io/read_bytes",
        "/resources/io/write_bytes",
    ] {
        assert!(
            told.pointer(field).is_some_and(serde_json::Value::is_number),
            "{field}: {told}"
        );
    }
    assert!(told["resources"]["disk"]["total"].as_u64() > Some(0));
}

#[tokio::test]
async fn what_is_used_is_told_and_to_ask_is_no_use() {
    let agent = Agent::start().await;
    for protocol in BOTH {
        let look = || agent.ask(protocol, Method::GET, path::FIGURES, "");
        let figures: Figures = look().await.ok().json();
        assert!(figures.memory.is_some_and(|memory| memory.working_set > 0));
        assert!(figures.disk.is_some_and(|disk| disk.total > 0));
        let seen = |figures: &Figures, wanted| {
            let mut signals = figures.idle.signals.iter();
            signals.find(|age| age.signal == wanted).map(|age| age.seconds)
        };
        let before = seen(&figures, IdleSignal::Requests).unwrap();
        let figures: Figures = look().await.ok().json();
        assert!(seen(&figures, IdleSignal::Requests).unwrap() > before);
        // Another request is one.
        let _ = agent.get(path::PROCESSES).await.ok();
        let after: Figures = look().await.ok().json();
        let [before, after] = [&figures, &after].map(|figures| seen(figures, IdleSignal::Requests).unwrap());
        assert!(after < before + 1.0);
    }
}

#[tokio::test]
async fn a_hold_keeps_it_and_is_not_for_ever() {
    let agent = Agent::start().await;
    let hold = async |body: &str| agent.put(path::HOLD, body.to_owned()).await;
    let _ = hold(r#"{"seconds": 3600}"#).await.ok();
    let info: ServerInfo = agent.get(path::SERVER_INFO).await.ok().json();
    assert!(info.idle_time <= 0.0, "{}", info.idle_time);
    let figures: Figures = agent.get(path::FIGURES).await.ok().json();
    let held = figures
        .idle
        .signals
        .iter()
        .find(|age| age.signal == IdleSignal::Hold);
    assert!(held.is_some_and(|age| age.seconds <= 0.0), "{figures:?}");
    for wrong in ["-1", "86401", "1e300", "\"1\"", "null"] {
        let reply = hold(&format!("{{\"seconds\": {wrong}}}")).await;
        reply.fails(400, AgentErrorCode::InvalidRequest);
    }
    let _ = hold(r#"{"seconds": 0}"#).await.ok();
}
