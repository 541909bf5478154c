//! What can be typed: the commands, and the flags and values that they share.

mod choice;
mod duration;
mod env_file;
mod environment;
mod global;
mod not_utf8;
mod outcome;
mod pair;
mod session;

use clap::{Parser, Subcommand};

pub(crate) use choice::{log_format, url_style};
pub(crate) use duration::duration;
#[cfg(test)]
pub(crate) use global::BackendName;
pub(crate) use global::GlobalArgs;
pub(crate) use not_utf8::not_utf8;
pub(crate) use outcome::OutcomeArgs;
pub(crate) use session::{SessionArgs, our_variable};

use crate::commands::{
    attach, close, completions, config, cp, delete, exec, key, kill, logs, ls, open, pause, port_forward, ps,
    render, resume, run, serve, show, top, version,
};

/// Agent sandboxes on Kubernetes: run commands in pods, and on a laptop with no cluster.
#[derive(Debug, Parser)]
#[command(name = "podbay", version, propagate_version = false, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// One variant a command; its flags and what it does are in the file of its name in `commands/`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a command in a sandbox of its own, which is closed at the end
    Run(run::RunArgs),
    /// Open a session, or attach to the one that is there
    Open(open::OpenArgs),
    /// Run a command in an open session
    Exec(exec::ExecArgs),
    /// Follow a process of a session that was detached, to its end
    Attach(attach::AttachArgs),
    /// List the processes of a session
    Ps(ps::PsArgs),
    /// Send a process of a session a signal
    Kill(kill::KillArgs),
    /// List the sessions
    #[command(visible_alias = "list")]
    Ls(ls::LsArgs),
    /// Show all there is to know of a session
    #[command(alias = "describe")]
    Show(show::ShowArgs),
    /// Print the key that a session's server takes
    Key(key::KeyArgs),
    /// Show what sessions use, and since when nobody needs them
    Top(top::TopArgs),
    /// Print the log of a session's main program
    Logs(logs::LogsArgs),
    /// Copy a file or a directory into a session, or out of it
    Cp(cp::CpArgs),
    /// Have ports of this machine lead to ports of a session
    PortForward(port_forward::PortForwardArgs),
    /// Free a session's pod and keep its workspace
    Pause(pause::PauseArgs),
    /// Bring a paused session back
    Resume(resume::ResumeArgs),
    /// End sessions; a persistent workspace is kept
    Close(close::CloseArgs),
    /// End sessions and delete their persistent workspaces
    Delete(delete::DeleteArgs),
    /// Serve OpenHands' clients: their remote runtime API, and the ways to their sessions
    Serve(serve::ServeArgs),
    /// Print the objects of a session without a cluster
    Render(render::RenderArgs),
    /// Show, check or describe the configuration
    Config(config::ConfigArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Print the version
    Version(version::VersionArgs),
}

const EXAMPLES: &str = "\
Examples:
  podbay run --image debian:12 -- cat /etc/os-release     in a pod of its own
  podbay run --backend local -- date                      a local process, without isolation
  podbay open demo --image debian:12                      a session that stays
  podbay exec -it demo -- bash                            a terminal in it
  podbay close demo

Exit codes: the command's own; 128+n when signal n ended it; 124 time-out; 125 Podbay or the cluster failed;
126 cannot be executed; 127 not found; 2 usage.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_fit_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        let without: Vec<String> = Args::command()
            .get_subcommands()
            .filter(|command| {
                !command
                    .get_after_help()
                    .is_some_and(|help| help.to_string().contains("podbay "))
            })
            .map(|command| command.get_name().to_owned())
            .collect();
        assert_eq!(without, Vec::<String>::new());
    }
}
