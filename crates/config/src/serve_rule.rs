//! What the settings of the service accept.

use std::net::SocketAddr;

use secrecy::{ExposeSecret, SecretString};

use crate::api_key::ApiKeyEntry;
use crate::rule::{Rule, accept, anything, is_blank};
use crate::vocabulary::{UrlScheme, UrlStyle};

/// Well below the shortest time-out of a client (10 seconds).
const MOST_HOLD: u64 = 5000;
/// What clients may ask for.
const MOST_FACTOR: u32 = 8;

pub(crate) const URL_STYLE: Rule<UrlStyle> = anything("auto, host, path or port");
pub(crate) const URL_SCHEME: Rule<UrlScheme> = anything("http or https");
pub(crate) const URL_SEPARATOR: Rule<String> = Rule {
    unit: None,
    allowed: "\".\" or \"-\"",
    judge: |text| accept(text == "." || text == "-"),
    bounds: None,
};
pub(crate) const API_KEYS: Rule<Vec<ApiKeyEntry>> =
    anything("tables of name, owner and sha256 (64 hexadecimal digits)");

pub(crate) const LISTEN: Rule<String> = Rule {
    unit: None,
    allowed: "an address with a port, such as \"127.0.0.1:8000\" or \"[::]:8000\"",
    judge: |text| accept(text.parse::<SocketAddr>().is_ok()),
    bounds: None,
};

pub(crate) const HOLD: Rule<u64> = Rule {
    unit: Some("milliseconds"),
    allowed: "a whole number from 0 to 5000",
    judge: |milliseconds| accept(*milliseconds <= MOST_HOLD),
    bounds: Some((0, MOST_HOLD)),
};

pub(crate) const OPTIONAL_SECRET: Rule<Option<SecretString>> = Rule {
    unit: None,
    allowed: "text without spaces at its ends; empty is the same as not set",
    judge: |key| {
        accept(key.as_ref().is_none_or(|key| {
            let key = key.expose_secret();
            !is_blank(key) && key.trim() == key
        }))
    },
    bounds: None,
};

pub(crate) const RESOURCE_FACTOR: Rule<u32> = Rule {
    unit: None,
    allowed: "a whole number from 1 to 8",
    judge: |factor| accept((1..=MOST_FACTOR).contains(factor)),
    bounds: Some((1, MOST_FACTOR as u64)),
};
