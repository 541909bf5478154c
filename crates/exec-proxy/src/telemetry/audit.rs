//! Who did what: a line for each change of a session's life, of its own target, so that it can be kept apart.
//!
//! Each has the fields `action`, `owner`, `key`, `session`, `result`, and where there are any `runtime_id` and `reason`. The moment and the
//! request's id come with the line. No key stands in it, only the name that the settings give one.

use podbay_manifests::{Record, SessionOwner};

use crate::keys::{Caller, Owners};

/// The target of these lines.
pub const TARGET: &str = "podbay::audit";

/// Bytes of an id or a reason, at most.
const MOST: usize = 512;

/// The key of those who have none of the service's: a session's own key.
const SESSION_KEY: &str = "the session's own";
/// The owner of what belongs to none.
const NOBODY: &str = "nobody";
/// Who does what nobody asked for.
const SERVICE: &str = "the service";

/// What is done to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Start,
    Stop,
    Pause,
    Resume,
    /// A request with the session's key brings it back.
    Wake,
    /// A start is over.
    Started,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Wake => "wake",
            Self::Started => "started",
        }
    }
}

/// A caller did, or was refused, something about a session that is named by an id of either kind.
pub(crate) fn by_caller(
    action: Action,
    caller: &Caller,
    session: &str,
    runtime_id: Option<&str>,
    refused: Option<(u16, &str)>,
) {
    let (owner, key) = (&*caller.owner_name, &*caller.key);
    write(action, owner, key, session, runtime_id, refused);
}

/// Something happened to a session by who knows its key.
pub(crate) fn by_session_key(action: Action, record: &Record, owners: &Owners, refused: Option<&str>) {
    let label = record.spec.owner();
    let name = label.and_then(|owner| owners.name(owner));
    let owner = name.or(label.map(SessionOwner::as_str)).unwrap_or(NOBODY);
    let runtime_id = record
        .runtime_id
        .as_ref()
        .map(podbay_manifests::RuntimeId::as_str);
    let refused = refused.map(|reason| (0, reason));
    write(
        action,
        owner,
        SESSION_KEY,
        record.id().as_str(),
        runtime_id,
        refused,
    );
}

/// Something happened to a session of this owner that was begun before. An owner who has no key any more is known by its label alone.
pub(crate) fn by_service(action: Action, owner: Option<&str>, session: &str, failed: Option<&str>) {
    write(
        action,
        owner.unwrap_or(NOBODY),
        SERVICE,
        session,
        None,
        failed.map(|reason| (0, reason)),
    );
}

/// As much of a client's text as a line of a log has room for.
fn shortened(text: &str) -> &str {
    let mut end = text.len().min(MOST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn write(
    action: Action,
    owner: &str,
    key: &str,
    session: &str,
    runtime_id: Option<&str>,
    refused: Option<(u16, &str)>,
) {
    let (action, session) = (action.as_str(), shortened(session));
    match refused {
        None => tracing::info!(
            target: TARGET,
            action, owner, key, session, runtime_id, result = "done"
        ),
        Some((status, reason)) => {
            let (status, reason) = ((status > 0).then_some(status), shortened(reason));
            tracing::info!(
                target: TARGET,
                action, owner, key, session, runtime_id, result = "refused", status, reason
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_is_shortened_between_characters() {
        assert_eq!(shortened("short"), "short");
        let long = format!("x{}", "ä".repeat(MOST));
        assert_eq!(shortened(&long).len(), MOST - 1);
    }
}
