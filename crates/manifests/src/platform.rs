//! Platforms as container tools write them, in the words that nodes have.

/// Operating systems of nodes, as the kubelet puts them into `kubernetes.io/os` (Go's `GOOS`).
const SYSTEMS: [&str; 2] = ["linux", "windows"];
/// Architectures of nodes, as the kubelet puts them into `kubernetes.io/arch` (Go's `GOARCH`).
pub(crate) const ARCHITECTURES: [&str; 9] = [
    "amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64", "loong64", "mips64le",
];

/// What a node must be to run an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    /// Value of the node label `kubernetes.io/os`.
    pub(crate) system: &'static str,
    /// Value of the node label `kubernetes.io/arch`.
    pub(crate) architecture: &'static str,
}

impl Platform {
    /// Reads `linux/amd64`, or with a variant `linux/arm/v7`, in upper or lower case, with the other words that
    /// container tools take for an architecture (containerd's `platforms.Normalize`), such as `x86_64`. A variant is no
    /// label of a node and says nothing. `None` for what no node is.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let parts: Vec<_> = text.split('/').collect();
        let ([system, architecture] | [system, architecture, _]) = parts[..] else {
            return None;
        };
        let architecture = match architecture {
            "x86_64" | "x86-64" => "amd64",
            "aarch64" => "arm64",
            "armhf" | "armel" => "arm",
            "i386" => "386",
            other => other,
        };
        Some(Self {
            system: SYSTEMS.into_iter().find(|known| *known == system)?,
            architecture: ARCHITECTURES.into_iter().find(|known| *known == architecture)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_words_for_an_architecture_are_those_of_the_nodes() {
        for (text, system, architecture) in [
            ("linux/amd64", "linux", "amd64"),
            ("linux/x86_64", "linux", "amd64"),
            ("Linux/X86-64", "linux", "amd64"),
            ("linux/aarch64", "linux", "arm64"),
            ("linux/arm64/v8", "linux", "arm64"),
            ("linux/armhf", "linux", "arm"),
            ("linux/i386", "linux", "386"),
            ("windows/amd64", "windows", "amd64"),
        ] {
            assert_eq!(
                Platform::parse(text),
                Some(Platform { system, architecture }),
                "{text}"
            );
        }
    }

    #[test]
    fn what_no_node_is_is_no_platform() {
        for text in [
            "",
            "linux",
            "amd64",
            "linux/",
            "darwin/arm64",
            "linux/amd46",
            "linux/arm/v7/x",
        ] {
            assert_eq!(Platform::parse(text), None, "{text}");
        }
    }
}
