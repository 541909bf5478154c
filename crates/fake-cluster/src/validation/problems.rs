//! Collecting what is wrong, in the words of `apimachinery/pkg/util/validation/field`.

use std::fmt::Display;

/// All that is wrong with an object.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<String>);

impl Problems {
    pub(super) fn required(&mut self, field: impl Display, detail: &str) {
        self.push(field, "Required value", detail);
    }

    /// A value that is not valid; texts are shown in quotes.
    pub(super) fn invalid(&mut self, field: impl Display, value: &str, detail: &str) {
        self.push(field, &format!("Invalid value: {value:?}"), detail);
    }

    /// The same for a number, or what else is written without quotes.
    pub(super) fn invalid_number(&mut self, field: impl Display, value: impl Display, detail: &str) {
        self.push(field, &format!("Invalid value: {value}"), detail);
    }

    pub(super) fn duplicate(&mut self, field: impl Display, value: &str) {
        self.push(field, &format!("Duplicate value: {value:?}"), "");
    }

    pub(super) fn not_found(&mut self, field: impl Display, value: &str) {
        self.push(field, &format!("Not found: {value:?}"), "");
    }

    pub(super) fn unsupported(&mut self, field: impl Display, value: &str, allowed: &[&str]) {
        let allowed: Vec<_> = allowed.iter().map(|value| format!("{value:?}")).collect();
        let allowed = format!("supported values: {}", allowed.join(", "));
        self.push(field, &format!("Unsupported value: {value:?}"), &allowed);
    }

    pub(super) fn forbidden(&mut self, field: impl Display, detail: &str) {
        self.push(field, "Forbidden", detail);
    }

    pub(super) fn too_long(&mut self, field: impl Display, bytes: usize) {
        self.push(field, "Too long", &format!("may not be more than {bytes} bytes"));
    }

    pub(super) fn into_vec(self) -> Vec<String> {
        self.0
    }

    fn push(&mut self, field: impl Display, what: &str, detail: &str) {
        let separator = if detail.is_empty() { "" } else { ": " };
        self.0.push(format!("{field}: {what}{separator}{detail}"));
    }
}
