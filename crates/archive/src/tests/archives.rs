//! Archives of all sorts, made by the tar library's header and by hand, so that not only our own encoder is read.

use tokio_tar::{EntryType, Header};

/// An archive in the making.
#[derive(Default)]
pub(super) struct Archive(pub(super) Vec<u8>);

/// A header with a right checksum.
pub(super) fn header(name: &[u8], entry_type: u8, size: u64) -> Header {
    let mut header = Header::new_gnu();
    let length = name.len().min(100);
    header.as_old_mut().name[..length].copy_from_slice(&name[..length]);
    header.set_entry_type(EntryType::new(entry_type));
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(1_700_000_000);
    header.set_uid(12345);
    header.set_gid(12345);
    header.set_cksum();
    header
}

impl Archive {
    pub(super) fn entry(self, name: impl AsRef<[u8]>, entry_type: u8, data: &[u8]) -> Self {
        self.raw(&header(name.as_ref(), entry_type, data.len() as u64), data)
    }

    pub(super) fn file(self, name: impl AsRef<[u8]>, data: &[u8]) -> Self {
        self.entry(name, b'0', data)
    }

    pub(super) fn directory(self, name: impl AsRef<[u8]>) -> Self {
        self.with(name, b'5', |header| header.set_mode(0o755))
    }

    pub(super) fn link(self, name: &str, entry_type: u8, target: &str) -> Self {
        self.with(name, entry_type, |header| {
            header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        })
    }

    /// An entry without data whose header is changed.
    pub(super) fn with(
        self,
        name: impl AsRef<[u8]>,
        entry_type: u8,
        change: impl FnOnce(&mut Header),
    ) -> Self {
        let mut header = header(name.as_ref(), entry_type, 0);
        change(&mut header);
        header.set_cksum();
        self.raw(&header, b"")
    }

    /// Extended header records for the next entry.
    pub(super) fn pax(self, entry_type: u8, records: &[(&str, &[u8])]) -> Self {
        let mut bytes = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + rest.to_string().len();
            length = rest + length.to_string().len();
            bytes.extend(format!("{length} {key}=").bytes());
            bytes.extend(*value);
            bytes.push(b'\n');
        }
        self.entry("pax", entry_type, &bytes)
    }

    pub(super) fn raw(mut self, header: &Header, data: &[u8]) -> Self {
        self.0.extend(header.as_bytes());
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}
