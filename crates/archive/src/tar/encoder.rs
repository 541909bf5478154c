//! Writes headers of archives.

use tokio_tar::{EntryType, Header};

use super::{BLOCK, pax};
use crate::left::LeftOut;

/// tar's default record: readers get the archive in pieces of it, and GNU tar pads to it.
const RECORD: u64 = 20 * BLOCK as u64;

/// A file to be announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Its path below the directory that is extracted into.
    pub name: &'a [u8],
    /// What it is.
    pub kind: MemberKind<'a>,
    /// Its permissions.
    pub mode: u32,
    /// Modification time, in seconds since 1970.
    pub modified: u64,
    /// Whose it is, for an extraction that restores owners.
    pub owner: Owner,
}

/// A user and a group, by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The user's id.
    pub uid: u32,
    /// The group's id.
    pub gid: u32,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind<'a> {
    /// A regular file of so many bytes, which must follow.
    File(u64),
    /// A directory.
    Directory,
    /// A symbolic link that leads there.
    Symlink(&'a [u8]),
}

/// The blocks that announce a member. Long names go the GNU way: busybox reads that and not pax.
pub fn header(member: &Member<'_>) -> Vec<u8> {
    let Member {
        name,
        kind,
        mode,
        modified,
        owner,
    } = member;
    let mut name = name.to_vec();
    let (entry_type, size, link) = match *kind {
        MemberKind::File(size) => (EntryType::Regular, size, b"".as_slice()),
        MemberKind::Directory => {
            name.push(b'/');
            (EntryType::Directory, 0, b"".as_slice())
        }
        MemberKind::Symlink(link) => (EntryType::Symlink, 0, link),
    };
    let mut blocks = Vec::with_capacity(BLOCK);
    let mut header = Header::new_gnu();
    let fields = header.as_old_mut();
    if !fits(&mut fields.linkname, link) {
        blocks.extend(long(EntryType::GNULongLink, link));
    }
    if !fits(&mut fields.name, &name) {
        blocks.extend(long(EntryType::GNULongName, &name));
    }
    header.set_entry_type(entry_type);
    header.set_size(size);
    header.set_mode(*mode);
    header.set_mtime(*modified);
    // Without names: those of this machine mean nothing elsewhere.
    header.set_uid(owner.uid.into());
    header.set_gid(owner.gid.into());
    header.set_cksum();
    blocks.extend(header.as_bytes());
    blocks
}

/// The blocks that tell what is not in the archive: a global header, which readers that do not know it pass over.
pub fn left_out(left: &LeftOut) -> Vec<u8> {
    if left.is_empty() {
        return Vec::new();
    }
    let records = pax::left_out(left);
    about_others(EntryType::XGlobalHeader, b"././@PodbayLeft", &records)
}

/// The zeros after `size` bytes of data.
pub fn padding(size: u64) -> &'static [u8] {
    fill(size, BLOCK as u64)
}

/// What ends an archive of `length` bytes: two blocks of zeros, and more up to a whole record.
pub fn end_of_archive(length: u64) -> Vec<u8> {
    let mut end = vec![0; 2 * BLOCK];
    end.extend(fill(length + 2 * BLOCK as u64, RECORD));
    end
}

/// As many zeros as make `length` a multiple of `unit`, which is at most a record.
fn fill(length: u64, unit: u64) -> &'static [u8] {
    static ZEROS: [u8; 20 * BLOCK] = [0; 20 * BLOCK];
    let missing = (unit - length % unit) % unit;
    usize::try_from(missing)
        .ok()
        .and_then(|missing| ZEROS.get(..missing))
        .unwrap_or(&ZEROS)
}

/// Puts `text`, cut if need be, into a field; whether it fitted.
fn fits(field: &mut [u8], text: &[u8]) -> bool {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
    length == text.len()
}

/// An entry whose data is a name of the next one, which a NUL ends.
fn long(entry_type: EntryType, text: &[u8]) -> Vec<u8> {
    about_others(entry_type, b"././@LongLink", &[text, b"\0"].concat())
}

/// An entry that is no file: its data tells of other entries.
fn about_others(entry_type: EntryType, name: &[u8], data: &[u8]) -> Vec<u8> {
    let size = data.len() as u64;
    let mut header = Header::new_gnu();
    fits(&mut header.as_old_mut().name, name);
    header.set_entry_type(entry_type);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    [header.as_bytes().as_slice(), data, padding(size)].concat()
}
