//! Two and three clients that open, close, delete, pause and resume one session at the same time, their calls interleaved in
//! any way.

use std::time::Duration;

use futures::future::join_all;
use podbay_fake_cluster::{Fault, On};
use podbay_runtime::{Config, Error, ErrorCode, OpenMode, Podbay};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::scenario::{Shape, open};
use crate::watched_cluster::{SESSION_ID, WatchedCluster};

/// One thing a client does.
#[derive(Clone, Copy, Debug)]
enum ClientAction {
    Open,
    Replace,
    Close,
    Delete,
    Pause,
    Resume,
    List,
}

/// A client: what it does, and how long each of its calls takes, in milliseconds.
type Client = (Vec<ClientAction>, Vec<u8>);

fn action() -> impl Strategy<Value = ClientAction> {
    prop_oneof![
        4 => Just(ClientAction::Open),
        1 => Just(ClientAction::Replace),
        2 => Just(ClientAction::Close),
        1 => Just(ClientAction::Delete),
        1 => Just(ClientAction::Pause),
        1 => Just(ClientAction::Resume),
        1 => Just(ClientAction::List),
    ]
}

fn client(actions: impl Strategy<Value = ClientAction>) -> impl Strategy<Value = Client> {
    (
        prop::collection::vec(actions, 1..4),
        prop::collection::vec(0..40_u8, 0..24),
    )
}

fn shape() -> impl Strategy<Value = Shape> {
    prop::sample::select(Shape::ALL.to_vec())
}

async fn act(podbay: &Podbay, action: ClientAction, shape: Shape) -> Result<(), Error> {
    match action {
        ClientAction::Open => open(podbay, shape).await,
        ClientAction::Replace => {
            let builder = podbay.session(SESSION_ID).request(shape.request());
            builder.mode(OpenMode::Replace).open().await.map(drop)
        }
        ClientAction::Close => podbay.close(SESSION_ID, false).await.map(drop),
        ClientAction::Delete => podbay.delete(SESSION_ID, false).await.map(drop),
        ClientAction::Pause => podbay.pause(SESSION_ID, false).await,
        ClientAction::Resume => podbay.resume(SESSION_ID).await.map(drop),
        ClientAction::List => podbay.list("").await.map(drop),
    }
}

/// What may come of getting into each other's way: the session was taken away under a client, or is not there. Never that
/// its objects belong to somebody else, or that something stays.
fn may_be(error: &Error) -> bool {
    match error {
        Error::NothingToKeep { .. } | Error::NotFound { .. } | Error::Unfinished { .. } => true,
        Error::Start { .. } | Error::Lost { .. } => matches!(
            error.code(),
            ErrorCode::Disconnected | ErrorCode::Unavailable | ErrorCode::Timeout
        ),
        // A patch of a record that was deleted meanwhile.
        Error::Call { .. } => matches!(error.code(), ErrorCode::NotFound | ErrorCode::Runtime),
        _ => false,
    }
}

/// Runs the clients side by side on one cluster.
fn together(
    clients: Vec<Client>,
    shape: Shape,
    judge: &impl AsyncFn(&WatchedCluster, Vec<Result<(), Error>>),
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let watched = WatchedCluster::new();
        let running = clients.into_iter().map(|(actions, delays)| {
            let (podbay, faulty) = watched.faulty(Config::default());
            for (call, delay) in delays.into_iter().enumerate() {
                let latency = Duration::from_millis(delay.into());
                faulty.inject(On::any().nth(call), Fault::Latency(latency));
            }
            async move {
                let mut results = Vec::new();
                for action in actions {
                    results.push(act(&podbay, action, shape).await);
                }
                results
            }
        });
        let results: Vec<_> = join_all(running).await.into_iter().flatten().collect();
        judge(&watched, results).await;
        watched.is_left_empty("in the end").await;
    });
}

/// A seed of our own, so that a run of the suite says the same each time; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` look
/// further.
fn config() -> ProptestConfig {
    let chosen = ProptestConfig::default();
    ProptestConfig {
        cases: if std::env::var_os("PROPTEST_CASES").is_some() {
            chosen.cases
        } else {
            192
        },
        rng_seed: match chosen.rng_seed {
            RngSeed::Random => RngSeed::Fixed(1),
            fixed @ RngSeed::Fixed(_) => fixed,
        },
        failure_persistence: None,
        ..chosen
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn clients_that_open_get_the_same_session(
        clients in prop::collection::vec(client(Just(ClientAction::Open)), 2..=3), shape in shape(),
    ) {
        together(clients, shape, &async |watched: &WatchedCluster, results: Vec<Result<(), Error>>| {
            for result in results {
                result.unwrap();
            }
            assert_eq!(watched.cluster.live_pods(), 1);
        });
    }

    #[test]
    fn whatever_clients_do_to_each_other_ends_well(
        clients in prop::collection::vec(client(action()), 2..=3), shape in shape(),
    ) {
        let pauses = clients.iter().any(|(actions, _)| actions.iter().any(|action| matches!(action, ClientAction::Pause)));
        together(clients, shape, &async |watched: &WatchedCluster, results: Vec<Result<(), Error>>| {
            for error in results.into_iter().filter_map(Result::err) {
                // A session that is paused while it starts stays, and its opener is told so.
                let was_paused = pauses && matches!(error, Error::Paused { .. });
                assert!(was_paused || may_be(&error), "{error:?}");
            }
            // Whatever was left, the session can be had.
            open(&watched.client(), shape).await.unwrap();
            assert_eq!(watched.cluster.live_pods(), 1);
        });
    }
}
