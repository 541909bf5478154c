//! A command's terminal.

use serde::{Deserialize, Serialize};

/// A terminal's size in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

impl Default for TerminalSize {
    /// 80 × 24, what a terminal that says nothing is taken for.
    fn default() -> Self {
        Self {
            width: 80,
            height: 24,
        }
    }
}
