//! Answers that are no observation.

use serde_json::{Value, json};

/// Why there is no observation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// The status of the answer.
    pub status: u16,
    /// What is told.
    pub detail: String,
    /// What is wrong with the request, part by part.
    pub errors: Option<String>,
}

impl Refusal {
    /// As it stands in an answer.
    pub fn to_json(&self) -> Value {
        match &self.errors {
            None => json!({"detail": self.detail}),
            Some(errors) => json!({"detail": self.detail, "errors": errors}),
        }
    }

    /// One with a status.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            errors: None,
        }
    }

    /// The request is not what the path takes.
    pub fn invalid(errors: impl Into<String>) -> Self {
        Self {
            status: 422,
            detail: "Invalid request parameters".to_owned(),
            errors: Some(errors.into()),
        }
    }

    /// The action can't be carried out: clients expect 500 for whatever is wrong with it.
    pub fn internal(detail: impl std::fmt::Display) -> Self {
        Self::new(500, format!("Internal server error: {detail}"))
    }
}
