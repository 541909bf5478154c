//! An archive from a session, put to disk as it arrives: decoder, policy and tree together.

use super::CopyReport;
use super::archive::{Decoder, Event, Malformed};
use super::error::CopyError;
use super::policy::{Accepted, Decision, Policy};
use super::tree::{Tree, Unfinished};

/// An extraction going on. Dropped, it leaves no file half written.
#[derive(Debug)]
pub(super) struct Extraction {
    decoder: Decoder,
    policy: Policy,
    tree: Tree,
    /// The entry that is being read, if it is a file that is written.
    current: Option<(Unfinished, u64)>,
    /// The file that is the whole copy: it gets its name when the session's tar ended well.
    sole: Option<Unfinished>,
    report: CopyReport,
}

/// An extraction whose archive was whole.
#[derive(Debug)]
pub(super) struct Extracted {
    tree: Tree,
    sole: Option<Unfinished>,
    report: CopyReport,
}

impl Extraction {
    /// One that writes what `policy` accepts to `tree`.
    pub(super) fn new(policy: Policy, tree: Tree) -> Self {
        let (decoder, report) = (Decoder::default(), CopyReport::default());
        Self {
            decoder,
            policy,
            tree,
            current: None,
            sole: None,
            report,
        }
    }

    /// Takes in what arrived. After an error nothing more may be fed.
    pub(super) fn feed(&mut self, mut input: &[u8]) -> Result<(), CopyError> {
        while let Some(event) = self
            .decoder
            .next(&mut input)
            .map_err(|source| CopyError::Archive { source })?
        {
            match event {
                Event::Entry(entry) => match self.policy.decide(&entry)? {
                    Decision::Write(accepted) if accepted.directory => {
                        self.tree.directory(&accepted)?;
                        self.report.directories += 1;
                    }
                    Decision::Write(accepted) => self.begin(&accepted)?,
                    Decision::Skip(name) => self.report.skipped.push(name),
                },
                Event::Data(bytes) => {
                    if let Some((file, _)) = &mut self.current {
                        file.write(bytes)?;
                    }
                }
                Event::EntryEnd => self.end_file()?,
            }
        }
        Ok(())
    }

    fn begin(&mut self, accepted: &Accepted) -> Result<(), CopyError> {
        let file = self.tree.file(accepted, rand::random())?;
        self.current = Some((file, accepted.size));
        Ok(())
    }

    fn end_file(&mut self) -> Result<(), CopyError> {
        let Some((file, size)) = self.current.take() else {
            return Ok(());
        };
        // The policy lets a file be the first entry only if it is what was asked for, and then the only one.
        if self.report.directories == 0 {
            self.sole = Some(file);
        } else {
            file.finish()?;
        }
        self.report.files += 1;
        self.report.bytes += size;
        Ok(())
    }

    /// What was written under its own name so far.
    pub(super) fn written(&self) -> CopyReport {
        match self.sole {
            Some(_) => CopyReport::default(),
            None => self.report.clone(),
        }
    }

    /// Says that the stream has ended: an error unless the archive was whole.
    pub(super) fn finish(self) -> Result<Extracted, CopyError> {
        let Self {
            decoder,
            policy: _,
            tree,
            current: _,
            sole,
            report,
        } = self;
        decoder.finish().map_err(|source| CopyError::Archive { source })?;
        if report.files + report.directories == 0 {
            return Err(CopyError::Archive {
                source: Malformed::Empty,
            });
        }
        Ok(Extracted { tree, sole, report })
    }
}

impl Extracted {
    /// Completes the copy: the session's tar ended well.
    pub(super) fn commit(self) -> Result<CopyReport, CopyError> {
        let Self { tree, sole, report } = self;
        if let Some(file) = sole {
            file.finish()?;
        }
        tree.finish()?;
        Ok(report)
    }

    /// What stays where it is if the copy is not completed.
    pub(super) fn written(&self) -> CopyReport {
        match self.sole {
            Some(_) => CopyReport::default(),
            None => self.report.clone(),
        }
    }
}
