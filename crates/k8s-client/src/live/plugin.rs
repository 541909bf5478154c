//! What went wrong with a kubeconfig's credential plugin, in words: its name, how it ended, what it said.
//!
//! Never its arguments, which may hold secrets, nor its output, which is meant to.

use std::io::{self, IsTerminal as _};
use std::process::{ExitStatus, Output};

use kube::client::AuthError;
use kube::config::{ExecConfig, ExecInteractiveMode};

/// Lines of a plugin's standard error that are told.
const LAST_LINES: usize = 3;

/// Characters of each.
const LINE: usize = 300;

/// Has the plugin's standard error come to us where nobody sits at a terminal to read it. As client-go has it, a plugin
/// that is interactive if it can be is interactive only with a terminal.
pub(super) fn hear(plugin: &mut ExecConfig) {
    let if_available = !matches!(
        plugin.interactive_mode,
        Some(ExecInteractiveMode::Never | ExecInteractiveMode::Always)
    );
    if if_available && !io::stdin().is_terminal() {
        plugin.interactive_mode = Some(ExecInteractiveMode::Never);
    }
}

/// The words for `error`, if a plugin is what it is about. `plugin` is what the kubeconfig says of it, where that is known.
pub(super) fn words(error: &AuthError, plugin: Option<&ExecConfig>) -> Option<String> {
    let named = plugin.and_then(|plugin| plugin.command.as_deref());
    let name = |command: Option<&str>| match command.or(named) {
        Some(name) => format!("the kubeconfig's credential plugin {name:?}"),
        None => "the kubeconfig's credential plugin".to_owned(),
    };
    let hint = plugin.and_then(|plugin| plugin.install_hint.as_deref());
    Some(match error {
        AuthError::AuthExecStart(source) => {
            let why = match source.kind() {
                io::ErrorKind::NotFound => "is not installed".to_owned(),
                _ => format!("can't be run: {source}"),
            };
            let hint = hint.map_or_else(String::new, |hint| format!(". {}", hint.trim()));
            format!("{} {why}{hint}", name(None))
        }
        AuthError::AuthExecRun { cmd, out } => {
            let Output { status, stderr, .. } = &**out;
            let said = last_lines(&String::from_utf8_lossy(stderr));
            format!("{} {}{said}", name(program(cmd)), ended(*status))
        }
        AuthError::AuthExecParse(_) => format!("{} printed what is no ExecCredential", name(None)),
        AuthError::ExecPluginFailed => format!("{} gave no credentials (no status)", name(None)),
        AuthError::MissingCommand => "the kubeconfig's credential plugin has no command".to_owned(),
        _ => return None,
    })
}

/// The program of a command line as Rust shows one: `NAME="value" "program" "argument"`.
fn program(mut command_line: &str) -> Option<&str> {
    loop {
        let (before, quoted) = command_line.trim_start().split_once('"')?;
        let mut escaped = false;
        let end = quoted.find(|letter| {
            let ends = letter == '"' && !escaped;
            escaped = letter == '\\' && !escaped;
            ends
        })?;
        let (value, rest) = quoted.split_at(end);
        match before {
            "" => return Some(value),
            variable if variable.ends_with('=') => command_line = &rest[1..],
            _ => return None,
        }
    }
}

fn ended(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("ended with code {code}"),
        // `signal: 9 (SIGKILL)`
        None => format!("was killed ({status})"),
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let last: Vec<String> = lines[lines.len().saturating_sub(LAST_LINES)..]
        .iter()
        .map(|line| line.chars().take(LINE).collect())
        .collect();
    if last.is_empty() {
        return String::new();
    }
    format!(": {}", last.join(" / "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_of_a_command_line_is_told_without_its_arguments() {
        for (line, name) in [
            (r#""/usr/bin/aws" "--token" "secret""#, Some("/usr/bin/aws")),
            (r#"A="\"secret\"" B="\\" "aws" "x""#, Some("aws")),
            (r#"A="secret"#, None),
            (r#"env -u A "aws""#, None),
        ] {
            assert_eq!(program(line), name, "{line}");
        }
        assert_eq!(program(""), None);
    }

    #[test]
    fn only_the_last_lines_are_told() {
        assert_eq!(last_lines("one\n\n two \nthree\nfour\n"), ": two / three / four");
        assert_eq!(last_lines(" \n"), "");
        assert_eq!(last_lines(&"x".repeat(1000)).len(), LINE + 2);
    }
}
