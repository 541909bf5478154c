//! How many sessions there may be at once.

use podbay_fake_cluster::ScriptedCluster;
use podbay_runtime::{Config, Error};

use crate::setup::client;
use crate::support::plain;

effects! { paused:
    "kubernetes.max_sessions" => max_sessions;
    "max_concurrent_conversations" => max_concurrent_conversations;
}

/// How many sessions can be opened before one is refused, of five.
async fn opened(change: impl FnOnce(&mut Config)) -> u32 {
    let podbay = client(&ScriptedCluster::new(), change);
    let mut opened = 0;
    for number in 0..5 {
        match podbay.session(format!("s{number}")).request(plain()).open().await {
            Ok(_) => opened += 1,
            Err(error) => assert!(matches!(error, Error::TooManySessions { .. }), "{error:?}"),
        }
    }
    opened
}

async fn max_sessions() {
    assert_eq!(opened(|_| {}).await, 5);
    for limit in [1, 3] {
        assert_eq!(
            opened(|config| config.kubernetes.max_sessions = Some(limit)).await,
            limit
        );
    }
}

/// It holds where `kubernetes.max_sessions` is not set.
async fn max_concurrent_conversations() {
    for limit in [1, 3] {
        let of_openhands = |config: &mut Config| config.max_concurrent_conversations = Some(limit);
        assert_eq!(opened(of_openhands).await, limit);
    }
    let both = |config: &mut Config| {
        config.max_concurrent_conversations = Some(1);
        config.kubernetes.max_sessions = Some(4);
    };
    assert_eq!(opened(both).await, 4);
}
