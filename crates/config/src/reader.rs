//! Takes typed values out of the merged sources and notes everything that is wrong.

use std::collections::{BTreeMap, BTreeSet};

use crate::decode::SettingType;
use crate::error::Fault;
use crate::file::Positions;
use crate::layers::Merged;
use crate::mismatch::Mismatch;
use crate::origin::{Origin, Place};
use crate::raw::Raw;
use crate::rule::Rule;
use crate::setting::Section;
use crate::warning::Warning;

/// One pass over all settings.
pub(crate) struct Reader<'a> {
    merged: &'a Merged,
    positions: &'a Positions,
    /// By key, for what a source gives.
    places: BTreeMap<String, Place>,
    /// Keys whose value is wrong.
    invalid: BTreeSet<String>,
    faults: Vec<Fault>,
    warnings: Vec<Warning>,
}

/// What a pass has found beside the values.
pub(crate) struct Findings {
    pub(crate) places: BTreeMap<String, Place>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) warnings: Vec<Warning>,
}

/// The value that a rule accepts, or all that is wrong.
pub(crate) fn decode<T: SettingType>(raw: Raw, rule: &Rule<T>) -> Result<T, Vec<Mismatch>> {
    let value = T::decode(raw)?;
    match (rule.judge)(&value) {
        Ok(()) => Ok(value),
        Err(mismatch) => Err(vec![mismatch]),
    }
}

impl<'a> Reader<'a> {
    /// `faults` are those that the sources themselves had.
    pub(crate) fn new(merged: &'a Merged, positions: &'a Positions, faults: Vec<Fault>) -> Self {
        Reader {
            merged,
            positions,
            places: BTreeMap::new(),
            invalid: faults.iter().filter_map(wrong_key).collect(),
            faults,
            warnings: Vec::new(),
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
        let place = self.positions.place(&origin, &key, "");
        self.places.insert(key.clone(), place.clone());
        let shown = (!T::SECRET).then(|| raw.to_string());
        let remark = T::remark(&raw);
        let mismatches = match decode(raw, rule) {
            Ok(value) => {
                self.warnings.extend(remark.map(|remark| Warning::Remark {
                    place,
                    key,
                    value: shown.unwrap_or_default(),
                    remark,
                }));
                return value;
            }
            Err(mismatches) => mismatches,
        };
        for Mismatch { inside, detail } in mismatches {
            self.faults.push(Fault::InvalidValue {
                place: self.positions.place(&origin, &key, &inside),
                key: key.clone(),
                value: shown.clone(),
                detail,
                allowed: rule.allowed,
            });
        }
        self.invalid.insert(key);
        default
    }

    /// Warns of a setting that is accepted without effect.
    pub(crate) fn ignore(&mut self, section: Section, name: &str, reason: &'static str) {
        let key = section.key(name);
        if let Some((_, origin)) = self.merged.get(&key) {
            let place = self.positions.place(&origin, &key, "");
            self.warnings.push(Warning::NoEffect { place, key, reason });
        }
    }

    /// Where the value of a key is from.
    pub(crate) fn place(&self, key: &str) -> Place {
        self.places
            .get(key)
            .cloned()
            .unwrap_or_else(|| Origin::Default.into())
    }

    /// Whether a source gave the key a value, be it the default's.
    pub(crate) fn is_given(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }

    /// Notes another source of a key's value, which counts where no source has it yet.
    pub(crate) fn also_given(&mut self, key: &str, origin: Origin) {
        self.places.entry(key.to_owned()).or_insert_with(|| origin.into());
    }

    /// Whether these keys have the values that were asked for, and can be judged together.
    pub(crate) fn all_valid(&self, keys: &[&str]) -> bool {
        keys.iter().all(|key| !self.invalid.contains(*key))
    }

    pub(crate) fn note(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(crate) fn warn(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }

    pub(crate) fn finish(self) -> Findings {
        let Reader {
            merged: _,
            positions: _,
            places,
            invalid: _,
            faults,
            warnings,
        } = self;
        Findings {
            places,
            faults,
            warnings,
        }
    }
}

fn wrong_key(fault: &Fault) -> Option<String> {
    match fault {
        Fault::InvalidValue { key, .. } => Some(key.clone()),
        Fault::UnreadableFile { .. }
        | Fault::Syntax { .. }
        | Fault::NotASection { .. }
        | Fault::UnknownSection { .. }
        | Fault::UnknownKey { .. }
        | Fault::Alone { .. }
        | Fault::Contradiction { .. }
        | Fault::NotMore { .. } => None,
    }
}
