//! A pod that was lost, written down before another takes its place: whoever asks later is told, of whichever process.

use futures::future::BoxFuture;
use jiff::Timestamp;
use podbay_manifests::Record;
use podbay_protocol::{PodLoss, SessionState, Verdict};

use super::marks::mark_lost;
use super::open::OpenOperation;
use super::plan::{PlaceState, Step};
use crate::index::SessionView;
use crate::readiness::end_of_pod;
use crate::state::{pod_is_gone, session_state};

impl OpenOperation {
    /// Writes down that the session's pod was lost, where this start is to replace it. Returns the record as it is then.
    ///
    /// Where that fails, the start goes on: a session that runs is worth more than the story of the one before.
    pub(super) fn note_loss<'a>(
        &'a self,
        record: Box<Record>,
        (place, step): (&'a PlaceState, &'a Step),
        view: &'a SessionView,
    ) -> BoxFuture<'a, Box<Record>> {
        Box::pin(async move {
            let Some(verdict) = lost(&record, place, step, view, Timestamp::now()) else {
                return record;
            };
            let count = record.last_loss.as_ref().map_or(0, |loss| loss.count);
            let loss = PodLoss::new(verdict, count.saturating_add(1), Timestamp::now());
            match mark_lost(self.session(), &record, &loss).await {
                Ok(Some(marked)) => Box::new(marked),
                Ok(None) => record,
                Err(error) => {
                    tracing::warn!(
                        session = self.spec.id().as_str(),
                        error = error.chain(),
                        "that the session's pod was lost could not be written down"
                    );
                    record
                }
            }
        })
    }
}

/// Why the pod was lost that a start is to replace. `None` where it replaces none that was wanted: of a new session, or one that was
/// paused or had failed.
fn lost(
    record: &Record,
    place: &PlaceState,
    step: &Step,
    view: &SessionView,
    now: Timestamp,
) -> Option<Verdict> {
    let (PlaceState::Held, Step::Complete { ended }) = (place, step) else {
        return None;
    };
    match session_state(Ok(record), view.pods(), None, now) {
        SessionState::Lost(verdict) => Some(view.gone().and_then(end_of_pod).unwrap_or(verdict)),
        // The watch is behind.
        _ if ended.is_some() => Some(pod_is_gone()),
        _ => None,
    }
}
