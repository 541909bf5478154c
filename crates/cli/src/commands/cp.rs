//! `podbay cp`: a file or a directory into a session, out of it, or from one to another.

use std::path::PathBuf;
use std::pin::pin;
use std::str::FromStr;

use clap::Args;
use futures::future::{Either, select};
use podbay_runtime::copy::{CopyOptions, CopyReport, DEFAULT_MAX_BYTES};

use super::close::name_of;
use super::run::listen;
use crate::args::GlobalArgs;
use crate::connection::{Needs, connect_to_sessions};
use crate::exit::Failure;
use crate::output::{follow_copy, note, warn};

/// Skipped links that are named; the rest are counted.
const NAMED_LINKS: usize = 10;

/// Flags of `podbay cp`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CpArgs {
    /// FILE or SESSION:PATH: a file, or a directory with all that is in it; one end at least is in a session
    #[arg(value_name = "SOURCE")]
    source: End,
    /// SESSION:PATH or FILE: an existing directory is copied into, anything else is the copy's new name
    #[arg(value_name = "DESTINATION")]
    destination: End,
    /// Said for others' sake: a directory is copied with all that is in it, always
    #[arg(short, long)]
    recursive: bool,
    /// Leave links out; without, they go into a session as links, and out of one those that lead to what is copied do
    #[arg(long)]
    skip_links: bool,
    /// Copy no more than so much: bytes, or with a unit (500M, 10Gi)
    #[arg(long, value_name = "SIZE", value_parser = size, default_value_t = DEFAULT_MAX_BYTES, hide_default_value = true)]
    max_size: u64,
}

const EXAMPLES: &str = "\
Examples:
  podbay cp main.py demo:/workspace/
  podbay cp demo:/workspace/results ./results
  podbay cp --skip-links --max-size 1Gi demo:/workspace .
  podbay cp src/. demo:/workspace                         what is in src, without src itself
  podbay cp ./a:b demo:/tmp/                              a file with a colon in its name

  podbay cp demo:/workspace/data other:/workspace/        from one session to another

What can't be copied (a link that leads out of what is copied, a file that can't be read, a socket) is left out and named, with exit code 125;
the rest is copied. Through the session's agent, whatever the image has: a file is there when it is whole, and a copy goes on where
its connection broke. Without an agent the image must have tar. Nothing is written outside DESTINATION, whatever the session sends.";

/// One end of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Local(PathBuf),
    Session { id: String, path: String },
}

impl FromStr for End {
    type Err = &'static str;

    /// As `kubectl cp` and `scp` have it: what stands before the first colon is a session, unless it has a slash.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err("the path is empty");
        }
        Ok(match name_of(text).split_once(':') {
            Some((id, "")) if !id.is_empty() && !id.contains('/') => {
                return Err(
                    "no path after the colon: `.` is the directory that the session's commands start in",
                );
            }
            Some((id, path)) if !id.is_empty() && !id.contains('/') => Self::Session {
                id: id.to_owned(),
                path: path.to_owned(),
            },
            _ => Self::Local(text.into()),
        })
    }
}

/// Copies.
pub(crate) async fn run(global: &GlobalArgs, args: CpArgs) -> Result<u8, Failure> {
    let CpArgs {
        source,
        destination,
        recursive: _,
        skip_links,
        max_size,
    } = args;
    if let (End::Local(_), End::Local(_)) = (&source, &destination) {
        let message = "both ends are on this machine: one is SESSION:PATH at least".to_owned();
        return Err(Failure::Usage { message });
    }
    let signals = listen()?;
    let options = CopyOptions {
        skip_links,
        max_bytes: max_size,
        cancel: signals.token(),
        ..CopyOptions::default()
    };
    let progress = options.progress.clone();
    let work = async {
        let podbay = connect_to_sessions(global, Needs::default()).await?;
        let copied = match (source, destination) {
            (End::Session { id, path }, End::Session { id: other, path: to }) => {
                let (session, other) = (podbay.existing(&id)?, podbay.existing(&other)?);
                session.copy_across(&path, &other, &to, options).await
            }
            (End::Session { id, path }, End::Local(file)) => {
                podbay.existing(&id)?.copy_from(&path, file, options).await
            }
            (End::Local(file), End::Session { id, path }) => {
                podbay.existing(&id)?.copy_to(file, &path, options).await
            }
            (End::Local(_), End::Local(_)) => Ok(CopyReport::default()),
        };
        copied.map_err(Failure::from)
    };
    let work = async {
        let work = pin!(work);
        let shown = pin!(follow_copy(global, progress));
        match select(work, shown).await {
            Either::Left((copied, _)) => copied,
            Either::Right((never, _)) => match never {},
        }
    };
    let left = || Some("a part of the copy may be there".to_owned());
    let copied = match signals.guard(Box::pin(work), left).await {
        Ok(copied) => copied,
        Err(code) => return Ok(code),
    };
    match (copied, signals.exit_code()) {
        (Ok(report), _) => {
            if !report.skipped.is_empty() {
                warn(skipped(&report.skipped));
            }
            if !global.quiet {
                note(&summary(&report));
            }
            Ok(0)
        }
        (Err(failure), Some(code)) => {
            failure.tell();
            Ok(code)
        }
        (Err(failure), None) => Err(failure),
    }
}

/// What was copied, in a line.
fn summary(report: &CopyReport) -> String {
    let CopyReport {
        files,
        directories: _,
        links,
        bytes,
        skipped: _,
        seconds,
    } = report;
    let links = match links {
        0 => String::new(),
        1 => ", 1 link".to_owned(),
        more => format!(", {more} links"),
    };
    let files = if *files == 1 {
        "1 file".to_owned()
    } else {
        format!("{files} files")
    };
    format!("copied {files}{links}, {bytes} bytes in {seconds:.1} s")
}

/// What was left out, in a line.
fn skipped(links: &[String]) -> String {
    let named = &links[..links.len().min(NAMED_LINKS)];
    let more = match links.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("skipped links: {}{more}", named.join(", "))
}

/// A number of bytes, with Kubernetes' units or none.
fn size(text: &str) -> Result<u64, String> {
    let digits = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "" => Some(1),
        "k" => Some(1000),
        "M" => Some(1000_u64.pow(2)),
        "G" => Some(1000_u64.pow(3)),
        "T" => Some(1000_u64.pow(4)),
        "Ki" => Some(1 << 10),
        "Mi" => Some(1 << 20),
        "Gi" => Some(1 << 30),
        "Ti" => Some(1 << 40),
        _ => None,
    };
    let number: Option<u64> = number.parse().ok();
    number
        .zip(unit)
        .and_then(|(number, unit)| number.checked_mul(unit))
        .ok_or_else(|| "a size is a number of bytes, or one with k, M, G, T, Ki, Mi, Gi or Ti".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn end(text: &str) -> End {
        text.parse().unwrap()
    }

    #[test]
    fn a_colon_makes_a_session_unless_a_slash_comes_first() {
        let session = |id: &str, path: &str| End::Session {
            id: id.to_owned(),
            path: path.to_owned(),
        };
        assert_eq!(end("demo:/w/f"), session("demo", "/w/f"));
        assert_eq!(end("session/demo:/w/f"), session("demo", "/w/f"));
        assert!("demo:".parse::<End>().is_err() && "".parse::<End>().is_err());
        assert_eq!(end("demo:a:b"), session("demo", "a:b"));
        for file in ["f", "./a:b", "/a:b", "../a:b", ":b"] {
            assert_eq!(end(file), End::Local(file.into()), "{file}");
        }
    }

    #[test]
    fn sizes_have_kubernetes_units() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("500M"), Ok(500_000_000));
        assert_eq!(size("10Gi"), Ok(10 << 30));
        for text in ["", "-1", "1.5Gi", "10 Gi", "Gi", "10GB", "18446744073709551615k"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn both_ends_are_required() {
        for line in [
            "podbay cp",
            "podbay cp f",
            "podbay cp f demo:/ x",
            "podbay cp f demo:",
            "podbay cp demo: f",
            "podbay cp  demo:/f",
            "podbay cp --max-size x f demo:/",
        ] {
            let error = crate::args::Args::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn one_line_tells_what_was_copied() {
        let report = CopyReport {
            files: 1,
            bytes: 12,
            seconds: 0.25,
            ..CopyReport::default()
        };
        assert_eq!(summary(&report), "copied 1 file, 12 bytes in 0.2 s");
        let report = CopyReport {
            files: 3,
            links: 2,
            bytes: 0,
            ..report
        };
        assert_eq!(summary(&report), "copied 3 files, 2 links, 0 bytes in 0.2 s");
        let links: Vec<String> = (0..12).map(|n| n.to_string()).collect();
        assert_eq!(
            skipped(&links),
            "skipped links: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
        );
    }
}
