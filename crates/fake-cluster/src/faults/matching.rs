//! Which calls something is for.

use podbay_k8s_client::Kind;

use super::recording::Operation;

/// Which calls a fault is for. Everything that is not said matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct On {
    operation: Option<Operation>,
    writes: bool,
    kind: Option<Kind>,
    name: Option<String>,
    nth: Option<usize>,
    times: Option<usize>,
}

/// What is known of a call before it is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    pub(super) operation: Operation,
    pub(super) kind: Option<Kind>,
    pub(super) namespace: &'a str,
    /// The object's name; a list's or a watch's selector.
    pub(super) name: &'a str,
}

impl On {
    /// Every call.
    pub fn any() -> Self {
        Self::default()
    }

    /// Calls of this operation.
    #[must_use]
    pub const fn operation(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Calls that change objects: create, patch, delete.
    #[must_use]
    pub const fn writes(mut self) -> Self {
        self.writes = true;
        self
    }

    /// Calls about this kind. `exec` and `logs` are about pods.
    #[must_use]
    pub const fn kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Calls about the object of this name; lists and watches with this selector.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Only one of the calls that match, counted from 0.
    #[must_use]
    pub const fn nth(mut self, number: usize) -> Self {
        self.nth = Some(number);
        self
    }

    /// Only so many of the calls that match, from the first (or, with [`On::nth`], from that one) on.
    #[must_use]
    pub const fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }

    /// Whether a call is meant, apart from its number.
    pub(super) fn matches(&self, about: &About<'_>) -> bool {
        let Self {
            operation,
            writes,
            kind,
            name,
            nth: _,
            times: _,
        } = self;
        operation.is_none_or(|operation| operation == about.operation)
            && (!writes || about.operation.is_write())
            && kind.is_none_or(|kind| Some(kind) == about.kind)
            && name.as_ref().is_none_or(|name| name == about.name)
    }

    /// Whether the matching call of this number is meant.
    pub(super) fn is_turn(&self, number: usize) -> bool {
        let first = self.nth.unwrap_or(0);
        let times = match (self.nth, self.times) {
            (Some(_), None) => 1,
            (_, times) => times.unwrap_or(usize::MAX),
        };
        number >= first && number - first < times
    }
}
