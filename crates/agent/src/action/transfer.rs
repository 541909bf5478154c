//! Files that come with a request, and directories that go with an answer.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::archive;
use super::refusal::Refusal;
use crate::files::{AbsolutePath, Disk, Order, Writing};

/// Pieces of an archive that wait for the client.
const AHEAD: usize = 4;

/// A file that arrives.
pub struct Upload {
    disk: Disk,
    filename: String,
    directory: PathBuf,
    to: To,
}

enum To {
    /// It gets its name when it is whole.
    File(Box<Writing>),
    /// It has no name: what is in it is wanted.
    Archive(File),
}

fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::new(500, error.to_string())
}

impl Upload {
    /// Begins: whatever is wrong with the names shows here.
    pub async fn begin(
        disk: &Disk,
        destination: &str,
        filename: &str,
        recursive: bool,
    ) -> Result<Self, Refusal> {
        let directory = PathBuf::from(destination);
        if !directory.is_absolute() {
            return Err(failed("400: Destination must be an absolute path"));
        }
        // A name with a way in it would lead out of the directory.
        let name = filename.rsplit(['/', '\\']).next().unwrap_or_default();
        if matches!(name, "" | "." | "..") || name.contains('\0') {
            return Err(failed(format!("400: {filename:?} is no name of a file")));
        }
        let made = directory.clone();
        disk.run(move || std::fs::create_dir_all(made))
            .await
            .map_err(failed)?
            .map_err(|error| failed(format!("making {destination}: {error}")))?;
        // In this case alone, as the server that this comes from has it.
        let is_archive = Path::new(name)
            .extension()
            .is_some_and(|extension| extension == "zip");
        if recursive && !is_archive {
            return Err(failed("400: Recursive uploads must be zip files"));
        }
        let to = if is_archive {
            let directory = directory.clone();
            let file = disk
                .run(move || tempfile::tempfile_in(directory))
                .await
                .map_err(failed)?;
            To::Archive(file.map_err(|error| failed(format!("writing to {destination}: {error}")))?)
        } else {
            let path = directory.join(name).into_os_string().into_encoded_bytes();
            let path = AbsolutePath::parse(path).map_err(failed)?;
            let order = Order {
                path,
                mode: None,
                modified: None,
                resumed: None,
                sha256: None,
            };
            To::File(Box::new(Writing::begin(disk, order).await.map_err(failed)?))
        };
        Ok(Self {
            disk: disk.clone(),
            filename: filename.to_owned(),
            directory,
            to,
        })
    }

    /// Adds bytes.
    pub async fn write(mut self, bytes: Bytes) -> Result<Self, Refusal> {
        self.to = match self.to {
            To::File(mut writing) => {
                writing.write(bytes).await.map_err(failed)?;
                To::File(writing)
            }
            To::Archive(mut file) => {
                let written = self.disk.run(move || file.write_all(&bytes).map(|()| file)).await;
                To::Archive(written.map_err(failed)?.map_err(failed)?)
            }
        };
        Ok(self)
    }

    /// All has arrived. Gives the name that the client used.
    pub async fn finish(self) -> Result<String, Refusal> {
        match self.to {
            To::File(writing) => drop(writing.finish().await.map_err(failed)?),
            To::Archive(file) => {
                let (directory, name) = (self.directory.clone(), self.directory.join(&self.filename));
                let unpacked = self
                    .disk
                    .run(move || archive::unpack(file, &name, &directory))
                    .await;
                unpacked.map_err(failed)?.map_err(failed)?;
            }
        }
        Ok(self.filename)
    }
}

/// A directory's files on their way out.
pub struct Download {
    pieces: mpsc::Receiver<Bytes>,
    packing: Option<JoinHandle<io::Result<()>>>,
}

impl Download {
    /// Begins: whatever is wrong with the path shows here.
    pub async fn begin(disk: &Disk, path: &str) -> Result<Self, Refusal> {
        let directory = PathBuf::from(path);
        if !directory.is_absolute() {
            return Err(failed("400: Path must be an absolute path"));
        }
        let looked_for = directory.clone();
        if !disk.run(move || looked_for.exists()).await.map_err(failed)? {
            return Err(failed("404: File not found"));
        }
        let (send, pieces) = mpsc::channel(AHEAD);
        let disk = disk.clone();
        let packing = tokio::spawn(async move {
            let packed = disk.run(move || archive::pack(&directory, &send)).await;
            packed.map_err(io::Error::other)?
        });
        Ok(Self {
            pieces,
            packing: Some(packing),
        })
    }

    /// The next piece; an error if there is none because something went wrong.
    pub async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if let Some(piece) = self.pieces.recv().await {
            return Some(Ok(piece));
        }
        match self.packing.take()?.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Err(error)),
            Err(_) => Some(Err(io::Error::other("a fault of the agent"))),
        }
    }
}
