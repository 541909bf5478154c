//! Which entries of an archive are written, which are skipped, which end the copy. Pure.
//!
//! What runs in a sandbox may have replaced its `tar`, so nothing in an archive is trusted. What is accepted
//! here is a plain file or directory below the one that was asked for, in a directory that came before it, and
//! comes once.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use crate::error::Error;
use crate::member_path::{COMPONENT_LIMIT, DEPTH_LIMIT, MemberPath, display};
use crate::tar::{Entry, EntryKind};

/// Permission bits that are taken over; not set-user-ID, set-group-ID and sticky.
const PERMISSIONS: u32 = 0o777;

/// Why an entry is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is a symbolic link.
    #[error(
        "it is a symbolic link to {target:?}, and links may lead anywhere: copy what it leads to, or skip links"
    )]
    Symlink {
        /// Where it leads.
        target: String,
    },
    /// It is a symbolic link out of what is copied.
    #[error("it is a symbolic link to {target:?}, which leads out of what is copied")]
    Outside {
        /// Where it leads.
        target: String,
    },
    /// It is a hard link.
    #[error("it is a hard link to {target:?}, and links may lead anywhere: skip links")]
    HardLink {
        /// The entry it is another name of.
        target: String,
    },
    /// It is a device.
    #[error("it is a device")]
    Device,
    /// It is a named pipe.
    #[error("it is a named pipe")]
    Fifo,
    /// It is a sparse file.
    #[error("it is a sparse file in tar's own encoding, which was not asked for")]
    Sparse,
    /// It is of an unknown type.
    #[error("its type is not known (byte {0})")]
    Unknown(u8),
    /// Its path begins at the root.
    #[error("its path is absolute")]
    Absolute,
    /// Its path has a `..`.
    #[error("its path leads upwards")]
    Upwards,
    /// It has no name, or one with a NUL.
    #[error("it has no name that a file can have")]
    NoName,
    /// A component is too long.
    #[error("a component of its path is longer than {COMPONENT_LIMIT} bytes")]
    LongComponent,
    /// It has too many components.
    #[error("its path has more than {DEPTH_LIMIT} components")]
    TooDeep,
    /// It is not below what was asked for.
    #[error("it is not part of what was asked for")]
    Elsewhere,
    /// The directory it is in was not there before.
    #[error("the directory it should be in did not come before it")]
    NoParent,
    /// It came before.
    #[error("it comes twice")]
    Duplicate,
    /// It has data and is no file.
    #[error("it is no file, and claims {size} bytes")]
    Size {
        /// What it claims, in bytes.
        size: u64,
    },
}

/// How much is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files at most.
    pub max_bytes: u64,
    /// Files, directories and links at most.
    pub max_entries: u64,
}

impl Limits {
    /// Whether so much is within them. Checked by those who send too.
    pub const fn check(&self, entries: u64, bytes: u64) -> Result<(), Error> {
        if entries > self.max_entries {
            return Err(Error::OverLimit {
                limit: self.max_entries,
                unit: "entries",
            });
        }
        if bytes > self.max_bytes {
            return Err(Error::OverLimit {
                limit: self.max_bytes,
                unit: "bytes",
            });
        }
        Ok(())
    }
}

/// What becomes of links in an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// Any link is an error.
    #[default]
    Refuse,
    /// They are left out.
    Skip,
    /// Symbolic links are written as links, and never followed; hard links are an error.
    Keep,
    /// The same for symbolic links that lead to what is in the copy itself; others are left out, and told. What was asked for by itself
    /// may be none.
    Inside,
}

/// What becomes of an entry.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is written.
    Write(Accepted),
    /// It is left out: its name.
    Skip(String),
    /// It is left out, and the copy is not whole: its name, and why.
    Leave(String, Refusal),
}

/// An entry that may be written.
#[derive(Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Where, below what was asked for.
    pub path: MemberPath,
    /// What it is.
    pub kind: AcceptedKind,
    /// Its bytes.
    pub size: u64,
    /// Its permissions, nothing else.
    pub mode: u32,
    /// Modification time, in seconds since 1970.
    pub modified: Option<u64>,
}

/// What an entry is that may be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptedKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link that leads there.
    Symlink(Vec<u8>),
}

/// The decisions on one archive.
#[derive(Debug)]
pub struct Policy {
    /// The name that was asked for; none stands for what is in a directory.
    root: Option<Vec<u8>>,
    /// Whether the directory that all is below is there already, and need not come first.
    root_is_there: bool,
    limits: Limits,
    links: Links,
    entries: u64,
    bytes: u64,
    /// What came, and whether it is a directory that was written. Hashes, so that a million entries with the
    /// longest paths need 32 MB and not 64 GB.
    seen: HashMap<[u8; 16], bool>,
}

impl Policy {
    /// Decides on an archive of `root`.
    pub fn new(root: Option<&[u8]>, limits: Limits, links: Links) -> Self {
        let root = root.map(<[u8]>::to_vec);
        Self {
            root,
            root_is_there: false,
            limits,
            links,
            entries: 0,
            bytes: 0,
            seen: HashMap::new(),
        }
    }

    /// Decides on an archive of anything, for a directory that is there: it may be empty.
    pub fn below_directory(limits: Limits, links: Links) -> Self {
        Self {
            root_is_there: true,
            ..Self::new(None, limits, links)
        }
    }

    /// Whether there may be nothing in the archive.
    pub(crate) const fn takes_nothing(&self) -> bool {
        self.root_is_there
    }

    /// Decides on the next entry.
    pub fn decide(&mut self, entry: &Entry) -> Result<Decision, Error> {
        // What is skipped counts too: its bytes come over the wire all the same.
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(entry.size);
        self.limits.check(self.entries, self.bytes)?;
        self.judge(entry).map_err(|reason| Error::Refused {
            entry: display(&entry.name),
            reason,
        })
    }

    fn judge(&mut self, entry: &Entry) -> Result<Decision, Refusal> {
        let Entry {
            name,
            kind,
            size,
            mode,
            modified,
            link,
        } = entry;
        let path = MemberPath::parse(name)?
            .below(self.root.as_deref())
            .ok_or(Refusal::Elsewhere)?;
        if let Some((parent, _)) = path.split_last()
            && !(self.root_is_there && parent.split_last().is_none())
            && self.seen.get(&digest(&parent)) != Some(&true)
        {
            return Err(Refusal::NoParent);
        }
        let target = || display(link);
        let accepted = match *kind {
            EntryKind::File => Some(AcceptedKind::File),
            EntryKind::Directory => Some(AcceptedKind::Directory),
            // What was asked for itself is not skipped: a copy of nothing is no success.
            EntryKind::Symlink | EntryKind::HardLink
                if self.links == Links::Skip && path.split_last().is_some() =>
            {
                None
            }
            EntryKind::Symlink if self.links == Links::Inside && path.split_last().is_some() => {
                stays_inside(&path, link).then(|| AcceptedKind::Symlink(link.clone()))
            }
            EntryKind::Symlink if self.links == Links::Keep => Some(AcceptedKind::Symlink(link.clone())),
            EntryKind::Symlink => return Err(Refusal::Symlink { target: target() }),
            EntryKind::HardLink => return Err(Refusal::HardLink { target: target() }),
            EntryKind::Device => return Err(Refusal::Device),
            EntryKind::Fifo => return Err(Refusal::Fifo),
            EntryKind::Sparse => return Err(Refusal::Sparse),
            EntryKind::Unknown(byte) => return Err(Refusal::Unknown(byte)),
        };
        if *kind != EntryKind::File && *size > 0 {
            return Err(Refusal::Size { size: *size });
        }
        let directory = accepted == Some(AcceptedKind::Directory);
        // A name that ends with a slash is a directory's, whatever the type says: readers differ there. And the
        // directory whose contents were asked for can't be anything else.
        if !directory && (name.ends_with(b"/") || (self.root.is_none() && path.split_last().is_none())) {
            return Err(Refusal::NoName);
        }
        if self.seen.insert(digest(&path), directory).is_some() {
            return Err(Refusal::Duplicate);
        }
        let Some(kind) = accepted else {
            return Ok(match self.links {
                Links::Inside => Decision::Leave(display(name), Refusal::Outside { target: target() }),
                _ => Decision::Skip(display(name)),
            });
        };
        let (size, mode, modified) = (*size, mode & PERMISSIONS, *modified);
        Ok(Decision::Write(Accepted {
            path,
            kind,
            size,
            mode,
            modified,
        }))
    }
}

/// Whether a link at `path` leads to what is in the copy, whatever else is in it: it goes up no further than to the root of the copy, and
/// not at all after it went down. Directories are no links, so the first steps are those of the path itself; and where a step down
/// leads to another link, the same holds for that one.
fn stays_inside(path: &MemberPath, target: &[u8]) -> bool {
    if target.is_empty() || target.starts_with(b"/") || target.contains(&0) {
        return false;
    }
    // The directories between the root of the copy and the link.
    let mut above = path.components().len().saturating_sub(1);
    let mut down = false;
    for step in target.split(|byte| *byte == b'/') {
        match step {
            b"" | b"." => {}
            b".." if down || above == 0 => return false,
            b".." => above -= 1,
            _ => down = true,
        }
    }
    true
}

/// Half of a hash of a path's components, separated by what none of them holds.
fn digest(path: &MemberPath) -> [u8; 16] {
    let mut hash = Sha256::new();
    for component in path.components() {
        hash.update(component.as_encoded_bytes());
        hash.update([0]);
    }
    let mut half = [0; 16];
    half.copy_from_slice(&hash.finalize()[..16]);
    half
}
