//! Files and copies, over each way there is to them.
//!
//! ```text
//!   conformance.rs  one suite for the agent, for commands over exec, and for this machine
//!   refusals.rs     what is refused, the same everywhere
//!   hostile.rs      what a sandbox may try against its agent, and an archive against both
//!   interrupted.rs  connections that break, copies that are given up
//!   across.rs       from one session to another
//! ```

mod across;
mod conformance;
mod hostile;
mod interrupted;
mod refusals;

use std::path::{Path, PathBuf};

use podbay_config::Config;
use podbay_runtime::copy::{CopyOptions, CopyReport};
use podbay_runtime::transport::{Capabilities, Integrity};
use podbay_runtime::{Backend, Error, Podbay, Session};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::container::{Container, container};
use crate::faults::Faults;
use crate::sandbox::{Sandbox, sandbox};

/// A session, and two directories: one that stands for the sandbox's, one for this side's. Both are of this machine, so that either
/// can be looked at.
pub(crate) struct Place {
    pub(crate) session: Session,
    pub(crate) inside: tempfile::TempDir,
    pub(crate) outside: tempfile::TempDir,
    sandbox: Option<Sandbox>,
    /// Its workspace is there as long as this is.
    _container: Option<Container>,
}

impl Place {
    fn of(session: Session, sandbox: Option<Sandbox>) -> Self {
        Self {
            session,
            inside: tempfile::tempdir().unwrap(),
            outside: tempfile::tempdir().unwrap(),
            sandbox,
            _container: None,
        }
    }

    pub(crate) async fn by_agent() -> Self {
        Self::by_agent_with(Faults::none()).await
    }

    pub(crate) async fn by_agent_with(faults: Faults) -> Self {
        let sandbox = sandbox(faults).await;
        Self::of(sandbox.session.clone(), Some(sandbox))
    }

    pub(crate) async fn by_exec() -> Self {
        let container = container().await;
        let session = container.session.clone();
        Self {
            _container: Some(container),
            ..Self::of(session, None)
        }
    }

    pub(crate) async fn on_this_machine() -> Self {
        let podbay = Podbay::builder(Config::default())
            .backend(Backend::Local)
            .in_this_process()
            .connect()
            .await
            .unwrap();
        Self::of(podbay.session("demo").open().await.unwrap(), None)
    }

    /// A path in the sandbox.
    pub(crate) fn inside(&self, name: &str) -> PathBuf {
        self.inside.path().join(name)
    }

    /// A path of this side.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.outside.path().join(name)
    }

    /// What befell the connections to its agent.
    pub(crate) fn faults(&self) -> &Faults {
        &self.sandbox.as_ref().unwrap().faults
    }

    pub(crate) async fn capabilities(&self) -> Capabilities {
        let files = Box::pin(self.session.files(CancellationToken::new()))
            .await
            .unwrap();
        files.capabilities()
    }

    pub(crate) async fn is_by_agent(&self) -> bool {
        self.capabilities().await.integrity == Integrity::Hashed
    }

    pub(crate) async fn copy_in(&self, from: &str, to: &str) -> Result<CopyReport, Error> {
        let (from, to) = (
            self.outside.path().join(from),
            format!("{}/{to}", self.inside.path().display()),
        );
        Box::pin(self.session.copy_to(from, &to, CopyOptions::default())).await
    }

    pub(crate) async fn copy_out(&self, from: &str, to: &str) -> Result<CopyReport, Error> {
        let (from, to) = (
            format!("{}/{from}", self.inside.path().display()),
            self.outside.path().join(to),
        );
        Box::pin(self.session.copy_from(&from, to, CopyOptions::default())).await
    }
}

/// Bytes of no pattern that a window or a piece has.
pub(crate) fn content(size: usize) -> Vec<u8> {
    (0..=250).cycle().take(size).collect()
}

/// What a file has, as a hash.
pub(crate) fn sha256(path: &Path) -> Vec<u8> {
    Sha256::digest(std::fs::read(path).unwrap()).to_vec()
}

/// Names in a directory.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    names
}
