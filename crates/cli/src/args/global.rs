//! Flags of every command.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use podbay_config::{AgentDial, Config, ConfigError, Loader};
use podbay_runtime::Backend;

use super::choice::dial;

/// Heading of these flags in the help.
const HEADING: &str = "Global options";

/// Which cluster and which configuration, and how much to say.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct GlobalArgs {
    /// Configuration file [default: $PODBAY_CONFIG, ~/.config/podbay/config.toml]
    #[arg(long, value_name = "FILE", global = true, help_heading = HEADING)]
    pub(crate) config: Option<PathBuf>,
    /// Kubeconfig file [default: $KUBECONFIG, ~/.kube/config]
    #[arg(long, value_name = "FILE", global = true, help_heading = HEADING)]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME", global = true, help_heading = HEADING)]
    pub(crate) context: Option<String>,
    /// Namespace of the sessions
    #[arg(short, long, value_name = "NAME", global = true, help_heading = HEADING)]
    pub(crate) namespace: Option<String>,
    /// Whose sessions: the owner of a service's key, or the hash of it that ls shows
    #[arg(long, value_name = "OWNER", global = true, help_heading = HEADING)]
    pub(crate) owner: Option<String>,
    /// Where sessions run
    #[arg(long, value_enum, default_value = "auto", global = true, help_heading = HEADING)]
    pub(crate) backend: BackendName,
    /// How the agent of a session is connected to
    #[arg(long, value_name = "WAY", value_parser = dial(), global = true, help_heading = HEADING)]
    pub(crate) dial: Option<AgentDial>,
    /// Log to standard error; twice and thrice for more ($PODBAY_LOG takes a filter)
    #[arg(short, long, action = ArgAction::Count, global = true, help_heading = HEADING)]
    pub(crate) verbose: u8,
    /// Show no progress
    #[arg(short, long, global = true, help_heading = HEADING)]
    pub(crate) quiet: bool,
}

/// A backend, as it is typed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendName {
    /// A cluster if there is one; else local processes, unless something of a cluster was named
    #[default]
    Auto,
    /// Pods of a Kubernetes cluster (also: kubernetes)
    #[value(aliases = ["kubernetes", "k8s"])]
    Cluster,
    /// Local processes, without isolation (also: embedded)
    #[value(aliases = ["embedded", "process"])]
    Local,
}

impl From<BackendName> for Backend {
    fn from(name: BackendName) -> Self {
        match name {
            BackendName::Auto => Self::Auto,
            BackendName::Cluster => Self::Cluster,
            BackendName::Local => Self::Local,
        }
    }
}

impl GlobalArgs {
    /// Loads the configuration with these flags over it, and what `more` adds to them.
    pub(crate) fn load(&self, more: impl FnOnce(Loader) -> Loader) -> Result<Config, ConfigError> {
        let Self {
            config,
            kubeconfig,
            context,
            namespace,
            dial,
            owner: _,
            backend: _,
            verbose: _,
            quiet: _,
        } = self;
        let mut loader = Config::loader();
        if let Some(path) = config {
            loader = loader.file(path);
        }
        if let Some(path) = kubeconfig {
            loader = loader.flag("kubernetes.kubeconfig", "--kubeconfig", path.as_path());
        }
        if let Some(context) = context {
            loader = loader.flag("kubernetes.context", "--context", context.as_str());
        }
        if let Some(namespace) = namespace {
            loader = loader.flag("kubernetes.namespace", "--namespace", namespace.as_str());
        }
        if let Some(dial) = dial {
            loader = loader.flag("agent.dial", "--dial", dial.as_str());
        }
        more(loader).load()
    }
}

#[cfg(test)]
mod tests {
    use podbay_config::Origin;

    use super::*;

    #[test]
    fn every_flag_reaches_its_setting_by_its_own_name() {
        let args = GlobalArgs {
            kubeconfig: Some("/k".into()),
            context: Some("c".into()),
            namespace: Some("n".into()),
            dial: Some(AgentDial::PodIp),
            ..GlobalArgs::default()
        };
        let config = args.load(|loader| loader.search(false)).unwrap();
        assert_eq!(config.kubernetes.kubeconfig.as_deref(), Some("/k".as_ref()));
        assert_eq!(config.kubernetes.context.as_deref(), Some("c"));
        assert_eq!(config.kubernetes.namespace, "n");
        assert_eq!(config.agent.dial, AgentDial::PodIp);
        for (section, name) in [
            ("kubernetes", "kubeconfig"),
            ("kubernetes", "context"),
            ("kubernetes", "namespace"),
            ("agent", "dial"),
        ] {
            let origin = config.origin(&format!("{section}.{name}"));
            assert_eq!(
                origin,
                Origin::Flag {
                    name: format!("--{name}")
                }
            );
        }
    }

    #[test]
    fn a_named_file_must_be_there() {
        let args = GlobalArgs {
            config: Some("/no/such/file".into()),
            ..GlobalArgs::default()
        };
        assert!(args.load(|loader| loader).is_err());
    }
}
