//! What a setting accepts, in code and in words. The rules of what only Kubernetes knows are in
//! `kubernetes_rule`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use crate::mismatch::Mismatch;
use crate::toleration::Toleration;

/// The values of its type that a setting accepts.
pub(crate) struct Rule<T> {
    /// What the value counts or is written in.
    pub(crate) unit: Option<&'static str>,
    /// For people: completes "allowed is …".
    pub(crate) allowed: &'static str,
    pub(crate) judge: fn(&T) -> Result<(), Mismatch>,
    /// The bounds of a number, both inclusive, for the schema. `judge` checks them.
    pub(crate) bounds: Option<(u64, u64)>,
}

/// A year. No wait is meant to be longer, and sums of a clock and a duration stay far from overflow.
const MOST_SECONDS: u64 = 31_536_000;
/// Beyond what one API server serves; it keeps the arithmetic of rate limiters (nanoseconds a request) exact.
const MOST_REQUESTS: u32 = 1_000_000;
/// Far more than a cluster runs pods (150,000 is the tested limit of Kubernetes).
pub(crate) const MOST_SESSIONS: u32 = 1_000_000;

/// Of a value as a whole.
pub(crate) fn accept(right: bool) -> Result<(), Mismatch> {
    if right { Ok(()) } else { Err(Mismatch::plain()) }
}

/// Of the items of a list: the first that is wrong is named.
pub(crate) fn each<T: std::fmt::Debug>(items: &[T], right: impl Fn(&T) -> bool) -> Result<(), Mismatch> {
    match items.iter().enumerate().find(|(_, item)| !right(item)) {
        None => Ok(()),
        Some((index, item)) => Err(Mismatch::because(format!("{item:?}")).in_item(index)),
    }
}

/// Of the entries of a table: the first that is wrong is named.
pub(crate) fn each_entry<T: std::fmt::Debug>(
    table: &BTreeMap<String, T>,
    right: impl Fn(&str, &T) -> bool,
) -> Result<(), Mismatch> {
    match table.iter().find(|(name, value)| !right(name, value)) {
        None => Ok(()),
        Some((name, value)) => Err(Mismatch::because(format!("{name:?} = {value:?}")).in_field(name)),
    }
}

pub(crate) fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

pub(crate) const TEXT: Rule<String> = Rule {
    unit: None,
    allowed: "text that is not empty",
    judge: |text| accept(!is_blank(text)),
    bounds: None,
};

pub(crate) const OPTIONAL_TEXT: Rule<Option<String>> = Rule {
    unit: None,
    allowed: "text; empty is the same as not set",
    judge: |text| accept(text.as_deref().is_none_or(|text| !is_blank(text))),
    bounds: None,
};

/// For settings that are ignored: their value is not looked at.
pub(crate) const fn anything<T>(allowed: &'static str) -> Rule<T> {
    Rule {
        unit: None,
        allowed,
        judge: |_| Ok(()),
        bounds: None,
    }
}

pub(crate) const OPTIONAL_PATH: Rule<Option<PathBuf>> = anything("a path; empty is the same as not set");
pub(crate) const SWITCH: Rule<bool> = anything("true or false");
pub(crate) const OPTIONAL_SWITCH: Rule<Option<bool>> =
    anything("true or false; empty is the same as not set");

pub(crate) const TEXTS: Rule<Vec<String>> = Rule {
    unit: None,
    allowed: "texts that are not empty: an array in the file, a comma separated list in a text",
    judge: |texts| each(texts, |text| !is_blank(text)),
    bounds: None,
};

pub(crate) const TEXT_TABLE: Rule<BTreeMap<String, String>> = Rule {
    unit: None,
    allowed: "names that are not empty, each with a text: a table in the file, a JSON object or Python dict in a \
              text",
    judge: |table| each_entry(table, |name, _| !is_blank(name)),
    bounds: None,
};

pub(crate) const SECONDS: Rule<u64> = Rule {
    unit: Some("seconds"),
    allowed: "a whole number from 1 to 31536000 (a year)",
    judge: |seconds| accept((1..=MOST_SECONDS).contains(seconds)),
    bounds: Some((1, MOST_SECONDS)),
};

/// For waits that may be left out.
pub(crate) const SECONDS_OR_NONE: Rule<u64> = Rule {
    unit: Some("seconds"),
    allowed: "a whole number from 0 to 31536000 (a year)",
    judge: |seconds| accept(*seconds <= MOST_SECONDS),
    bounds: Some((0, MOST_SECONDS)),
};

pub(crate) const OPTIONAL_SECONDS: Rule<Option<u64>> = Rule {
    unit: Some("seconds"),
    allowed: "a whole number from 1 to 31536000 (a year); empty is the same as not set",
    judge: |seconds| accept(seconds.is_none_or(|seconds| (1..=MOST_SECONDS).contains(&seconds))),
    bounds: Some((1, MOST_SECONDS)),
};

pub(crate) const OPTIONAL_SECONDS_OR_NONE: Rule<Option<u64>> = Rule {
    unit: Some("seconds"),
    allowed: "a whole number from 0 to 31536000 (a year); empty is the same as not set",
    judge: |seconds| accept(seconds.is_none_or(|seconds| seconds <= MOST_SECONDS)),
    bounds: Some((0, MOST_SECONDS)),
};

pub(crate) const REQUESTS: Rule<u32> = Rule {
    unit: Some("requests"),
    allowed: "a whole number from 1 to 1000000",
    judge: |requests| accept((1..=MOST_REQUESTS).contains(requests)),
    bounds: Some((1, MOST_REQUESTS as u64)),
};

pub(crate) const PER_SECOND: Rule<u32> = Rule {
    unit: Some("requests per second"),
    ..REQUESTS
};

pub(crate) const OPTIONAL_SESSIONS: Rule<Option<u32>> = Rule {
    unit: Some("sessions"),
    allowed: "a whole number from 1 to 1000000; empty is the same as not set",
    judge: |sessions| accept(sessions.is_none_or(|sessions| (1..=MOST_SESSIONS).contains(&sessions))),
    bounds: Some((1, MOST_SESSIONS as u64)),
};

/// Names as Kubernetes takes them in a container's `env`: printable ASCII without `=`. A NUL would end a value.
pub(crate) const ENVIRONMENT_VARIABLES: Rule<BTreeMap<String, SecretString>> = Rule {
    unit: None,
    allowed: "names of printable ASCII characters without \"=\", each with a text value without NUL: \
              a table in the file, a JSON object or Python dict in a variable",
    judge: |variables| {
        accept(variables.iter().all(|(name, value)| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=')
                && !value.expose_secret().contains('\0')
        }))
    },
    bounds: None,
};

pub(crate) const TOLERATIONS: Rule<Vec<Toleration>> = Rule {
    unit: Some("YAML"),
    ..anything("a YAML list of Kubernetes tolerations")
};
