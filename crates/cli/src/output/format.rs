//! Formats for programs.

use clap::ValueEnum;
use serde::Serialize;

use crate::exit::Failure;

/// The formats that `open`, `show` and `render` know besides text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Indented JSON
    Json,
    /// YAML
    Yaml,
}

impl Format {
    /// `value` in this format, with a line end.
    pub(crate) fn write(self, value: &impl Serialize) -> Result<String, Failure> {
        match self {
            Self::Json => json(value),
            Self::Yaml => yaml(value),
        }
    }
}

/// Indented JSON, with a line end.
pub(crate) fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(|error| Failure::Format {
            format: "JSON",
            message: error.to_string(),
        })
}

/// YAML, with a line end.
pub(crate) fn yaml(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_saphyr::to_string(value).map_err(|error| Failure::Format {
        format: "YAML",
        message: error.to_string(),
    })?;
    Ok(text.trim_end().to_owned() + "\n")
}
