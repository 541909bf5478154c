//! What everybody may ask, and that they may ask nothing else.

use http::Method;
use podbay_protocol::agent::proof::{Nonce, ProofAnswer};
use podbay_protocol::agent::{AgentErrorCode, KEY_HEADER, ServerInfo, path};

use crate::client::{Agent, BOTH, KEY, POD, Protocol};

#[tokio::test]
async fn the_server_tells_everybody_that_it_is_there_and_which_it_is() {
    let agent = Agent::start().await;
    for protocol in BOTH {
        let alive = agent.send(protocol, Method::GET, path::ALIVE, &[], "").await.ok();
        assert_eq!(alive.json::<serde_json::Value>()["status"], "ok");
        let info: ServerInfo = agent
            .send(protocol, Method::GET, path::SERVER_INFO, &[], "")
            .await
            .ok()
            .json();
        assert_eq!((info.name.as_str(), info.api.newest), ("podbay-agent", 1));
        let head = agent
            .send(protocol, Method::HEAD, path::ALIVE, &[], "")
            .await
            .ok();
        assert!(head.body.is_empty());
        let nonce = Nonce::new(vec![7; 32]).unwrap();
        let body = format!("{{\"nonce\":\"{}\"}}", String::from(nonce.clone()));
        let answer: ProofAnswer = agent
            .send(protocol, Method::POST, path::PROOF, &[], body)
            .await
            .ok()
            .json();
        let key = podbay_agent::key::SessionKey::new(&KEY.into()).unwrap();
        assert_eq!(answer.proof, key.prove(&nonce, POD));
    }
}

#[tokio::test]
async fn without_the_key_nothing_else_is_answered() {
    let agent = Agent::start().await;
    let wrong: [&[(&str, &str)]; 4] = [
        &[],
        &[(KEY_HEADER, "another")],
        &[(KEY_HEADER, "")],
        // Which one counts is a question that proxies answer differently.
        &[(KEY_HEADER, KEY), (KEY_HEADER, "another")],
    ];
    for protocol in BOTH {
        for headers in wrong {
            for (method, path) in [
                (Method::GET, path::PROCESSES),
                (Method::PUT, "/podbay/v1/processes/a"),
                (Method::GET, "/podbay/v1/files?path=/etc/passwd"),
                (Method::PUT, "/podbay/v1/files?path=/tmp/never"),
                (Method::GET, "/podbay/v1/trees?path=/etc"),
                (Method::POST, path::REMOVE),
            ] {
                let reply = agent.send(protocol, method, path, headers, "").await;
                reply.fails(401, AgentErrorCode::Unauthorized);
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_told() {
    let agent = Agent::start().await;
    for protocol in BOTH {
        let ask = |method, path| agent.ask(protocol, method, path, "");
        ask(Method::GET, "/")
            .await
            .fails(404, AgentErrorCode::UnknownPath);
        ask(Method::GET, "/podbay/v1/files/../files")
            .await
            .fails(404, AgentErrorCode::UnknownPath);
        let reply = ask(Method::DELETE, path::ALIVE).await;
        reply.fails(405, AgentErrorCode::MethodNotAllowed);
        assert_eq!(reply.headers["allow"], "GET, HEAD");
        ask(Method::GET, "/podbay/v1/processes/a%2Fb")
            .await
            .fails(400, AgentErrorCode::InvalidRequest);
        ask(Method::GET, "/alive?x=1")
            .await
            .fails(400, AgentErrorCode::InvalidRequest);
        let proof = agent
            .send(protocol, Method::POST, path::PROOF, &[], "{\"nonce\":\"00\"}")
            .await;
        proof.fails(400, AgentErrorCode::InvalidRequest);
        let large = vec![b' '; 2000];
        let proof = agent.send(protocol, Method::POST, path::PROOF, &[], large).await;
        proof.fails(413, AgentErrorCode::BodyTooLarge);
    }
}

#[tokio::test]
async fn an_ending_server_answers_what_was_asked_before() {
    let agent = Agent::start().await;
    // One that does nothing, and one that was asked on.
    let _silent = agent.tcp().await;
    agent
        .ask(Protocol::Http2, Method::GET, path::PROCESSES, "")
        .await
        .ok();
    agent.ends().await;
}
