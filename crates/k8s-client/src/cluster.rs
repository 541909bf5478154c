//! Which cluster is meant, and where its kubeconfig is looked for.

use std::fmt;
use std::path::{Path, PathBuf};

/// Which cluster: a kubeconfig's context, or the one this process's pod runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// A kubeconfig.
    Kubeconfig {
        /// The file named; none means `$KUBECONFIG` (a list of files), else `~/.kube/config`.
        path: Option<PathBuf>,
        /// The context named; none means the file's current context.
        context: Option<String>,
    },
    /// The pod's own service account.
    InPod,
}

impl Cluster {
    /// The cluster that is there without one being named: a kubeconfig's current context, else the one of
    /// this pod. A named `kubeconfig` or `context` is taken as it is, whether it exists or not, so that a
    /// mistake in a name is told as such.
    pub fn find(kubeconfig: Option<&Path>, context: Option<&str>) -> Option<Self> {
        if kubeconfig.is_some() || context.is_some() || default_kubeconfig_exists() {
            return Some(Self::Kubeconfig {
                path: kubeconfig.map(Path::to_path_buf),
                context: context.map(str::to_owned),
            });
        }
        // What client-go's in-cluster configuration goes by.
        std::env::var_os("KUBERNETES_SERVICE_HOST")
            .filter(|host| !host.is_empty())
            .map(|_| Self::InPod)
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kubeconfig { path, context } => {
                match path {
                    Some(path) => write!(f, "kubeconfig {}", path.display())?,
                    None => f.write_str("the default kubeconfig")?,
                }
                if let Some(context) = context {
                    write!(f, ", context {context}")?;
                }
                Ok(())
            }
            Self::InPod => f.write_str("the cluster this pod runs in"),
        }
    }
}

/// The places a kubeconfig is looked for when none is named, as kubectl has them.
pub fn default_kubeconfig_places() -> Vec<PathBuf> {
    if let Some(list) = std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty()) {
        return std::env::split_paths(&list)
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
    }
    // An empty one would be the working directory, whose files nobody has chosen.
    std::env::home_dir()
        .filter(|home| !home.as_os_str().is_empty())
        .map(|home| home.join(".kube").join("config"))
        .into_iter()
        .collect()
}

fn default_kubeconfig_exists() -> bool {
    default_kubeconfig_places().iter().any(|path| path.exists())
}
