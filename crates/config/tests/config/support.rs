//! Loads without the environment or files of the machine.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot write its own file has nothing to show"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use podbay_config::{Config, ConfigError, Origin};

/// A file with this text; it lives as long as the directory.
pub(crate) fn toml_file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

pub(crate) fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, OsString> {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.into()))
        .collect()
}

/// Loads from the text of a file and variables alone.
pub(crate) fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let (_directory, path) = toml_file(text);
    Config::loader()
        .file(path)
        .environment(environment(variables))
        .load()
}

/// Its values as a file would have them, without where they are from and without secrets, which are never shown.
pub(crate) fn values(config: &Config) -> Vec<(String, Option<String>)> {
    config
        .entries()
        .filter(|entry| !entry.setting.secret)
        .map(|entry| (entry.setting.key.clone(), entry.value))
        .collect()
}

/// The settings that a source gave a value, without secret ones: empty text says that one is not set.
pub(crate) fn given(config: &Config) -> Vec<&'static str> {
    config
        .entries()
        .filter(|entry| entry.value.is_some() && entry.place.origin != Origin::Default)
        .map(|entry| entry.setting.key.as_str())
        .collect()
}
