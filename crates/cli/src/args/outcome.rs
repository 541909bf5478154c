//! Flags of commands that run something: how its end is told.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// How a command's end is told.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Outcome")]
pub(crate) struct OutcomeArgs {
    /// Print one JSON record, with the command's output in it, in place of the output
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub(crate) output: Option<RecordFormat>,
    /// Write the record, without the output, to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) outcome_file: Option<PathBuf>,
    /// How many bytes of each stream the printed record holds
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_MAX_OUTPUT)]
    pub(crate) max_output: usize,
}

/// What the printed record holds of each stream unless told otherwise: the library's own capture.
const DEFAULT_MAX_OUTPUT: usize = podbay_runtime::command::DEFAULT_CAPTURE;

/// A record's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RecordFormat {
    /// One line of JSON
    Json,
}
