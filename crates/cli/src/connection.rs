//! From flags to configuration to cluster.

use std::time::Duration;

use podbay_config::Config;
use podbay_runtime::{Backend, BackendKind, Error, Podbay, WatchScope, unheeded_on_this_machine};

use crate::args::{GlobalArgs, SessionArgs};
use crate::exit::Failure;
use crate::logging;
use crate::output::warn;

/// As often as `-v` would be given for what the setting `debug` shows.
const DEBUG: u8 = 2;

/// What a command needs of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Needs<'a> {
    /// What the session should be, where the command is about one.
    pub(crate) session: Option<&'a SessionArgs>,
    /// The start's time-out.
    pub(crate) start_timeout: Option<Duration>,
}

/// The configuration with the flags over it, and its warnings told.
pub(crate) fn configure(global: &GlobalArgs, needs: &Needs<'_>) -> Result<Config, Failure> {
    let config = global.load(|mut loader| {
        for (key, flag, value) in needs.session.iter().flat_map(|session| session.settings()) {
            loader = loader.flag(key, flag, value);
        }
        match needs.start_timeout {
            // The setting has whole seconds; none of the time that was asked for is cut off.
            Some(timeout) => loader.flag(
                "podbay.start_timeout_seconds",
                "--start-timeout",
                timeout
                    .as_secs()
                    .saturating_add(u64::from(timeout.subsec_nanos() > 0)),
            ),
            None => loader,
        }
    })?;
    for warning in config.warnings() {
        warn(warning);
    }
    if config.debug {
        logging::start(DEBUG);
    }
    Ok(config)
}

/// A cluster or this machine, for a command that does all it does within this process.
pub(crate) async fn connect(global: &GlobalArgs, needs: Needs<'_>) -> Result<Podbay, Failure> {
    let podbay = open(global, global.backend.into(), &needs).await?;
    if podbay.kind() == BackendKind::Local {
        warn("the local backend runs commands on this machine, without isolation");
        if !podbay_process::sees_all_processes() {
            warn(
                "there is no /proc of this machine's processes: what a command starts outside of its own process group \
                 can't be found and outlives it",
            );
        }
        let unheeded = unheeded_on_this_machine(podbay.config());
        if !unheeded.is_empty() {
            warn(format_args!(
                "without effect on this machine: {}",
                unheeded.join(", ")
            ));
        }
    }
    Ok(podbay)
}

/// A cluster, for a command on sessions that outlive it.
pub(crate) async fn connect_to_cluster(
    global: &GlobalArgs,
    what: &'static str,
    needs: Needs<'_>,
) -> Result<Podbay, Failure> {
    // `auto` means a cluster here: falling back to this machine would help nobody.
    let backend = match Backend::from(global.backend) {
        Backend::Auto | Backend::Cluster => Backend::Cluster,
        Backend::Local => {
            let why = "the local backend's sessions end with the process that opened them; use a cluster, or \
                       podbay run, which needs one process only";
            return Err(Error::Unsupported {
                what,
                why: why.to_owned(),
            }
            .into());
        }
    };
    open(global, backend, &needs).await
}

async fn open(global: &GlobalArgs, backend: Backend, needs: &Needs<'_>) -> Result<Podbay, Failure> {
    let config = configure(global, needs)?;
    let mut builder = Podbay::builder(config)
        .backend(backend)
        .watch_scope(WatchScope::Session);
    if let Some(image) = needs.session.and_then(|session| session.image.as_deref()) {
        builder = builder.names_cluster(format!("--image {image}"));
    }
    Ok(builder.connect().await?)
}
