//! Settings that must fit one another.

use crate::config::Config;
use crate::error::Fault;
use crate::reader::Reader;

const SELECTOR_KEY: &str = "kubernetes.node_selector_key";
const SELECTOR_VALUE: &str = "kubernetes.node_selector_val";
const PING_INTERVAL: &str = "podbay.exec_ping_interval_seconds";
const PING_TIMEOUT: &str = "podbay.exec_ping_timeout_seconds";

/// Notes every contradiction between valid values.
pub(crate) fn check(config: &Config, reader: &mut Reader<'_>) {
    node_selector(config, reader);
    ping(config, reader);
}

/// Half a selector would be ignored silently by OpenHands, and the pod land anywhere.
fn node_selector(config: &Config, reader: &mut Reader<'_>) {
    if !reader.all_valid(&[SELECTOR_KEY, SELECTOR_VALUE]) {
        return;
    }
    let (key, missing) = match (
        &config.kubernetes.node_selector_key,
        &config.kubernetes.node_selector_val,
    ) {
        (Some(_), None) => (SELECTOR_KEY, SELECTOR_VALUE),
        (None, Some(_)) => (SELECTOR_VALUE, SELECTOR_KEY),
        (Some(_), Some(_)) | (None, None) => return,
    };
    reader.note(Fault::Alone {
        place: reader.place(key),
        key,
        missing,
    });
}

/// With a time-out at or under the interval every quiet connection would count as lost.
fn ping(config: &Config, reader: &mut Reader<'_>) {
    let (interval, timeout) = (
        config.podbay.exec_ping_interval_seconds,
        config.podbay.exec_ping_timeout_seconds,
    );
    if timeout > interval || !reader.all_valid(&[PING_INTERVAL, PING_TIMEOUT]) {
        return;
    }
    reader.note(Fault::NotMore {
        key: PING_TIMEOUT,
        value: timeout,
        place: reader.place(PING_TIMEOUT),
        least_key: PING_INTERVAL,
        least: interval,
        least_place: reader.place(PING_INTERVAL),
    });
}
