//! The last pod that a session lost, as an annotation of its record.

use podbay_protocol::PodLoss;
use serde_json::json;

/// The annotation's text.
pub fn annotation(loss: &PodLoss) -> String {
    // `json!` refuses only maps whose keys are no text and failing `Serialize`s; a loss has neither.
    json!(loss).to_string()
}

/// Reads the annotation. One that can't be read tells no more than none.
pub(super) fn parse(text: &str) -> Option<PodLoss> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use podbay_protocol::{Cause, Hint, Verdict};

    use super::*;

    #[test]
    fn a_loss_comes_back_whole_and_one_of_a_newer_version_is_passed_over() {
        let verdict = Verdict::new(Cause::Evicted, "low on memory", Hint::TryElsewhere);
        let loss = PodLoss::new(verdict, 2, Timestamp::UNIX_EPOCH);
        let text = annotation(&loss);
        assert_eq!(parse(&text), Some(loss));
        assert_eq!(parse(&text.replace("evicted", "unheard_of")), None);
    }
}
