//! An archive, put to disk as it arrives: decoder, policy and tree together.

use crate::Report;
use crate::destination::Destination;
use crate::error::Error;
use crate::member_path::MemberPath;
use crate::policy::{Accepted, AcceptedKind, Decision, Policy};
use crate::tar::{Decoder, Event, Malformed};
use crate::tree::{Tree, Unfinished};

/// An extraction going on. Dropped, it leaves no file half written.
#[derive(Debug)]
pub struct Extraction {
    decoder: Decoder,
    policy: Policy,
    tree: Tree,
    /// The entry that is being read, if it is a file that is written.
    current: Option<Current>,
    /// The file that is the whole copy: it gets its name when the extraction is committed.
    sole: Option<Unfinished>,
    report: Report,
}

/// A file that is being written.
#[derive(Debug)]
struct Current {
    file: Unfinished,
    /// Its bytes, once all are there.
    size: u64,
    /// Whether it is the whole copy.
    sole: bool,
}

/// An extraction whose archive was whole.
#[derive(Debug)]
pub struct Extracted {
    tree: Tree,
    sole: Option<Unfinished>,
    report: Report,
}

impl Extraction {
    /// One that writes what `policy` accepts to `destination`.
    pub fn new(policy: Policy, destination: Destination) -> Self {
        let (decoder, report) = (Decoder::default(), Report::default());
        Self {
            decoder,
            policy,
            tree: Tree::new(destination),
            current: None,
            sole: None,
            report,
        }
    }

    /// The same, with permissions as the archive has them: the umask takes nothing off.
    #[must_use]
    pub fn with_exact_modes(mut self) -> Self {
        self.tree.exact_modes();
        self
    }

    /// Takes in what arrived. After an error nothing more may be fed.
    pub fn feed(&mut self, mut input: &[u8]) -> Result<(), Error> {
        while let Some(event) = self
            .decoder
            .next(&mut input)
            .map_err(|source| Error::Malformed { source })?
        {
            match event {
                Event::Entry(entry) => match self.policy.decide(&entry)? {
                    Decision::Write(accepted) => match &accepted.kind {
                        AcceptedKind::Directory => {
                            self.tree.directory(&accepted)?;
                            self.report.directories += 1;
                        }
                        AcceptedKind::Symlink(target) => {
                            self.tree.symlink(&accepted, target, rand::random())?;
                            self.report.links += 1;
                        }
                        AcceptedKind::File => self.begin(&accepted)?,
                    },
                    Decision::Skip(name) => self.report.skipped.push(name),
                    Decision::Leave(name, why) => self.report.left.push(name, why.to_string()),
                },
                Event::Data(bytes) => {
                    if let Some(current) = &mut self.current {
                        current.file.write(bytes)?;
                    }
                }
                Event::EntryEnd => self.end_file()?,
            }
        }
        Ok(())
    }

    fn begin(&mut self, accepted: &Accepted) -> Result<(), Error> {
        self.current = Some(Current {
            file: self.tree.file(accepted, rand::random())?,
            size: accepted.size,
            // The policy takes such a one only as the first entry, and then no other.
            sole: accepted.path.split_last().is_none(),
        });
        Ok(())
    }

    fn end_file(&mut self) -> Result<(), Error> {
        let Some(Current { file, size, sole }) = self.current.take() else {
            return Ok(());
        };
        if sole {
            self.sole = Some(file);
        } else {
            file.finish()?;
        }
        self.report.files += 1;
        self.report.bytes += size;
        Ok(())
    }

    /// What was written under its own name so far.
    pub fn written(&self) -> Report {
        match self.sole {
            Some(_) => Report::default(),
            None => self.report.clone(),
        }
    }

    /// Says that the stream has ended: an error unless the archive was whole.
    pub fn finish(self) -> Result<Extracted, Error> {
        let Self {
            mut decoder,
            policy,
            tree,
            current: _,
            sole,
            mut report,
        } = self;
        report.left.extend(decoder.take_left());
        decoder.finish().map_err(|source| Error::Malformed { source })?;
        if report.files + report.directories + report.links == 0 && !policy.takes_nothing() {
            return Err(Error::Malformed {
                source: Malformed::Empty,
            });
        }
        Ok(Extracted { tree, sole, report })
    }
}

impl Extracted {
    /// One of a file without any archive, empty yet, with these permissions and this time in seconds since 1970.
    pub fn of_file(destination: Destination, mode: u32, modified: Option<u64>) -> Result<Self, Error> {
        let mut tree = Tree::new(destination);
        let accepted = Accepted {
            path: MemberPath::default(),
            kind: AcceptedKind::File,
            size: 0,
            mode,
            modified,
        };
        let file = tree.file(&accepted, rand::random())?;
        Ok(Self {
            tree,
            sole: Some(file),
            report: Report {
                files: 1,
                ..Report::default()
            },
        })
    }

    /// Completes the copy. What sent the archive ended well, as far as the caller can tell.
    pub fn commit(self) -> Result<Report, Error> {
        let Self { tree, sole, report } = self;
        if let Some(file) = sole {
            file.finish()?;
        }
        tree.finish()?;
        Ok(report)
    }

    /// Whether the copy is one file by itself that has no bytes: some filesystems claim so of files that have content
    /// (`/proc` above all), and `tar` believes them.
    pub fn is_an_empty_file(&self) -> bool {
        self.sole.is_some() && self.report.bytes == 0
    }

    /// Adds to the file that is the whole copy; nothing where a directory was copied.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(file) = &mut self.sole {
            file.write(bytes)?;
            self.report.bytes += bytes.len() as u64;
        }
        Ok(())
    }

    /// What stays where it is if the copy is not completed.
    pub fn written(&self) -> Report {
        match self.sole {
            Some(_) => Report::default(),
            None => self.report.clone(),
        }
    }
}
