//! The agent on this machine that can be uploaded.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use podbay_manifests::AGENT_SIZE_LIMIT;
use podbay_protocol::hex::to_hex;
use sha2::{Digest as _, Sha256};

use super::elf::{self, Machine, NotStatic};

/// What the agent's program is called.
const NAME: &str = "podbay-agent";
/// What is left of the volume's limit for the key and for the room that the file system needs.
const MOST: u64 = AGENT_SIZE_LIMIT - 1024 * 1024;

/// A static agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentBinary {
    pub(crate) path: PathBuf,
    pub(crate) machine: Machine,
}

/// Why a file is no agent that could be uploaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAgent {
    #[error("{} can't be read", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is no static program", path.display())]
    NotStatic {
        path: PathBuf,
        #[source]
        source: NotStatic,
    },
    #[error("{} has {bytes} bytes, and room is made for {MOST}: strip it", path.display())]
    TooLarge { path: PathBuf, bytes: u64 },
}

impl AgentBinary {
    /// The one at `configured`, or, where that is not said, the one beside the program that runs. `None` if there is none
    /// beside it.
    pub(crate) fn find(configured: Option<&Path>) -> Result<Option<Self>, NoAgent> {
        match configured {
            Some(path) => Self::at(path).map(Some),
            None => match std::env::current_exe().ok().and_then(|own| beside(&own)) {
                Some(path) => Self::at(&path).map(Some),
                None => Ok(None),
            },
        }
    }

    fn at(path: &Path) -> Result<Self, NoAgent> {
        let unreadable = |source| NoAgent::Unreadable {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        let mut prefix = Vec::new();
        file.take(elf::PREFIX as u64)
            .read_to_end(&mut prefix)
            .map_err(unreadable)?;
        let machine = elf::machine_of_static(&prefix).map_err(|source| NoAgent::NotStatic {
            path: path.to_owned(),
            source,
        })?;
        if bytes > MOST {
            let path = path.to_owned();
            return Err(NoAgent::TooLarge { path, bytes });
        }
        let path = path.to_owned();
        Ok(Self { path, machine })
    }

    /// The whole program, and its SHA-256 in hexadecimal.
    pub(crate) async fn read(&self) -> io::Result<(Bytes, String)> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || {
            let bytes = std::fs::read(path)?;
            let hash = to_hex(&Sha256::digest(&bytes));
            Ok((bytes.into(), hash))
        });
        read.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

/// The agent beside a program, if there is a file of its name.
fn beside(program: &Path) -> Option<PathBuf> {
    let path = program.parent()?.join(NAME);
    path.is_file().then_some(path)
}

impl fmt::Display for AgentBinary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.path.display(), self.machine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_is_the_one_that_is_named_or_that_lies_beside() {
        let directory = tempfile::tempdir().unwrap();
        let own = directory.path().join("podbay");
        assert_eq!(beside(&own), None);
        let agent = directory.path().join(NAME);
        std::fs::write(&agent, elf::program(62, &[1])).unwrap();
        assert_eq!(beside(&own), Some(agent.clone()));
        let found = AgentBinary::find(Some(&agent)).unwrap().unwrap();
        assert_eq!(found.machine, Machine::X86_64);
        assert_eq!(found.path, agent);
    }

    #[test]
    fn what_is_no_static_program_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        let refused = || AgentBinary::find(Some(&path)).unwrap_err();
        assert!(matches!(refused(), NoAgent::Unreadable { .. }));
        std::fs::write(&path, elf::program(62, &[3])).unwrap();
        assert!(matches!(
            refused(),
            NoAgent::NotStatic {
                source: NotStatic::Dynamic,
                ..
            }
        ));
        std::fs::write(&path, elf::program(62, &[1])).unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(MOST + 1)
            .unwrap();
        assert!(matches!(refused(), NoAgent::TooLarge { .. }));
    }

    #[tokio::test]
    async fn it_is_read_with_its_hash() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        std::fs::write(&path, "abc").unwrap();
        let machine = Machine::X86_64;
        let (bytes, hash) = AgentBinary { path, machine }.read().await.unwrap();
        assert_eq!(bytes, "abc");
        // FIPS 180-4, appendix B.1.
        assert_eq!(
            hash,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
