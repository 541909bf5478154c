//! One hint of each code.

use super::Hint;

impl Hint {
    /// One of each code that this version has, with made-up parameters: what a surface's words are tried with.
    #[expect(clippy::too_many_lines, reason = "a list with a line for each hint")]
    pub fn of_each_code() -> Vec<Self> {
        vec![
            Self::ReadLog,
            Self::KeepToReadLog,
            Self::RaisePriority,
            Self::CheckNodes,
            Self::RaiseLifetime,
            Self::RaiseWorkspaceSize,
            Self::RaiseEphemeralStorage,
            Self::TryElsewhere,
            Self::ClosedBySomebody,
            Self::OpenAgainIfWanted,
            Self::OpenAgain,
            Self::OpenAgainHere,
            Self::RaiseMemory,
            Self::DescribePod,
            Self::LookBeforeRunningAgain,
            Self::CloseToEndAll,
            Self::OpenWithAgent,
            Self::UseImageWithShell,
            Self::UseImageWithShellForCommands,
            Self::UseImageWithServer {
                server: "openhands".to_owned(),
                program: "/bin/server".to_owned(),
                image: "debian:12".to_owned(),
            },
            Self::MendCommand {
                program: "/bin/server".to_owned(),
            },
            Self::CheckServer,
            Self::CheckInitContainer,
            Self::RaiseInitContainerMemory,
            Self::CheckImageName,
            Self::CheckAgentImage,
            Self::LoadImage,
            Self::GiveImageCredentials,
            Self::WriteImageReference,
            Self::UseImageForArchitecture,
            Self::WaitForRegistry,
            Self::MakePullSecret {
                secret: "registry".to_owned(),
            },
            Self::CheckSecretsAndUser,
            Self::TryAnotherNode,
            Self::NodeCannotStartCommand,
            Self::AskNodeOwner,
            Self::AddVolumeKey,
            Self::MakeConfigMap,
            Self::MakeVolumeSecret,
            Self::DescribeVolumes,
            Self::MakeClaim,
            Self::CheckStorageClass,
            Self::NameStorageClass,
            Self::SetStorageClass,
            Self::AskForLess,
            Self::AskForFewerDevices {
                device: "nvidia.com/gpu".to_owned(),
            },
            Self::WaitForCapacity,
            Self::AddToleration,
            Self::CheckNodeLabels,
            Self::DescribeUnschedulable,
            Self::CheckQueue,
            Self::DescribeJob,
            Self::RaiseStartTimeout,
            Self::UseRestrictedProfile,
            Self::FreeQuota,
            Self::StateResources,
            Self::CheckLimitRange,
            Self::AskPolicyOwner,
            Self::UseAnotherNamespace,
            Self::CheckRuntimeClass,
            Self::CheckPriorityClass,
            Self::CheckServiceAccount,
            Self::RefusedByAdmission,
            Self::Kept {
                session: "demo".to_owned(),
                hint: Box::new(Self::ReadLog),
            },
            Self::CloseOrPauseOne,
            Self::OpenPersistent {
                session: "demo".to_owned(),
            },
            Self::Resume {
                session: "demo".to_owned(),
            },
            Self::ListOrOpen {
                session: "demo".to_owned(),
            },
            Self::Replace {
                session: "demo".to_owned(),
            },
            Self::WaitForDeletion,
            Self::InstallAgent,
            Self::NameClusterOrRunLocally,
            Self::GrantRights,
            Self::CheckCredentials,
            Self::CheckNamespace,
            Self::CheckApiServer,
            Self::ApiServerOverloaded,
            Self::FewerSessionsAtOnce,
            Self::CheckObjects,
            Self::SkipLinks,
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The variants as their declaration has them, but for the two that stand for hints without a code.
    fn declared() -> BTreeSet<String> {
        let all = include_str!("mod.rs").split("pub enum Hint {").nth(1).unwrap();
        let all = all.split("\n}\n").next().unwrap();
        let lines = all.lines().filter_map(|line| line.strip_prefix("    "));
        let names = lines.filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
        let names = names.map(|line| line.trim_end_matches([',', '{', ' ']).to_owned());
        names
            .filter(|name| !["Said", "Unknown"].contains(&name.as_str()))
            .collect()
    }

    #[test]
    fn none_is_left_out() {
        let name = |hint: &Hint| format!("{hint:?}").split(' ').next().unwrap().to_owned();
        let listed: BTreeSet<_> = Hint::of_each_code().iter().map(name).collect();
        assert_eq!(listed, declared());
    }
}
