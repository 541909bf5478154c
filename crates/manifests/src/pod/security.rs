//! Security contexts for the levels of the Pod Security Standards.
//!
//! <https://kubernetes.io/docs/concepts/security/pod-security-standards/>

use k8s_openapi::api::core::v1::{Capabilities, PodSecurityContext, SeccompProfile, SecurityContext};

use crate::{Profile, RunAs, SessionSpec};

/// User and group of a restricted session whose user was not given. Not 0, which is forbidden, and above the
/// ids that images give their own users (100 to 1000 or so), so that none of their files are ours by chance.
const SANDBOX_ID: i64 = 10001;

/// What holds for the pod: who it runs as, who owns its volumes.
pub(super) fn pod(spec: &SessionSpec) -> Option<PodSecurityContext> {
    let user = spec.run_as;
    let restricted = spec.profile == Profile::Restricted;
    let uid = user.map(RunAs::uid).or(restricted.then_some(SANDBOX_ID));
    // A restricted user without a group gets its own number: the runtime would else take the image's group of
    // that user, or root's.
    let gid = user.and_then(RunAs::gid).or(if restricted { uid } else { None });
    // A claim's files belong to root at first. Root needs no group to write them.
    let fs_group = gid.or(uid).filter(|_| uid != Some(0));
    let context = PodSecurityContext {
        run_as_user: uid,
        run_as_group: gid,
        run_as_non_root: restricted.then_some(true),
        fs_group,
        // Else the kubelet walks through a large workspace each time it is mounted. Only claims keep files.
        fs_group_change_policy: fs_group.and(spec.claim.as_ref()).map(|_| "OnRootMismatch".into()),
        seccomp_profile: seccomp(spec.profile),
        ..PodSecurityContext::default()
    };
    (context != PodSecurityContext::default()).then_some(context)
}

/// What holds for the container: what it may do beyond its user.
pub(super) fn container(profile: Profile) -> SecurityContext {
    match profile {
        Profile::Restricted => SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                add: None,
                drop: Some(vec!["ALL".into()]),
            }),
            privileged: Some(false),
            ..SecurityContext::default()
        },
        // Escalation stays allowed: `sudo` and `su` are set-uid programs.
        Profile::Baseline => SecurityContext {
            privileged: Some(false),
            ..SecurityContext::default()
        },
        Profile::Privileged => SecurityContext {
            privileged: Some(true),
            ..SecurityContext::default()
        },
    }
}

/// A privileged container runs unconfined, whatever is said here.
fn seccomp(profile: Profile) -> Option<SeccompProfile> {
    match profile {
        Profile::Restricted | Profile::Baseline => Some(SeccompProfile {
            type_: "RuntimeDefault".into(),
            localhost_profile: None,
        }),
        Profile::Privileged => None,
    }
}
