//! Why a value is not one that its setting takes.

/// What is wrong with a value, beyond "not what is allowed". Never holds any part of a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// Where inside the value, as in `[1].operator`: positions in a file are looked up by it. Empty for the value
    /// as a whole.
    pub(crate) inside: String,
    /// For people, with the item it concerns.
    pub(crate) detail: Option<String>,
}

impl Mismatch {
    /// The value as a whole, of which there is nothing to say but what is allowed.
    pub(crate) fn plain() -> Mismatch {
        Mismatch::default()
    }

    /// The value as a whole.
    pub(crate) fn because(detail: impl Into<String>) -> Mismatch {
        Mismatch {
            inside: String::new(),
            detail: Some(detail.into()),
        }
    }

    /// An item of a list, counted from 0 here and from 1 in the text.
    pub(crate) fn in_item(self, index: usize) -> Mismatch {
        Mismatch {
            inside: format!("[{index}]{}", self.inside),
            detail: Some(match self.detail {
                Some(detail) => format!("item {}: {detail}", index + 1),
                None => format!("item {}", index + 1),
            }),
        }
    }

    /// A field of a table; the text names it already.
    pub(crate) fn in_field(self, name: &str) -> Mismatch {
        Mismatch {
            inside: format!(".{name}{}", self.inside),
            detail: self.detail,
        }
    }
}
