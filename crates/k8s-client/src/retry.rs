//! Which failed calls are repeated, and when.

use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// First pause before a call is repeated. Long enough for an API server to get over a full queue, short
/// enough not to be noticed.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Longest pause between two tries, unless the server asks for more.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Longest pause of [`persistent_pause`].
const LONGEST_PERSISTENT_PAUSE: Duration = Duration::from_secs(30);

/// Whether the same call a second time has the same effect as once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeatable {
    /// Reads, and deletions by UID.
    Always,
    /// Creations: a second one of the same name is refused, so that the caller could not tell its own object
    /// from somebody else's. Repeated only where the first try certainly did nothing.
    IfUnsent,
}

/// The pause after which a call that failed `attempts` times (at least once), the last time with `error`, is
/// tried again; none means that the error stands. `jitter` is a random number from 0 to 1, so that many
/// clients do not come back at once.
pub fn pause(error: &Error, repeatable: Repeatable, attempts: u32, jitter: f64) -> Option<Duration> {
    let retry = match error.kind {
        // Refused before anything was done, so any call may be repeated.
        ErrorKind::TooManyRequests { .. } | ErrorKind::Unreachable => true,
        ErrorKind::Server {
            status: 500 | 502 | 503 | 504,
        }
        | ErrorKind::Disconnected => repeatable == Repeatable::Always,
        _ => false,
    };
    if !retry {
        return None;
    }
    let pause = backoff(attempts, LONGEST_PAUSE, jitter);
    match error.kind {
        ErrorKind::TooManyRequests {
            retry_after: Some(after),
        } => Some(pause.max(after)),
        _ => Some(pause),
    }
}

/// The pause before a failure that may stand is met again, by one who goes on all the same: up to half a minute, so that
/// a server which refuses for days is not kept busy by it.
pub fn persistent_pause(attempts: u32, jitter: f64) -> Duration {
    backoff(attempts, LONGEST_PERSISTENT_PAUSE, jitter)
}

/// Doubles from the first pause on; between half of that and the whole of it.
fn backoff(attempts: u32, longest: Duration, jitter: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)));
    doubled.min(longest).mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(kind: ErrorKind, repeatable: Repeatable, attempts: u32) -> Option<Duration> {
        pause(&Error::new("x", kind), repeatable, attempts, 1.0)
    }

    #[test]
    fn a_creation_that_may_have_happened_is_not_repeated() {
        for kind in [ErrorKind::Disconnected, ErrorKind::Server { status: 504 }] {
            assert_eq!(after(kind, Repeatable::IfUnsent, 1), None);
            assert!(after(kind, Repeatable::Always, 1).is_some());
        }
        assert!(after(ErrorKind::Unreachable, Repeatable::IfUnsent, 1).is_some());
    }

    #[test]
    fn what_stands_is_not_repeated() {
        for kind in [
            ErrorKind::NotFound,
            ErrorKind::AlreadyExists,
            ErrorKind::Forbidden,
            ErrorKind::Invalid,
        ] {
            assert_eq!(after(kind, Repeatable::Always, 1), None);
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<_> = (1..=8)
            .filter_map(|n| after(ErrorKind::Unreachable, Repeatable::Always, n))
            .collect();
        assert_eq!(pauses[0], FIRST_PAUSE);
        assert_eq!(pauses[1], FIRST_PAUSE * 2);
        assert_eq!(pauses[7], LONGEST_PAUSE);
        assert_eq!(
            after(ErrorKind::Unreachable, Repeatable::Always, u32::MAX),
            Some(LONGEST_PAUSE)
        );
    }

    #[test]
    fn the_server_says_how_long_to_wait() {
        let kind = ErrorKind::TooManyRequests {
            retry_after: Some(Duration::from_secs(7)),
        };
        assert_eq!(after(kind, Repeatable::IfUnsent, 1), Some(Duration::from_secs(7)));
    }
}
