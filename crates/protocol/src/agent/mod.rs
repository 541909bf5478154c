//! The native API of the server inside a sandbox, version 1, as both sides of it tell one another.
//!
//! It is spoken over HTTP/1.1 and cleartext HTTP/2 on one port. Every request but those to [`path::ALIVE`],
//! [`path::SERVER_INFO`] and [`path::PROOF`] carries the session's key in the header [`KEY_HEADER`]; before a client sends
//! it, it has the server prove that it knows it ([`proof`]).
//!
//! * [`path`]: where each resource is.
//! * [`error`]: what an answer says that is no success.
//! * [`frame`]: the outputs of a process as a stream of frames, decoded however they are cut.
//! * [`figures`]: what the sandbox uses, and whether anybody needs it.
//! * [`files`]: what is known of a file, and requests about files.
//! * [`process`]: requests about processes.
//! * [`proof`]: what the server signs with its key.
//! * [`info`]: what the server says of itself.
//! * [`terminal`]: a process's terminal over a WebSocket.
//! * [`raw_text`]: names of files, which need not be text.

pub mod error;
pub mod figures;
pub mod files;
pub mod frame;
pub mod info;
pub mod path;
pub mod process;
pub mod proof;
pub mod raw_text;
pub mod terminal;

pub use error::{AgentError, AgentErrorCode};
pub use figures::Figures;
pub use files::{FileKind, FileList, FileStat, NamedFile};
pub use frame::{Frame, FrameDecoder};
pub use info::ServerInfo;
pub use raw_text::RawText;

/// The version of the API that this crate describes.
pub const API_VERSION: u32 = 1;

/// The oldest version that a server with this crate answers.
pub const OLDEST_API_VERSION: u32 = 1;

/// The header that carries the session's key, as OpenHands' clients send it.
pub const KEY_HEADER: &str = "x-session-api-key";

/// The header of a request that starts a process, with the name of the reader of its outputs: the answer then is what the outputs
/// are read from, as frames from their beginnings, in place of JSON. A server that does not know the header answers with JSON.
pub const READER_HEADER: &str = "x-podbay-reader";

/// What stands before the session's key where the token of its VS Code is made of it: the token is the SHA-256 of both, in lower-case
/// hexadecimal. So whoever holds the token's own hash can check it, and learns nothing of the key.
pub const VSCODE_TOKEN_PREFIX: &str = "podbay vscode token v1\0";

/// The variable by which all processes of an agent, and what they start, are known: `<mark of the agent>/<process id>`.
pub const MARK_VARIABLE: &str = "PODBAY_PROCESS";
/// The agent's mode, its only argument, in which it stands above one command: so started, a process is none of the session's.
pub const SUPERVISE_MODE: &str = "supervise";

/// The first line on the standard output of the agent's mode `stdio`: it has connected, and what follows is what the connection
/// carries.
pub const BRIDGE_READY: &str = "podbay-agent stdio 1\n";

/// The trailer of a body that was read from files: lower-case hexadecimal SHA-256 of the body. HTTP/1.1 carries it to
/// clients that say `TE: trailers` (RFC 9110, 6.5.1).
pub const HASH_TRAILER: &str = "x-podbay-sha256";

/// The trailer of a tree: how many members its archive has.
pub const MEMBERS_TRAILER: &str = "x-podbay-members";
