//! How far a session's container is let out of its cage: the levels of Kubernetes' Pod Security Standards.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A level of the Pod Security Standards. Never chosen silently: the default is the strictest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// No root, no capabilities, no privilege escalation. Runs as uid 10001 unless a user is given.
    #[default]
    Restricted,
    /// The container runtime's default capabilities, root allowed: what images made for Docker expect.
    Baseline,
    /// All of the node's devices and capabilities (Docker in Docker). No isolation from the node.
    Privileged,
}

/// A text that names no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a profile: restricted, baseline or privileged")]
pub struct ProfileError(String);

impl Profile {
    /// All profiles, strictest first.
    pub const ALL: [Self; 3] = [Self::Restricted, Self::Baseline, Self::Privileged];

    /// The name, as `--profile` and the namespace label `pod-security.kubernetes.io/enforce` take it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Restricted => "restricted",
            Self::Baseline => "baseline",
            Self::Privileged => "privileged",
        }
    }
}

impl FromStr for Profile {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.as_str() == text)
            .ok_or_else(|| ProfileError(text.into()))
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_both_ways() {
        for profile in Profile::ALL {
            assert_eq!(profile.to_string().parse(), Ok(profile));
            assert_eq!(serde_json::to_string(&profile).unwrap(), format!("\"{profile}\""));
        }
        assert_eq!(
            "Baseline".parse::<Profile>(),
            Err(ProfileError("Baseline".into()))
        );
    }
}
