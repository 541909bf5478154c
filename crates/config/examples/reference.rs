//! Prints what is generated from the declarations: `docs/configuration.md` by default or for `reference`,
//! `docs/podbay.schema.json` for `schema`, `docs/podbay.example.toml` for `example`.

use std::io::{Error, Write as _};

fn main() -> std::io::Result<()> {
    let text = match std::env::args().nth(1).as_deref() {
        None | Some("reference") => podbay_config::reference_markdown(),
        Some("schema") => format!("{:#}\n", podbay_config::schema()),
        Some("example") => podbay_config::example_toml(),
        Some(other) => {
            return Err(Error::other(format!(
                "there is no page {other:?}: reference, schema or example"
            )));
        }
    };
    std::io::stdout().write_all(text.as_bytes())
}
