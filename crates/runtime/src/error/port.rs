//! Why a port of a sandbox was not reached.

use podbay_protocol::{DialWay, ErrorCode};

use super::chain;

/// None of the ways leads to a port of a sandbox.
#[derive(Debug, thiserror::Error)]
#[error("{}", in_words(tried))]
pub struct NoWayToPort {
    /// What was tried, and what was wrong with it.
    pub tried: Vec<FailedWay>,
}

/// A way that does not lead to a port.
#[derive(Debug)]
pub struct FailedWay {
    /// The way.
    pub way: DialWay,
    /// The stable code of what was wrong.
    pub code: ErrorCode,
    /// What was wrong.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl NoWayToPort {
    /// The stable code: what may pass for one way may pass for all.
    pub fn code(&self) -> ErrorCode {
        let mut codes = self.tried.iter().map(|failed| failed.code);
        let passes = |code: &ErrorCode| {
            matches!(
                code,
                ErrorCode::Disconnected | ErrorCode::Timeout | ErrorCode::Unavailable
            )
        };
        let last = self.tried.last().map(|failed| failed.code);
        codes.find(passes).or(last).unwrap_or(ErrorCode::Unavailable)
    }
}

fn in_words(tried: &[FailedWay]) -> String {
    match tried {
        [only] => chain(&*only.source),
        several => {
            let words = several.iter().map(|failed| {
                let FailedWay { way, source, .. } = failed;
                format!("{way}: {}", chain(&**source))
            });
            words.collect::<Vec<_>>().join("; ")
        }
    }
}
