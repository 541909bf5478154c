//! Files of a session by its agent.
//!
//! ```text
//!   send.rs      content sent under the id of a transfer, over as many connections as it takes
//!   outgoing.rs  what is sent, so that it can be sent again
//!   receive.rs   content received, over as many connections as it takes
//!   hash.rs      a hash that is taken while other things go on
//! ```
//!
//! A connection that breaks costs nothing but time: both sides keep how far they came. That all is there, and right, shows in a
//! hash of the whole that each side takes for itself.

mod hash;
mod outgoing;
mod receive;
mod send;

use async_trait::async_trait;
use http::Method;
use podbay_protocol::agent::files::{TransferId, TreeWritten, Written};
use podbay_protocol::agent::{AgentErrorCode, FileKind as AgentKind, FileStat as AgentStat, path};
use tokio_util::sync::CancellationToken;

use self::outgoing::Outgoing;
use self::receive::NotReceived;
use self::send::NotSent;
use crate::agent::AgentConnection;
use crate::agent::request::{empty, json, request};
use crate::error::{AgentFailure, Error, FileError, NotPossible, Operation, chain};
use crate::session::Session;
use crate::transport::{
    AGENT_CAPABILITIES, ByteRange, Capabilities, FileKind, FileStat, FileTransport, Ownership, PutOptions,
    Reader, TransportError, Writer,
};

/// Files of a session, which its agent reads and writes.
pub(super) struct AgentFiles {
    session: Session,
    connection: AgentConnection,
    cancel: CancellationToken,
}

/// A transfer into the sandbox: its place in the API.
#[derive(Clone, Debug)]
struct Target {
    /// [`path::FILES`] or [`path::TREES`].
    api: &'static str,
    /// The file or the directory, encoded.
    path: String,
    id: TransferId,
    /// Further parameters, each after a `&`.
    more: String,
}

impl Target {
    /// Where the content goes from an offset on.
    fn put(&self, offset: u64) -> String {
        let Self { api, path, id, more } = self;
        let id = id.as_str();
        format!("{api}?path={path}&transfer={id}&offset={offset}&hash_follows=true{more}")
    }

    /// The transfer itself.
    fn transfer(&self) -> String {
        format!(
            "{}?path={}&transfer={}",
            path::TRANSFER,
            self.path,
            self.id.as_str()
        )
    }
}

impl AgentFiles {
    pub(super) const fn new(
        session: Session,
        connection: AgentConnection,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            session,
            connection,
            cancel,
        }
    }

    /// What a failure means for whoever was `doing` something to a file.
    fn failed(&self, doing: &'static str, path: &str, failure: AgentFailure) -> TransportError {
        match failure {
            AgentFailure::Lost { .. } | AgentFailure::TimedOut { .. } => FileError::Lost {
                message: chain(&failure),
            }
            .into(),
            AgentFailure::Refused { .. } => FileError::Agent {
                doing,
                path: path.to_owned(),
                source: Box::new(failure),
            }
            .into(),
            failure => Error::Agent {
                session: self.session.id().to_owned(),
                source: Box::new(failure),
            }
            .into(),
        }
    }

    fn not_received(&self, path: &str, why: NotReceived) -> TransportError {
        let path_text = || path.to_owned();
        match why {
            NotReceived::Here(source) => Error::LocalStream {
                what: "writing what a file has",
                source,
            }
            .into(),
            NotReceived::Agent(failure) => self.failed("reading", path, failure),
            NotReceived::Changed => FileError::Changed { path: path_text() }.into(),
            NotReceived::Hash => FileError::Hash { path: path_text() }.into(),
        }
    }

    fn not_sent(&self, path: &str, why: NotSent) -> TransportError {
        match why {
            // Whoever gave it has the reason.
            NotSent::Content => FileError::EndedEarly.into(),
            NotSent::Forgotten => FileError::Lost {
                message: "the sandbox's agent has lost what was sent before".to_owned(),
            }
            .into(),
            NotSent::Agent(failure) => self.failed("writing", path, failure),
        }
    }

    /// Does `work`, unless it is cancelled before.
    async fn unless_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, TransportError>> + Send,
    ) -> Result<T, TransportError> {
        self.cancel
            .run_until_cancelled(work)
            .await
            .unwrap_or(Err(FileError::Cancelled.into()))
    }

    /// The same for what is sent; what the agent has of it is removed.
    async fn unless_given_up<T>(
        &self,
        target: &Target,
        work: impl Future<Output = Result<T, TransportError>> + Send,
    ) -> Result<T, TransportError> {
        if let Some(done) = self.cancel.run_until_cancelled(work).await {
            return done;
        }
        send::give_up(&self.connection, target).await;
        Err(FileError::Cancelled.into())
    }

    async fn look(&self, path: &str, follow: bool) -> Result<Option<AgentStat>, TransportError> {
        let target = format!(
            "{}?path={}&follow={follow}",
            path::STAT,
            path::encoded(path.as_bytes())
        );
        let looking = async { json(&self.connection, request(Method::GET, &target, empty())?).await };
        match looking.await {
            Ok(stat) => Ok(Some(stat)),
            Err(failure) => match failure.refusal().map(|refusal| refusal.code) {
                Some(AgentErrorCode::NotFound | AgentErrorCode::NotADirectory | AgentErrorCode::LinkLoop) => {
                    Ok(None)
                }
                _ => Err(self.failed("looking at", path, failure)),
            },
        }
    }

    async fn look_and_follow(&self, path: &str) -> Result<FileStat, TransportError> {
        let Some(itself) = self.look(path, false).await? else {
            let parent = match path.trim_end_matches('/').rsplit_once('/') {
                Some(("", _)) => "/",
                Some((parent, _)) => parent,
                None => ".",
            };
            let above = self.look(parent, true).await?;
            let has_parent = above.is_some_and(|above| above.kind == AgentKind::Directory);
            return Ok(FileStat::new(if has_parent {
                FileKind::Missing
            } else {
                FileKind::NoDirectory
            }));
        };
        let is_link = itself.kind == AgentKind::Symlink;
        let found = if is_link {
            self.look(path, true).await?
        } else {
            Some(itself)
        };
        let Some(found) = found else {
            return Ok(FileStat {
                is_link: true,
                ..FileStat::new(FileKind::Other)
            });
        };
        Ok(FileStat {
            size: Some(found.size),
            mode: Some(found.mode),
            modified: u64::try_from(found.modified).ok(),
            is_link,
            ..FileStat::new(match found.kind {
                AgentKind::Directory => FileKind::Directory,
                AgentKind::File => FileKind::File,
                _ => FileKind::Other,
            })
        })
    }
}

/// Whether a failure says nothing of what was asked for: it may go on over another connection, or a little later.
fn interrupted(failure: &AgentFailure) -> bool {
    match failure {
        AgentFailure::Lost { .. } | AgentFailure::TimedOut { .. } | AgentFailure::Unreachable { .. } => true,
        AgentFailure::Refused { error, .. } => matches!(
            error.code,
            AgentErrorCode::BodyCut
                | AgentErrorCode::BodyTimeout
                | AgentErrorCode::Busy
                | AgentErrorCode::TransferBusy
                | AgentErrorCode::TransferGap
        ),
        _ => false,
    }
}

#[async_trait]
impl FileTransport for AgentFiles {
    fn capabilities(&self) -> Capabilities {
        AGENT_CAPABILITIES
    }

    async fn stat(&self, path: &str) -> Result<FileStat, TransportError> {
        self.unless_cancelled(Box::pin(self.look_and_follow(path))).await
    }

    async fn get(&self, path: &str, range: ByteRange, to: Writer) -> Result<u64, TransportError> {
        let receiving = async {
            let received = receive::file(&self.connection, path, range, to).await;
            received.map_err(|why| self.not_received(path, why))
        };
        self.unless_cancelled(receiving).await
    }

    async fn put(&self, path: &str, options: PutOptions, content: Reader) -> Result<u64, TransportError> {
        let PutOptions {
            mode,
            modified,
            transfer,
            size,
        } = options;
        let mut more = "&complete=true".to_owned();
        if let Some(mode) = mode {
            more = format!("{more}&mode={mode:o}");
        }
        if let Some(modified) = modified {
            more = format!("{more}&modified={modified}");
        }
        let mut target = Target {
            api: path::FILES,
            path: path::encoded(path.as_bytes()),
            id: new_transfer()?,
            more,
        };
        let mut offset = 0;
        if let Some(id) = transfer {
            let fresh = std::mem::replace(&mut target.id, id);
            match send::begun(&self.connection, &target).await {
                // So agents of earlier versions tell of one that was completed.
                Ok(Some(begun)) if size.is_some_and(|size| begun >= size) => target.id = fresh,
                Ok(Some(begun)) => offset = begun,
                // Somebody else does the same at this moment.
                Ok(None) => target.id = fresh,
                Err(failure) => return Err(self.failed("writing", path, failure)),
            }
        }
        let sending = Box::pin(async {
            let outgoing = Outgoing::new(content);
            let sent = send::send::<Written>(&self.connection, &target, outgoing, offset).await;
            let (sent, written) = sent.map_err(|why| self.not_sent(path, why))?;
            if written.offset == sent {
                Ok(sent)
            } else {
                let (path, arrived) = (path.to_owned(), written.offset);
                Err(FileError::Incomplete { path, arrived }.into())
            }
        });
        self.unless_given_up(&target, sending).await
    }

    async fn get_tree(&self, directory: &str, name: &str, to: Writer) -> Result<(), TransportError> {
        let joined = match name {
            "." => directory.to_owned(),
            name => format!("{}/{name}", directory.trim_end_matches('/')),
        };
        let target = format!("{}?path={}", path::TREES, path::encoded(joined.as_bytes()));
        let target = match name.strip_suffix('/') {
            _ if name == "." => target,
            // It must be a directory: a link to one is followed, as the slash has it.
            Some(name) => format!("{target}&name={}", path::encoded(name.as_bytes())),
            None => format!("{target}&name={}&keep_link=true", path::encoded(name.as_bytes())),
        };
        let target = format!("{target}{}", receive::TELL_LEFT);
        let receiving = async {
            let received = receive::tree(&self.connection, &target, to).await;
            received.map_err(|why| self.not_received(&joined, why))
        };
        self.unless_cancelled(receiving).await
    }

    async fn put_tree(
        &self,
        directory: &str,
        archive: Reader,
        ownership: Ownership,
    ) -> Result<(), TransportError> {
        if ownership == Ownership::Archive {
            let refused: NotPossible = self.capabilities().refusal(Operation::OwnersOfArchive);
            return Err(FileError::from(refused).into());
        }
        let target = Target {
            api: path::TREES,
            path: path::encoded(directory.as_bytes()),
            id: new_transfer()?,
            more: "&keep_links=true".to_owned(),
        };
        let sending = Box::pin(async {
            let outgoing = Outgoing::new(archive);
            let sent = send::send::<TreeWritten>(&self.connection, &target, outgoing, 0).await;
            sent.map(drop).map_err(|why| self.not_sent(directory, why))
        });
        self.unless_given_up(&target, sending).await
    }
}

/// An id that no other transfer has.
fn new_transfer() -> Result<TransferId, FileError> {
    let id = format!("{:032x}", rand::random::<u128>()).parse();
    id.map_err(
        |error: podbay_protocol::agent::files::InvalidTransferId| FileError::Lost {
            message: error.to_string(),
        },
    )
}
