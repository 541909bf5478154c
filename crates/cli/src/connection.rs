//! From flags to configuration to cluster.

use std::time::Duration;

use podbay_config::{Config, Runtime};
use podbay_runtime::{Backend, BackendKind, Podbay, PodbayBuilder, WatchScope, unheeded_on_this_machine};

use crate::addressing::of_owner;
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

/// A cluster, or this machine, for a command that does all it does within this process: no other one finds its sessions.
pub(crate) async fn connect(global: &GlobalArgs, needs: Needs<'_>) -> Result<Podbay, Failure> {
    let config = configure(global, &needs)?;
    let builder = builder(config, global.backend.into(), &needs).in_this_process();
    let podbay = of_owner(&builder.connect().await?, global.owner.as_deref())?;
    Ok(warned(podbay))
}

/// A cluster, or this machine where that is named, for a command on sessions that outlive it.
pub(crate) async fn connect_to_sessions(global: &GlobalArgs, needs: Needs<'_>) -> Result<Podbay, Failure> {
    let config = configure(global, &needs)?;
    let backend = of_lasting_sessions(global, &config);
    let podbay = builder(config, backend, &needs).connect().await?;
    let podbay = of_owner(&podbay, global.owner.as_deref())?;
    // Of a session that is there, its opener was told.
    Ok(if needs.session.is_some() {
        warned(podbay)
    } else {
        podbay
    })
}

/// Where sessions are that outlive a command, by the flag, else by the setting. `auto` means a cluster: whoever meant one would not
/// find his sessions on this machine.
pub(crate) fn of_lasting_sessions(global: &GlobalArgs, config: &Config) -> Backend {
    match (Backend::from(global.backend), config.runtime) {
        (Backend::Auto, Runtime::Local) => Backend::Local,
        (Backend::Auto, _) => Backend::Cluster,
        (named, _) => named,
    }
}

/// That there are no sessions, where they were looked for.
pub(crate) fn no_sessions(podbay: &Podbay) -> String {
    match podbay.kind() {
        BackendKind::Cluster => format!("No sessions found in {} namespace.", podbay.namespace()),
        BackendKind::Local => "No sessions found on this machine.".to_owned(),
    }
}

fn builder(config: Config, backend: Backend, needs: &Needs<'_>) -> PodbayBuilder {
    let builder = Podbay::builder(config)
        .backend(backend)
        .watch_scope(WatchScope::Session);
    match needs.session.and_then(|session| session.image.as_deref()) {
        Some(image) => builder.names_cluster(format!("--image {image}")),
        None => builder,
    }
}

/// Says what this machine is not.
pub(crate) fn warned(podbay: Podbay) -> Podbay {
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
    podbay
}

#[cfg(test)]
mod tests {
    use crate::args::BackendName;

    use super::*;

    #[test]
    fn sessions_that_last_are_where_the_flag_says_else_the_setting_else_on_a_cluster() {
        for (flag, setting, backend) in [
            (BackendName::Auto, Runtime::Auto, Backend::Cluster),
            (BackendName::Auto, Runtime::Kubernetes, Backend::Cluster),
            (BackendName::Auto, Runtime::Local, Backend::Local),
            (BackendName::Cluster, Runtime::Local, Backend::Cluster),
            (BackendName::Local, Runtime::Kubernetes, Backend::Local),
        ] {
            let global = GlobalArgs {
                backend: flag,
                ..GlobalArgs::default()
            };
            let mut config = Config::default();
            config.runtime = setting;
            assert_eq!(
                of_lasting_sessions(&global, &config),
                backend,
                "{flag:?}, {setting:?}"
            );
        }
    }
}
