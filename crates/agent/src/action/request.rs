//! What is asked for: from the body of `/execute_action` to an action.
//!
//! Which arguments an action has, and what is said of a body that is none, is
//! `openhands/events/serialization/action.py` of openhands-ai 1.6.0.

use serde_json::{Map, Value};

use super::python_text::repr;
use super::refusal::Refusal;

/// An action, and how long it may take.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// What to do.
    pub action: Action,
    /// The hard time-out, in seconds.
    pub timeout: Option<f64>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A command for the shell.
    Run(Run),
    /// Code for Python.
    Python(Python),
    /// Read a file.
    Read(Read),
    /// Write a file.
    Write(Write),
    /// Edit a file.
    Edit(Edit),
    /// Anything with a browser.
    Browse,
}

/// A command for the shell.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the API's own")]
pub struct Run {
    /// The text; empty to wait for the command that runs.
    pub command: String,
    /// Whether it is for the program that runs.
    pub is_input: bool,
    /// Whether it is waited for until the time-out, however long nothing is written.
    pub blocking: bool,
    /// Whether it runs in a shell of its own.
    pub is_static: bool,
    /// Where that shell starts.
    pub cwd: Option<String>,
    /// Whether nobody is shown the output, which is then not cut.
    pub hidden: bool,
}

/// Code for Python.
#[derive(Clone, Debug, PartialEq)]
pub struct Python {
    /// The code.
    pub code: String,
    /// Whether directory and interpreter are told with the output.
    pub include_extra: bool,
}

/// Read a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// The file.
    pub path: String,
    /// The first line, counted from 0.
    pub start: i64,
    /// The line before which to stop; -1 for the end.
    pub end: i64,
    /// Whether the editor shows it.
    pub by_editor: bool,
    /// The lines that the editor shows.
    pub view_range: Option<Value>,
}

/// Write a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The file.
    pub path: String,
    /// The text.
    pub content: String,
    /// The first line that is replaced, counted from 0.
    pub start: i64,
    /// The line before which the old text goes on; -1 if it does not.
    pub end: i64,
}

/// Edit a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The file.
    pub path: String,
    /// What to do with it.
    pub command: String,
    /// The text of a new file.
    pub file_text: Option<String>,
    /// The text to replace.
    pub old_str: Option<String>,
    /// The text to put in.
    pub new_str: Option<String>,
    /// The line to put it behind: a number, or a text that is one.
    pub insert_line: Option<Value>,
    /// Whether a model is to be asked for the edit, which clients do themselves.
    pub by_model: bool,
}

/// The actions that the API knows by name and a sandbox has nothing to do for.
const NOT_HERE: [&str; 14] = [
    "null",
    "think",
    "finish",
    "reject",
    "delegate",
    "recall",
    "change_agent_state",
    "message",
    "system",
    "condensation",
    "condensation_request",
    "call_tool_mcp",
    "task_tracking",
    "loop_recovery",
];
const KNOWN: &str = "dict_keys([<ActionType.NULL: 'null'>, <ActionType.RUN: 'run'>, <ActionType.RUN_IPYTHON: \
    'run_ipython'>, <ActionType.BROWSE: 'browse'>, <ActionType.BROWSE_INTERACTIVE: 'browse_interactive'>, \
    <ActionType.READ: 'read'>, <ActionType.WRITE: 'write'>, <ActionType.EDIT: 'edit'>, <ActionType.THINK: 'think'>, \
    <ActionType.FINISH: 'finish'>, <ActionType.REJECT: 'reject'>, <ActionType.DELEGATE: 'delegate'>, \
    <ActionType.RECALL: 'recall'>, <ActionType.CHANGE_AGENT_STATE: 'change_agent_state'>, <ActionType.MESSAGE: \
    'message'>, <ActionType.SYSTEM: 'system'>, <ActionType.CONDENSATION: 'condensation'>, \
    <ActionType.CONDENSATION_REQUEST: 'condensation_request'>, <ActionType.MCP: 'call_tool_mcp'>, \
    <ActionType.TASK_TRACKING: 'task_tracking'>, <ActionType.LOOP_RECOVERY: 'loop_recovery'>])";

/// Reads the body of a request.
pub fn parse(body: &[u8]) -> Result<Asked, Refusal> {
    if body.is_empty() {
        return Err(Refusal::invalid(
            "[{'type': 'missing', 'loc': ('body',), 'msg': 'Field required', 'input': None}]",
        ));
    }
    let document: Value = serde_json::from_slice(body).map_err(|error| {
        Refusal::invalid(format!(
            "[{{'type': 'json_invalid', 'loc': ('body', {}), 'msg': 'JSON decode error', 'input': {{}}, 'ctx': {{'error': \
             '{error}'}}}}]",
            error.column()
        ))
    })?;
    let Value::Object(mut document) = document else {
        return Err(Refusal::invalid(format!(
            "[{{'type': 'model_attributes_type', 'loc': ('body',), 'msg': 'Input should be a valid dictionary or object to \
             extract fields from', 'input': {}}}]",
            repr(&document)
        )));
    };
    match document.remove("action") {
        Some(Value::Object(action)) => action_of(&action).map_err(Refusal::internal),
        Some(other) => Err(Refusal::invalid(format!(
            "[{{'type': 'dict_type', 'loc': ('body', 'action'), 'msg': 'Input should be a valid dictionary', 'input': {}}}]",
            repr(&other)
        ))),
        None => Err(Refusal::invalid(format!(
            "[{{'type': 'missing', 'loc': ('body', 'action'), 'msg': 'Field required', 'input': {}}}]",
            repr(&Value::Object(document))
        ))),
    }
}

fn action_of(event: &Map<String, Value>) -> Result<Asked, String> {
    let whole = Value::Object(event.clone());
    let Some(kind) = event.get("action") else {
        return Err(if event.contains_key("observation") {
            "400: Invalid action type".to_owned()
        } else {
            format!("Unknown event type: {}", repr(&whole))
        });
    };
    let name = kind.as_str().unwrap_or_default();
    let unknown = || {
        format!(
            "'action['action']={}' is not defined. Available actions: {KNOWN}",
            repr(kind)
        )
    };
    if NOT_HERE.contains(&name) {
        return Err(format!("'ActionExecutor' object has no attribute '{name}'"));
    }
    let class = match name {
        "run" => "CmdRunAction",
        "run_ipython" => "IPythonRunCellAction",
        "read" => "FileReadAction",
        "write" => "FileWriteAction",
        "edit" => "FileEditAction",
        "browse" => "BrowseURLAction",
        "browse_interactive" => "BrowseInteractiveAction",
        _ => return Err(unknown()),
    };
    let arguments = match event.get("args") {
        None => Map::new(),
        Some(Value::Object(arguments)) => arguments.clone(),
        Some(other) => {
            return Err(format!(
                "the arguments of an action are an object, and these are {}",
                repr(other)
            ));
        }
    };
    let wrong = |what: String| format!("action={} has the wrong arguments: {what}", repr(&whole));
    let timeout = match event.get("timeout") {
        None | Some(Value::Null) => None,
        Some(value) => Some(
            value
                .as_f64()
                .ok_or_else(|| wrong(format!("the time-out is {}, which is no number", repr(value))))?,
        ),
    };
    let mut arguments = Arguments { class, arguments };
    let action = arguments.action(name).map_err(wrong)?;
    Ok(Asked { action, timeout })
}

/// Arguments that were not read yet.
struct Arguments {
    class: &'static str,
    arguments: Map<String, Value>,
}

impl Arguments {
    fn action(&mut self, name: &str) -> Result<Action, String> {
        // What older clients send, and what says something of an action rather than to it.
        for ignored in [
            "timestamp",
            "is_confirmed",
            "keep_prompt",
            "task_completed",
            "translated_ipython_code",
            "thought",
            "security_risk",
        ] {
            self.arguments.remove(ignored);
        }
        let action = match name {
            "run" => {
                self.needed(&["command"])?;
                self.arguments.remove("confirmation_state");
                Action::Run(Run {
                    command: self.text("command")?.unwrap_or_default(),
                    is_input: self.flag("is_input", false)?,
                    blocking: self.flag("blocking", false)?,
                    is_static: self.flag("is_static", false)?,
                    cwd: self.text("cwd")?,
                    hidden: self.flag("hidden", false)?,
                })
            }
            "run_ipython" => {
                self.needed(&["code"])?;
                for ignored in ["confirmation_state", "kernel_init_code"] {
                    self.arguments.remove(ignored);
                }
                Action::Python(Python {
                    code: self.text("code")?.unwrap_or_default(),
                    include_extra: self.flag("include_extra", true)?,
                })
            }
            "read" => {
                self.needed(&["path"])?;
                Action::Read(Read {
                    path: self.text("path")?.unwrap_or_default(),
                    start: self.number("start", 0)?,
                    end: self.number("end", -1)?,
                    by_editor: self.text("impl_source")?.as_deref() == Some("oh_aci"),
                    view_range: self.any("view_range"),
                })
            }
            "write" => {
                self.needed(&["path", "content"])?;
                Action::Write(Write {
                    path: self.text("path")?.unwrap_or_default(),
                    content: self.text("content")?.unwrap_or_default(),
                    start: self.number("start", 0)?,
                    end: self.number("end", -1)?,
                })
            }
            "edit" => {
                self.needed(&["path"])?;
                for ignored in ["content", "start", "end"] {
                    self.arguments.remove(ignored);
                }
                Action::Edit(Edit {
                    path: self.text("path")?.unwrap_or_default(),
                    command: self.text("command")?.unwrap_or_default(),
                    file_text: self.text("file_text")?,
                    old_str: self.text("old_str")?,
                    new_str: self.text("new_str")?,
                    insert_line: self.any("insert_line"),
                    by_model: self.text("impl_source")?.is_some_and(|source| source != "oh_aci"),
                })
            }
            _ => {
                self.needed(&[if name == "browse" {
                    "url"
                } else {
                    "browser_actions"
                }])?;
                for ignored in [
                    "url",
                    "return_axtree",
                    "browser_actions",
                    "browsergym_send_msg_to_user",
                ] {
                    self.arguments.remove(ignored);
                }
                Action::Browse
            }
        };
        match self.arguments.keys().next() {
            None => Ok(action),
            Some(name) => Err(format!(
                "{}.__init__() got an unexpected keyword argument '{name}'",
                self.class
            )),
        }
    }

    fn needed(&self, names: &[&str]) -> Result<(), String> {
        let missing: Vec<String> = names
            .iter()
            .filter(|name| !self.arguments.contains_key(**name))
            .map(|name| format!("'{name}'"))
            .collect();
        // What is not known is told before what is missing.
        let arguments = match missing.as_slice() {
            [] => return Ok(()),
            [one] => format!("argument: {one}"),
            several => format!("arguments: {}", several.join(" and ")),
        };
        Err(format!(
            "{}.__init__() missing {} required positional {arguments}",
            self.class,
            missing.len()
        ))
    }

    fn any(&mut self, name: &str) -> Option<Value> {
        self.arguments.remove(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.any(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.contains('\0') => {
                Err(format!("{name} has a NUL character, which no program takes"))
            }
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("{name} is {}, which is no text", repr(&other))),
        }
    }

    fn flag(&mut self, name: &str, default: bool) -> Result<bool, String> {
        match self.any(name) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(format!(
                "{name} is {}, which is neither true nor false",
                repr(&other)
            )),
        }
    }

    fn number(&mut self, name: &str, default: i64) -> Result<i64, String> {
        match self.any(name) {
            None => Ok(default),
            Some(other) => other
                .as_i64()
                .ok_or_else(|| format!("{name} is {}, which is no whole number", repr(&other))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn asked(action: &Value) -> Result<Asked, Refusal> {
        parse(json!({ "action": action }).to_string().as_bytes())
    }

    #[test]
    fn a_command_with_all_its_fields() {
        let asked = asked(&json!({
            "action": "run", "timeout": 12, "id": 3, "message": "m", "source": "agent",
            "args": {"command": "a", "is_input": true, "thought": "t", "blocking": true, "is_static": false, "cwd": null,
                     "hidden": true, "confirmation_state": "confirmed", "security_risk": -1, "keep_prompt": true},
        }))
        .unwrap();
        let run = Run {
            command: "a".into(),
            is_input: true,
            blocking: true,
            hidden: true,
            ..Run::default()
        };
        assert_eq!(
            asked,
            Asked {
                action: Action::Run(run),
                timeout: Some(12.0)
            }
        );
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (action, says) in [
            (
                json!({"action": "run", "args": {}}),
                "missing 1 required positional argument: 'command'",
            ),
            (
                json!({"action": "write"}),
                "missing 2 required positional arguments: 'path' and 'content'",
            ),
            (
                json!({"action": "run", "args": {"command": "a", "x": 1}}),
                "got an unexpected keyword argument 'x'",
            ),
            (
                json!({"action": "run", "args": {"command": 5}}),
                "command is 5, which is no text",
            ),
            (json!({"action": "run", "args": {"command": "a\u{0}"}}), "NUL"),
            (json!({"action": "run", "args": [1]}), "an object"),
            (
                json!({"action": "run", "timeout": "x", "args": {"command": "a"}}),
                "no number",
            ),
            (json!({"action": 7}), "'action['action']=7' is not defined"),
            (json!({"action": "think", "args": {}}), "has no attribute 'think'"),
        ] {
            let refusal = asked(&action).unwrap_err();
            assert_eq!(refusal.status, 500);
            assert!(refusal.detail.contains(says), "{}", refusal.detail);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&bytes);
        }
    }
}
