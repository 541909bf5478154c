//! `podbay version`.

use crate::exit::Failure;
use crate::output::print_line;

/// Flags of `podbay version`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  podbay version\n  podbay --version")]
pub(crate) struct VersionArgs {}

/// Prints the version.
pub(crate) fn run(args: &VersionArgs) -> Result<u8, Failure> {
    let VersionArgs {} = args;
    print_line(format_args!("podbay {}", env!("CARGO_PKG_VERSION")))?;
    Ok(0)
}
