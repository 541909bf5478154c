//! `podbay completions`: scripts that teach a shell our commands.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::exit::Failure;
use crate::output::print;

/// Flags of `podbay completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  podbay completions bash > ~/.local/share/bash-completion/completions/podbay
  podbay completions zsh > ~/.zfunc/_podbay
  podbay completions fish > ~/.config/fish/completions/podbay.fish";

/// Prints a completion script.
pub(crate) fn run(args: &CompletionsArgs) -> Result<u8, Failure> {
    let mut script = Vec::new();
    generate(
        args.shell,
        &mut crate::args::Args::command(),
        "podbay",
        &mut script,
    );
    print(&script)?;
    Ok(0)
}
