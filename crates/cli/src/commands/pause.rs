//! `podbay pause`: the pod goes, the workspace stays.

use clap::Args;

use crate::args::GlobalArgs;
use crate::connection::{Needs, connect_to_sessions};
use crate::exit::Failure;
use crate::output::print_line;

/// Flags of `podbay pause`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PauseArgs {
    /// The session; on a cluster its workspace must be on a claim
    session_id: String,
    /// Wait until its pod is gone
    #[arg(long)]
    wait: bool,
}

const EXAMPLES: &str = "\
Examples:
  podbay open demo --image debian:12 --persistent
  podbay pause demo                                   its pod is freed, /workspace is kept
  podbay resume demo

What runs in the session is ended, and what was installed outside the workspace is lost. With --backend local nothing is: all that
runs in the session stands still until it is resumed.";

/// Pauses a session.
pub(crate) async fn run(global: &GlobalArgs, args: PauseArgs) -> Result<u8, Failure> {
    let PauseArgs { session_id, wait } = args;
    let podbay = connect_to_sessions(global, Needs::default()).await?;
    podbay.pause(&session_id, wait).await?;
    print_line(format_args!("session/{session_id} paused"))?;
    Ok(0)
}
