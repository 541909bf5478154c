//! Log lines on standard error, which a container's log shows: the level, where it was written, what happened, and the fields.
//!
//! A program this small needs no more of a log than that. Whoever reads a container's log gets the time from the runtime.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::str::FromStr;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// The variable that names the level: `off`, `error`, `warn`, `info`, `debug` or `trace`.
pub const VARIABLE: &str = "PODBAY_AGENT_LOG";

/// What is written; by default warnings and errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(LevelFilter);

impl Default for Level {
    fn default() -> Self {
        Self(LevelFilter::WARN)
    }
}

/// No level is called that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no level: off, error, warn, info, debug or trace")]
pub struct NoLevel {
    /// What was given.
    pub text: String,
}

impl FromStr for Level {
    type Err = NoLevel;

    fn from_str(text: &str) -> Result<Self, NoLevel> {
        // As numbers, which it would take too, nobody knows them.
        let level = text
            .parse()
            .ok()
            .filter(|_| text.starts_with(char::is_alphabetic));
        level.map(Self).ok_or_else(|| NoLevel {
            text: text.to_owned(),
        })
    }
}

impl Level {
    /// The one that the environment names; the default where it names none, or none that there is.
    pub fn from_environment() -> Self {
        let named = std::env::var(VARIABLE).ok();
        named
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or_default()
    }

    /// Writes what is of this level from now on. A second call changes nothing.
    pub fn install(self) {
        tracing::subscriber::set_global_default(Log(self.0)).ok(); // It is there already.
    }
}

struct Log(LevelFilter);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Other crates say much that tells nobody anything.
        metadata.is_event() && metadata.level() <= &self.0 && metadata.target().starts_with("podbay_")
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0)
    }

    fn event(&self, event: &Event<'_>) {
        let line = line(event);
        io::stderr().write_all(line.as_bytes()).ok(); // Nobody is left to be told.
    }

    /// Never called: no span is enabled.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The line of an event.
fn line(event: &Event<'_>) -> String {
    let (level, target) = (event.metadata().level(), event.metadata().target());
    let mut text = Text(format!("podbay-agent: {level} {target}:"));
    event.record(&mut text);
    // In one line, whatever is in it.
    let mut line: String = text.0.chars().map(printable).collect();
    line.push('\n');
    line
}

fn printable(character: char) -> char {
    if character.is_control() { ' ' } else { character }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String can't fail.
        let _ = if field.name() == "message" {
            write!(self.0, " {value:?}")
        } else {
            write!(self.0, " {}={value:?}", field.name())
        };
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let causes = std::iter::successors(Some(value), |error| error.source());
        let causes: Vec<String> = causes.map(ToString::to_string).collect();
        let _ = write!(self.0, " {}={:?}", field.name(), causes.join(": "));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Keeps the lines.
    struct Kept(Log, Arc<Mutex<String>>);

    impl Subscriber for Kept {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            self.0.enabled(metadata)
        }
        fn event(&self, event: &Event<'_>) {
            self.1.lock().unwrap().push_str(&line(event));
        }
        fn new_span(&self, attributes: &Attributes<'_>) -> Id {
            self.0.new_span(attributes)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn what_is_of_the_level_is_one_line() {
        let lines = Arc::new(Mutex::new(String::new()));
        let level: Level = "warn".parse().unwrap();
        let error = io::Error::other("broken\npipe");
        tracing::subscriber::with_default(Kept(Log(level.0), Arc::clone(&lines)), || {
            tracing::warn!(%error, count = 3, "it \x1b[31mfailed");
            tracing::info!("not of the level");
            tracing::error!(target: "h2", "another's");
        });
        assert_eq!(
            *lines.lock().unwrap(),
            "podbay-agent: WARN podbay_agent::log::tests: it  [31mfailed error=broken pipe count=3\n"
        );
    }

    #[test]
    fn levels_have_names() {
        assert_eq!("warn".parse(), Ok(Level::default()));
        assert_eq!("off".parse(), Ok(Level(LevelFilter::OFF)));
        for wrong in ["", "1", "loud"] {
            assert!(wrong.parse::<Level>().is_err(), "{wrong}");
        }
    }
}
