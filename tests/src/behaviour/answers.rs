//! What a real API server answered to the cases, recorded.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Observed;

/// The recorded answers, by the cases' names.
pub type Answers = BTreeMap<String, Observed>;

/// Reads the record.
#[expect(clippy::expect_used, reason = "tests fail by panicking")]
pub fn read() -> Answers {
    let text = std::fs::read_to_string(path()).expect("the recorded answers");
    serde_json::from_str(&text).expect("recorded answers")
}

/// Writes the record.
#[expect(clippy::expect_used, reason = "tests fail by panicking")]
pub fn write(answers: &Answers) {
    let mut text = serde_json::to_string_pretty(answers).expect("JSON");
    text.push('\n');
    std::fs::write(path(), text).expect("the record can be written");
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/behaviour/answers.json")
}
