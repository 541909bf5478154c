//! What the reader of archives makes of bytes, in values that an oracle can compare.

use std::ffi::OsString;
use std::path::Path;

use podbay_archive::tar::{Decoder, Entry, EntryKind, Event, Malformed};
use podbay_archive::{
    Accepted, AcceptedKind, Decision, Destination, Error, Extraction, Limits, Links, Policy, Report,
};

/// An entry with its data, as the decoder tells it; nothing of it is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path.
    pub name: Vec<u8>,
    /// What it is: `File`, `Directory`, …
    pub kind: String,
    /// How many bytes it claims to have.
    pub size: u64,
    /// What a link leads to.
    pub link: Vec<u8>,
    /// Its bytes, as far as they came.
    pub data: Vec<u8>,
    /// Whether all of them came.
    pub ended: bool,
}

/// An entry that the policy lets be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its path below the destination, component by component.
    pub components: Vec<OsString>,
    /// What it is.
    pub kind: AcceptedKind,
    /// Its bytes.
    pub size: u64,
    /// Its permissions.
    pub mode: u32,
}

/// What of an archive is accepted.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The name that was asked for; none stands for what is in a directory.
    pub root: Option<OsString>,
    /// Bytes of all files at most.
    pub max_bytes: u64,
    /// Entries at most.
    pub max_entries: u64,
    /// What becomes of links.
    pub links: Links,
}

impl Terms {
    fn policy(&self) -> Policy {
        let Self {
            root,
            max_bytes,
            max_entries,
            links,
        } = self;
        let limits = Limits {
            max_bytes: *max_bytes,
            max_entries: *max_entries,
        };
        let root = root.as_ref().map(|root| root.as_encoded_bytes());
        Policy::new(root, limits, *links)
    }
}

/// Decodes an archive that arrives in these pieces.
pub fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Found>, Result<(), Malformed>) {
    let mut decoder = Decoder::default();
    let mut found: Vec<Found> = Vec::new();
    for mut piece in pieces {
        loop {
            let event = match decoder.next(&mut piece) {
                Err(error) => return (found, Err(error)),
                Ok(None) => break,
                Ok(Some(event)) => event,
            };
            match (event, found.last_mut()) {
                (Event::Entry(entry), _) => found.push(Found::from(entry)),
                (Event::Data(data), Some(last)) => last.data.extend(data),
                (Event::EntryEnd, Some(last)) => last.ended = true,
                // Would be seen as an entry without its data.
                (Event::Data(_) | Event::EntryEnd, None) => {}
            }
        }
    }
    (found, decoder.finish())
}

/// What the policy lets be written of an archive, up to the first entry that it refuses.
pub fn judge(archive: &[u8], terms: &Terms) -> Vec<Written> {
    let mut decoder = Decoder::default();
    let mut policy = terms.policy();
    let mut written = Vec::new();
    let mut input = archive;
    while let Ok(Some(event)) = decoder.next(&mut input) {
        let Event::Entry(entry) = event else { continue };
        match policy.decide(&entry) {
            Ok(Decision::Write(accepted)) => written.push(Written::from(accepted)),
            Ok(Decision::Skip(_) | Decision::Leave(..)) => {}
            Err(_) => break,
        }
    }
    written
}

/// Extracts an archive that arrives in these pieces to `local`, as a copy out of a session does.
pub fn extract<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    terms: &Terms,
    local: &Path,
) -> Result<Report, Error> {
    let destination = Destination::find(local, terms.root.as_deref())?;
    let mut extraction = Extraction::new(terms.policy(), destination);
    for piece in pieces {
        extraction.feed(piece)?;
    }
    extraction.finish()?.commit()
}

impl From<Entry> for Found {
    fn from(entry: Entry) -> Self {
        let Entry {
            name,
            kind,
            size,
            mode: _,
            modified: _,
            link,
        } = entry;
        let kind = match kind {
            EntryKind::Unknown(_) => "Unknown".to_owned(),
            known => format!("{known:?}"),
        };
        Self {
            name,
            kind,
            size,
            link,
            data: Vec::new(),
            ended: false,
        }
    }
}

impl From<Accepted> for Written {
    fn from(accepted: Accepted) -> Self {
        let Accepted {
            path,
            kind,
            size,
            mode,
            modified: _,
        } = accepted;
        Self {
            components: path.components().map(ToOwned::to_owned).collect(),
            kind,
            size,
            mode,
        }
    }
}
