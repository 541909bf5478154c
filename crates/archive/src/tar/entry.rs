//! What a reader of an archive is told.

/// The next thing in an archive.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// An entry begins.
    Entry(Entry),
    /// Some of its bytes.
    Data(&'a [u8]),
    /// All its bytes were there.
    EntryEnd,
}

/// What an archive says of a file. Nothing of it is to be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// How many bytes follow.
    pub size: u64,
    /// All mode bits, the special ones too.
    pub mode: u32,
    /// Modification time, in seconds since 1970; none where it can't be read or is earlier.
    pub modified: Option<u64>,
    /// What a link leads to.
    pub link: Vec<u8>,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Another name for an earlier entry.
    HardLink,
    /// A character or block device.
    Device,
    /// A named pipe.
    Fifo,
    /// A sparse file, in any of GNU's formats.
    Sparse,
    /// A type that is not known here: its byte.
    Unknown(u8),
}
