//! Archives from a script, written block by block, with what a reader must find in them.
//!
//! A step is a line: a tar type flag, then fields parted by `|`: name, data, link target, claimed size and mode, both in octal
//! (`0src/f|hello`, `2src/l||../x`, `5src/`). Data `*700` is 700 bytes of a pattern. For `x` and `g` the data are
//! records parted by `;` (`x|path=a;size=3`), each given its length, or as they are after a `!`. And:
//!
//! ```text
//!   z         a block of zeros                  @345:ustar   bytes put over the last header, its checksum set right
//!   #text     bytes as they are                 !12          the last 12 bytes cut off, at the end
//! ```

use crate::script::{Script, number, pattern};

/// The unit of the format.
const BLOCK: usize = 512;
/// The largest script output: a few pieces of what a session sends.
const MOST_BYTES: usize = 1 << 20;

/// An archive and what is in it.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its entries, if every step was one that a reader may not take differently.
    pub entries: Option<Vec<Entry>>,
}

/// What a reader must find.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its path.
    pub name: Vec<u8>,
    /// The type flag.
    pub flag: u8,
    /// Its bytes.
    pub data: Vec<u8>,
    /// What it leads to.
    pub link: Vec<u8>,
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    last_header: Option<usize>,
    cut: usize,
    /// Whether what a reader must find is still plain.
    is_plain: bool,
    entries: Vec<Entry>,
    ahead: Ahead,
}

/// What was said of the next entry.
#[derive(Default)]
struct Ahead {
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    extension: Option<Extension>,
}

#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

/// Writes the archive that a script describes.
pub fn write(script: &Script<'_>) -> Archive {
    let mut writer = Writer {
        is_plain: true,
        ..Writer::default()
    };
    for line in script.steps() {
        if let Some((&first, rest)) = line.split_first()
            && writer.bytes.len() < MOST_BYTES
        {
            writer.step(first, rest);
        }
    }
    let Writer {
        mut bytes,
        cut,
        is_plain,
        entries,
        ahead,
        ..
    } = writer;
    bytes.extend([0; 2 * BLOCK]);
    bytes.truncate(bytes.len().saturating_sub(cut));
    // A name of nothing is passed over by some readers.
    let Ahead {
        long_name,
        long_link,
        extension,
    } = ahead;
    let is_plain = is_plain && cut == 0 && long_name.is_none() && long_link.is_none() && extension.is_none();
    Archive {
        bytes,
        entries: is_plain.then_some(entries),
    }
}

/// Sets right the checksum of every block that is not all zeros, whether it is a header or not.
pub fn repair_checksums(bytes: &mut [u8]) {
    let blocks = bytes.chunks_exact_mut(BLOCK);
    for block in blocks.filter(|block| block.iter().any(|&byte| byte != 0)) {
        set_checksum(block);
    }
}

impl Writer {
    fn step(&mut self, first: u8, rest: &[u8]) {
        match first {
            b'z' => {
                self.is_plain = false;
                self.bytes.extend([0; BLOCK]);
            }
            b'#' => {
                self.is_plain = false;
                self.bytes.extend(rest);
            }
            b'!' => self.cut = number(rest),
            b'@' => self.patch(rest),
            flag => self.entry(flag, rest),
        }
    }

    fn patch(&mut self, rest: &[u8]) {
        let colon = rest.iter().position(|&byte| byte == b':');
        let (Some(colon), Some(header)) = (colon, self.last_header) else {
            return;
        };
        self.is_plain = false;
        let header = &mut self.bytes[header..header + BLOCK];
        let at = number(&rest[..colon]) % BLOCK;
        for (to, from) in header[at..].iter_mut().zip(&rest[colon + 1..]) {
            *to = *from;
        }
        set_checksum(header);
    }

    fn entry(&mut self, flag: u8, rest: &[u8]) {
        let mut fields = rest.split(|&byte| byte == b'|');
        let mut field = || fields.next().unwrap_or_default();
        let (name, data, link, size, mode) = (field(), field(), field(), field(), field());
        let data = match (flag, data) {
            (b'x' | b'g' | b'X', records) => records_of(records),
            (_, [b'*', count @ ..]) => pattern(0, number(count)),
            (_, data) => data.to_vec(),
        };
        // Sizes that lie, and modes that are no number.
        let octal = mode.len() < 8 && mode.iter().all(|digit| (b'0'..=b'7').contains(digit));
        self.is_plain &= size.is_empty() && octal;
        let claim = format!("{:011o}", data.len());
        let size = if size.is_empty() { claim.as_bytes() } else { size };
        self.last_header = Some(self.bytes.len());
        self.bytes.extend(header(flag, name, link, size, mode));
        self.bytes.extend(&data);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        self.expect(flag, name, data, link);
    }

    /// Notes what a reader must make of it.
    fn expect(&mut self, flag: u8, name: &[u8], data: Vec<u8>, link: &[u8]) {
        let until_nul =
            |text: &[u8]| -> Vec<u8> { text.iter().copied().take_while(|&byte| byte != 0).collect() };
        match flag {
            b'L' | b'K' => {
                let slot = if flag == b'L' {
                    &mut self.ahead.long_name
                } else {
                    &mut self.ahead.long_link
                };
                self.is_plain &= slot.replace(until_nul(&data)).is_none();
            }
            b'x' => match Extension::of(&data) {
                Some(extension) => self.is_plain &= self.ahead.extension.replace(extension).is_none(),
                None => self.is_plain = false,
            },
            b'0' | b'2' | b'5' => {
                let Ahead {
                    long_name,
                    long_link,
                    extension,
                } = std::mem::take(&mut self.ahead);
                let extension = extension.unwrap_or_default();
                let cut = |text: &[u8]| until_nul(&text[..text.len().min(100)]);
                self.entries.push(Entry {
                    name: extension.path.or(long_name).unwrap_or_else(|| cut(name)),
                    flag,
                    data,
                    link: extension.link.or(long_link).unwrap_or_else(|| cut(link)),
                });
            }
            // Of these, readers may think what they like.
            _ => self.is_plain = false,
        }
    }
}

impl Extension {
    /// Those of which there are only paths and comments, well formed.
    fn of(mut data: &[u8]) -> Option<Self> {
        let mut extension = Self::default();
        while !data.is_empty() {
            let space = data.iter().position(|&byte| byte == b' ')?;
            let length: usize = std::str::from_utf8(&data[..space]).ok()?.parse().ok()?;
            // With another length than its writer meant, or a line break of its own, it is for others to judge.
            let record = data.get(space + 1..length)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|&byte| byte == b'=')?;
            match (&record[..equals], &record[equals + 1..]) {
                (b"path", path) => extension.path = Some(path.to_vec()),
                (b"linkpath", link) => extension.link = Some(link.to_vec()),
                (b"comment" | b"mtime" | b"uid", _) => {}
                _ => return None,
            }
            data = &data[length..];
        }
        Some(extension)
    }
}

/// Records of an extended header.
fn records_of(text: &[u8]) -> Vec<u8> {
    if let [b'!', raw @ ..] = text {
        return raw.to_vec();
    }
    let mut records = Vec::new();
    for pair in text.split(|&byte| byte == b';').filter(|pair| !pair.is_empty()) {
        let rest = pair.len() + 2;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length += 1;
        }
        records.extend(format!("{length} ").bytes());
        records.extend(pair);
        records.push(b'\n');
    }
    records
}

/// A header in GNU's format.
fn header(flag: u8, name: &[u8], link: &[u8], size: &[u8], mode: &[u8]) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, width: usize, text: &[u8]| {
        let length = text.len().min(width);
        header[at..at + length].copy_from_slice(&text[..length]);
    };
    put(0, 100, name);
    put(100, 8, if mode.is_empty() { b"0000644" } else { mode });
    put(108, 8, b"0000000");
    put(116, 8, b"0000000");
    put(124, 12, size);
    put(136, 12, b"14371017400");
    put(156, 1, &[flag]);
    put(157, 100, link);
    put(257, 8, b"ustar  \0");
    set_checksum(&mut header);
    header
}

fn set_checksum(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
    header[154] = 0;
}
