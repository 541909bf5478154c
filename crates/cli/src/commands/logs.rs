//! `podbay logs`: what a session's main program wrote.

use std::time::Duration;

use clap::Args;
use futures::StreamExt as _;
use podbay_runtime::{Error, LogRequest};
use tokio::io::AsyncWriteExt as _;

use crate::args::{GlobalArgs, duration};
use crate::connection::{Needs, connect_to_sessions};
use crate::exit::Failure;
use crate::standard;

/// Flags of `podbay logs`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LogsArgs {
    /// The session
    session: String,
    /// Go on with what is still to be written
    #[arg(short, long)]
    follow: bool,
    /// Only the last so many lines
    #[arg(long, value_name = "LINES")]
    tail: Option<u32>,
    /// Only what is at most so old (30s, 5m, 1h30m)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    since: Option<Duration>,
    /// Begin each line with its time
    #[arg(long)]
    timestamps: bool,
}

const EXAMPLES: &str = "\
Examples:
  podbay logs -f demo
  podbay logs demo --tail 100 --since 5m --timestamps";

/// Prints a session's log.
pub(crate) async fn run(global: &GlobalArgs, args: LogsArgs) -> Result<u8, Failure> {
    let LogsArgs {
        session: id,
        follow,
        tail,
        since,
        timestamps,
    } = args;
    let podbay = connect_to_sessions(global, Needs::default()).await?;
    let request = LogRequest {
        follow,
        tail_lines: tail,
        since_seconds: since.map(whole_seconds),
        timestamps,
        ..LogRequest::default()
    };
    let mut log = podbay.existing(&id)?.logs(request).await?;
    let mut output = standard::output()?;
    while let Some(piece) = log.next().await {
        let piece = piece.map_err(|source| Error::Call {
            session: id.clone(),
            source,
        })?;
        output.write_all(&piece).await.map_err(Failure::Output)?;
        output.flush().await.map_err(Failure::Output)?;
    }
    Ok(0)
}

/// Whole seconds, as the API takes them, rounded up so that nothing that was asked for is left out.
fn whole_seconds(duration: Duration) -> u32 {
    let seconds = duration
        .as_secs()
        .saturating_add(u64::from(duration.subsec_nanos() > 0));
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_seconds_count_as_whole_ones() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(5)), 5);
        assert_eq!(whole_seconds(Duration::MAX), u32::MAX);
    }
}
