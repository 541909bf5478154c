//! The last failure of a session's start, as an annotation of its record.

use jiff::Timestamp;
use podbay_protocol::{Cause, PhaseTimes, StartFailure, Verdict};
use serde_json::{Value, json};

/// The annotation's text.
pub fn annotation(failure: &StartFailure) -> String {
    // `json!` refuses only maps whose keys are no text and failing `Serialize`s; a failure has neither.
    json!(failure).to_string()
}

/// Reads the annotation. A text that this version can't read, as one with a cause that only newer versions know, is a
/// failure all the same, told by what can be read of it.
pub(super) fn parse(text: &str) -> StartFailure {
    serde_json::from_str(text).unwrap_or_else(|_| {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let message = value.pointer("/verdict/message").and_then(Value::as_str);
        let verdict = Verdict::new(
            Cause::ContainerStart,
            message.unwrap_or("the record does not say why in words that this version knows"),
            "the version that wrote the record can tell more",
        );
        let attempt = value.get("attempt").and_then(Value::as_u64);
        let at = value
            .get("at")
            .and_then(Value::as_str)
            .and_then(|at| at.parse().ok());
        StartFailure::new(
            verdict,
            PhaseTimes::default(),
            attempt
                .and_then(|attempt| u32::try_from(attempt).ok())
                .unwrap_or(1),
            at.unwrap_or(Timestamp::UNIX_EPOCH),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> StartFailure {
        let verdict = Verdict::new(Cause::ImageNotFound, "manifest unknown", "mend the name");
        let times = PhaseTimes {
            creating: 0.25,
            total: 0.25,
            ..PhaseTimes::default()
        };
        StartFailure::new(verdict, times, 2, Timestamp::from_second(1_800_000_000).unwrap())
    }

    #[test]
    fn a_failure_comes_back_whole() {
        assert_eq!(parse(&annotation(&failure())), failure());
    }

    #[test]
    fn a_failure_of_a_newer_version_is_a_failure_in_its_own_words() {
        let text = annotation(&failure()).replace("image_not_found", "unheard_of");
        let read = parse(&text);
        assert_eq!(read.verdict.message, "manifest unknown");
        assert_eq!((read.attempt, read.at), (2, failure().at));
        assert_eq!(parse("no json").attempt, 1);
    }
}
