//! Prints `docs/configuration.md`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(podbay_config::reference_markdown().as_bytes())
}
