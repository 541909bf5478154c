//! The agent's API in OpenAPI 3.1: `crates/agent/openapi.json`. Types come from this crate; what a request may carry and what comes
//! back stands here, and the agent's tests hold it against the paths that it answers.
//!
//! ```text
//! cargo run -p podbay-protocol --features openapi --example openapi >crates/agent/openapi.json
//! ```

#![expect(clippy::print_stdout, reason = "a program that prints a document")]

use podbay_protocol::TerminalSize;
use podbay_protocol::agent::error::AgentError;
use podbay_protocol::agent::figures::{Figures, HoldRequest};
use podbay_protocol::agent::files::{FileList, FileStat, MakeDirectory, Move, Remove, TreeWritten, Written};
use podbay_protocol::agent::path::ProcessPart as Part;
use podbay_protocol::agent::process::{Acknowledgement, ProcessList, SignalRequest, Taken};
use podbay_protocol::agent::proof::{ProofAnswer, ProofRequest};
use podbay_protocol::agent::terminal::{TerminalControl, TerminalEvent};
use podbay_protocol::agent::{KEY_HEADER, READER_HEADER, ServerInfo, path, terminal};
use podbay_protocol::process::{ProcessInfo, ProcessSpec};
use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A kind of body.
enum Body {
    Nothing,
    Json(Value),
    Bytes,
    Tar,
    /// Frames of outputs: `podbay_protocol::agent::frame`.
    Frames,
}

/// A method of a path.
struct Operation {
    method: &'static str,
    path: String,
    id: &'static str,
    summary: String,
    parameters: Vec<Value>,
    takes: Body,
    status: u16,
    gives: Body,
    /// Whether it is answered without the key.
    is_open: bool,
}

/// Schemas that are referred to, by name.
#[derive(Default)]
struct Schemas(Vec<(String, RefOr<Schema>)>);

impl Schemas {
    fn add<T: ToSchema + PartialSchema>(&mut self) -> Value {
        T::schemas(&mut self.0);
        self.0.push((T::name().into_owned(), T::schema()));
        json!({"$ref": format!("#/components/schemas/{}", T::name())})
    }
}

fn operation(
    method: &'static str,
    path: impl Into<String>,
    id: &'static str,
    summary: impl Into<String>,
) -> Operation {
    Operation {
        method,
        path: path.into(),
        id,
        summary: summary.into(),
        parameters: Vec::new(),
        takes: Body::Nothing,
        status: 200,
        gives: Body::Nothing,
        is_open: false,
    }
}

impl Operation {
    fn with(mut self, parameters: impl IntoIterator<Item = Value>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    fn takes(mut self, body: Body) -> Self {
        self.takes = body;
        self
    }

    fn gives(mut self, body: Body) -> Self {
        self.gives = body;
        self
    }

    fn open(mut self) -> Self {
        self.is_open = true;
        self
    }

    fn to_json(&self) -> Value {
        let mut value = json!({
            "operationId": self.id,
            "summary": self.summary,
            "responses": {
                self.status.to_string(): answer("Done.", &self.gives),
                "default": answer("Refused, or failed: the code says why.", &Body::Json(json!({"$ref": "#/components/schemas/AgentError"}))),
            },
        });
        if !self.parameters.is_empty() {
            value["parameters"] = json!(self.parameters);
        }
        if let Some(content) = content(&self.takes) {
            value["requestBody"] = json!({"required": true, "content": content});
        }
        if self.is_open {
            value["security"] = json!([]);
        }
        value
    }
}

fn answer(description: &str, body: &Body) -> Value {
    let mut value = json!({"description": description});
    if let Some(content) = content(body) {
        value["content"] = content;
    }
    value
}

fn content(body: &Body) -> Option<Value> {
    let (kind, schema) = match body {
        Body::Nothing => return None,
        Body::Json(schema) => ("application/json", schema.clone()),
        Body::Bytes | Body::Frames => (
            "application/octet-stream",
            json!({"type": "string", "format": "binary"}),
        ),
        Body::Tar => ("application/x-tar", json!({"type": "string", "format": "binary"})),
    };
    Some(json!({kind: {"schema": schema}}))
}

fn query(name: &str, kind: &str, required: bool, description: &str) -> Value {
    json!({"name": name, "in": "query", "required": required, "description": description, "schema": {"type": kind}})
}

/// The path of what a request is about: bytes, percent-encoded.
fn path_of(what: &str) -> Value {
    query("path", "string", true, what)
}

fn main() {
    let mut schemas = Schemas::default();
    let operations = all(&mut schemas);
    schemas.add::<AgentError>();
    let mut paths = serde_json::Map::new();
    for operation in &operations {
        let methods = paths.entry(operation.path.clone()).or_insert_with(|| json!({}));
        methods[operation.method] = operation.to_json();
        if operation.path.contains("{id}") {
            methods["parameters"] = json!([{
                "name": "id", "in": "path", "required": true, "description": "The process's id, as its caller chose it.",
                "schema": {"$ref": "#/components/schemas/ProcessId"},
            }]);
        }
    }
    let mut components: Vec<(String, Value)> = schemas
        .0
        .iter()
        .map(|(name, schema)| (name.clone(), json!(schema)))
        .collect();
    components.sort_by(|(one, _), (other, _)| one.cmp(other));
    components.dedup_by(|(one, _), (other, _)| one == other);
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Podbay agent",
            "description": "The native API of the server inside a sandbox, over HTTP/1.1 and cleartext HTTP/2 on one port. HEAD is answered where GET is.",
            "version": podbay_protocol::agent::API_VERSION.to_string(),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": components.into_iter().collect::<serde_json::Map<_, _>>(),
            "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": KEY_HEADER}},
        },
    });
    println!("{document:#}");
}

fn all(schemas: &mut Schemas) -> Vec<Operation> {
    let mut operations = vec![
        operation("get", path::ALIVE, "alive", "Whether the server runs")
            .gives(Body::Json(
                json!({"type": "object", "properties": {"status": {"const": "ok"}}, "required": ["status"]}),
            ))
            .open(),
        operation(
            "get",
            path::SERVER_INFO,
            "serverInfo",
            "What the server says of itself",
        )
        .gives(Body::Json(schemas.add::<ServerInfo>()))
        .open(),
        operation(
            "post",
            path::PROOF,
            "prove",
            "Has the server prove that it knows the key, before that is sent to it",
        )
        .takes(Body::Json(schemas.add::<ProofRequest>()))
        .gives(Body::Json(schemas.add::<ProofAnswer>()))
        .open(),
        operation(
            "get",
            path::FIGURES,
            "figures",
            "What the sandbox uses, and since when nobody needs it",
        )
        .gives(Body::Json(schemas.add::<Figures>())),
        operation(
            "put",
            path::HOLD,
            "hold",
            "Keeps the sandbox from being taken for idle",
        )
        .takes(Body::Json(schemas.add::<HoldRequest>())),
    ];
    operations.extend(processes(schemas));
    operations.extend(files(schemas));
    operations
}

fn processes(schemas: &mut Schemas) -> Vec<Operation> {
    let one = format!("{}/{{id}}", path::PROCESSES);
    let part = |part: Part| format!("{one}/{}", part.segment());
    let mut start = operation("put", &one, "startProcess", "Starts a process; asked again with the same specification, it answers with the one that is there (200)")
        .with([json!({
            "name": READER_HEADER,
            "in": "header",
            "required": false,
            "description": "The name of a reader: the answer then is both outputs from their beginnings, as frames (see readOutput), in place of JSON.",
            "schema": {"type": "string"},
        })])
        .takes(Body::Json(schemas.add::<ProcessSpec>()))
        .gives(Body::Json(schemas.add::<ProcessInfo>()));
    start.status = 201;
    vec![
        operation("get", path::PROCESSES, "listProcesses", "All processes that run or are kept")
            .gives(Body::Json(schemas.add::<ProcessList>())),
        start,
        operation("get", &one, "showProcess", "A process").gives(Body::Json(schemas.add::<ProcessInfo>())),
        operation("delete", &one, "forgetProcess", "Gives up what is kept of a process; one that runs is killed with all below it"),
        operation("get", part(Part::Output), "readOutput", "Both outputs from these offsets on, as frames, until the process has ended: kind (1 byte: 1 stdout, 2 stderr, 3 end, 4 nothing new), offset (8 bytes), length (4 bytes, all big-endian), payload; that of the end is an EndRecord in JSON")
            .with([
                query("stdout", "integer", false, "The first byte of standard output; 0 if it is not said."),
                query("stderr", "integer", false, "The first byte of standard error; 0 if it is not said."),
                query("reader", "string", false, "A name that this reader chose: with retention backpressure, the process waits for what it acknowledges."),
            ])
            .gives(Body::Frames),
        operation("post", part(Part::Acknowledged), "acknowledge", "What a reader has taken of both outputs")
            .takes(Body::Json(schemas.add::<Acknowledgement>())),
        operation("post", part(Part::Stdin), "writeStdin", "Writes to standard input; what the process has already is passed over, a gap is refused")
            .with([query("offset", "integer", true, "How many bytes were written before.")])
            .takes(Body::Bytes)
            .gives(Body::Json(schemas.add::<Taken>())),
        operation("delete", part(Part::Stdin), "closeStdin", "Ends standard input"),
        operation("post", part(Part::Signal), "signal", "Sends a signal to a process, or to it and all below it")
            .takes(Body::Json(schemas.add::<SignalRequest>())),
        terminal(&part(Part::Terminal), schemas),
        operation("post", part(Part::Size), "resize", "Tells a process's terminal its size")
            .takes(Body::Json(schemas.add::<TerminalSize>())),
    ]
}

/// OpenAPI has no words for what a WebSocket carries: the schemas are there to be looked up.
fn terminal(path: &str, schemas: &mut Schemas) -> Operation {
    schemas.add::<TerminalControl>();
    schemas.add::<TerminalEvent>();
    let summary = format!(
        "A process's terminal over a WebSocket, over HTTP/1.1. Binary messages are bytes, what it wrote and what is typed; text messages are \
         JSON: TerminalEvent from the server, TerminalControl to it. The subprotocol is {}; one that begins with {} may carry the key in \
         base64url, in place of the header.",
        terminal::SUBPROTOCOL,
        terminal::KEY_SUBPROTOCOL
    );
    let mut operation = operation("get", path, "openTerminal", summary).with([
        query("offset", "integer", false, "The first byte that is sent; without, the first that is kept."),
        query("tail", "integer", false, "In place of an offset: begins so many bytes before what was written last, or with the first that is kept."),
        query("read_only", "boolean", false, "Whether what comes from the client is passed over."),
    ]);
    operation.status = 101;
    operation
}

fn files(schemas: &mut Schemas) -> Vec<Operation> {
    let hash_follows = || {
        query(
            "hash_follows",
            "boolean",
            false,
            "Whether the SHA-256 of the whole comes in the trailer x-podbay-sha256, without which the body is not complete.",
        )
    };
    let transfer = |required| {
        query(
            "transfer",
            "string",
            required,
            "A name that the sender chose for a transfer that can be gone on with: 1 to 64 letters, digits, dashes, underscores.",
        )
    };
    vec![
        operation("get", path::FILES, "readFile", "A file's content to its end, or the range that the header Range names; its SHA-256 in the trailer x-podbay-sha256")
            .with([
                path_of("The file."),
                query("hash_from", "integer", false, "With a range: the hash is of all from this byte on, in place of the range alone."),
            ])
            .gives(Body::Bytes),
        operation("put", path::FILES, "writeFile", "Writes a file, which gets its name when it is whole")
            .with([
                path_of("The file."),
                query("mode", "string", false, "Its permissions, in octal digits."),
                query("sha256", "string", false, "What the whole must be, in hexadecimal: else the file stays as it was."),
                query("modified", "integer", false, "When it was last modified, in seconds since 1970; else now."),
                hash_follows(),
                transfer(false),
                query("offset", "integer", false, "With a transfer: how many bytes of it the server has."),
                query("complete", "boolean", false, "With a transfer: whether this is the last part."),
            ])
            .takes(Body::Bytes)
            .gives(Body::Json(schemas.add::<Written>())),
        operation("get", path::STAT, "stat", "What is known of a file")
            .with([path_of("The file."), query("follow", "boolean", false, "Whether a link is followed.")])
            .gives(Body::Json(schemas.add::<FileStat>())),
        operation("get", path::LIST, "list", "What is in a directory")
            .with([path_of("The directory.")])
            .gives(Body::Json(schemas.add::<FileList>())),
        operation("post", path::MAKE_DIRECTORY, "makeDirectory", "Makes a directory")
            .takes(Body::Json(schemas.add::<MakeDirectory>())),
        operation("post", path::REMOVE, "remove", "Removes a file or a directory").takes(Body::Json(schemas.add::<Remove>())),
        operation("post", path::MOVE, "move", "Gives a file or a directory another name").takes(Body::Json(schemas.add::<Move>())),
        operation("get", path::TRANSFER, "showTransfer", "How much of a transfer the server has")
            .with([
                path_of("The file or the directory."),
                transfer(true),
                query("at_work", "string", false, "What becomes of a request that is at work on it: ignore (unless it is said), refuse (503), or end, and 503 until it has. With refuse one that was completed is forgotten: who asks so begins it anew."),
            ])
            .gives(Body::Json(schemas.add::<Taken>())),
        operation("delete", path::TRANSFER, "abandonTransfer", "Gives up a transfer")
            .with([path_of("The file."), transfer(true)]),
        operation("get", path::TREES, "packTree", "A directory or a file as a tar archive")
            .with([
                path_of("The directory or file."),
                query("name", "string", false, "What the first member is called; without one, ./"),
                query("skip_links", "boolean", false, "Whether symbolic links are left out, in place of being sent as links."),
                query("tell_left", "boolean", false, "Whether what can't be read is left out and told in a global header at the archive's end (records PODBAY.left and PODBAY.left.more), in place of ending the archive."),
                query("keep_link", "boolean", false, "Whether what is at the path is sent as a link if it is one, in place of being followed."),
                query("offset", "integer", false, "With sha256: how many bytes of the archive the client has; the rest is sent, with the hash of the whole."),
                query("sha256", "string", false, "The hash of these, in hexadecimal: where the tree is another one, the answer is 409."),
            ])
            .gives(Body::Tar),
        operation("put", path::TREES, "unpackTree", "Writes what is in a tar archive into a directory")
            .with([
                path_of("The directory."),
                query("name", "string", false, "What the first member must be called; without one, all goes into the directory, and a member ./ may be there."),
                query("skip_links", "boolean", false, "Whether symbolic links are passed over, in place of being refused."),
                query("keep_links", "boolean", false, "Whether symbolic links are written as links, in place of being refused."),
                hash_follows(),
                transfer(false),
                query("offset", "integer", false, "With a transfer: how many bytes of the archive the server has."),
            ])
            .takes(Body::Tar)
            .gives(Body::Json(schemas.add::<TreeWritten>())),
    ]
}
