//! An archive, passed on as it arrives: what the policy accepts, under another name and as somebody else's.

use bytes::Bytes;

use crate::Report;
use crate::error::Error;
use crate::packing::{Sink, Stopped};
use crate::policy::{Accepted, AcceptedKind, Decision, Policy};
use crate::tar::{Decoder, Event, Malformed, Member, MemberKind, Owner, end_of_archive, header, padding};

/// An archive being passed on. What comes out is written by our own encoder: nothing of what came in is repeated but the bytes of
/// files, names, permissions and times.
#[derive(Debug)]
pub struct Rewriting {
    decoder: Decoder,
    policy: Policy,
    /// What the root of the archive is called from here on; none leaves it out.
    name: Option<Vec<u8>>,
    owner: Owner,
    /// Bytes passed on.
    length: u64,
    /// The size of the file that is being passed on.
    current: Option<u64>,
    report: Report,
}

impl Rewriting {
    /// One of what `policy` accepts.
    pub fn new(policy: Policy, name: Option<Vec<u8>>, owner: Owner) -> Self {
        Self {
            decoder: Decoder::default(),
            policy,
            name,
            owner,
            length: 0,
            current: None,
            report: Report::default(),
        }
    }

    /// Takes in what arrived. After an error nothing more may be fed.
    pub fn feed(&mut self, mut input: &[u8], sink: &mut impl Sink) -> Result<(), Stopped> {
        loop {
            let event = self.decoder.next(&mut input);
            match event.map_err(|source| Error::Malformed { source })? {
                None => return Ok(()),
                Some(Event::Entry(entry)) => match self.policy.decide(&entry)? {
                    Decision::Write(accepted) => self.announce(&accepted, sink)?,
                    Decision::Skip(name) => self.report.skipped.push(name),
                    Decision::Leave(name, why) => self.report.left.push(name, why.to_string()),
                },
                Some(Event::Data(bytes)) => {
                    if self.current.is_some() {
                        let bytes = Bytes::copy_from_slice(bytes);
                        self.length += bytes.len() as u64;
                        sink.send(bytes)?;
                    }
                }
                Some(Event::EntryEnd) => {
                    if let Some(size) = self.current.take() {
                        self.report.files += 1;
                        self.report.bytes += size;
                        self.send(Bytes::from_static(padding(size)), sink)?;
                    }
                }
            }
        }
    }

    fn announce(&mut self, accepted: &Accepted, sink: &mut impl Sink) -> Result<(), Stopped> {
        let kind = match &accepted.kind {
            AcceptedKind::Directory => {
                self.report.directories += 1;
                MemberKind::Directory
            }
            AcceptedKind::File => {
                self.current = Some(accepted.size);
                MemberKind::File(accepted.size)
            }
            AcceptedKind::Symlink(target) => {
                self.report.links += 1;
                MemberKind::Symlink(target)
            }
        };
        let name: Vec<&[u8]> = self
            .name
            .as_deref()
            .into_iter()
            .chain(accepted.path.components().map(std::ffi::OsStr::as_encoded_bytes))
            .collect();
        // The directory that all goes into is there.
        if name.is_empty() {
            return Ok(());
        }
        let member = header(&Member {
            name: &name.join(&b'/'),
            kind,
            mode: accepted.mode,
            modified: accepted.modified.unwrap_or(0),
            owner: self.owner,
        });
        self.send(member.into(), sink)
    }

    /// Says that the stream has ended: an error unless the archive was whole.
    pub fn finish(mut self, sink: &mut impl Sink) -> Result<Report, Stopped> {
        self.decoder
            .finish()
            .map_err(|source| Error::Malformed { source })?;
        self.report.left.extend(self.decoder.take_left());
        let Report {
            files,
            directories,
            links,
            ..
        } = self.report;
        if files + directories + links == 0 {
            let source = Malformed::Empty;
            return Err(Error::Malformed { source }.into());
        }
        let end = end_of_archive(self.length);
        // A reader that has all members may leave before the end.
        let _ = self.send(end.into(), sink);
        Ok(self.report)
    }

    fn send(&mut self, piece: Bytes, sink: &mut impl Sink) -> Result<(), Stopped> {
        self.length += piece.len() as u64;
        if piece.is_empty() {
            return Ok(());
        }
        Ok(sink.send(piece)?)
    }
}
