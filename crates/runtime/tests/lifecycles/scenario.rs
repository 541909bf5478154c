//! What clients do with a session: each lifecycle with what goes before it.

use jiff::{SignedDuration, Timestamp};
use podbay_config::{NetworkMode, WorkloadKind};
use podbay_k8s_client::{ClusterClient as _, Kind};
use podbay_manifests::SessionRequest;
use podbay_protocol::Cause;
use podbay_runtime::{Config, Error, OpenMode, Podbay};

use crate::support::{NAMESPACE, plain};
use crate::watched_cluster::{SESSION_ID, WatchedCluster};

/// What a session of a lifecycle is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Record, Secret, pod.
    Plain,
    /// A claim, Services, an Ingress and a policy of its own besides.
    Full,
    /// Run by a Job, with a claim.
    Job,
}

impl Shape {
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Full, Self::Job];

    pub(crate) fn request(self) -> SessionRequest {
        match self {
            Self::Plain => plain(),
            Self::Full => SessionRequest {
                persistent: Some(true),
                ports: vec![3000],
                network: Some(NetworkMode::None),
                ..plain()
            },
            Self::Job => SessionRequest {
                persistent: Some(true),
                workload: Some(WorkloadKind::Job),
                ..plain()
            },
        }
    }

    pub(crate) fn is_persistent(self) -> bool {
        self != Self::Plain
    }
}

/// A lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    Open,
    Attach,
    Replace,
    ReplaceEnded,
    Run,
    Close,
    CloseAndWait,
    CloseAll,
    Delete,
    Pause,
    PauseAndWait,
    Resume,
    OpenBeyondLimit,
    FailAndKeep,
    StartAgain,
    FailAgain,
    ReplaceFailed,
    RemoveExpired,
}

impl Lifecycle {
    pub(crate) const ALL: [Self; 18] = [
        Self::Open,
        Self::Attach,
        Self::Replace,
        Self::ReplaceEnded,
        Self::Run,
        Self::Close,
        Self::CloseAndWait,
        Self::CloseAll,
        Self::Delete,
        Self::Pause,
        Self::PauseAndWait,
        Self::Resume,
        Self::OpenBeyondLimit,
        Self::FailAndKeep,
        Self::StartAgain,
        Self::FailAgain,
        Self::ReplaceFailed,
        Self::RemoveExpired,
    ];

    /// Whether a session of this shape can go through it.
    pub(crate) fn fits(self, shape: Shape) -> bool {
        match self {
            Self::Pause | Self::PauseAndWait | Self::Resume => shape.is_persistent(),
            _ => true,
        }
    }

    /// Whether the session is there afterwards, whatever moment its client died at: it was there before, and the lifecycle
    /// does not end it.
    pub(crate) fn keeps_the_session(self) -> bool {
        matches!(
            self,
            Self::Attach
                | Self::ReplaceEnded
                | Self::Pause
                | Self::PauseAndWait
                | Self::Resume
                | Self::StartAgain
                | Self::FailAgain
        )
    }

    /// Whether its pods can't start: where its client dies early, one that waits for nothing is left.
    pub(crate) fn fails(self) -> bool {
        matches!(self, Self::FailAndKeep | Self::FailAgain)
    }

    pub(crate) fn config(self) -> Config {
        let mut config = Config::default();
        if self == Self::OpenBeyondLimit {
            config.kubernetes.max_sessions = Some(1);
        }
        config
    }

    /// What was there before, made by a client without faults.
    pub(crate) async fn prepare(self, watched: &WatchedCluster, shape: Shape) {
        let podbay = watched.client();
        match self {
            Self::Open | Self::Run => {}
            Self::Attach
            | Self::Replace
            | Self::Close
            | Self::CloseAndWait
            | Self::CloseAll
            | Self::Delete
            | Self::Pause
            | Self::PauseAndWait => open(&podbay, shape).await.unwrap(),
            Self::ReplaceEnded => {
                open(&podbay, shape).await.unwrap();
                let pods = watched
                    .cluster
                    .scripted
                    .list(Kind::Pod, NAMESPACE, "")
                    .await
                    .unwrap();
                let name = pods[0].metadata().name.clone().unwrap();
                watched.cluster.scripted.exit(NAMESPACE, &name, 1).unwrap();
            }
            Self::Resume => {
                open(&podbay, shape).await.unwrap();
                podbay.pause(SESSION_ID, true).await.unwrap();
            }
            Self::OpenBeyondLimit => {
                podbay.session("other").request(plain()).open().await.unwrap();
            }
            Self::FailAndKeep => watched.starts_fail(true),
            Self::StartAgain | Self::ReplaceFailed | Self::RemoveExpired => {
                fail(watched, shape).await;
                watched.starts_fail(false);
            }
            Self::FailAgain => fail(watched, shape).await,
        }
    }

    /// The lifecycle itself.
    pub(crate) async fn go(self, podbay: &Podbay, shape: Shape) -> Result<(), Error> {
        match self {
            Self::Open | Self::Attach | Self::ReplaceEnded | Self::StartAgain => open(podbay, shape).await,
            Self::FailAndKeep | Self::FailAgain => {
                let builder = podbay.session(SESSION_ID).request(shape.request());
                match builder.keep_failed(true).open().await {
                    Err(Error::Start { verdict, .. }) if verdict.cause == Cause::ImageNotFound => Ok(()),
                    other => other.map(drop),
                }
            }
            Self::RemoveExpired => {
                let later = Timestamp::now() + SignedDuration::from_hours(48);
                for removed in podbay.remove_expired(later).await? {
                    removed?;
                }
                Ok(())
            }
            Self::Replace | Self::ReplaceFailed => {
                let builder = podbay.session(SESSION_ID).request(shape.request());
                builder.mode(OpenMode::Replace).open().await.map(drop)
            }
            Self::Run => {
                let builder = podbay.session(SESSION_ID).request(shape.request());
                let session = builder.open().await?;
                session.exec(["true"]).await?;
                session.finish(true).await.map(drop)
            }
            Self::Close => podbay.close(SESSION_ID, false).await.map(drop),
            Self::CloseAndWait => podbay.close(SESSION_ID, true).await.map(drop),
            Self::CloseAll => {
                for closed in podbay.close_all("", true).await? {
                    closed?;
                }
                Ok(())
            }
            Self::Delete => podbay.delete(SESSION_ID, true).await.map(drop),
            Self::Pause => podbay.pause(SESSION_ID, false).await,
            Self::PauseAndWait => podbay.pause(SESSION_ID, true).await,
            Self::Resume => podbay.resume(SESSION_ID).await.map(drop),
            Self::OpenBeyondLimit => match open(podbay, shape).await {
                Err(Error::TooManySessions { .. }) => Ok(()),
                other => other,
            },
        }
    }
}

pub(crate) async fn open(podbay: &Podbay, shape: Shape) -> Result<(), Error> {
    let builder = podbay.session(SESSION_ID).request(shape.request());
    builder.open().await.map(drop)
}

/// Makes a failed session; whatever starts after that fails too.
pub(crate) async fn fail(watched: &WatchedCluster, shape: Shape) {
    watched.starts_fail(true);
    let builder = watched.client().session(SESSION_ID).request(shape.request());
    let failed = builder.keep_failed(true).open().await;
    assert!(matches!(failed, Err(Error::Start { .. })), "{failed:?}");
}
