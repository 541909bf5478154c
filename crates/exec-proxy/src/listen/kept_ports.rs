//! Which session has which ports, kept over a restart of the service.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use podbay_manifests::RuntimeId;

use crate::routing::ports::PortBlock;

/// A file with the first port of each session, by its runtime id. That the file can't be used costs no more than other ports after a
/// restart, for those sessions that want the same ones as another.
#[derive(Debug)]
pub(super) struct KeptPorts {
    path: Option<PathBuf>,
    /// One writes at a time, so that the newest stays.
    writing: tokio::sync::Mutex<()>,
}

impl KeptPorts {
    pub(super) fn new(path: Option<PathBuf>) -> Self {
        Self {
            path,
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// What was kept. Nothing, where there is no file, or one that can't be read.
    pub(super) async fn read(&self) -> BTreeMap<RuntimeId, PortBlock> {
        let Some(path) = self.path.clone() else {
            return BTreeMap::new();
        };
        let shown = path.display().to_string();
        let read = tokio::task::spawn_blocking(move || std::fs::read(&path)).await;
        let text = match read {
            Ok(Ok(text)) => text,
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => return BTreeMap::new(),
            Ok(Err(error)) => {
                tracing::warn!(%error, path = shown, "the ports that sessions had can't be read");
                return BTreeMap::new();
            }
            Err(_) => return BTreeMap::new(),
        };
        parse(&text).unwrap_or_else(|| {
            tracing::warn!(
                path = shown,
                "the file does not hold the ports that sessions had; it is written anew"
            );
            BTreeMap::new()
        })
    }

    /// Keeps these, and nothing else.
    pub(super) async fn write(&self, ports: BTreeMap<RuntimeId, PortBlock>) {
        let Some(path) = self.path.clone() else { return };
        let _writing = self.writing.lock().await;
        let shown = path.display().to_string();
        let written = tokio::task::spawn_blocking(move || replace(&path, &render(&ports))).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, path = shown, "the ports of sessions can't be kept");
        }
    }
}

fn parse(text: &[u8]) -> Option<BTreeMap<RuntimeId, PortBlock>> {
    let read: BTreeMap<String, u16> = serde_json::from_slice(text).ok()?;
    read.into_iter()
        .map(|(id, first)| Some((id.parse().ok()?, PortBlock::starting_at(first)?)))
        .collect()
}

fn render(ports: &BTreeMap<RuntimeId, PortBlock>) -> String {
    let by_text: BTreeMap<&str, u16> = ports
        .iter()
        .map(|(id, block)| (id.as_str(), block.first()))
        .collect();
    // A map of numbers can always be written.
    serde_json::to_string_pretty(&by_text).unwrap_or_default()
}

/// Whoever reads it finds the old text or the new one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        // Runtime ids are nobody else's business, nor are the directories above, where they are missing (XDG Base Directory
        // Specification: 0700).
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let new = path.with_extension("new");
    std::fs::write(&new, text)?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn id(byte: u8) -> RuntimeId {
        RuntimeId::from_random([byte; 16])
    }

    #[tokio::test]
    async fn what_is_kept_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/ports.json");
        let kept = KeptPorts::new(Some(path.clone()));
        assert_eq!(kept.read().await, BTreeMap::new());
        let ports = BTreeMap::from([
            (id(1), PortBlock::starting_at(21_000).unwrap()),
            (id(2), PortBlock::starting_at(21_004).unwrap()),
        ]);
        kept.write(ports.clone()).await;
        let mode = std::fs::metadata(directory.path().join("state"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!(KeptPorts::new(Some(path)).read().await, ports);
    }

    #[tokio::test]
    async fn a_file_of_somebody_else_is_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ports.json");
        for text in [
            "",
            "[]",
            "{\"x\": 1}",
            "{\"a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5\": 0}",
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(
                KeptPorts::new(Some(path.clone())).read().await,
                BTreeMap::new(),
                "{text}"
            );
        }
        // Without one nothing is kept, and nothing fails.
        KeptPorts::new(None).write(BTreeMap::new()).await;
    }
}
