//! `podbay config`: what the configuration is, where it is from, and whether a file is right.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use podbay_config::{Config, example_toml, schema};
use podbay_runtime::check_configuration;

use crate::args::GlobalArgs;
use crate::connection::{Needs, configure};
use crate::exit::Failure;
use crate::output::{json, print, print_line, warn};

/// Flags of `podbay config`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print every setting, as a file that loads to the same values: defaults are comments, secrets are left out
    Show {
        /// Tell with each setting where its value is from
        #[arg(long)]
        origin: bool,
    },
    /// Check a file by itself, without this process's environment, and tell everything that is wrong with it
    Check {
        /// The file: ours, or the config.toml of OpenHands
        file: PathBuf,
    },
    /// Print the JSON Schema of the file
    Schema,
    /// Print a file with every setting at its default, as comments
    Example,
}

const EXAMPLES: &str = "\
Examples:
  podbay config show --origin                        which file, variable or flag a value is from
  podbay config check ~/openhands/config.toml        exit code 2 and every error with its line and column
  podbay config schema > podbay.schema.json          for an editor that completes and checks
  podbay config example > ~/.config/podbay/config.toml";

/// Does what was asked.
pub(crate) fn run(global: &GlobalArgs, args: &ConfigArgs) -> Result<u8, Failure> {
    match &args.command {
        ConfigCommand::Show { origin } => {
            let config = configure(global, &Needs::default())?;
            let text = if *origin {
                config.to_toml_with_origins()
            } else {
                config.to_toml()
            };
            print(text.as_bytes())?;
        }
        ConfigCommand::Check { file } => {
            let none: [(&str, &str); 0] = [];
            let (config, outcome) = check_configuration(Config::loader().environment(none).file(file));
            for warning in config.warnings() {
                warn(warning);
            }
            outcome?;
            print_line(format_args!("{}: ok", file.display()))?;
        }
        ConfigCommand::Schema => print(json(&schema())?.as_bytes())?,
        ConfigCommand::Example => print(example_toml().as_bytes())?,
    }
    Ok(0)
}
