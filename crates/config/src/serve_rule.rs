//! What the settings of the service accept.

use std::net::SocketAddr;

use secrecy::{ExposeSecret, SecretString};

use crate::api_key::ApiKeyEntry;
use crate::rule::{Rule, accept, anything, is_blank};
use crate::vocabulary::{LogFormat, UrlScheme, UrlStyle};

/// Well below the shortest time-out of a client (10 seconds).
const MOST_HOLD: u64 = 5000;
/// A day: no client waits for longer.
const MOST_HOLD_SECONDS: u64 = 86_400;
/// The descriptors that Linux gives a process at most, where nobody has raised that (`fs.nr_open`).
const MOST_CONNECTIONS: u32 = 1_048_576;
/// A gibibyte: all of a body is kept in memory.
const MOST_BODY: u64 = 1 << 30;
/// V0's clients wait 180 seconds for a pause.
const MOST_DRAIN: u64 = 120;
/// What clients may ask for.
const MOST_FACTOR: u32 = 8;

pub(crate) const URL_STYLE: Rule<UrlStyle> = anything("auto, host, path or port");
pub(crate) const URL_SCHEME: Rule<UrlScheme> = anything("auto, http or https");
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
    allowed: "a port of 127.0.0.1, such as \"8000\", or an address with a port, such as \"0.0.0.0:8000\" or \"[::]:8000\"",
    judge: |text| accept(text.parse::<u16>().is_ok() || text.parse::<SocketAddr>().is_ok()),
    bounds: None,
};

/// A port alone is one of this machine.
pub(crate) const OPTIONAL_LISTEN: Rule<Option<String>> = Rule {
    unit: None,
    allowed: "a port of 127.0.0.1, such as \"9090\", or an address with a port; empty is the same as not set",
    judge: |text| {
        accept(
            text.as_deref()
                .is_none_or(|text| text.parse::<u16>().is_ok() || text.parse::<SocketAddr>().is_ok()),
        )
    },
    bounds: None,
};
pub(crate) const LOG_FORMAT: Rule<LogFormat> = anything("text or json");

pub(crate) const HOLD: Rule<u64> = Rule {
    unit: Some("milliseconds"),
    allowed: "a whole number from 0 to 5000",
    judge: |milliseconds| accept(*milliseconds <= MOST_HOLD),
    bounds: Some((0, MOST_HOLD)),
};

pub(crate) const HOLD_SECONDS: Rule<u64> = Rule {
    unit: Some("seconds"),
    allowed: "a whole number from 0 to 86400 (a day)",
    judge: |seconds| accept(*seconds <= MOST_HOLD_SECONDS),
    bounds: Some((0, MOST_HOLD_SECONDS)),
};

/// Of which each session has four.
pub(crate) const PORTS: Rule<String> = Rule {
    unit: None,
    allowed: "two ports with a hyphen between them, the first at least 1 and the second at least 3 more, such as \"21000-28999\"",
    judge: |text| {
        let parts = text.split_once('-');
        let ports = parts.and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
        accept(ports.is_some_and(|(first, last): (u16, u16)| {
            first > 0 && last.checked_sub(first).is_some_and(|more| more >= 3)
        }))
    },
    bounds: None,
};

pub(crate) const CONNECTIONS: Rule<u32> = Rule {
    unit: Some("connections"),
    allowed: "a whole number from 1 to 1048576",
    judge: |connections| accept((1..=MOST_CONNECTIONS).contains(connections)),
    bounds: Some((1, MOST_CONNECTIONS as u64)),
};

pub(crate) const BODY: Rule<u64> = Rule {
    unit: Some("bytes"),
    allowed: "a whole number from 1024 to 1073741824 (1 GiB)",
    judge: |bytes| accept((1024..=MOST_BODY).contains(bytes)),
    bounds: Some((1024, MOST_BODY)),
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

pub(crate) const PAUSE_DRAIN: Rule<u64> = Rule {
    unit: Some("seconds"),
    allowed: "a whole number from 0 to 120",
    judge: |seconds| accept(*seconds <= MOST_DRAIN),
    bounds: Some((0, MOST_DRAIN)),
};

pub(crate) const RESOURCE_FACTOR: Rule<u32> = Rule {
    unit: None,
    allowed: "a whole number from 1 to 8",
    judge: |factor| accept((1..=MOST_FACTOR).contains(factor)),
    bounds: Some((1, MOST_FACTOR as u64)),
};
