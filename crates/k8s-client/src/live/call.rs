//! One unary call: rate limit, deadline, repetition.

use std::future::Future;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota};
use tokio::time::Instant;

use super::failure::{from_kube, is_refused};
use crate::error::{Error, ErrorKind};
use crate::retry::{self, Repeatable};

/// How calls are paced and bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    /// How long one call may take, its repetitions included.
    pub deadline: Duration,
    /// Calls a second in the long run. Exec and log streams are exempt from the API server's own Priority and
    /// Fairness, so this is the only brake on them.
    pub per_second: NonZeroU32,
    /// Calls at once after a pause.
    pub burst: NonZeroU32,
    /// `timeoutSeconds` of a watch request: the server ends each watch after so long, and one that is silent for
    /// a sixth longer is dead. This, and not the server's default of half an hour, bounds how long a connection
    /// that died without a word goes unnoticed.
    pub watch: Duration,
}

impl Default for CallLimits {
    /// 30 s, client-go's order of magnitude for a reachable server; 50 and 100, kubectl's own limits; watches of
    /// 30 s, so that one request a minute or two is the price of never being blind for longer than 35 s.
    fn default() -> Self {
        const fn number(n: u32) -> NonZeroU32 {
            match NonZeroU32::new(n) {
                Some(n) => n,
                None => NonZeroU32::MIN,
            }
        }
        Self {
            deadline: Duration::from_secs(30),
            per_second: number(50),
            burst: number(100),
            watch: Duration::from_secs(30),
        }
    }
}

/// Makes calls within [`CallLimits`].
#[derive(Debug)]
pub(super) struct Caller {
    limits: CallLimits,
    limiter: DefaultDirectRateLimiter,
    /// Whether the server has ever answered.
    heard: AtomicBool,
}

impl Caller {
    pub(super) fn new(limits: CallLimits) -> Self {
        let quota = Quota::per_second(limits.per_second).allow_burst(limits.burst);
        Self {
            limits,
            limiter: DefaultDirectRateLimiter::direct(quota),
            heard: AtomicBool::new(false),
        }
    }

    /// Waits until the rate limit lets one more call pass.
    pub(super) async fn admit(&self) {
        self.limiter.until_ready().await;
    }

    pub(super) const fn watch(&self) -> Duration {
        self.limits.watch
    }

    pub(super) const fn deadline(&self) -> Duration {
        self.limits.deadline
    }

    /// Makes the call that `request` makes, again where [`retry::pause`] says so, and gives up at the deadline.
    pub(super) async fn call<T, F>(
        &self,
        operation: &str,
        repeatable: Repeatable,
        mut request: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, kube::Error>>,
    {
        let request = || {
            let answer = request();
            async { answer.await.map_err(|error| from_kube(operation, error)) }
        };
        self.call_with(operation, repeatable, request).await
    }

    /// The same for a request whose errors are ours already.
    pub(super) async fn call_with<T, F>(
        &self,
        operation: &str,
        repeatable: Repeatable,
        mut request: impl FnMut() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        tracing::debug!(operation, "calling the cluster");
        let deadline = Instant::now() + self.limits.deadline;
        let mut attempts = 0;
        loop {
            let attempt = async {
                self.admit().await;
                request().await
            };
            let error = match tokio::time::timeout_at(deadline, attempt).await {
                Ok(Ok(answer)) => {
                    self.heard.store(true, Ordering::Relaxed);
                    return Ok(answer);
                }
                Ok(Err(error)) => error,
                Err(_) => return Err(Error::new(operation, ErrorKind::Deadline(self.limits.deadline))),
            };
            if !matches!(
                error.kind,
                ErrorKind::Unreachable | ErrorKind::Configuration | ErrorKind::Deadline(_)
            ) {
                self.heard.store(true, Ordering::Relaxed);
            }
            // A server that was there will come back. Where there never was one, the address is wrong, or it is down: as
            // with kubectl, that is told at once.
            if error.kind == ErrorKind::Unreachable
                && is_refused(&error)
                && !self.heard.load(Ordering::Relaxed)
            {
                return Err(error);
            }
            attempts += 1;
            let Some(pause) = retry::pause(&error, repeatable, attempts, rand::random()) else {
                return Err(error);
            };
            if Instant::now() + pause >= deadline {
                return Err(error);
            }
            tracing::debug!(operation, attempts, ?pause, error = %error, "repeating");
            tokio::time::sleep(pause).await;
        }
    }
}
