//! `podbay resume`: brings a paused session back.

use std::time::Duration;

use clap::Args;
use podbay_runtime::OpenMode;

use super::open::{OpenFormat, Wanted};
use crate::args::{GlobalArgs, SessionArgs, duration};
use crate::exit::Failure;

/// Flags of `podbay resume`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ResumeArgs {
    /// The session
    session_id: String,
    /// How long the session may take to become ready
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    start_timeout: Option<Duration>,
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    output: Option<OpenFormat>,
}

const EXAMPLES: &str = "\
Examples:
  podbay resume demo
  podbay resume demo -o json

A session that isn't paused is attached to; one that isn't there is an error.";

/// Resumes a session.
pub(crate) async fn run(global: &GlobalArgs, args: ResumeArgs) -> Result<u8, Failure> {
    let ResumeArgs {
        session_id,
        start_timeout,
        output,
    } = args;
    let wanted = Wanted {
        id: session_id,
        mode: OpenMode::Attach,
        start_timeout,
        output,
        session: SessionArgs::default(),
    };
    wanted.open(global).await
}
