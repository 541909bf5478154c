//! From what is asked for to what it came to.

use std::path::PathBuf;
use std::sync::Arc;

use super::editor::Editor;
use super::observation::{EditObservation, Observation};
use super::python::Python;
use super::refusal::Refusal;
use super::request::{Action, Asked, Edit, Read};
use super::shell::{Kind, Session, ShellSettings};
use super::vscode::{VsCode, VsCodeSettings};
use super::{files, listing};
use crate::files::{Disk, FileError};
use crate::process::Processes;

/// How actions are carried out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ActionSettings {
    /// The directory of the session: where the first command runs. `None` is the agent's own.
    pub directory: Option<PathBuf>,
    /// After how many seconds without new output a command that may be left running is told of.
    pub no_change_seconds: f64,
    /// The search path that programs are started with; `None` if the sandbox has none of its own.
    pub path: Option<String>,
    /// The shells that are tried, in this order.
    pub shells: Vec<Kind>,
    /// VS Code in the browser. Where it says nothing, it is started in `directory` and sought on `path`.
    pub vscode: VsCodeSettings,
}

impl Default for ActionSettings {
    fn default() -> Self {
        let shell = ShellSettings::default();
        Self {
            directory: None,
            no_change_seconds: shell.no_change_seconds,
            path: None,
            shells: shell.kinds,
            vscode: VsCodeSettings::default(),
        }
    }
}

/// The actions of a sandbox.
pub struct Actions {
    directory: PathBuf,
    session: Session,
    python: Python,
    vscode: VsCode,
    editor: Arc<Editor>,
    disk: Disk,
}

impl Actions {
    /// Nothing was done yet.
    pub fn new(processes: Processes, disk: Disk, settings: ActionSettings) -> Self {
        let directory = settings
            .directory
            .or_else(|| std::env::current_dir().ok())
            .unwrap_or_else(|| "/".into());
        let mut vscode = settings.vscode;
        vscode.directory.get_or_insert_with(|| directory.clone());
        vscode.path = vscode.path.or_else(|| settings.path.clone());
        let shell = ShellSettings {
            directory: Some(directory.clone()),
            no_change_seconds: settings.no_change_seconds,
            kinds: settings.shells,
            path: settings.path,
        };
        Self {
            python: Python::new(processes.clone()),
            vscode: VsCode::new(processes.clone(), vscode),
            session: Session::new(processes, shell),
            editor: Arc::new(Editor::new(Some(directory.clone()))),
            directory,
            disk,
        }
    }

    /// Does what is asked for.
    pub async fn execute(&self, asked: Asked) -> Result<Observation, Refusal> {
        match asked.action {
            Action::Run(run) => Ok(self.session.run(&run, asked.timeout).await),
            Action::Python(cell) => {
                let directory = self.session.directory();
                Ok(self.python.run(&cell, directory.as_deref(), asked.timeout).await)
            }
            Action::Read(read) if read.by_editor => self.view(read).await,
            Action::Read(read) => {
                let directory = self.current();
                self.on_disk(move || files::read(&read, &directory)).await
            }
            Action::Write(write) => {
                let directory = self.current();
                self.on_disk(move || files::write(&write, &directory)).await
            }
            Action::Edit(edit) if edit.by_model => Err(Refusal::internal("")),
            Action::Edit(edit) => self.edit(edit).await,
            Action::Browse => Ok(Observation::Error(
                "Browser functionality is not supported or disabled.".to_owned(),
            )),
        }
    }

    /// How many processes wait for the next action, and do nothing else.
    pub fn resting(&self) -> usize {
        [
            self.session.is_resting(),
            self.python.is_resting(),
            self.vscode.is_resting(),
        ]
        .map(usize::from)
        .iter()
        .sum()
    }

    /// The token of VS Code, which is started if the image has it; `None` if not.
    pub async fn vscode_token(&self) -> Option<String> {
        self.vscode.token().await
    }

    /// The names in a directory; a relative path is seen from the session's directory.
    pub async fn list(&self, path: Option<String>) -> Result<Vec<String>, Refusal> {
        let directory = path.map_or_else(|| self.directory.clone(), |path| self.directory.join(path));
        self.disk
            .run(move || listing::names(&directory))
            .await
            .map_err(busy)
    }

    async fn view(&self, read: Read) -> Result<Observation, Refusal> {
        let editor = Arc::clone(&self.editor);
        let directory = self.current();
        self.on_disk(move || {
            if super::editor::text::is_binary(&files::resolve(&read.path, &directory)) {
                return Observation::Error("ERROR_BINARY_FILE".to_owned());
            }
            let content = match editor.view(&read.path, read.view_range.as_ref()) {
                Ok(text) => text,
                Err(error) => format!("ERROR:\n{error}"),
            };
            Observation::Read {
                content,
                path: read.path,
                by_editor: true,
            }
        })
        .await
    }

    async fn edit(&self, edit: Edit) -> Result<Observation, Refusal> {
        let editor = Arc::clone(&self.editor);
        self.on_disk(move || {
            let (content, diff) = match editor.edit(&edit) {
                Ok(changed) => (changed.output, changed.diff),
                Err(error) => (format!("ERROR:\n{error}"), String::new()),
            };
            Observation::Edit(EditObservation {
                content,
                path: edit.path,
                old_str: edit.old_str,
                new_str: edit.new_str,
                diff,
            })
        })
        .await
    }

    async fn on_disk(
        &self,
        work: impl FnOnce() -> Observation + Send + 'static,
    ) -> Result<Observation, Refusal> {
        self.disk.run(work).await.map_err(busy)
    }

    /// What relative paths of files are seen from.
    fn current(&self) -> PathBuf {
        self.session
            .directory()
            .map_or_else(|| self.directory.clone(), PathBuf::from)
    }
}

fn busy(error: FileError) -> Refusal {
    Refusal::internal(error)
}
