//! Variables that have a prefix of ours and are none of ours: what was meant by them would be left undone in silence.

use crate::environment::Environment;
use crate::nearest::nearest;
use crate::sandbox_environment;
use crate::search::FILE_VARIABLE;
use crate::service_link::is_service_link;
use crate::setting::settings;
use crate::warning::Warning;

/// Prefixes that are ours alone.
const OWN_PREFIXES: [&str; 2] = ["PODBAY_", "OH_K8S_"];
/// Variables that are no settings: which file is read, what is logged, and the marks by which the processes of a
/// session are found, which a `podbay` that runs inside of a session has as well.
const OTHERS: [&str; 4] = [
    FILE_VARIABLE,
    "PODBAY_LOG",
    "PODBAY_EXEC_ID",
    "PODBAY_EMBEDDED_PROCESS",
];
/// What Podbay's own test suites and their cluster go by.
const OF_TESTS: [&str; 2] = ["PODBAY_TEST_", "PODBAY_CLUSTER_"];
/// How many letters a misspelling differs in.
const MISSPELLED_LETTERS: usize = 2;

/// A warning for each, in the order of their names. One without a value counts as not set.
pub(crate) fn warnings(environment: &dyn Environment) -> Vec<Warning> {
    let mut names = environment.names();
    names.sort_unstable();
    names
        .into_iter()
        .filter(|name| is_unknown(name, environment))
        .map(|name| Warning::UnknownVariable {
            nearest: meant_by(&name),
            name,
        })
        .collect()
}

fn is_unknown(name: &str, environment: &dyn Environment) -> bool {
    let begins_with = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    begins_with(&OWN_PREFIXES)
        && !begins_with(&OF_TESTS)
        && !OTHERS.contains(&name)
        && !of_settings().any(|known| known == name)
        && environment
            .get(name)
            .is_some_and(|value| !value.is_empty() && !is_service_link(name, &value))
}

fn of_settings() -> impl Iterator<Item = &'static str> {
    settings()
        .iter()
        .flat_map(|setting| setting.environment.iter().map(String::as_str))
}

/// The variable that was most likely meant.
fn meant_by(name: &str) -> Option<String> {
    let prefix = OWN_PREFIXES.into_iter().find(|prefix| name.starts_with(prefix))?;
    let rest = &name[prefix.len()..];
    if let Some(sandbox) = name.find(sandbox_environment::PREFIX).map(|start| &name[start..]) {
        return Some(sandbox.to_owned());
    }
    let of_prefix = || of_settings().filter(|known| known.starts_with(prefix));
    // The section is what is left out most easily: PODBAY_NAMESPACE.
    let without_section = settings()
        .iter()
        .filter(|setting| setting.name.eq_ignore_ascii_case(rest))
        .find_map(|setting| setting.environment.iter().find(|known| known.starts_with(prefix)));
    if let Some(known) = without_section {
        return Some(known.clone());
    }
    let misspelt = of_prefix()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .filter(|(distance, _)| *distance <= MISSPELLED_LETTERS)
        .min();
    if let Some((_, known)) = misspelt {
        return Some(known.to_owned());
    }
    // The prefix is in all of them, and would make any two alike.
    let nearest = nearest(rest, of_prefix().map(|known| &known[prefix.len()..]))?;
    Some(format!("{prefix}{nearest}"))
}
