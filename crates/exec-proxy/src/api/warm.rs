//! What `GET /api/warm-runtime-configs` answers: the configurations of a file in the form of OpenHands' official chart
//! (`warm-runtimes.json`). OpenHands' app offers its users what is listed; nothing is kept warm for it here.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// Bytes of the file, at most: a ConfigMap holds 1 MiB.
const MOST: u64 = 1 << 20;

/// The configurations that clients are told of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WarmConfigs(Vec<Value>);

/// Why a file can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WarmConfigsError {
    /// It can't be read.
    #[error("the file of warm runtimes {} can't be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: std::io::Error,
    },
    /// It is none.
    #[error("the file of warm runtimes {} can't be used: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

impl WarmConfigs {
    /// Those of a file.
    pub fn of_file(path: &Path) -> Result<Self, WarmConfigsError> {
        let failed = |source| WarmConfigsError::Read {
            path: path.to_owned(),
            source,
        };
        let wrong = |message: String| WarmConfigsError::Content {
            path: path.to_owned(),
            message,
        };
        if std::fs::metadata(path).map_err(failed)?.len() > MOST {
            return Err(wrong(format!("it has more than {MOST} bytes")));
        }
        Self::parse(&std::fs::read(path).map_err(failed)?).map_err(wrong)
    }

    /// Those of the file's text. All that is wrong with it is told.
    fn parse(text: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let Some(configs) = value.get("configs").and_then(Value::as_array) else {
            return Err("it has no list \"configs\"".to_owned());
        };
        let (mut read, mut problems) = (Vec::new(), Vec::new());
        for (index, config) in configs.iter().enumerate() {
            match self::config(config) {
                Ok(config) => read.push(config),
                Err(problem) => problems.push(format!("configs[{index}] {problem}")),
            }
        }
        if problems.is_empty() {
            Ok(Self(read))
        } else {
            Err(problems.join("; "))
        }
    }

    /// What is answered.
    pub(super) fn answer(&self) -> Value {
        json!({"configs": self.0})
    }
}

/// One of them, with the fields that clients read: each of the first five must be there, or OpenHands' app fails.
fn config(value: &Value) -> Result<Value, String> {
    let fields = value.as_object().ok_or("is no table")?;
    let mut read = Map::new();
    for name in ["name", "image", "working_dir"] {
        match fields.get(name) {
            Some(Value::String(text)) if !text.trim().is_empty() => {
                read.insert(name.to_owned(), json!(text));
            }
            _ => return Err(format!("has no text {name:?}")),
        }
    }
    let command = match fields.get("command") {
        None | Some(Value::Null) => Value::Null,
        Some(text @ Value::String(_)) => text.clone(),
        Some(Value::Array(words)) if words.iter().all(Value::is_string) => json!(words),
        Some(_) => return Err("has a \"command\" that is neither a list of texts nor a text".to_owned()),
    };
    read.insert("command".to_owned(), command);
    let environment = match fields.get("environment") {
        None | Some(Value::Null) => json!({}),
        Some(Value::Object(variables)) if variables.values().all(is_plain) => json!(variables),
        Some(_) => return Err("has an \"environment\" that is no table of texts".to_owned()),
    };
    read.insert("environment".to_owned(), environment);
    for name in ["run_as_user", "run_as_group", "fs_group"] {
        match fields.get(name) {
            None | Some(Value::Null) => {}
            Some(id) if id.is_u64() => {
                read.insert(name.to_owned(), id.clone());
            }
            Some(_) => return Err(format!("has a {name:?} that is no whole number")),
        }
    }
    Ok(Value::Object(read))
}

fn is_plain(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the chart mounts it, with fields that are about its own pool.
    const OF_CHART: &str = r#"{"count": 1, "configs": [{
        "name": "v1_current", "image": "ghcr.io/openhands/agent-server:1.58.2-python", "working_dir": "/workspace/project",
        "count": 2, "fuse_s3_mount": {"x": 1},
        "command": ["/usr/local/bin/openhands-agent-server", "--port", "60000"],
        "environment": {"OH_VSCODE_PORT": "60001", "LOG_JSON": true},
        "run_as_user": 10001, "run_as_group": 10001, "fs_group": 10001
    }, {"name": "bare", "image": "debian:12", "working_dir": "/w"}]}"#;

    #[test]
    fn the_chart_s_file_is_answered_with_what_clients_read() {
        let configs = WarmConfigs::parse(OF_CHART.as_bytes()).unwrap().answer();
        let first = &configs["configs"][0];
        assert_eq!(first["command"][2], "60000");
        assert_eq!(
            (&first["run_as_user"], &first["fs_group"]),
            (&json!(10_001), &json!(10_001))
        );
        assert!(first.get("count").is_none() && first.get("fuse_s3_mount").is_none());
        let bare = json!({
            "name": "bare", "image": "debian:12", "working_dir": "/w", "command": null, "environment": {},
        });
        assert_eq!(configs["configs"][1], bare);
        assert_eq!(WarmConfigs::default().answer(), json!({"configs": []}));
    }

    #[test]
    fn what_clients_would_fail_at_is_refused() {
        for (text, told) in [
            ("[]", "no list \"configs\""),
            ("{", "EOF"),
            (r#"{"configs": [1]}"#, "configs[0] is no table"),
            (
                r#"{"configs": [{"name": "a", "image": "i"}]}"#,
                "no text \"working_dir\"",
            ),
            (
                r#"{"configs": [{"name": "a", "image": "i", "working_dir": "/", "command": [1]}]}"#,
                "\"command\"",
            ),
            (
                r#"{"configs": [{"name": "a", "image": "i", "working_dir": "/", "environment": {"A": {}}}]}"#,
                "\"environment\"",
            ),
            (
                r#"{"configs": [{"name": "a", "image": "i", "working_dir": "/", "fs_group": "x"}]}"#,
                "\"fs_group\"",
            ),
        ] {
            let refused = WarmConfigs::parse(text.as_bytes()).unwrap_err();
            assert!(refused.contains(told), "{text}: {refused}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = WarmConfigs::of_file(Path::new("/nowhere/warm.json")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/warm.json"), "{error}");
    }
}
