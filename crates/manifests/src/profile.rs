//! How far a session's container is let out of its cage: the levels of Kubernetes' Pod Security Standards.

podbay_protocol::choices! {
    /// A level of the Pod Security Standards, strictest first. Never chosen silently: the default is the strictest.
    ///
    /// Its words are those of the namespace label `pod-security.kubernetes.io/enforce`.
    #[derive(Default, PartialOrd, Ord)]
    pub enum Profile: "profile" {
        /// No root, no capabilities, no privilege escalation. Runs as uid 10001 unless a user is given.
        #[default]
        Restricted = "restricted",
        /// The container runtime's default capabilities, root allowed: what images made for Docker expect.
        Baseline = "baseline",
        /// All of the node's devices and capabilities (Docker in Docker). No isolation from the node.
        Privileged = "privileged",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_both_ways() {
        for profile in Profile::ALL {
            assert_eq!(profile.to_string().parse(), Ok(*profile));
            assert_eq!(serde_json::to_string(&profile).unwrap(), format!("\"{profile}\""));
        }
        assert_eq!(
            "Baseline".parse::<Profile>().unwrap_err().to_string(),
            "\"Baseline\" is no profile: restricted, baseline or privileged"
        );
    }
}
