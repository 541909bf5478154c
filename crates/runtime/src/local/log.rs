//! The log of a session of this machine: what its agent complains of.

use std::io::SeekFrom;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use podbay_k8s_client::{LogRequest, LogStream};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::session::LocalSession;
use crate::error::Error;
use crate::machine::Keeper;

/// Bytes read at once.
const PIECE: usize = 32 << 10;
/// How often a log that is followed is looked at for more.
const LOOK: Duration = Duration::from_millis(200);

impl LocalSession {
    /// Its log. A session that this process keeps has none: it is silent, and ends with the session.
    pub(crate) async fn logs(&self, request: LogRequest) -> Result<LogStream, Error> {
        let LogRequest {
            container: _,
            follow,
            tail_lines,
            since_seconds,
            timestamps,
        } = request;
        // That it is there is told first.
        self.record().await?;
        let sessions = match &self.machine().keeper {
            Keeper::Process(_) => return Ok(self.silence(follow).await),
            Keeper::Agents(sessions) => sessions,
        };
        if since_seconds.is_some() || timestamps {
            return Err(Error::Unsupported {
                what: "the time of a log's lines",
                why: "what an agent of this machine says has none".to_owned(),
            });
        }
        let path = sessions.log(&self.name());
        let failed = |source| {
            self.error(podbay_local::Error::System {
                doing: "reading",
                path: path.clone(),
                source,
            })
        };
        let mut file = File::open(&path).await.map_err(failed)?;
        if let Some(lines) = tail_lines {
            let mut text = Vec::new();
            file.read_to_end(&mut text).await.map_err(failed)?;
            let start = start_of_last(&text, lines);
            file.seek(SeekFrom::Start(start)).await.map_err(failed)?;
        }
        Ok(LogStream::new(pieces(file, follow.then_some(path))))
    }

    async fn silence(&self, follow: bool) -> LogStream {
        let ended = match self.access().await {
            Ok(super::Access::Process(sandbox)) if follow => Some(sandbox.ended()),
            _ => None,
        };
        LogStream::new(stream::unfold(ended, |ended| async {
            ended?.cancelled().await;
            None
        }))
    }
}

/// What is in a file from where it stands. One that is followed ends when there is no file at its path any longer.
fn pieces(
    file: File,
    followed: Option<PathBuf>,
) -> impl futures::Stream<Item = Result<Bytes, podbay_k8s_client::Error>> {
    stream::unfold((file, followed), |(mut file, followed)| async {
        loop {
            let mut piece = vec![0; PIECE];
            match file.read(&mut piece).await {
                Ok(0) => {
                    let path = followed.as_ref()?;
                    if !tokio::fs::try_exists(path).await.unwrap_or(false) {
                        return None;
                    }
                    tokio::time::sleep(LOOK).await;
                }
                Ok(count) => {
                    piece.truncate(count);
                    return Some((Ok(piece.into()), (file, followed)));
                }
                Err(error) => {
                    tracing::debug!(%error, "a log could not be read on");
                    return None;
                }
            }
        }
    })
}

/// Where the last lines begin.
fn start_of_last(text: &[u8], lines: u32) -> u64 {
    let end = text.len() - usize::from(text.last() == Some(&b'\n'));
    let mut left = lines;
    let start = (0..end).rev().find(|&at| {
        if text[at] == b'\n' {
            left = left.saturating_sub(1);
        }
        left == 0
    });
    match (lines, start) {
        (0, _) => text.len() as u64,
        (_, Some(at)) => at as u64 + 1,
        (_, None) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_found() {
        let text = b"a\nb\nc\n";
        for (lines, start) in [(0, 6), (1, 4), (2, 2), (3, 0), (9, 0)] {
            assert_eq!(start_of_last(text, lines), start, "{lines}");
        }
        assert_eq!(start_of_last(b"a\nb", 1), 2);
        assert_eq!(start_of_last(b"", 1), 0);
    }
}
