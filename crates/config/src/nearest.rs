//! "Did you mean": the known name that is closest to an unknown one.

/// How alike two names must be to be worth a suggestion, from 0 (nothing in common) to 1 (equal). Under these,
/// suggestions are names that merely share letters.
///
/// Jaro-Winkler sees swapped and missing letters.
const ALIKE_IN_LETTERS: f64 = 0.75;
/// Sørensen-Dice sees words left out of a long name: `base_image` for `base_container_image`.
const ALIKE_IN_PAIRS: f64 = 0.5;

/// The known name closest to `name`, when one is close at all.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .filter_map(|candidate| {
            let lower = candidate.to_lowercase();
            let letters = strsim::jaro_winkler(&name, &lower);
            let pairs = strsim::sorensen_dice(&name, &lower);
            (letters >= ALIKE_IN_LETTERS || pairs >= ALIKE_IN_PAIRS).then_some((letters + pairs, candidate))
        })
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, candidate)| candidate.to_owned())
}

/// The end of a message about an unknown name.
pub(crate) fn suggestion(nearest: Option<&str>) -> String {
    nearest
        .map(|name| format!("; did you mean {name}?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_names_are_suggested_and_others_are_not() {
        let known = ["namespace", "node_selector_key", "node_selector_val"];
        assert_eq!(nearest("namepsace", known).as_deref(), Some("namespace"));
        assert_eq!(
            nearest("nodeSelectorVal", known).as_deref(),
            Some("node_selector_val")
        );
        assert_eq!(
            nearest("selector_val", known).as_deref(),
            Some("node_selector_val")
        );
        assert_eq!(nearest("vlaue", ["value"]).as_deref(), Some("value"));
        assert_eq!(nearest("xyz", known), None);
        assert_eq!(nearest("", known), None);
    }
}
