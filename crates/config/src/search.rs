//! Which file is read when none is named.

use std::path::PathBuf;

use crate::environment::Environment;

/// Names the configuration file; it must exist then.
pub(crate) const FILE_VARIABLE: &str = "PODBAY_CONFIG";

/// A file to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) path: PathBuf,
    /// Whether its absence is an error.
    pub(crate) required: bool,
    /// The variable that names it.
    pub(crate) named_by: Option<String>,
}

/// The files of the default search, the first that exists is the one.
///
/// None of the working directory: a repository that was cloned a moment ago must not choose the kubeconfig (whose
/// credentials may be a program to run) or the rights of a sandbox.
pub(crate) fn candidates(environment: &dyn Environment) -> Vec<Candidate> {
    let directory = |name: &str| {
        environment
            .get(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(path) = directory(FILE_VARIABLE) {
        return vec![Candidate {
            path,
            required: true,
            named_by: Some(FILE_VARIABLE.to_owned()),
        }];
    }
    // The XDG base directory specification tells to ignore relative paths, and what the default is.
    let configuration = directory("XDG_CONFIG_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| directory("HOME").map(|home| home.join(".config")));
    configuration
        .map(|path| path.join("podbay/config.toml"))
        .into_iter()
        .map(|path| Candidate {
            path,
            required: false,
            named_by: None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_order() {
        let paths = |environment: &dyn Environment| -> Vec<_> {
            candidates(environment)
                .into_iter()
                .map(|candidate| candidate.path)
                .collect()
        };
        assert_eq!(
            paths(&[("HOME", "/h")]),
            [PathBuf::from("/h/.config/podbay/config.toml")]
        );
        assert_eq!(
            paths(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x"), ("PODBAY_CONFIG", "")]),
            [PathBuf::from("/x/podbay/config.toml")]
        );
        assert_eq!(
            paths(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "relative")]),
            [PathBuf::from("/h/.config/podbay/config.toml")]
        );
        assert!(paths(&[("HOME", "")]).is_empty());
        assert_eq!(
            candidates(&[("HOME", "/h"), ("PODBAY_CONFIG", "a.toml")]),
            [Candidate {
                path: "a.toml".into(),
                required: true,
                named_by: Some("PODBAY_CONFIG".into())
            }]
        );
    }
}
