//! The actions of OpenHands' clients, and what else its server of actions answers. Errors say `detail`, as there.

use futures::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use hyper::body::Frame;
use podbay_protocol::agent::{AgentError, AgentErrorCode as Code};
use serde_json::{Value, json};

use crate::action::multipart::{Event, Form};
use crate::action::{Download, Refusal, Upload, request};
use crate::server::Services;
use crate::server::answer::{self, Answer, BrokenAnswer};
use crate::server::connection::Receipt;
use crate::server::dispatch::Asked;

/// Bytes of an action, at most: a file's text is in it.
const ACTION_LIMIT: usize = 32 << 20;
/// Bytes of any other body of JSON, at most.
const SMALL: usize = 1 << 20;

/// The answer that is no observation.
pub(in crate::server) fn refused(refusal: &Refusal) -> Answer {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer::json(status, &refusal.to_json())
}

/// An error of the server's own, for these clients.
pub(in crate::server) fn of_error(error: &AgentError) -> Refusal {
    Refusal::new(answer::status(error.code).as_u16(), error.message.clone())
}

pub(super) async fn execute(services: &Services, asked: Asked) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    let body = asked.body.collect(ACTION_LIMIT).await?;
    let action = match request::parse(&body) {
        Ok(action) => action,
        Err(refusal) => return Ok(refused(&refusal)),
    };
    let ((status, document), delivery) = services
        .deliveries
        .execute(&services.actions, &body, action)
        .await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let answer = answer::of_json(status, document);
    Ok(match delivery {
        Some(delivery) => answer::delivered(answer, Receipt::new(delivery, asked.connection)),
        None => answer,
    })
}

pub(super) async fn list(services: &Services, asked: Asked) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    let body = asked.body.collect(SMALL).await?;
    let unexpected = || {
        Ok(refused(&Refusal::new(
            500,
            "An unexpected error occurred. Please try again later.",
        )))
    };
    let Ok(Value::Object(document)) = serde_json::from_slice(&body) else {
        return unexpected();
    };
    let path = match document.get("path") {
        None | Some(Value::Null) => None,
        Some(Value::String(path)) => Some(path.clone()),
        Some(_) => return unexpected(),
    };
    Ok(match services.actions.list(path).await {
        Ok(names) => answer::json(StatusCode::OK, &names),
        Err(refusal) => refused(&refusal),
    })
}

/// A file, or an archive of files, in a form.
pub(super) async fn upload(services: &Services, mut asked: Asked) -> Result<Answer, AgentError> {
    let destination = text(asked.query.bytes("destination").unwrap_or_else(|| b"/".to_vec()))?;
    let recursive = asked.query.bytes("recursive").is_some_and(|flag| is_true(&flag));
    asked.query.finish()?;
    let kind = asked
        .headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let missing = || {
        refused(&Refusal::invalid(
            "[{'type': 'missing', 'loc': ('body', 'file'), 'msg': 'Field required', 'input': None}]",
        ))
    };
    let Ok(mut form) = Form::new(kind) else {
        return Ok(missing());
    };
    // What is wrong is told when all has come: a client that still sends does not read.
    let mut upload = Ok(None);
    let mut is_file = false;
    while let Some(bytes) = asked.body.next().await? {
        let events = form
            .feed(&bytes)
            .map_err(|error| AgentError::new(Code::InvalidRequest, error.to_string()))?;
        for event in events {
            match event {
                Event::Part { name, filename } => {
                    is_file = name == "file" && filename.is_some() && matches!(upload, Ok(None));
                    if let Some(filename) = filename.filter(|_| is_file) {
                        upload = Upload::begin(&services.disk, &destination, &filename, recursive)
                            .await
                            .map(Some);
                    }
                }
                Event::Data(data) if is_file => {
                    upload = match upload {
                        Ok(Some(upload)) => upload.write(data.into()).await.map(Some),
                        other => other,
                    };
                }
                Event::Data(_) => {}
                Event::End => is_file = false,
            }
        }
    }
    let finished = match upload {
        Ok(None) => return Ok(missing()),
        Ok(Some(upload)) => upload.finish().await,
        Err(refusal) => Err(refusal),
    };
    Ok(match finished {
        Ok(filename) => answer::json(
            StatusCode::OK,
            &json!({"filename": filename, "destination": destination, "recursive": recursive}),
        ),
        Err(refusal) => refused(&refusal),
    })
}

/// The files of a directory, as an archive.
pub(super) async fn download(services: &Services, mut asked: Asked) -> Result<Answer, AgentError> {
    let path = asked.query.bytes("path");
    asked.query.finish()?;
    let Some(path) = path else {
        let missing =
            "[{'type': 'missing', 'loc': ('query', 'path'), 'msg': 'Field required', 'input': None}]";
        return Ok(refused(&Refusal::invalid(missing)));
    };
    let path = text(path)?;
    let pieces = match Download::begin(&services.disk, &path).await {
        Ok(pieces) => pieces,
        Err(refusal) => return Ok(refused(&refusal)),
    };
    let pieces = stream::unfold(pieces, |mut pieces| async {
        let piece = pieces.next().await?;
        Some((piece.map(Frame::data).map_err(|_| BrokenAnswer), pieces))
    });
    let mut answer = answer::stream("application/zip", pieces);
    let name: String = path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|c| !matches!(c, '"' | '\\'))
        .collect();
    if let Ok(disposition) = HeaderValue::try_from(format!("attachment; filename=\"{name}.zip\"")) {
        answer.headers_mut().insert(CONTENT_DISPOSITION, disposition);
    }
    Ok(answer)
}

fn text(bytes: Vec<u8>) -> Result<String, AgentError> {
    String::from_utf8(bytes).map_err(|_| AgentError::new(Code::InvalidRequest, "the path is no UTF-8 text"))
}

/// What Python's clients mean by true.
fn is_true(flag: &[u8]) -> bool {
    let flag = flag.to_ascii_lowercase();
    matches!(flag.as_slice(), b"true" | b"1" | b"yes" | b"on" | b"t" | b"y")
}

/// The token is null where the image has no editor for the browser.
pub(super) async fn vscode_token(services: &Services, asked: Asked) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    let token = services.actions.vscode_token().await;
    Ok(answer::json(StatusCode::OK, &json!({ "token": token })))
}

/// Servers of the Model Context Protocol that are programs are not run: the client is told which.
pub(super) async fn update_mcp_servers(asked: Asked) -> Result<Answer, AgentError> {
    asked.query.finish()?;
    let body = asked.body.collect(SMALL).await?;
    let Ok(document) = serde_json::from_slice::<Value>(&body) else {
        return Ok(refused(&Refusal::new(
            500,
            "An unexpected error occurred. Please try again later.",
        )));
    };
    let Value::Array(servers) = document else {
        return Ok(refused(&Refusal::new(
            400,
            "Request must be a list of MCP tools to sync",
        )));
    };
    let names: Vec<&str> = servers
        .iter()
        .map(|server| {
            server
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or("without a name")
        })
        .collect();
    let problem = if names.is_empty() {
        String::new()
    } else {
        format!(
            "this server does not run MCP servers that are programs (stdio): {} were not started",
            names.join(", ")
        )
    };
    Ok(answer::json(
        StatusCode::OK,
        &json!({"detail": "MCP server updated successfully", "router_error_log": problem}),
    ))
}
