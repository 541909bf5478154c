//! What an action came to, as the API tells it (`openhands/events/observation/` of openhands-ai 1.6.0).

use serde_json::{Map, Value, json};

/// Characters of a command's output in an observation, at most: the first and the last half of it.
const LONGEST: usize = 30_000;
/// What stands for the part between.
const LEFT_OUT: &str = "\n[... Observation truncated due to length ...]\n";

/// What an action came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// Of `run`.
    Run(RunObservation),
    /// Of `run_ipython`.
    Python {
        /// What the code wrote, and its value.
        content: String,
        /// The code.
        code: String,
    },
    /// Of `read`.
    Read {
        /// What is in the file, or what the editor says of it.
        content: String,
        /// The file.
        path: String,
        /// Whether the editor was asked.
        by_editor: bool,
    },
    /// Of `write`.
    Write {
        /// The file.
        path: String,
    },
    /// Of `edit`; an edit that failed is one, too, whose content begins with `ERROR`.
    Edit(EditObservation),
    /// An error that an agent can do something about.
    Error(String),
}

/// How a command ended, or where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct RunObservation {
    /// The output.
    pub content: String,
    /// The command.
    pub command: String,
    /// What is known besides.
    pub metadata: Metadata,
    /// As it was asked for.
    pub hidden: bool,
}

/// What the shell says of itself. Of a command that is not over there are only the texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    /// The exit code; -1 if there is none.
    pub exit_code: i32,
    /// The last background process; -1 if there is none.
    pub pid: i64,
    /// The user's name.
    pub username: Option<String>,
    /// The host's name, up to its first dot.
    pub hostname: Option<String>,
    /// The directory.
    pub working_dir: Option<String>,
    /// The program that `python` would be; empty if there is none.
    pub py_interpreter_path: Option<String>,
    /// What to show before the output.
    pub prefix: String,
    /// What to show after it.
    pub suffix: String,
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            exit_code: -1,
            pid: -1,
            username: None,
            hostname: None,
            working_dir: None,
            py_interpreter_path: None,
            prefix: String::new(),
            suffix: String::new(),
        }
    }
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct EditObservation {
    /// What the editor says.
    pub content: String,
    /// The file.
    pub path: String,
    /// The text that was to be replaced.
    pub old_str: Option<String>,
    /// The text that was to stand in its place.
    pub new_str: Option<String>,
    /// What changed, as a unified diff without context.
    pub diff: String,
}

impl Observation {
    /// As it stands in an answer.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Run(run) => run.to_json(),
            Self::Python { content, code } => json!({
                "message": "Code executed in IPython cell.",
                "observation": "run_ipython",
                "content": content,
                "extras": {"code": code, "image_urls": null},
                "success": true,
            }),
            Self::Read {
                content,
                path,
                by_editor,
            } => json!({
                "message": format!("I read the file {path}."),
                "observation": "read",
                "content": content,
                "extras": {"path": path, "impl_source": if *by_editor { "oh_aci" } else { "default" }},
            }),
            Self::Write { path } => json!({
                "message": format!("I wrote to the file {path}."),
                "observation": "write",
                "content": "",
                "extras": {"path": path},
            }),
            Self::Edit(edit) => json!({
                "message": format!("I edited the file {}.", edit.path),
                "observation": "edit",
                "content": edit.content,
                "extras": {
                    "path": edit.path,
                    "prev_exist": false,
                    "old_content": edit.old_str,
                    "new_content": edit.new_str,
                    "impl_source": "oh_aci",
                    "diff": edit.diff,
                    "_diff_cache": null,
                },
            }),
            Self::Error(message) => json!({
                "message": message,
                "observation": "error",
                "content": message,
                "extras": {"error_id": ""},
            }),
        }
    }
}

impl RunObservation {
    fn to_json(&self) -> Value {
        let metadata = &self.metadata;
        let mut known = Map::new();
        known.insert("exit_code".to_owned(), metadata.exit_code.into());
        known.insert("pid".to_owned(), metadata.pid.into());
        for (name, text) in [
            ("username", &metadata.username),
            ("hostname", &metadata.hostname),
            ("working_dir", &metadata.working_dir),
            ("py_interpreter_path", &metadata.py_interpreter_path),
        ] {
            known.insert(name.to_owned(), text.clone().into());
        }
        known.insert("prefix".to_owned(), metadata.prefix.clone().into());
        known.insert("suffix".to_owned(), metadata.suffix.clone().into());
        json!({
            "message": format!("Command `{}` executed with exit code {}.", self.command, metadata.exit_code),
            "observation": "run",
            "content": self.content,
            "extras": {"command": self.command, "metadata": known, "hidden": self.hidden},
            "success": metadata.exit_code == 0,
        })
    }
}

/// The first and the last part of a text that is too long.
pub(super) fn cut(text: String) -> String {
    // No text has more characters than bytes.
    if text.len() <= LONGEST || text.chars().count() <= LONGEST {
        return text;
    }
    let half = LONGEST / 2;
    let first = text.char_indices().nth(half).map_or(text.len(), |(at, _)| at);
    let last = text.char_indices().rev().nth(half - 1).map_or(0, |(at, _)| at);
    format!("{}{LEFT_OUT}{}", &text[..first], &text[last..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_loses_its_middle() {
        assert_eq!(cut("ä".repeat(LONGEST)), "ä".repeat(LONGEST));
        let text = format!("{}{}{}", "a".repeat(15_000), "é", "b".repeat(15_000));
        let expected = format!("{}{LEFT_OUT}{}", "a".repeat(15_000), "b".repeat(15_000));
        assert_eq!(cut(text), expected);
    }
}
