//! One command at a time, in a shell that stays.

use std::path::{Path, PathBuf};
use std::sync::{Mutex as StdMutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::model::Place;
use super::process::{NoShell, Shell};
use super::{Kind, split, texts, typed};
use crate::action::observation::{Metadata, Observation, RunObservation, cut};
use crate::action::request::Run;
use crate::process::Processes;

/// What a session of commands needs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ShellSettings {
    /// Where the first shell starts. `None` is the directory of the agent's processes.
    pub directory: Option<PathBuf>,
    /// After how many seconds without new output a command that may be left running is told of.
    pub no_change_seconds: f64,
    /// The shells that are tried, in this order.
    pub kinds: Vec<Kind>,
    /// The search path of a shell that does not tell its own.
    pub path: Option<String>,
}

impl Default for ShellSettings {
    fn default() -> Self {
        Self {
            directory: None,
            no_change_seconds: 10.0,
            kinds: vec![Kind::Bash, Kind::Sh],
            path: None,
        }
    }
}

/// The commands of a session.
pub struct Session {
    processes: Processes,
    settings: ShellSettings,
    /// Held while a command is waited for: the next one comes after it.
    current: Mutex<Current>,
    /// The directory that the last command left.
    directory: StdMutex<Option<String>>,
}

#[derive(Default)]
struct Current {
    shell: Option<Shell>,
    started: u64,
    /// What was shown of a command that is not over.
    told: Option<String>,
    /// What the shell before exported, and which shell said so.
    exports: Option<(Kind, String)>,
}

impl Current {
    /// The shell has ended.
    fn ended(&mut self) {
        if let Some(shell) = self.shell.take() {
            let exports = shell.model().take_exports();
            self.exports = exports.map(|exports| (shell.kind(), exports));
        }
    }
}

/// How long a command is waited for.
#[derive(Clone, Copy)]
struct Patience {
    start: Instant,
    no_change: Option<f64>,
    timeout: Option<f64>,
}

/// What was typed in for a command that runs.
struct Input<'a> {
    text: &'a str,
    key: Option<char>,
    is_shown: bool,
}

impl Session {
    /// No shell yet: the first command starts it.
    pub fn new(processes: Processes, settings: ShellSettings) -> Self {
        let directory = settings.directory.as_ref().map(|path| path.display().to_string());
        Self {
            processes,
            settings,
            current: Mutex::default(),
            directory: StdMutex::new(directory),
        }
    }

    /// The directory that the last command left, which relative paths of files are seen from.
    pub fn directory(&self) -> Option<String> {
        self.directory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether there is a shell that runs no command.
    pub fn is_resting(&self) -> bool {
        let current = self.current.try_lock();
        current.is_ok_and(|current| {
            let shell = current.shell.as_ref();
            shell.is_some_and(|shell| shell.model().place() == Place::Idle)
        })
    }

    /// Runs a command, or deals with the one that runs. `timeout` is in seconds.
    pub async fn run(&self, run: &Run, timeout: Option<f64>) -> Observation {
        if run.is_static {
            let mut apart = Current::default();
            let directory = run.cwd.clone().or_else(|| self.directory());
            let observation = self
                .run_in(&mut apart, "openhands-static", directory, run, timeout)
                .await;
            if let Some(shell) = apart.shell {
                shell.kill();
            }
            return observation;
        }
        let mut current = self.current.lock().await;
        let directory = self.directory();
        let observation = self
            .run_in(&mut current, "openhands-shell", directory, run, timeout)
            .await;
        if let Some(shell) = &current.shell {
            let left = shell.model().prompt().directory.clone();
            if !left.is_empty() {
                *self.directory.lock().unwrap_or_else(PoisonError::into_inner) = Some(left);
            }
        }
        observation
    }

    async fn run_in(
        &self,
        current: &mut Current,
        name: &str,
        directory: Option<String>,
        run: &Run,
        timeout: Option<f64>,
    ) -> Observation {
        let command = run.command.trim();
        let start = Instant::now();
        let patience = Patience {
            start,
            no_change: (!run.blocking).then_some(self.settings.no_change_seconds),
            timeout: timeout.filter(|seconds| *seconds > 0.0),
        };
        if current.told.is_none() {
            let nothing = match (command, run.is_input) {
                ("", _) => Some(texts::NOTHING_TO_WAIT_FOR),
                (_, true) => Some(texts::NOTHING_TO_INTERACT_WITH),
                _ => None,
            };
            if let Some(text) = nothing {
                return observed(text.to_owned(), "", Metadata::default(), false);
            }
        }
        if !run.is_input {
            let commands = split::commands(command);
            if commands.len() > 1 {
                return Observation::Error(texts::several(&commands));
            }
        }
        if current.told.is_some()
            && let Some(shell) = &mut current.shell
        {
            let is_over = matches!(shell.model().place(), Place::Idle | Place::Ended);
            if run.is_input && !is_over {
                let key = typed::key(command);
                let input = Input {
                    text: command,
                    key: key.and_then(|_| command.chars().last()),
                    is_shown: shell.shows_keys(),
                };
                let bytes = key.map_or_else(|| Bytes::from(format!("{command}\n")), |key| vec![key].into());
                shell.look();
                shell.send(bytes).await;
                return self.wait(current, run, patience, Some(input)).await;
            }
            if run.is_input || command.is_empty() {
                return self.wait(current, run, patience, None).await;
            }
            if !is_over {
                return Self::refuse(current, run);
            }
        }
        if let Some(key) = typed::key(command) {
            return self.key_at_prompt(current, run, key);
        }
        if let Err(observation) = self.ensure(current, name, directory).await {
            return observation;
        }
        let Some(shell) = &mut current.shell else {
            return Observation::Error("the shell is gone".to_owned());
        };
        if shell.begin(command).await.is_err() {
            shell.kill();
            current.shell = None;
            current.told = None;
            return Observation::Error(
                "The shell did not take the command, and was ended. The command was not run; the next one runs in a new \
                 shell."
                    .to_owned(),
            );
        }
        self.wait(current, run, patience, None).await
    }

    /// Waits until the command is over, or was waited for long enough.
    async fn wait(
        &self,
        current: &mut Current,
        run: &Run,
        patience: Patience,
        input: Option<Input<'_>>,
    ) -> Observation {
        loop {
            let Some(shell) = &mut current.shell else {
                return Observation::Error("the shell is gone".to_owned());
            };
            shell.look();
            let (place, changed) = {
                let model = shell.model();
                (model.place(), model.changed().max(patience.start))
            };
            if matches!(place, Place::Idle | Place::Ended) {
                return self.completed(current, run, input.as_ref());
            }
            let now = Instant::now();
            let quiet = patience.no_change.and_then(|seconds| after(changed, seconds));
            let over = patience
                .timeout
                .and_then(|seconds| after(patience.start, seconds));
            let suffix = if quiet.is_some_and(|moment| now >= moment) {
                texts::no_change(self.settings.no_change_seconds)
            } else if over.is_some_and(|moment| now >= moment) {
                texts::timed_out(patience.timeout.unwrap_or_default())
            } else {
                let next = quiet.into_iter().chain(over).min();
                shell.change(next).await;
                continue;
            };
            return Self::unfinished(current, run, suffix, input.as_ref());
        }
    }

    /// The observation of a command that is over.
    fn completed(&self, current: &mut Current, run: &Run, input: Option<&Input<'_>>) -> Observation {
        let Some(shell) = &current.shell else {
            return Observation::Error("the shell is gone".to_owned());
        };
        let mut model = shell.model();
        let screen = model.take_screen();
        let told = current.told.take();
        let (head, text) = screen.text();
        let mut metadata = Metadata::default();
        let mut content = fresh(&text, told.as_deref(), input);
        if let Some(head) = head.filter(|_| told.is_none()) {
            if run.hidden {
                metadata.prefix = format!(
                    "[Previous command outputs are truncated. Showing the last {} lines of the output below.]\n",
                    text.lines().count()
                );
            } else {
                content = format!("{}{content}", head.trim_start());
            }
        }
        if !run.hidden {
            content = cut(content);
        }
        let prompt = model.prompt().clone();
        let ended = (model.place() == Place::Ended).then(|| model.code().unwrap_or(-1));
        metadata.exit_code = ended.unwrap_or(prompt.code);
        metadata.pid = prompt.pid;
        metadata.suffix = match ended {
            Some(code) => texts::shell_ended(code),
            None => texts::completed(prompt.code, input.and_then(|input| input.key)),
        };
        metadata.username = Some(user_name());
        metadata.hostname = Some(host_name());
        metadata.py_interpreter_path = Some(self.python(model.path(), &prompt.directory));
        metadata.working_dir = Some(prompt.directory);
        drop(model);
        if ended.is_some() {
            current.ended();
        }
        observed(content, run.command.trim(), metadata, run.hidden)
    }

    /// The observation of a command that is not over.
    fn unfinished(
        current: &mut Current,
        run: &Run,
        suffix: String,
        input: Option<&Input<'_>>,
    ) -> Observation {
        let Some(shell) = &current.shell else {
            return Observation::Error("the shell is gone".to_owned());
        };
        let (head, text) = {
            let model = shell.model();
            let (head, text) = model.screen().text();
            (head.map(str::to_owned), text)
        };
        let mut metadata = Metadata {
            suffix,
            ..Metadata::default()
        };
        let before = current.told.as_deref();
        if before.is_some() {
            texts::CONTINUED.clone_into(&mut metadata.prefix);
        }
        let mut content = fresh(&text, before, input);
        if let Some(head) = head.filter(|_| before.is_none()) {
            content = format!("{}{content}", head.trim_start());
        }
        current.told = Some(text.trim_end().to_owned());
        observed(cut(content), run.command.trim(), metadata, false)
    }

    fn refuse(current: &mut Current, run: &Run) -> Observation {
        let command = run.command.trim();
        let mut observation = Self::unfinished(current, run, texts::refused(command), None);
        if let Observation::Run(told) = &mut observation {
            told.hidden = run.hidden;
        }
        observation
    }

    /// A key that nothing is there for.
    fn key_at_prompt(&self, current: &Current, run: &Run, key: u8) -> Observation {
        let command = run.command.trim();
        let pid = current
            .shell
            .as_ref()
            .map_or(-1, |shell| shell.model().prompt().pid);
        let letter = command.chars().last();
        let (code, content) = if key == 3 { (130, "^C") } else { (0, "") };
        let metadata = Metadata {
            exit_code: code,
            pid,
            username: Some(user_name()),
            hostname: Some(host_name()),
            py_interpreter_path: Some(self.python(None, "/")),
            working_dir: self.directory(),
            suffix: texts::completed(code, letter),
            ..Metadata::default()
        };
        observed(content.to_owned(), command, metadata, run.hidden)
    }

    /// Sees to it that there is a shell.
    async fn ensure(
        &self,
        current: &mut Current,
        name: &str,
        directory: Option<String>,
    ) -> Result<(), Observation> {
        if let Some(shell) = &current.shell {
            if shell.model().place() != Place::Ended {
                return Ok(());
            }
            current.ended();
        }
        let mut directory = directory.filter(|directory| Path::new(directory).is_dir());
        let mut failures = Vec::new();
        for kind in &self.settings.kinds {
            for reads_rc in [true, false] {
                current.started += 1;
                let name = format!("{name}-{}-{:x}", current.started, rand::random::<u32>());
                let started =
                    Shell::start(&self.processes, &name, *kind, reads_rc, directory.as_deref()).await;
                match started {
                    Ok(mut shell) => {
                        if let Some((of, exports)) = current.exports.take()
                            && of == *kind
                            && !shell.take_on(&exports).await
                        {
                            failures.push(format!("{kind:?} did not take what was exported before"));
                            shell.kill();
                            continue;
                        }
                        current.shell = Some(shell);
                        return Ok(());
                    }
                    Err(NoShell::Missing) => break,
                    // What the user's own start file does may be what is wrong.
                    Err(NoShell::Silent) => {
                        if let Ok(id) = name.parse() {
                            self.processes.forget(&id).ok(); // It is ours.
                        }
                        failures.push(format!("{kind:?} showed no prompt"));
                    }
                    Err(NoShell::Failed(message)) => {
                        failures.push(message);
                        directory = None;
                    }
                }
            }
        }
        Err(Observation::Error(if failures.is_empty() {
            "The image of this sandbox has no shell: neither bash nor sh is in its search path, so that no command can be \
             run. Files can be read, written and edited."
                .to_owned()
        } else {
            format!("No shell could be started: {}.", failures.join("; "))
        }))
    }

    /// What `python` would be in the shell.
    fn python(&self, path: Option<&str>, directory: &str) -> String {
        let path = path
            .or(self.settings.path.as_deref())
            .unwrap_or("/usr/local/bin:/usr/bin:/bin");
        path.split(':')
            .map(|part| Path::new(directory).join(part).join("python"))
            .find(|program| is_executable(program))
            .map_or_else(String::new, |program| program.display().to_string())
    }
}

fn after(moment: Instant, seconds: f64) -> Option<Instant> {
    moment.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}

/// What of an output was not shown, without blanks around, and without the echo of what was typed.
fn fresh(text: &str, told: Option<&str>, input: Option<&Input<'_>>) -> String {
    let rest = told
        .and_then(|told| text.strip_prefix(told))
        .unwrap_or(text)
        .trim_start();
    let rest = match input {
        Some(input) if input.is_shown && input.key.is_none() => {
            rest.strip_prefix(input.text).map_or(rest, str::trim_start)
        }
        _ => rest,
    };
    rest.trim_end().to_owned()
}

fn observed(content: String, command: &str, metadata: Metadata, hidden: bool) -> Observation {
    Observation::Run(RunObservation {
        content,
        command: command.to_owned(),
        metadata,
        hidden,
    })
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;

    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

fn user_name() -> String {
    crate::supervise::user_name(rustix::process::geteuid().as_raw())
        .unwrap_or_else(|| "I have no name!".to_owned())
}

fn host_name() -> String {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_shown() {
        assert_eq!(fresh("one\ntwo\n", Some("one"), None), "two");
        assert_eq!(fresh("changed\ntwo", Some("one"), None), "changed\ntwo");
        let input = Input {
            text: "Bob",
            key: None,
            is_shown: true,
        };
        assert_eq!(
            fresh("Name: Bob\nHello Bob\n", Some("Name:"), Some(&input)),
            "Hello Bob"
        );
        let unseen = Input {
            text: "Bob",
            key: None,
            is_shown: false,
        };
        assert_eq!(fresh("Name: Bob!", Some("Name:"), Some(&unseen)), "Bob!");
    }
}
