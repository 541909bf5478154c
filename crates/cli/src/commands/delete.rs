//! `podbay delete`: ends sessions and deletes their persistent workspaces.

use clap::Args;
use futures::{StreamExt as _, stream};

use super::close::{hint_at_owned, name_of, tell};
use crate::args::GlobalArgs;
use crate::connection::{Needs, connect_to_sessions};
use crate::exit::Failure;

/// How many sessions are deleted at once: as with `close`.
const AT_ONCE: usize = 16;

/// Flags of `podbay delete`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DeleteArgs {
    /// The sessions
    #[arg(value_name = "SESSION", required = true)]
    sessions: Vec<String>,
    /// Wait until the objects are gone
    #[arg(long)]
    wait: bool,
}

const EXAMPLES: &str = "\
Examples:
  podbay delete demo
  podbay delete demo build --wait
  podbay delete demo --owner team-a       one that a service started for the owner of a key

What a persistent session's workspace holds is lost with it.";

/// Deletes sessions.
pub(crate) async fn run(global: &GlobalArgs, args: DeleteArgs) -> Result<u8, Failure> {
    let DeleteArgs { sessions, wait } = args;
    let podbay = connect_to_sessions(global, Needs::default()).await?;
    let deleting = sessions.iter().map(|id| podbay.delete(name_of(id), wait));
    let results: Vec<_> = stream::iter(deleting).buffered(AT_ONCE).collect().await;
    hint_at_owned(global, &podbay, &results, "delete").await;
    tell(results, "deleted")
}
