//! Reads archives, fed with whatever pieces arrive.

use tokio_tar::{EntryType, Header};

use super::pax::Extension;
use super::{BLOCK, Entry, EntryKind, Event};
use crate::left::LeftOut;

/// Bytes of a long name or an extended header at most. The longest path that is accepted (256 components of 255
/// bytes) has 64 KiB; extended attributes, which are ignored, may come along.
const METADATA_LIMIT: u64 = 1 << 20;

/// Global extended headers in one archive at most: git writes one, nobody needs more than a few.
const GLOBALS_LIMIT: u32 = 16;

/// Zeros after the end of an archive at most: a hundred of tar's default records of 10 KiB.
const TRAILER_LIMIT: u64 = 1 << 20;

/// Why bytes are no archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The stream ended before the archive did.
    #[error("it ends in the middle")]
    Truncated,
    /// A header is not one.
    #[error("a header is not valid: {0}")]
    Header(&'static str),
    /// A long name or extended header is not valid.
    #[error("an extended header is not valid: {0}")]
    Extension(&'static str),
    /// A long name or extended header is too large.
    #[error("an extended header has {size} bytes, more than {METADATA_LIMIT}")]
    ExtensionSize {
        /// What it claims to have, in bytes.
        size: u64,
    },
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// Something follows the end.
    #[error("something follows its end")]
    Trailing,
}

/// A reader of an archive. It holds one header and the long names of one entry, no data.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    /// What was said ahead of the next entry.
    ahead: Ahead,
    globals: u32,
    /// What the sender says it left out.
    left: LeftOut,
}

#[derive(Debug)]
enum State {
    /// Gathers a header block. `ending`: the one before was zeros.
    Header { block: Vec<u8>, ending: bool },
    /// Gathers what is said ahead of an entry.
    Metadata {
        kind: Metadata,
        left: u64,
        size: u64,
        bytes: Vec<u8>,
    },
    /// Hands out an entry's data.
    Data { left: u64, size: u64 },
    /// Drops what fills up a block.
    Padding { left: u64 },
    /// Has seen the end.
    Trailer { bytes: u64 },
}

impl Default for State {
    fn default() -> Self {
        Self::Header {
            block: Vec::with_capacity(BLOCK),
            ending: false,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Metadata {
    LongName,
    LongLink,
    Extension,
    Global,
}

#[derive(Debug, Default)]
struct Ahead {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    extension: Option<Extension>,
}

impl Decoder {
    /// The next event in `input`, which loses what was used of it; nothing when more input is needed.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, Malformed> {
        loop {
            match &mut self.state {
                State::Data { left: 0, size } => {
                    self.state = State::Padding {
                        left: to_block(*size),
                    };
                    return Ok(Some(Event::EntryEnd));
                }
                State::Padding { left: 0 } => self.state = State::default(),
                State::Metadata {
                    left: 0,
                    kind,
                    size,
                    bytes,
                } => {
                    let (kind, size, bytes) = (*kind, *size, std::mem::take(bytes));
                    self.say_ahead(kind, bytes)?;
                    self.state = State::Padding { left: to_block(size) };
                }
                _ if input.is_empty() => return Ok(None),
                State::Data { left, .. } => return Ok(Some(Event::Data(take(input, left)))),
                State::Padding { left } => {
                    take(input, left);
                }
                State::Metadata { left, bytes, .. } => bytes.extend(take(input, left)),
                State::Trailer { bytes } => {
                    *bytes += input.len() as u64;
                    if *bytes > TRAILER_LIMIT || input.iter().any(|&byte| byte != 0) {
                        return Err(Malformed::Trailing);
                    }
                    *input = &[];
                }
                State::Header { block, ending } => {
                    let mut missing = (BLOCK - block.len()) as u64;
                    block.extend(take(input, &mut missing));
                    if missing > 0 {
                        return Ok(None);
                    }
                    let (block, ending) = (std::mem::take(block), *ending);
                    if let Some(entry) = self.header(&block, ending)? {
                        return Ok(Some(Event::Entry(entry)));
                    }
                }
            }
        }
    }

    /// What the sender of the archive says it left out, up to here.
    pub fn take_left(&mut self) -> LeftOut {
        std::mem::take(&mut self.left)
    }

    /// Says that there is no more input: an error unless the archive was whole.
    pub const fn finish(&self) -> Result<(), Malformed> {
        match self.state {
            State::Trailer { .. } => Ok(()),
            _ => Err(Malformed::Truncated),
        }
    }

    /// Takes in a header block; the entry, if it begins one.
    fn header(&mut self, block: &[u8], ending: bool) -> Result<Option<Entry>, Malformed> {
        if block.iter().all(|&byte| byte == 0) {
            self.state = if ending {
                State::Trailer { bytes: 0 }
            } else {
                State::Header {
                    block: Vec::with_capacity(BLOCK),
                    ending: true,
                }
            };
            return Ok(None);
        }
        if ending {
            return Err(Malformed::Header("a block of zeros stands before it"));
        }
        let header = Header::from_byte_slice(block);
        check_sum(header)?;
        let size = size_of(header)?;
        let metadata = match header.entry_type() {
            EntryType::GNULongName => Metadata::LongName,
            EntryType::GNULongLink => Metadata::LongLink,
            EntryType::XHeader | EntryType::SolarisXHeader => Metadata::Extension,
            EntryType::XGlobalHeader => Metadata::Global,
            _ => return self.entry(header, size).map(Some),
        };
        if size > METADATA_LIMIT {
            return Err(Malformed::ExtensionSize { size });
        }
        self.state = State::Metadata {
            kind: metadata,
            left: size,
            size,
            bytes: Vec::new(),
        };
        Ok(None)
    }

    /// Puts together what is known of an entry. An extended header wins over a long name, and that over the
    /// header's own field (pax(1), "pax Extended Header").
    fn entry(&mut self, header: &Header, size: u64) -> Result<Entry, Malformed> {
        let Ahead {
            name,
            link,
            extension,
        } = std::mem::take(&mut self.ahead);
        let extension = extension.unwrap_or_default();
        let kind = match header.entry_type() {
            _ if extension.sparse => EntryKind::Sparse,
            EntryType::Regular | EntryType::Continuous => EntryKind::File,
            EntryType::Directory => EntryKind::Directory,
            EntryType::Symlink => EntryKind::Symlink,
            EntryType::Link => EntryKind::HardLink,
            EntryType::Char | EntryType::Block => EntryKind::Device,
            EntryType::Fifo => EntryKind::Fifo,
            EntryType::GNUSparse => EntryKind::Sparse,
            other => EntryKind::Unknown(other.as_byte()),
        };
        let size = extension.size.unwrap_or(size);
        self.state = State::Data { left: size, size };
        Ok(Entry {
            name: extension
                .path
                .or(name)
                .unwrap_or_else(|| header.path_bytes().into_owned()),
            kind,
            size,
            mode: header
                .mode()
                .map_err(|_| Malformed::Header("its mode is no number"))?,
            // Only a convenience, so a bad one is not worth a refusal.
            modified: header
                .mtime()
                .ok()
                .filter(|&seconds| i64::try_from(seconds).is_ok()),
            link: extension.link.or(link).unwrap_or_else(|| {
                header
                    .link_name_bytes()
                    .map(std::borrow::Cow::into_owned)
                    .unwrap_or_default()
            }),
        })
    }

    /// Keeps what is said ahead of the next entry. Twice the same would let two readers see two archives.
    fn say_ahead(&mut self, kind: Metadata, bytes: Vec<u8>) -> Result<(), Malformed> {
        let parse =
            |bytes: &[u8]| Extension::parse(bytes).ok_or(Malformed::Extension("its records can't be read"));
        let twice = match kind {
            Metadata::LongName => self.ahead.name.replace(until_nul(bytes)).is_some(),
            Metadata::LongLink => self.ahead.link.replace(until_nul(bytes)).is_some(),
            Metadata::Extension => self.ahead.extension.replace(parse(&bytes)?).is_some(),
            Metadata::Global => {
                self.globals += 1;
                let extension = parse(&bytes)?;
                let is_harmless = extension.is_harmless();
                self.left.extend(extension.left);
                if !is_harmless {
                    return Err(Malformed::Extension("it names or sizes all entries at once"));
                }
                self.globals > GLOBALS_LIMIT
            }
        };
        if twice {
            Err(Malformed::Extension("there is one too many"))
        } else {
            Ok(())
        }
    }
}

/// Splits off at most `left` bytes, and counts them.
fn take<'a>(input: &mut &'a [u8], left: &mut u64) -> &'a [u8] {
    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    let (taken, rest) = input.split_at(length);
    *input = rest;
    *left -= length as u64;
    taken
}

/// How many bytes fill the last block of `size` bytes.
const fn to_block(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

/// GNU's long names end with a NUL.
fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}

/// Whether the sum over the header, its own field taken for spaces, is what the field says.
fn check_sum(header: &Header) -> Result<(), Malformed> {
    const FIELD: std::ops::Range<usize> = 148..156;
    let bytes = header.as_bytes().iter().enumerate();
    let sum: u32 = bytes
        .map(|(at, &byte)| u32::from(if FIELD.contains(&at) { b' ' } else { byte }))
        .sum();
    match header.cksum() {
        Ok(said) if said == sum => Ok(()),
        _ => Err(Malformed::Header("its checksum is wrong")),
    }
}

/// The size field. The library takes the last 8 bytes of a binary number; here the others must be empty, so that
/// a negative or a giant number is not taken for a small one.
fn size_of(header: &Header) -> Result<u64, Malformed> {
    let field = &header.as_old().size;
    if field[0] & 0x80 != 0 && (field[0] != 0x80 || field[1..4] != [0; 3]) {
        return Err(Malformed::Header("its size is negative or too large"));
    }
    header
        .raw_entry_size()
        .map_err(|_| Malformed::Header("its size is no number"))
}
