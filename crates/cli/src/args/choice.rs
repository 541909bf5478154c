//! Flags that take one of the words of a setting.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use podbay_config::{AgentDial, LogFormat, NetworkMode, UrlStyle, WorkloadKind};

/// `--dial`.
pub(super) fn dial() -> impl TypedValueParser<Value = AgentDial> {
    words(AgentDial::ALL, AgentDial::as_str)
}

/// `--network`.
pub(super) fn network() -> impl TypedValueParser<Value = NetworkMode> {
    words(NetworkMode::ALL, NetworkMode::as_str)
}

/// `--url-style`.
pub(crate) fn url_style() -> impl TypedValueParser<Value = UrlStyle> {
    words(UrlStyle::ALL, UrlStyle::as_str)
}

/// `--log-format`.
pub(crate) fn log_format() -> impl TypedValueParser<Value = LogFormat> {
    words(LogFormat::ALL, LogFormat::as_str)
}

/// `--workload`.
pub(super) fn workload() -> impl TypedValueParser<Value = WorkloadKind> {
    words(WorkloadKind::ALL, WorkloadKind::as_str)
}

/// Takes what `word` gives for one of `all`; the help lists them.
fn words<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    word: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(all.iter().map(move |value| word(*value))).try_map(move |text| {
        all.iter()
            .copied()
            .find(|value| word(*value) == text)
            .ok_or("there is no such word")
    })
}
