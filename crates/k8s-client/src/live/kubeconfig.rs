//! What is wrong with a kubeconfig, in words that say what to do.

use kube::config::{Kubeconfig, KubeconfigError};

/// The words for `error`, met in `file`.
pub(super) fn words(error: &KubeconfigError, file: &Kubeconfig) -> String {
    match error {
        KubeconfigError::CurrentContextNotSet if is_empty(file) => {
            "it is empty: it names no cluster and no context".to_owned()
        }
        KubeconfigError::CurrentContextNotSet => {
            format!(
                "it names no current context: choose one with --context ({})",
                contexts(file)
            )
        }
        KubeconfigError::LoadContext(name) => {
            format!(
                "it has no context {name:?}: choose one with --context ({})",
                contexts(file)
            )
        }
        KubeconfigError::LoadClusterOfContext(name) => {
            let clusters = names(file.clusters.iter().map(|cluster| cluster.name.as_str()));
            format!("it has no cluster {name:?}, which its context names; it has {clusters}")
        }
        other => other.to_string(),
    }
}

fn is_empty(file: &Kubeconfig) -> bool {
    file.contexts.is_empty() && file.clusters.is_empty()
}

fn contexts(file: &Kubeconfig) -> String {
    format!(
        "it has {}",
        names(file.contexts.iter().map(|context| context.name.as_str()))
    )
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
