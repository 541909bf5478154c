//! One request of the list, and its answer as the list of answers has it: the counterpart of `ask.py`.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};
use std::path::Path;

use http::Method;
use podbay_protocol::agent::KEY_HEADER;
use serde::Deserialize;
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::client::{Agent, KEY, Protocol};

#[derive(Deserialize)]
pub(super) struct Request {
    pub(super) name: String,
    action: Option<Value>,
    method: Option<String>,
    path: Option<String>,
    json: Option<Value>,
    body: Option<String>,
    upload: Option<Upload>,
    /// The session's, unless it says otherwise.
    #[serde(default = "session_key")]
    key: Option<String>,
}

#[derive(Deserialize)]
struct Upload {
    filename: String,
    text: Option<String>,
    zip: Option<BTreeMap<String, String>>,
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "serde's default for a field that may be null"
)]
fn session_key() -> Option<String> {
    Some(KEY.to_owned())
}

pub(super) fn make_files(files: &BTreeMap<String, Value>, directory: &Path) {
    std::fs::create_dir(directory.join("home")).unwrap();
    for (name, content) in files {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let bytes = if let Some(text) = content["text"].as_str() {
            text.as_bytes().to_vec()
        } else if let Some(hex) = content["hex"].as_str() {
            (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect()
        } else {
            let times = content["repeat"][1].as_u64().unwrap();
            content["repeat"][0]
                .as_str()
                .unwrap()
                .repeat(usize::try_from(times).unwrap())
                .into_bytes()
        };
        std::fs::write(path, bytes).unwrap();
    }
}

pub(super) async fn ask(agent: &Agent, request: &Request) -> Value {
    let directory = agent.directory.path().to_str().unwrap();
    let placed = |text: &str| text.replace("{dir}", directory);
    let (mut kind, mut body) = (None, Vec::new());
    let document = request
        .action
        .as_ref()
        .map(|action| json!({ "action": action }))
        .or_else(|| request.json.clone());
    if let Some(document) = document {
        (kind, body) = (
            Some("application/json".to_owned()),
            placed(&document.to_string()).into_bytes(),
        );
    } else if let Some(text) = &request.body {
        (kind, body) = (Some("application/json".to_owned()), text.clone().into_bytes());
    } else if let Some(upload) = &request.upload {
        let (content_type, parts) = multipart(upload);
        (kind, body) = (Some(content_type), parts);
    }
    let method = request
        .method
        .as_deref()
        .unwrap_or("POST")
        .parse::<Method>()
        .unwrap();
    let path = placed(request.path.as_deref().unwrap_or("/execute_action"));
    let key = request.key.as_deref();
    let mut headers: Vec<(&str, &str)> = key.into_iter().map(|key| (KEY_HEADER, key)).collect();
    headers.extend(kind.as_deref().map(|kind| ("content-type", kind)));
    let reply = agent.send(Protocol::Http1, method, &path, &headers, body).await;
    let is_zip = reply
        .headers
        .get("content-type")
        .is_some_and(|kind| kind == "application/zip");
    let content = if is_zip {
        unzipped(&reply.body)
    } else {
        reply.json()
    };
    let mut content = replaced(content, directory, "{dir}");
    normalise(&mut content);
    json!({"status": reply.status.as_u16(), "body": content})
}

fn normalise(content: &mut Value) {
    let Some(metadata) = content.pointer_mut("/extras/metadata") else {
        return;
    };
    for (name, stands_for) in [
        ("username", "{user}"),
        ("hostname", "{host}"),
        ("py_interpreter_path", "{python}"),
    ] {
        if metadata[name].as_str().is_some_and(|text| !text.is_empty()) {
            metadata[name] = stands_for.into();
        }
    }
    if metadata["pid"].as_i64().unwrap() > 0 {
        metadata["pid"] = 1.into();
    }
    let text = content["content"].as_str().unwrap();
    let text = without_number(&without_number(text, "[1] ", ""), "job 1[", "]");
    content["content"] = text.into();
}

/// The number between two texts replaced.
fn without_number(text: &str, before: &str, after: &str) -> String {
    let Some((head, rest)) = text.split_once(before) else {
        return text.to_owned();
    };
    let tail = rest.trim_start_matches(|character: char| character.is_ascii_digit());
    if tail.len() == rest.len() || !tail.starts_with(after) {
        return text.to_owned();
    }
    format!("{head}{before}{{pid}}{tail}")
}

fn replaced(value: Value, old: &str, new: &str) -> Value {
    match value {
        Value::String(text) => text.replace(old, new).into(),
        Value::Array(items) => items.into_iter().map(|item| replaced(item, old, new)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, replaced(value, old, new)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other,
    }
}

fn multipart(upload: &Upload) -> (String, Vec<u8>) {
    let content = match (&upload.text, &upload.zip) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(files)) => zipped(files),
        (None, None) => Vec::new(),
    };
    let boundary = "boundary-of-the-parts";
    let mut body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\nContent-Type: \
         application/octet-stream\r\n\r\n",
        upload.filename
    )
    .into_bytes();
    body.extend(content);
    body.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

fn zipped(files: &BTreeMap<String, String>) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let deflated = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, text) in files {
        writer.start_file(name.as_str(), deflated).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn unzipped(bytes: &[u8]) -> Value {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut files = BTreeMap::new();
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).unwrap();
        let mut text = String::new();
        member.read_to_string(&mut text).unwrap();
        files.insert(member.name().unwrap().into_owned(), text);
    }
    json!({ "zip": files })
}
