//! Who the container runs as, and what it may do.

use podbay_config::{Config, KubernetesConfig, ProfileName};
use podbay_protocol::Field;
use serde::{Deserialize, Serialize};

use super::problem::SpecProblem;
use super::problems::{PRIVILEGED, PROFILE, Problems};
use super::reason::Reason;
use crate::profile::Profile;
use crate::request::SessionRequest;
use crate::server::{OPENHANDS_ID, ServerKind};
use crate::user::RunAs;

const RUN_AS_USER: Field = Field::Setting("kubernetes.run_as_user");
const RUN_AS_GROUP: Field = Field::Setting("kubernetes.run_as_group");
const FS_GROUP: Field = Field::Setting("kubernetes.fs_group");
const UID_FROM_CLUSTER: Field = Field::Setting("kubernetes.uid_from_cluster");
const ESCALATION: Field = Field::Setting("kubernetes.allow_privilege_escalation");
const CAPABILITIES_ADD: Field = Field::Setting("kubernetes.capabilities_add");
const SECCOMP: Field = Field::Setting("kubernetes.seccomp_profile");
/// Every capability.
const ALL: &str = "ALL";
/// The only capability that `restricted` lets a container add.
const RESTRICTED_CAPABILITY: &str = "NET_BIND_SERVICE";
/// What `baseline` lets a container add: the default set of container runtimes.
pub(crate) const BASELINE_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// How far the session is let out of its cage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecuritySpec {
    pub(crate) profile: Profile,
    /// The user that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run_as: Option<RunAs>,
    /// A group that was asked for without a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fs_group: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) supplemental_groups: Vec<u32>,
    /// Whether user and groups are left to the cluster (OpenShift).
    pub(crate) uid_from_cluster: bool,
    pub(crate) read_only_root: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) allow_privilege_escalation: Option<bool>,
    /// Without the `CAP_` that Linux' own names start with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) capabilities_add: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) capabilities_drop: Vec<String>,
    /// `None` is what the profile has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seccomp: Option<Seccomp>,
}

/// Which system calls a container may make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Seccomp {
    /// What the container runtime allows by default.
    RuntimeDefault,
    /// All.
    Unconfined,
    /// A profile on the node, by its path below the kubelet's directory of profiles.
    Localhost(String),
}

/// The profile that was asked for or configured. One that contradicts `kubernetes.privileged` is noted.
pub(super) fn profile(problems: &mut Problems, config: &Config, asked: Option<Profile>) -> Profile {
    let KubernetesConfig {
        profile: configured,
        privileged,
        ..
    } = config.kubernetes;
    let configured = configured.map(|name| match name {
        ProfileName::Restricted => Profile::Restricted,
        ProfileName::Baseline => Profile::Baseline,
        ProfileName::Privileged => Profile::Privileged,
    });
    if privileged {
        for (setting, profile) in [
            (Field::Profile, asked),
            (Field::Setting("kubernetes.profile"), configured),
        ] {
            if let Some(asked) = profile.filter(|profile| *profile != Profile::Privileged) {
                problems.push(SpecProblem::new(
                    [setting, PRIVILEGED],
                    Reason::ContradictoryValues {
                        value: asked.to_string(),
                        other: "true",
                    },
                ));
            }
        }
        return Profile::Privileged;
    }
    asked.or(configured).unwrap_or_default()
}

impl SecuritySpec {
    /// Whether the container's user is certainly not root: it was asked for, or the profile forbids root.
    pub(crate) fn is_never_root(&self) -> bool {
        self.profile == Profile::Restricted || self.run_as.is_some_and(|user| !user.is_root())
    }

    pub(super) fn validate(
        problems: &mut Problems,
        profile: Profile,
        config: &Config,
        request: &SessionRequest,
    ) -> Self {
        let kubernetes = &config.kubernetes;
        let (run_as, group) = user(problems, profile, config, request);
        let escalation = kubernetes.allow_privilege_escalation;
        if escalation == Some(true) {
            problems.needs_profile(profile, Profile::Baseline, ESCALATION, "true");
        }
        if escalation == Some(false) && profile == Profile::Privileged {
            problems.push(SpecProblem::new(
                [ESCALATION, PROFILE, PRIVILEGED],
                Reason::ContradictsProfile {
                    profile,
                    advice: "a privileged container can always gain privileges",
                },
            ));
        }
        let capabilities_add = capabilities(problems, CAPABILITIES_ADD, &kubernetes.capabilities_add);
        for capability in &capabilities_add {
            let needs = if capability == RESTRICTED_CAPABILITY {
                Profile::Restricted
            } else if BASELINE_CAPABILITIES.contains(&capability.as_str()) {
                Profile::Baseline
            } else {
                Profile::Privileged
            };
            problems.needs_profile(profile, needs, CAPABILITIES_ADD, capability);
        }
        let mut groups = Vec::new();
        for group in &kubernetes.supplemental_groups {
            groups.extend(problems.id(Field::Setting("kubernetes.supplemental_groups"), Some(*group)));
        }
        Self {
            profile,
            run_as,
            group,
            fs_group: problems.id(FS_GROUP, request.fs_group.or(kubernetes.fs_group)),
            supplemental_groups: groups,
            uid_from_cluster: kubernetes.uid_from_cluster,
            read_only_root: kubernetes
                .read_only_root_filesystem
                // Servers in images write where they were built to.
                .unwrap_or(profile == Profile::Restricted && request.server.is_none()),
            allow_privilege_escalation: escalation,
            capabilities_add,
            capabilities_drop: capabilities(
                problems,
                Field::Setting("kubernetes.capabilities_drop"),
                &kubernetes.capabilities_drop,
            ),
            seccomp: seccomp(problems, profile, kubernetes.seccomp_profile.as_deref()),
        }
    }
}

/// The user that was asked for, or a group alone.
fn user(
    problems: &mut Problems,
    profile: Profile,
    config: &Config,
    request: &SessionRequest,
) -> (Option<RunAs>, Option<u32>) {
    let kubernetes = &config.kubernetes;
    let group = problems.id(RUN_AS_GROUP, kubernetes.run_as_group);
    // As root OpenHands' V0 server makes that user itself, and switches to it. Where it can't be root it has to be that user
    // from the start, and is the one of its images if none was asked for.
    let restricted_server = request.server == Some(ServerKind::OpenHands) && profile == Profile::Restricted;
    if restricted_server && kubernetes.uid_from_cluster {
        problems.contradiction(
            UID_FROM_CLUSTER,
            Field::Server,
            "under the profile restricted OpenHands' V0 server has to run as its image's own user, 1000",
        );
    }
    let upstream = match config.sandbox.user_id {
        None if restricted_server && !kubernetes.uid_from_cluster => Some(OPENHANDS_ID),
        user => user.filter(|_| restricted_server || request.server != Some(ServerKind::OpenHands)),
    };
    let (setting, user) = if let Some(user) = &request.user {
        (Field::User, problems.take(Field::User, user.parse()))
    } else if let Some(uid) = kubernetes.run_as_user {
        let uid = problems.id(RUN_AS_USER, Some(uid));
        (RUN_AS_USER, uid.map(|uid| RunAs::new(uid, group)))
    } else {
        let uid = problems.id(Field::Setting("sandbox.user_id"), upstream);
        (
            Field::Setting("sandbox.user_id"),
            uid.map(|uid| RunAs::new(uid, group)),
        )
    };
    if let Some(user) = user.filter(|user| user.is_root() && profile == Profile::Restricted) {
        problems.push(SpecProblem::new(
            [setting, PROFILE, PRIVILEGED],
            Reason::Root { user },
        ));
    }
    if kubernetes.uid_from_cluster {
        let given = [
            (user.is_some(), setting),
            (group.is_some(), RUN_AS_GROUP),
            (request.fs_group.or(kubernetes.fs_group).is_some(), FS_GROUP),
        ];
        for (_, other) in given.into_iter().filter(|(given, _)| *given) {
            problems.contradiction(
                UID_FROM_CLUSTER,
                other,
                "the cluster chooses user and groups, or you do",
            );
        }
    }
    (user, group.filter(|_| user.is_none()))
}

fn capabilities(problems: &mut Problems, setting: Field, names: &[String]) -> Vec<String> {
    let mut capabilities = Vec::new();
    for name in names {
        let upper = name.trim().to_ascii_uppercase();
        let capability = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let valid = !capability.is_empty()
            && capability
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        if !valid {
            problems.entry_not_allowed(
                setting,
                name,
                "a capability's name is one such as NET_ADMIN, or ALL",
            );
        } else if !capabilities.iter().any(|known| known == capability) {
            capabilities.push(capability.to_owned());
        }
    }
    // What is dropped besides all is dropped anyway.
    if capabilities.iter().any(|capability| capability == ALL) {
        return vec![ALL.into()];
    }
    capabilities
}

fn seccomp(problems: &mut Problems, profile: Profile, text: Option<&str>) -> Option<Seccomp> {
    match text? {
        "RuntimeDefault" => Some(Seccomp::RuntimeDefault),
        "Unconfined" => {
            problems.needs_profile(profile, Profile::Privileged, SECCOMP, "Unconfined");
            Some(Seccomp::Unconfined)
        }
        other => match other.strip_prefix("Localhost/") {
            // The API refuses an absolute path, and one that leaves its directory.
            Some(path) if !path.is_empty() && !path.starts_with('/') && !path.contains("..") => {
                Some(Seccomp::Localhost(path.into()))
            }
            _ => {
                problems.not_allowed(SECCOMP, other, "RuntimeDefault, Unconfined or Localhost/PATH");
                None
            }
        },
    }
}
