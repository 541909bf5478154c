//! The editor's commands.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::history::History;
use super::text::{self, FileText, Form};
use super::{diff, directory, show};
use crate::action::python_text::repr;
use crate::action::request::Edit;

/// The size of a file that is read or edited, at most, in bytes.
const LARGEST: u64 = 10 << 20;
/// Lines that are shown before and behind a change.
const CONTEXT: usize = 4;
/// The permissions of a file that is made.
const MODE: u32 = 0o644;
/// Documents, which the server that this comes from can show as text, and this one can't.
const DOCUMENTS: [&str; 8] = [".docx", ".xlsx", ".pptx", ".pdf", ".mp3", ".wav", ".m4a", ".flac"];
const REVIEW: &str = "Review the changes and make sure they are as expected";

/// An editor of files, which knows what it has changed.
#[derive(Debug, Default)]
pub(crate) struct Editor {
    /// Where a relative path is looked for, to propose the absolute one.
    root: Option<PathBuf>,
    history: Mutex<History>,
}

/// What a command did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    /// What is said of it.
    pub(crate) output: String,
    /// What changed, as a unified diff.
    pub(crate) diff: String,
}

/// Why a command did nothing, for an agent to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct EditorError(String);

impl EditorError {
    fn invalid(name: &str, value: &str, hint: &str) -> Self {
        Self(format!("Invalid `{name}` parameter: {value}. {hint}"))
    }

    fn missing(command: &str, name: &str) -> Self {
        Self(format!("Parameter `{name}` is required for command: {command}."))
    }

    fn while_trying(error: &io::Error, doing: &str, path: &Path) -> Self {
        let shown = path.display();
        let what = match error.raw_os_error() {
            Some(number) => {
                let text = error.to_string();
                let text = text.split(" (os error").next().unwrap_or_default();
                format!("[Errno {number}] {text}: '{shown}'")
            }
            None => error.to_string(),
        };
        Self(format!("Ran into {what} while trying to {doing} {shown}"))
    }
}

/// What was read, and what is to be said of a change to it.
struct Edited {
    path: PathBuf,
    old: String,
    new: String,
}

impl Editor {
    /// One that proposes absolute paths in a directory.
    pub(crate) fn new(root: Option<PathBuf>) -> Self {
        Self {
            root,
            history: Mutex::default(),
        }
    }

    /// Shows a file or a directory.
    pub(crate) fn view(&self, path: &str, range: Option<&Value>) -> Result<String, EditorError> {
        let path = self.path("view", path)?;
        let range = range.filter(|range| !matches!(range, Value::Array(items) if items.is_empty()));
        if path.is_dir() {
            if let Some(range) = range {
                let hint = "The `view_range` parameter is not allowed when `path` points to a directory.";
                return Err(EditorError::invalid("view_range", &repr(range), hint));
            }
            return directory::view(&path).map_err(|error| EditorError::while_trying(&error, "read", &path));
        }
        let text = read(&path)?.text;
        let shown = path.display().to_string();
        let Some(range) = range else {
            return Ok(show::numbered(&text, &shown, 1));
        };
        let invalid = |hint: &str| EditorError::invalid("view_range", &repr(range), hint);
        let numbers: Option<Vec<i64>> = range
            .as_array()
            .and_then(|items| items.iter().map(Value::as_i64).collect());
        let Some([first, last]) = numbers.as_deref() else {
            return Err(invalid("It should be a list of two integers."));
        };
        let count = show::count(&text);
        let start = usize::try_from(*first).ok().filter(|start| (1..=count).contains(start)).ok_or_else(|| {
            invalid(&format!(
                "Its first element `{first}` should be within the range of lines of the file: [1, {count}]."
            ))
        })?;
        let end = if *last == -1 {
            count
        } else {
            usize::try_from(*last).unwrap_or(0)
        };
        let note = (end > count).then(|| {
            format!("NOTE: We only show up to {count} since there're only {count} lines in this file.\n")
        });
        let end = end.min(count);
        if end < start {
            let last = if *last < 0 {
                *last
            } else {
                i64::try_from(end).unwrap_or(i64::MAX)
            };
            return Err(invalid(&format!(
                "Its second element `{last}` should be greater than or equal to the first element `{first}`."
            )));
        }
        let lines = show::lines(&text, start, end);
        let lines = lines.strip_suffix('\n').unwrap_or(&lines);
        Ok(format!(
            "{}{}",
            note.unwrap_or_default(),
            show::numbered(lines, &shown, start)
        ))
    }

    /// Carries an edit out.
    pub(crate) fn edit(&self, edit: &Edit) -> Result<Changed, EditorError> {
        let insert_line = match &edit.insert_line {
            Some(Value::String(text)) => {
                let Ok(number) = text.trim().parse::<i64>() else {
                    let shown = repr(&Value::from(text.as_str()));
                    return Err(EditorError(format!(
                        "Invalid insert_line value: {shown}. Expected an integer."
                    )));
                };
                Some(Value::from(number))
            }
            other => other.clone(),
        };
        let command = edit.command.as_str();
        let path = self.path(command, &edit.path)?;
        let missing = |name| EditorError::missing(command, name);
        match command {
            "view" => Ok(Changed {
                output: self.view(&edit.path, None)?,
                diff: String::new(),
            }),
            "create" => {
                let text = edit.file_text.as_ref().ok_or_else(|| missing("file_text"))?;
                write(&path, text, Form::default())?;
                self.remember(&path, text.clone());
                let output = format!("File created successfully at: {}", path.display());
                Ok(changed(
                    output,
                    &Edited {
                        path,
                        old: String::new(),
                        new: text.clone(),
                    },
                ))
            }
            "str_replace" => {
                let old = edit.old_str.as_deref().ok_or_else(|| missing("old_str"))?;
                if edit.new_str.as_deref() == Some(old) {
                    let hint = "No replacement was performed. `new_str` and `old_str` must be different.";
                    return Err(EditorError::invalid("new_str", old, hint));
                }
                self.replace(path, old, edit.new_str.as_deref().unwrap_or(""))
            }
            "insert" => {
                let line = insert_line.ok_or_else(|| missing("insert_line"))?;
                let text = edit.new_str.as_deref().ok_or_else(|| missing("new_str"))?;
                self.insert(path, &line, text)
            }
            "undo_edit" => self.undo(path),
            _ => Err(EditorError(format!(
                "Unrecognized command {command}. The allowed commands for the oh_editor tool are: view, create, \
                 str_replace, insert, undo_edit"
            ))),
        }
    }

    fn replace(&self, path: PathBuf, old: &str, new: &str) -> Result<Changed, EditorError> {
        let file = read(&path)?;
        let text = &file.text;
        let (mut old, mut new) = (old, new);
        let mut places = occurrences(text, old);
        if places.is_empty() {
            // Blanks around it may be what is wrong.
            (old, new) = (old.trim(), new.trim());
            places = occurrences(text, old);
        }
        let place = match places.as_slice() {
            [] => {
                return Err(EditorError(format!(
                    "No replacement was performed, old_str `{old}` did not appear verbatim in {}.",
                    path.display()
                )));
            }
            [one] => *one,
            several => {
                let mut lines: Vec<usize> = lines_of(text, several);
                lines.dedup();
                return Err(EditorError(format!(
                    "No replacement was performed. Multiple occurrences of old_str `{old}` in lines {lines:?}. Please \
                     ensure it is unique."
                )));
            }
        };
        let edited = format!("{}{new}{}", &text[..place], &text[place + old.len()..]);
        write(&path, &edited, file.form())?;
        self.remember(&path, text.clone());
        let line = text[..place].matches('\n').count() + 1;
        let start = line.saturating_sub(CONTEXT);
        let end = line + CONTEXT + new.matches('\n').count();
        let shown = path.display();
        let snippet = show::numbered(
            &show::lines(&edited, start + 1, end),
            &format!("a snippet of {shown}"),
            start + 1,
        );
        let output =
            format!("The file {shown} has been edited. {snippet}{REVIEW}. Edit the file again if necessary.");
        Ok(changed(
            output,
            &Edited {
                path,
                old: file.text,
                new: edited,
            },
        ))
    }

    fn insert(&self, path: PathBuf, line: &Value, new: &str) -> Result<Changed, EditorError> {
        let file = read(&path)?;
        let text = &file.text;
        let count = show::count(text);
        let at = line
            .as_u64()
            .and_then(|line| usize::try_from(line).ok())
            .filter(|line| *line <= count);
        let at = at.ok_or_else(|| {
            let hint = format!("It should be within the range of allowed values: [0, {count}]");
            EditorError::invalid("insert_line", &repr(line), &hint)
        })?;
        let before = show::lines(text, 1, at);
        let rest = &text[before.len()..];
        // A last line without an end gets one: it stays a line of its own.
        let end = if before.is_empty() || before.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        let edited = format!("{before}{end}{new}\n{rest}");
        write(&path, &edited, file.form())?;
        self.remember(&path, text.clone());
        let added = new.matches('\n').count() + 1;
        let start = at.saturating_sub(CONTEXT);
        let last = (count + added).min(at + CONTEXT + added);
        let snippet = show::numbered(
            &show::lines(&edited, start + 1, last),
            "a snippet of the edited file",
            start + 1,
        );
        let output = format!(
            "The file {} has been edited. {snippet}{REVIEW} (correct indentation, no duplicate lines, etc). Edit the file \
             again if necessary.",
            path.display()
        );
        Ok(changed(
            output,
            &Edited {
                path,
                old: file.text,
                new: edited,
            },
        ))
    }

    fn undo(&self, path: PathBuf) -> Result<Changed, EditorError> {
        let file = read(&path)?;
        let before = self
            .history
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop(&path);
        let shown = path.display().to_string();
        let before = before.ok_or_else(|| EditorError(format!("No edit history found for {shown}.")))?;
        if let Err(error) = write(&path, &before, file.form()) {
            self.remember(&path, before);
            return Err(error);
        }
        let output = format!(
            "Last edit to {shown} undone successfully. {}",
            show::numbered(&before, &shown, 1)
        );
        Ok(changed(
            output,
            &Edited {
                path,
                old: file.text,
                new: before,
            },
        ))
    }

    fn remember(&self, path: &Path, text: String) {
        self.history
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(path, text);
    }

    /// The file, if the command may be about it.
    fn path(&self, command: &str, path: &str) -> Result<PathBuf, EditorError> {
        let path = tidy(path);
        let shown = path.display().to_string();
        let invalid = |hint: String| EditorError::invalid("path", &shown, &hint);
        if !path.is_absolute() {
            let mut hint = "The path should be an absolute path, starting with `/`.".to_owned();
            let proposed = self
                .root
                .as_ref()
                .map(|root| root.join(&path))
                .filter(|path| path.exists());
            if let Some(proposed) = proposed {
                hint = format!("{hint} Maybe you meant {}?", proposed.display());
            }
            return Err(invalid(hint));
        }
        let exists = path.exists();
        if command == "create" && exists {
            return Err(invalid(format!(
                "File already exists at: {shown}. Cannot overwrite files using command `create`."
            )));
        }
        if command != "create" && !exists {
            return Err(invalid(format!(
                "The path {shown} does not exist. Please provide a valid path."
            )));
        }
        if command != "view" {
            if path.is_dir() {
                return Err(invalid(format!(
                    "The path {shown} is a directory and only the `view` command can be used on directories."
                )));
            }
            if let Some(kind) = document(&path) {
                return Err(invalid(format!(
                    "The path {shown} points to a binary file ({kind}) and only the `view` command can be used on \
                     supported binary files."
                )));
            }
        }
        Ok(path)
    }
}

fn changed(output: String, edited: &Edited) -> Changed {
    let path = edited.path.display().to_string();
    Changed {
        output,
        diff: diff::unified(&edited.old, &edited.new, &path),
    }
}

/// Without what means nothing in a path: doubled and last slashes, and `.`.
fn tidy(path: &str) -> PathBuf {
    let tidied: PathBuf = Path::new(path)
        .components()
        .filter(|part| *part != Component::CurDir)
        .collect();
    if tidied.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        tidied
    }
}

/// The extension of a document, as it stands in the path.
fn document(path: &Path) -> Option<String> {
    let extension = format!(".{}", path.extension()?.to_str()?);
    DOCUMENTS
        .contains(&extension.to_lowercase().as_str())
        .then_some(extension)
}

fn read(path: &Path) -> Result<FileText, EditorError> {
    let shown = path.display();
    let refused = |reason: String| EditorError(format!("File validation failed for {shown}: {reason}"));
    let failed = |error: io::Error| EditorError::while_trying(&error, "read", path);
    if document(path).is_some() {
        return Err(EditorError(format!(
            "Error in converting file to Markdown: documents are not converted here. Please use Python code to read {shown}"
        )));
    }
    let size = text::open(path)
        .and_then(|file| file.metadata())
        .map_err(failed)?
        .len();
    let too_large = |size: u64| {
        // To a tenth, as it is shown.
        let tenths = (size * 10 + (1 << 19)) >> 20;
        refused(format!(
            "File is too large ({}.{}MB). Maximum allowed size is {}MB.",
            tenths / 10,
            tenths % 10,
            LARGEST >> 20
        ))
    };
    if size > LARGEST {
        return Err(too_large(size));
    }
    if text::is_binary(path) {
        return Err(refused(
            "File appears to be binary and this file type cannot be read or edited by this tool.".to_owned(),
        ));
    }
    let bytes = text::read(path, LARGEST).map_err(failed)?;
    // It has grown, or has no size of its own.
    if bytes.len() as u64 > LARGEST {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(FileText::decode(bytes))
}

fn write(path: &Path, text: &str, form: Form) -> Result<(), EditorError> {
    text::store(path, &form.encode(text), MODE)
        .map_err(|error| EditorError::while_trying(&error, "write to", path))
}

/// Where a text stands, without overlaps; an empty one stands everywhere.
fn occurrences(text: &str, wanted: &str) -> Vec<usize> {
    text.match_indices(wanted).map(|(at, _)| at).collect()
}

/// The lines of places that are in order.
fn lines_of(text: &str, places: &[usize]) -> Vec<usize> {
    let (mut line, mut at) = (1, 0);
    let mut lines = Vec::with_capacity(places.len());
    for place in places {
        line += text[at..*place].matches('\n').count();
        at = *place;
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn editor() -> (tempfile::TempDir, Editor) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_owned();
        (directory, Editor::new(Some(root)))
    }

    fn edit(path: &Path, command: &str) -> Edit {
        Edit {
            path: path.display().to_string(),
            command: command.to_owned(),
            file_text: None,
            old_str: None,
            new_str: None,
            insert_line: None,
            by_model: false,
        }
    }

    #[test]
    fn a_file_keeps_its_line_ends_and_its_encoding() {
        let (directory, editor) = editor();
        let path = directory.path().join("f");
        std::fs::write(&path, b"gr\xfcn\r\nrot\r\n").unwrap();
        let mut replaced = edit(&path, "str_replace");
        (replaced.old_str, replaced.new_str) = (Some("rot".to_owned()), Some("a\nb".to_owned()));
        editor.edit(&replaced).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"gr\xfcn\r\na\r\nb\r\n");
        editor.edit(&edit(&path, "undo_edit")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"gr\xfcn\r\nrot\r\n");
    }

    #[test]
    fn a_last_line_without_an_end_stays_a_line() {
        let (directory, editor) = editor();
        let path = directory.path().join("f");
        std::fs::write(&path, "end").unwrap();
        let mut inserted = edit(&path, "insert");
        (inserted.insert_line, inserted.new_str) = (Some(1.into()), Some("after".to_owned()));
        let changed = editor.edit(&inserted).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "end\nafter\n");
        assert!(
            changed.output.contains("     1\tend\n     2\tafter\n"),
            "{}",
            changed.output
        );
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let (directory, editor) = editor();
        let path = directory.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
        let error = editor.view(path.to_str().unwrap(), None).unwrap_err();
        assert!(error.to_string().contains("a named pipe"), "{error}");
        let large = directory.path().join("large");
        std::fs::File::create(&large)
            .unwrap()
            .set_len(LARGEST + 1)
            .unwrap();
        let error = editor.view(large.to_str().unwrap(), None).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("File is too large (10.0MB). Maximum allowed size is 10MB."),
            "{error}"
        );
    }

    #[test]
    fn paths_are_tidied() {
        assert_eq!(tidy("/a//b/./c/"), Path::new("/a/b/c"));
        assert_eq!(tidy("a/../b"), Path::new("a/../b"));
        assert_eq!(tidy(""), Path::new("."));
    }
}
