//! What is done for each resource.

pub(super) mod actions;
mod figures;
mod files;
mod open;
mod output;
mod processes;
mod terminal;
mod transfers;
mod trees;

use podbay_protocol::agent::AgentError;

#[cfg(fuzzing)]
pub(super) use output::Frames;

use super::Services;
use super::answer::Answer;
use super::dispatch::Asked;
use super::route::Route;

/// Does what is asked for.
pub(super) async fn handle(services: &Services, route: Route, asked: Asked) -> Result<Answer, AgentError> {
    match route {
        Route::Alive => open::alive(asked),
        Route::ServerInfo => open::server_info(services, asked),
        Route::Proof => open::proof(services, asked).await,
        Route::Figures => figures::show(services, asked).await,
        Route::Hold => figures::hold(services, asked).await,
        Route::ListProcesses => processes::list(services, asked),
        Route::StartProcess(id) => processes::start(services, id, asked).await,
        Route::ShowProcess(id) => processes::show(services, &id, asked),
        Route::ForgetProcess(id) => processes::forget(services, &id, asked),
        Route::Output(id) => output::read(services, &id, asked),
        Route::Acknowledge(id) => processes::acknowledge(services, &id, asked).await,
        Route::WriteStdin(id) => processes::write_stdin(services, &id, asked).await,
        Route::CloseStdin(id) => processes::close_stdin(services, &id, asked).await,
        Route::Signal(id) => processes::signal(services, &id, asked).await,
        Route::Resize(id) => processes::resize(services, &id, asked).await,
        Route::Terminal(id) => terminal::open(services, id, asked),
        Route::ReadFile => transfers::read(services, asked).await,
        Route::WriteFile => Box::pin(transfers::write(services, asked)).await,
        Route::ShowTransfer => transfers::show(services, asked).await,
        Route::AbandonTransfer => transfers::abandon(services, asked).await,
        Route::Stat => files::stat(services, asked).await,
        Route::List => files::list(services, asked).await,
        Route::MakeDirectory => files::make_directory(services, asked).await,
        Route::Remove => files::remove(services, asked).await,
        Route::Move => files::rename(services, asked).await,
        Route::PackTree => trees::pack(services, asked).await,
        Route::UnpackTree => Box::pin(trees::unpack(services, asked)).await,
        Route::ExecuteAction => actions::execute(services, asked).await,
        Route::UploadFile => actions::upload(services, asked).await,
        Route::DownloadFiles => actions::download(services, asked).await,
        Route::ListFiles => actions::list(services, asked).await,
        Route::VscodeToken => actions::vscode_token(services, asked).await,
        Route::UpdateMcpServers => actions::update_mcp_servers(asked).await,
    }
}
