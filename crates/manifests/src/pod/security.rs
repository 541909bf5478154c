//! Security contexts for the levels of the Pod Security Standards.
//!
//! <https://kubernetes.io/docs/concepts/security/pod-security-standards/>

use k8s_openapi::api::core::v1::{Capabilities, PodSecurityContext, SeccompProfile, SecurityContext};

use crate::empty::non_empty_list;
use crate::profile::Profile;
use crate::session_spec::{Seccomp, SecuritySpec, SessionSpec};
use crate::user::RunAs;

/// User and group of a restricted session whose user was not given. Not 0, which is forbidden, and above the
/// ids that images give their own users (100 to 1000 or so), so that none of their files are ours by chance.
const SANDBOX_ID: i64 = 10001;

/// What holds for the pod: who it runs as, who owns its volumes.
pub(super) fn pod(spec: &SessionSpec) -> Option<PodSecurityContext> {
    let security = &spec.security;
    let restricted = security.profile == Profile::Restricted;
    let Ids {
        user,
        group,
        fs_group,
    } = Ids::of(security);
    let claims = super::volumes::volumes(spec);
    let keeps_files = claims
        .iter()
        .any(|volume| volume.persistent_volume_claim.is_some());
    let groups = security.supplemental_groups.iter().map(|group| i64::from(*group));
    let context = PodSecurityContext {
        run_as_user: user,
        run_as_group: group,
        run_as_non_root: restricted.then_some(true),
        fs_group,
        // Else the kubelet walks through a large workspace each time it is mounted. Only claims keep files.
        fs_group_change_policy: fs_group.filter(|_| keeps_files).map(|_| "OnRootMismatch".into()),
        supplemental_groups: non_empty_list(groups.collect()),
        seccomp_profile: seccomp(security),
        ..PodSecurityContext::default()
    };
    (context != PodSecurityContext::default()).then_some(context)
}

struct Ids {
    user: Option<i64>,
    group: Option<i64>,
    fs_group: Option<i64>,
}

impl Ids {
    fn of(security: &SecuritySpec) -> Self {
        if security.uid_from_cluster {
            return Self {
                user: None,
                group: None,
                fs_group: None,
            };
        }
        let restricted = security.profile == Profile::Restricted;
        let asked = security.run_as;
        let user = asked.map(RunAs::uid).or(restricted.then_some(SANDBOX_ID));
        // A restricted user without a group gets its own number: the runtime would else take the image's group
        // of that user, or root's.
        let group = asked
            .and_then(RunAs::gid)
            .or(security.group.map(i64::from))
            .or(if restricted { user } else { None });
        // A claim's files belong to root at first. Root needs no group to write them.
        let fs_group = security
            .fs_group
            .map(i64::from)
            .or_else(|| group.or(user).filter(|_| user != Some(0)));
        Self {
            user,
            group,
            fs_group,
        }
    }
}

/// What holds for the container: what it may do beyond its user.
pub(super) fn container(security: &SecuritySpec) -> SecurityContext {
    let restricted = security.profile == Profile::Restricted;
    let drop = if restricted {
        vec!["ALL".into()]
    } else {
        security.capabilities_drop.clone()
    };
    let capabilities = Capabilities {
        add: non_empty_list(security.capabilities_add.clone()),
        drop: non_empty_list(drop),
    };
    SecurityContext {
        // Elsewhere escalation stays allowed: `sudo` and `su` are set-uid programs.
        allow_privilege_escalation: security
            .allow_privilege_escalation
            .or(restricted.then_some(false)),
        capabilities: (capabilities != Capabilities::default()).then_some(capabilities),
        privileged: Some(security.profile == Profile::Privileged),
        read_only_root_filesystem: security.read_only_root.then_some(true),
        ..SecurityContext::default()
    }
}

fn seccomp(security: &SecuritySpec) -> Option<SeccompProfile> {
    let profile = match (&security.seccomp, security.profile) {
        (Some(profile), _) => profile,
        (None, Profile::Restricted | Profile::Baseline) => &Seccomp::RuntimeDefault,
        // A privileged container runs unconfined, whatever is said here.
        (None, Profile::Privileged) => return None,
    };
    let (kind, localhost_profile) = match profile {
        Seccomp::RuntimeDefault => ("RuntimeDefault", None),
        Seccomp::Unconfined => ("Unconfined", None),
        Seccomp::Localhost(path) => ("Localhost", Some(path.clone())),
    };
    Some(SeccompProfile {
        type_: kind.into(),
        localhost_profile,
    })
}
