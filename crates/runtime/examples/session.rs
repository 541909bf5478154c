//! Opens a session, runs a command in it, closes it: `cargo run -p podbay-runtime --example session -- IMAGE`.
//! Without an image it runs in processes of its own on this machine, without isolation.

use podbay_runtime::{Backend, Config, Podbay};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let image = std::env::args().nth(1);
    let backend = if image.is_some() {
        Backend::Cluster
    } else {
        Backend::Local
    };
    let podbay = Podbay::builder(Config::load()?)
        .backend(backend)
        .in_this_process()
        .connect()
        .await?;
    let mut builder = podbay.session("example");
    if let Some(image) = image {
        builder = builder.image(image).cpu("100m").memory("128Mi");
    }
    let session = builder.open().await?;
    let report = format!("{:?}\n", session.report());
    let outcome = session
        .exec(["sh", "-c", "echo out; echo err >&2; id; pwd; exit 3"])
        .await;
    session.close().await?;
    std::io::Write::write_all(
        &mut std::io::stdout(),
        format!("{report}{outcome:#?}\n").as_bytes(),
    )?;
    Ok(())
}
