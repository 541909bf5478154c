//! Takes typed values out of the merged sources and notes everything that is wrong.

use std::collections::{BTreeMap, BTreeSet};

use crate::decode::SettingType;
use crate::error::Fault;
use crate::layers::Merged;
use crate::origin::{Origin, Place};
use crate::rule::Rule;
use crate::setting::Section;

/// One pass over all settings.
pub(crate) struct Reader<'a> {
    merged: &'a Merged,
    /// Lines of the keys in the file.
    lines: &'a BTreeMap<String, usize>,
    origins: BTreeMap<String, Origin>,
    /// Keys whose value is wrong.
    invalid: BTreeSet<String>,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    /// `faults` are those that the sources themselves had.
    pub(crate) fn new(merged: &'a Merged, lines: &'a BTreeMap<String, usize>, faults: Vec<Fault>) -> Self {
        Reader {
            merged,
            lines,
            origins: BTreeMap::new(),
            invalid: faults.iter().filter_map(wrong_key).collect(),
            faults,
        }
    }

    /// The value of a setting. Where it is wrong the default stands in, so that the pass can go on; the load fails
    /// by the fault.
    pub(crate) fn read<T: SettingType>(
        &mut self,
        section: Section,
        name: &str,
        rule: &Rule<T>,
        default: T,
    ) -> T {
        let key = section.key(name);
        let Some((raw, origin)) = self.merged.get(&key) else {
            return default;
        };
        self.origins.insert(key.clone(), origin);
        let shown = (!T::SECRET).then(|| raw.to_string());
        let detail = match T::decode(raw) {
            Ok(value) if (rule.accepts)(&value) => return value,
            Ok(_) => None,
            Err(detail) => detail,
        };
        self.faults.push(Fault::InvalidValue {
            place: self.place(&key),
            key: key.clone(),
            value: shown,
            detail,
            allowed: rule.allowed,
        });
        self.invalid.insert(key);
        default
    }

    /// Where the value of a key is from.
    pub(crate) fn place(&self, key: &str) -> Place {
        let origin = self.origins.get(key).cloned().unwrap_or(Origin::Default);
        let line = match origin {
            Origin::File { .. } => self.lines.get(key).copied(),
            Origin::Default | Origin::Environment { .. } | Origin::Flag { .. } => None,
        };
        Place { origin, line }
    }

    /// Whether these keys have the values that were asked for, and can be judged together.
    pub(crate) fn all_valid(&self, keys: &[&str]) -> bool {
        keys.iter().all(|key| !self.invalid.contains(*key))
    }

    pub(crate) fn note(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(crate) fn finish(self) -> (BTreeMap<String, Origin>, Vec<Fault>) {
        (self.origins, self.faults)
    }
}

fn wrong_key(fault: &Fault) -> Option<String> {
    match fault {
        Fault::InvalidValue { key, .. } => Some(key.clone()),
        Fault::UnreadableFile { .. }
        | Fault::Syntax { .. }
        | Fault::NotASection { .. }
        | Fault::UnknownKey { .. }
        | Fault::Alone { .. }
        | Fault::NotMore { .. } => None,
    }
}
