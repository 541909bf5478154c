//! Names of sessions' objects: every line of the input is an id, and so are its near misses.

#![no_main]

use std::collections::{HashMap, HashSet};

use libfuzzer_sys::fuzz_target;
use podbay_fuzz::label::{LONGEST_STEM, LONGEST_SUFFIX, PREFIX, hash, is_hashed_form, is_label};
use podbay_manifests::{DnsLabel, SessionId, SessionNames};

/// Lines that are looked at.
const MOST_IDS: usize = 4;
/// Longest id, in bytes.
const LONGEST_ID: usize = 1024;

/// The session's label, if `text` is an id.
fn check(text: &str) -> Option<String> {
    let valid = !text.is_empty() && text.len() <= LONGEST_ID && !text.chars().any(char::is_control);
    let id = text.parse::<SessionId>();
    assert_eq!(id.is_ok(), valid, "{text:?}");
    let id = id.ok()?;
    assert_eq!(id.as_str(), text);

    let names = SessionNames::of(None, &id);
    assert_eq!(names, SessionNames::of(None, &id), "{text:?}");
    let stem = names.label();
    let object = names.object();
    assert_eq!(object, format!("{PREFIX}{stem}"));
    let longest = format!("{object}{LONGEST_SUFFIX}");
    for name in [stem, &object, &names.secret(), &names.claim(), &longest] {
        assert!(is_label(name), "{text:?} gives {name:?}, which is no label");
        assert!(name.parse::<DnsLabel>().is_ok(), "{name:?}");
    }
    let all: HashSet<_> = [object, names.secret(), names.claim()].into();
    assert_eq!(all.len(), 3, "{text:?}");

    // A stem is the id, or ends with the id's own hash; and none is both. So two ids have one stem only if their
    // hashes are the same.
    if is_label(text) && text.len() <= LONGEST_STEM && !is_hashed_form(text) {
        assert_eq!(stem, text);
    } else {
        assert!(is_hashed_form(stem), "{text:?} gives {stem:?}");
        assert!(
            stem.ends_with(&format!("-x{}", hash(text))),
            "{text:?} gives {stem:?}"
        );
    }
    Some(stem.to_owned())
}

/// Ids that a careless mapping takes for the same.
fn near(id: &str) -> Vec<String> {
    let mut near = vec![
        id.to_lowercase(),
        id.to_uppercase(),
        id.replace(['.', '_', '/', ' '], "-"),
        id.trim().to_owned(),
        id.trim_matches('-').to_owned(),
        format!("{id}-"),
        format!("-{id}"),
        format!("{id} "),
        format!("id-x{}", hash(id)),
        id.chars().take(LONGEST_STEM).collect(),
        id.chars().take(LONGEST_STEM + 1).collect(),
    ];
    near.extend(check(id));
    near
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut ids: HashSet<String> = text.split('\n').take(MOST_IDS).map(str::to_owned).collect();
    // Twice, so that the names of names are among them.
    for _ in 0..2 {
        let more: Vec<String> = ids.iter().flat_map(|id| near(id)).collect();
        ids.extend(more);
    }
    let mut stems = HashMap::new();
    for id in &ids {
        if let Some(stem) = check(id)
            && let Some(other) = stems.insert(stem.clone(), id)
        {
            panic!("{id:?} and {other:?} are both {stem:?}");
        }
    }
});
