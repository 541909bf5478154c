//! `podbay key`: the key that a session's server takes.

use clap::Args;
use secrecy::ExposeSecret as _;

use super::close::name_of;
use crate::args::GlobalArgs;
use crate::connection::{Needs, connect_to_sessions};
use crate::exit::Failure;
use crate::output::print;

/// Flags of `podbay key`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct KeyArgs {
    /// The session
    session: String,
}

const EXAMPLES: &str = "\
Examples:
  podbay key demo
  curl -H \"X-Session-API-Key: $(podbay key demo)\" http://127.0.0.1:8080/server_info

The key is printed on standard output, with a line end and nothing else.";

/// Prints the key.
pub(crate) async fn run(global: &GlobalArgs, args: KeyArgs) -> Result<u8, Failure> {
    let KeyArgs { session } = args;
    let podbay = connect_to_sessions(global, Needs::default()).await?;
    let key = podbay.existing(name_of(&session))?.session_key().await?;
    print(format!("{}\n", key.expose_secret()).as_bytes())?;
    Ok(0)
}
