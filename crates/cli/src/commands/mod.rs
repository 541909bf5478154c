//! One file a command: its own flags, its help, what it does.

pub(crate) mod attach;
mod chart;
pub(crate) mod close;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod cp;
pub(crate) mod delete;
pub(crate) mod exec;
pub(crate) mod key;
pub(crate) mod kill;
pub(crate) mod logs;
pub(crate) mod ls;
pub(crate) mod open;
pub(crate) mod pause;
pub(crate) mod port_forward;
pub(crate) mod ps;
pub(crate) mod render;
pub(crate) mod resume;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod top;
pub(crate) mod version;

use crate::args::{Args, Command};
use crate::exit::Failure;

/// Does what was asked, and returns what to exit with.
pub(crate) async fn dispatch(args: Args) -> Result<u8, Failure> {
    let Args { global, command } = args;
    match command {
        Command::Run(args) => run::run(&global, args).await,
        Command::Open(args) => open::run(&global, args).await,
        Command::Exec(args) => exec::run(&global, args).await,
        Command::Attach(args) => attach::run(&global, args).await,
        Command::Ps(args) => ps::run(&global, args).await,
        Command::Kill(args) => kill::run(&global, args).await,
        Command::Ls(args) => ls::run(&global, args).await,
        Command::Show(args) => show::run(&global, args).await,
        Command::Key(args) => key::run(&global, args).await,
        Command::Top(args) => top::run(&global, args).await,
        Command::Logs(args) => logs::run(&global, args).await,
        Command::Cp(args) => cp::run(&global, args).await,
        Command::PortForward(args) => port_forward::run(&global, args).await,
        Command::Pause(args) => pause::run(&global, args).await,
        Command::Resume(args) => resume::run(&global, args).await,
        Command::Close(args) => close::run(&global, args).await,
        Command::Delete(args) => delete::run(&global, args).await,
        Command::Serve(args) => Box::pin(serve::run(&global, args)).await,
        Command::Render(args) => render::run(&global, args),
        Command::Config(args) => config::run(&global, &args),
        Command::Completions(args) => completions::run(&args),
        Command::Version(args) => version::run(&args),
    }
}
