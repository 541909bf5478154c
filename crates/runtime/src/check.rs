//! Whether a configuration can be used, asked before anything is.

use std::collections::BTreeSet;

use podbay_config::{Config, Fault, Loader, Place};
use podbay_manifests::{ServerKind, SessionRequest, SessionSpec, SpecErrors};
use podbay_protocol::{Cause, Library};

use crate::context::parse_id;
use crate::error::{ConfigurationProblem, ConfigurationProblems, Error};

/// The session that a configuration is tried with: any would do.
const SAMPLE: &str = "check";
/// The port that a session is tried with: any would do.
const PORT: u16 = 8000;
const RETRIES: &str = "kubernetes.start_retries";

/// What was found so far.
struct Findings {
    problems: Vec<ConfigurationProblem>,
    /// Settings with a problem; they have their default from then on, so that what is behind it shows.
    wrong: BTreeSet<String>,
    /// Settings that contradict another one, and have the value that they were given.
    contradictory: BTreeSet<String>,
}

/// Loads a configuration and checks what loading can't, too: quantities, names, pieces of the Kubernetes API, and whether
/// sessions could be made with it. The configuration is for its warnings where there is an error.
///
/// All problems are told at once. A value that is wrong is replaced by its default for the checks after it, and what
/// would follow from that is left out; so a problem that two settings have together may show only when each is right by
/// itself. In a file that is not TOML nothing else is looked at.
pub fn check_configuration(loader: Loader) -> (Config, Result<(), Error>) {
    let (config, faults) = loader.load_leniently();
    let mut findings = Findings::of(&faults);
    findings.look_for_causes(&config);
    let tried = findings.try_sessions(config.clone());
    (config, tried.and_then(|()| findings.conclude()))
}

/// Requests that between them ask for all that settings are about. What the first asks for is what the configuration says.
fn samples() -> [SessionRequest; 3] {
    [
        SessionRequest::default(),
        SessionRequest {
            server: Some(ServerKind::Image),
            ports: vec![PORT],
            vscode: true,
            gpus: Some(1),
            ..SessionRequest::default()
        },
        SessionRequest {
            persistent: Some(true),
            ..SessionRequest::default()
        },
    ]
}

impl Findings {
    fn of(faults: &[Fault]) -> Self {
        let keys = |invalid: bool| {
            faults
                .iter()
                .filter(|fault| matches!(fault, Fault::InvalidValue { .. }) == invalid)
                .flat_map(|fault| fault.keys().into_iter().map(str::to_owned).collect::<Vec<_>>())
                .collect()
        };
        Self {
            problems: faults
                .iter()
                .map(|fault| {
                    let message = match std::error::Error::source(fault) {
                        Some(cause) => format!("{fault}: {cause}"),
                        None => fault.to_string(),
                    };
                    ConfigurationProblem {
                        place: fault.place(),
                        message,
                    }
                })
                .collect(),
            wrong: keys(true),
            contradictory: keys(false),
        }
    }

    /// Causes of failures that don't exist.
    fn look_for_causes(&mut self, config: &Config) {
        for name in config.kubernetes.start_retries.keys() {
            if let Err(error) = name.parse::<Cause>() {
                let place = config.place_inside(RETRIES, &format!(".{name}"));
                let message = format!("{place}: {RETRIES} can't have {error}");
                self.problems.push(ConfigurationProblem {
                    place: Some(place),
                    message,
                });
            }
        }
    }

    /// What keeps sessions from being made.
    fn try_sessions(&mut self, mut config: Config) -> Result<(), Error> {
        let id = parse_id(SAMPLE)?;
        for (index, request) in samples().into_iter().enumerate() {
            // Each round takes at least one setting back.
            loop {
                let namespace = config.kubernetes.namespace.clone();
                let made = SessionSpec::validate(id.clone(), &namespace, &config, request.clone());
                let Err(errors) = made else { break };
                let found = self.take(&errors, index == 0);
                if found.is_empty() {
                    break;
                }
                for key in found {
                    config.reset(key);
                    self.wrong.insert(key.to_owned());
                }
            }
        }
        Ok(())
    }

    /// Takes over what is new, and returns the settings at fault.
    fn take(&mut self, errors: &SpecErrors, as_configured: bool) -> BTreeSet<&'static str> {
        let mut at_fault = BTreeSet::new();
        for (place, problem) in errors.placed() {
            let keys = problem.settings();
            let is_any_of = |known: &BTreeSet<String>| keys.iter().any(|key| known.contains(*key));
            // Told already, or follows from what was.
            if is_any_of(&self.wrong) || problem.is_relation() && is_any_of(&self.contradictory) {
                continue;
            }
            // No fault of the configuration's: the request does not go with it.
            if problem.concerns_request() && !as_configured {
                continue;
            }
            let text = problem.in_words(&Library);
            let message = match place {
                Some(place) => format!("{place}: {text}"),
                None => text,
            };
            self.problems.push(ConfigurationProblem {
                place: place.cloned(),
                message,
            });
            at_fault.extend(problem.setting());
        }
        at_fault
    }

    fn conclude(self) -> Result<(), Error> {
        let Self { mut problems, .. } = self;
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by_key(|problem| {
            let position = problem.place.as_ref().and_then(Place::position);
            (position.is_none(), position)
        });
        Err(Error::Configuration {
            source: ConfigurationProblems(problems),
        })
    }
}
