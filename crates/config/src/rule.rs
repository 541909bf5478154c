//! What a setting accepts, in code and in words.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use crate::toleration::Toleration;

/// The values of its type that a setting accepts.
pub(crate) struct Rule<T> {
    /// What the value counts or is written in.
    pub(crate) unit: Option<&'static str>,
    /// For people: completes "allowed is …".
    pub(crate) allowed: &'static str,
    pub(crate) accepts: fn(&T) -> bool,
}

/// A year. No wait is meant to be longer, and sums of a clock and a duration stay far from overflow.
const MOST_SECONDS: u64 = 31_536_000;
/// Beyond what one API server serves; it keeps the arithmetic of rate limiters (nanoseconds a request) exact.
const MOST_REQUESTS: u32 = 1_000_000;

pub(crate) const TEXT: Rule<String> = Rule {
    unit: None,
    allowed: "text that is not empty",
    accepts: |text| !text.trim().is_empty(),
};

pub(crate) const OPTIONAL_TEXT: Rule<Option<String>> = Rule {
    unit: None,
    allowed: "text; empty is the same as not set",
    accepts: |text| text.as_ref().is_none_or(|text| !text.trim().is_empty()),
};

pub(crate) const OPTIONAL_PATH: Rule<Option<PathBuf>> = Rule {
    unit: None,
    allowed: "a path; empty is the same as not set",
    accepts: |_| true,
};

/// Kubernetes refuses `:` in a mount path, and a volume over `/` would hide the image.
pub(crate) const MOUNT_PATH: Rule<String> = Rule {
    unit: None,
    allowed: "an absolute path other than \"/\", without \":\" and \"..\"",
    accepts: |path| {
        path.starts_with('/')
            && path.chars().any(|c| c != '/')
            && !path.contains(':')
            && path.split('/').all(|part| part != "..")
            && !path.chars().any(char::is_control)
    },
};

/// Only that there is one: quantities are parsed where the pod is made.
pub(crate) const QUANTITY: Rule<String> = Rule {
    unit: Some("Kubernetes quantity"),
    allowed: "a Kubernetes quantity in quotes, such as \"500m\" or \"2Gi\"",
    accepts: |quantity| !quantity.trim().is_empty(),
};

pub(crate) const SWITCH: Rule<bool> = Rule {
    unit: None,
    allowed: "true or false",
    accepts: |_| true,
};

pub(crate) const SECONDS: Rule<u64> = Rule {
    unit: Some("seconds"),
    allowed: "a whole number from 1 to 31536000 (a year)",
    accepts: |seconds| (1..=MOST_SECONDS).contains(seconds),
};

/// For waits that may be left out.
pub(crate) const SECONDS_OR_NONE: Rule<u64> = Rule {
    unit: Some("seconds"),
    allowed: "a whole number from 0 to 31536000 (a year)",
    accepts: |seconds| *seconds <= MOST_SECONDS,
};

pub(crate) const REQUESTS: Rule<u32> = Rule {
    unit: Some("requests"),
    allowed: "a whole number from 1 to 1000000",
    accepts: |requests| (1..=MOST_REQUESTS).contains(requests),
};

pub(crate) const PER_SECOND: Rule<u32> = Rule {
    unit: Some("requests per second"),
    ..REQUESTS
};

pub(crate) const TOLERATIONS: Rule<Vec<Toleration>> = Rule {
    unit: Some("YAML"),
    allowed: "a YAML list of Kubernetes tolerations",
    accepts: |_| true,
};

/// Names as Kubernetes takes them in a container's `env`: printable ASCII without `=`. A NUL would end a value.
pub(crate) const ENVIRONMENT_VARIABLES: Rule<BTreeMap<String, SecretString>> = Rule {
    unit: None,
    allowed: "names of printable ASCII characters without \"=\", each with a text value without NUL: \
              a table in the file, a JSON object or Python dict in a variable",
    accepts: |variables| {
        variables.iter().all(|(name, value)| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=')
                && !value.expose_secret().contains('\0')
        })
    },
};
