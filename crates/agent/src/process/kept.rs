//! What is kept of a process that has ended, in little room: an agent keeps the last thousand.

use podbay_protocol::hex::to_hex;
use podbay_protocol::{EndRecord, ProcessEnd, ResourceUsage, StreamEnd};

/// A SHA-256.
pub(super) type Hash = [u8; 32];

/// An [`EndRecord`] with its hashes as bytes.
#[derive(Clone, Debug)]
pub(super) struct KeptRecord {
    pub(super) end: ProcessEnd,
    pub(super) stdout: KeptStream,
    pub(super) stderr: KeptStream,
    pub(super) seconds: Option<f64>,
    pub(super) usage: Option<ResourceUsage>,
    pub(super) oom_kills: u64,
}

/// A [`StreamEnd`] with its hash as bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeptStream {
    pub(super) bytes: Option<u64>,
    pub(super) sha256: Option<Hash>,
    pub(super) truncated: bool,
    pub(super) first: u64,
    pub(super) spooled: bool,
}

impl KeptRecord {
    /// An end with nothing to say of the outputs.
    pub(super) fn new(end: ProcessEnd) -> Self {
        Self {
            end,
            stdout: KeptStream::default(),
            stderr: KeptStream::default(),
            seconds: None,
            usage: None,
            oom_kills: 0,
        }
    }

    pub(super) fn to_record(&self) -> EndRecord {
        let mut record = EndRecord::new(self.end.clone());
        record.stdout = self.stdout.to_end();
        record.stderr = self.stderr.to_end();
        record.seconds = self.seconds;
        record.usage = self.usage;
        record.oom_kills = self.oom_kills;
        record
    }
}

impl KeptStream {
    fn to_end(self) -> StreamEnd {
        let mut end = StreamEnd::default();
        end.bytes = self.bytes;
        end.sha256 = self.sha256.map(|hash| to_hex(&hash));
        end.truncated = self.truncated;
        end.first = self.first;
        end.spooled = self.spooled;
        end
    }
}

/// Words in one allocation. None holds a NUL: it could be no argument.
#[derive(Debug)]
pub(super) struct Words {
    joined: Box<str>,
    count: usize,
}

impl Words {
    pub(super) fn new(words: &[String]) -> Self {
        Self {
            joined: words.join("\0").into(),
            count: words.len(),
        }
    }

    pub(super) fn to_vec(&self) -> Vec<String> {
        // Of no words, too, splitting makes one.
        let words = self.joined.split('\0').take(self.count);
        words.map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_they_were() {
        for words in [&[] as &[&str], &[""], &["", ""], &["a", "", "b c"]] {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            assert_eq!(Words::new(&words).to_vec(), words);
        }
    }

    #[test]
    fn a_record_says_all_that_was_seen() {
        let mut kept = KeptRecord::new(ProcessEnd::Exited { code: 3 });
        kept.stdout = KeptStream {
            bytes: Some(7),
            sha256: Some([0xab; 32]),
            truncated: true,
            first: 2,
            spooled: true,
        };
        (kept.seconds, kept.usage, kept.oom_kills) = (Some(0.5), Some(ResourceUsage::default()), 4);
        let record = kept.to_record();
        let text = serde_json::to_value(&record).unwrap();
        let expected = serde_json::json!({
            "end": {"kind": "exited", "code": 3},
            "stdout": {"bytes": 7, "sha256": "ab".repeat(32), "truncated": true, "first": 2, "spooled": true},
            "stderr": {"truncated": false},
            "seconds": 0.5,
            "usage": {"user_seconds": 0.0, "system_seconds": 0.0, "max_resident_bytes": 0},
            "oom_kills": 4,
        });
        assert_eq!(text, expected);
    }
}
