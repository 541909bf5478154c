//! Brings the sources together.

use std::io;
use std::path::PathBuf;

use crate::config::{Config, Provenance};
use crate::consistency;
use crate::declaration::Group;
use crate::environment::{Environment, ProcessEnvironment};
use crate::error::{self, ConfigError, Fault};
use crate::file::{Content, File, Positions};
use crate::flag::FlagValue;
use crate::layers::Layers;
use crate::nearest::nearest;
use crate::origin::Origin;
use crate::raw::Raw;
use crate::reader::{Findings, Reader};
use crate::sandbox_environment;
use crate::search::{self, Candidate};
use crate::setting::{self, settings};
use crate::variables;

/// Loads a configuration from chosen sources: `Config::loader()` has the environment of the process and the
/// default file search.
///
/// Only the value that is in force is checked: a flag repairs a wrong value in the file. Unknown keys of a file
/// are errors in any case.
pub struct Loader {
    file: Option<PathBuf>,
    search: bool,
    environment: Box<dyn Environment>,
    flags: Vec<Flag>,
}

const BYTE_ORDER_MARK: char = '\u{feff}';

struct Flag {
    key: String,
    name: String,
    value: FlagValue,
}

impl Default for Loader {
    fn default() -> Self {
        Loader {
            file: None,
            search: true,
            environment: Box::new(ProcessEnvironment),
            flags: Vec::new(),
        }
    }
}

impl Loader {
    /// Reads this file, which must exist. No other file is searched for then.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Whether to search for a file when none is named: the one that `PODBAY_CONFIG` names (it must exist
    /// then), else `podbay/config.toml` in `$XDG_CONFIG_HOME`, which is
    /// `~/.config` when not set.
    #[must_use]
    pub fn search(mut self, search: bool) -> Self {
        self.search = search;
        self
    }

    /// Reads variables from here instead of the environment of the process.
    #[must_use]
    pub fn environment(mut self, environment: impl Environment + 'static) -> Self {
        self.environment = Box::new(environment);
        self
    }

    /// A value given on the command line. `key` is the full key (`kubernetes.namespace`), `name` the flag as a
    /// person types it (`--namespace`), for messages. The last one of a key holds.
    #[must_use]
    pub fn flag(
        mut self,
        key: impl Into<String>,
        name: impl Into<String>,
        value: impl Into<FlagValue>,
    ) -> Self {
        self.flags.push(Flag {
            key: key.into(),
            name: name.into(),
            value: value.into(),
        });
        self
    }

    /// Loads, or tells everything that is wrong.
    pub fn load(self) -> Result<Config, ConfigError> {
        let (config, faults) = self.load_leniently();
        ConfigError::check(faults)?;
        Ok(config)
    }

    /// Loads what can be, with everything that is wrong: for a check that goes deeper and tells what it finds along with
    /// these. A value that is wrong is at its default, and all values are where the file is not TOML at all; of settings
    /// that contradict each other each has the value it was given. Not for use.
    pub fn load_leniently(self) -> (Config, Vec<Fault>) {
        let mut faults = Vec::new();
        let mut warnings = Vec::new();
        let mut positions = Positions::default();
        let mut layers = Layers::default();

        match self.read_file() {
            Ok(None) => {}
            Ok(Some(Content { path, text })) => {
                let file = File::parse(&path, &text);
                layers = layers.over(&File::origin(&path), file.values);
                positions = file.positions;
                faults.extend(file.faults);
                warnings.extend(file.warnings);
            }
            Err(fault) => faults.push(*fault),
        }

        let variables = variables::read(self.environment.as_ref());
        for (origin, key, value) in variables.values {
            layers = layers.over(&origin, [(key, value)]);
        }
        faults.extend(variables.faults);
        warnings.extend(variables.warnings);
        let mut sandbox_environment = sandbox_environment::read(self.environment.as_ref());
        faults.append(&mut sandbox_environment.faults);

        for flag in self.flags {
            match flag.read() {
                Ok((origin, key, value)) => layers = layers.over(&origin, [(key, value)]),
                Err(fault) => faults.push(*fault),
            }
        }

        let merged = layers.merged();
        let mut reader = Reader::new(&merged, &positions, faults);
        let mut config = Config::read(&mut reader);
        sandbox_environment.apply(&mut config, &mut reader);
        consistency::check(&config, &mut reader);
        let Findings {
            places,
            mut faults,
            warnings: noted,
        } = reader.finish();
        error::sort(&mut faults);
        warnings.extend(noted);
        config.provenance = Provenance {
            places,
            positions,
            warnings,
        };
        (config, faults)
    }

    /// The file there is, if any.
    fn read_file(&self) -> Result<Option<Content>, Box<Fault>> {
        let candidates = match &self.file {
            Some(path) => vec![Candidate {
                path: path.clone(),
                required: true,
                named_by: None,
            }],
            None if self.search => search::candidates(self.environment.as_ref()),
            None => Vec::new(),
        };
        for Candidate {
            path,
            required,
            named_by,
        } in candidates
        {
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    // The mark that some editors put before UTF-8 is no part of the text.
                    let text = text
                        .strip_prefix(BYTE_ORDER_MARK)
                        .map(str::to_owned)
                        .unwrap_or(text);
                    return Ok(Some(Content { path, text }));
                }
                Err(error) if !required && is_absence(&error) => {}
                Err(source) => {
                    return Err(Box::new(Fault::UnreadableFile {
                        path,
                        named_by,
                        source,
                    }));
                }
            }
        }
        Ok(None)
    }
}

/// Also where a file stands in the place of a directory on the way, such as a `~/.config` that is a file.
fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

impl Flag {
    fn read(self) -> Result<(Origin, String, Raw), Box<Fault>> {
        let Flag { key, name, value } = self;
        let origin = Origin::Flag { name };
        match setting::find(&key) {
            None => {
                let known = settings().iter().map(|setting| setting.key.as_str());
                let nearest = nearest(&key, known);
                Err(Box::new(Fault::UnknownKey {
                    place: origin.into(),
                    key,
                    nearest,
                }))
            }
            Some(setting) => match value.into_raw() {
                Ok(raw) => Ok((origin, key, raw)),
                Err(shown) => Err(Box::new(variables::not_utf8(origin, setting, &shown))),
            },
        }
    }
}
