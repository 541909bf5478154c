//! A session's pod: what is kept of it, and which of several counts.
//!
//! A pod as the API has it takes some 30 KB of memory, most of it what we sent ourselves; thousands of sessions that
//! start at once keep only what decisions depend on. Its labels are none of that: what finds it by them does so as it comes.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodSpec, PodStatus, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use podbay_manifests::Owner;
use podbay_manifests::pod::CONTAINER;

/// The pod without what no decision depends on: its state, its place, who it is and whose.
pub(crate) fn outline(pod: Pod) -> Pod {
    let ObjectMeta {
        name,
        namespace,
        uid,
        resource_version,
        creation_timestamp,
        deletion_timestamp,
        deletion_grace_period_seconds,
        owner_references,
        ..
    } = pod.metadata;
    Pod {
        metadata: ObjectMeta {
            name,
            namespace,
            uid,
            resource_version,
            creation_timestamp,
            deletion_timestamp,
            deletion_grace_period_seconds,
            owner_references,
            ..ObjectMeta::default()
        },
        spec: pod.spec.map(|spec| PodSpec {
            node_name: spec.node_name,
            readiness_gates: spec.readiness_gates,
            image_pull_secrets: spec.image_pull_secrets,
            restart_policy: spec.restart_policy,
            volumes: kept(spec.volumes.into_iter().flatten().filter(of_claim_or_image)),
            init_containers: kept(spec.init_containers.into_iter().flatten().map(name_and_policy)),
            ..PodSpec::default()
        }),
        status: pod.status.map(without_what_was_asked),
    }
}

/// The status without what the kubelet repeats in it of the specification, which is most of it on a real node.
fn without_what_was_asked(mut status: PodStatus) -> PodStatus {
    let of_containers = [
        &mut status.container_statuses,
        &mut status.init_container_statuses,
    ];
    for container in of_containers.into_iter().flatten().flatten() {
        container.allocated_resources = None;
        container.allocated_resources_status = None;
        container.resources = None;
        container.user = None;
        container.volume_mounts = None;
    }
    status
}

/// The list, in memory of its own: collected in place, it would keep all the room of the list it was made from, and a
/// volume takes some kilobytes. `None` if it is empty.
fn kept<T>(items: impl Iterator<Item = T>) -> Option<Vec<T>> {
    let mut kept: Vec<T> = items.collect();
    kept.shrink_to_fit();
    (!kept.is_empty()).then_some(kept)
}

const fn of_claim_or_image(volume: &Volume) -> bool {
    volume.persistent_volume_claim.is_some() || volume.image.is_some()
}

fn name_and_policy(container: Container) -> Container {
    Container {
        name: container.name,
        restart_policy: container.restart_policy,
        ..Container::default()
    }
}

/// How much a pod of a session counts beside its others, most last: the one that lives, and of those the youngest.
pub(crate) fn pod_rank(pod: &Pod) -> (bool, Option<Timestamp>) {
    let lives = pod.metadata.deletion_timestamp.is_none() && !is_finished(pod);
    (lives, pod.metadata.creation_timestamp.as_ref().map(|time| time.0))
}

/// Of the pods of one session, the one that counts.
pub(crate) fn preferred_pod<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Option<&'a Pod> {
    pods.into_iter().max_by_key(|pod| pod_rank(pod))
}

/// The status of the session's container, by its name. The kubelet sorts the list by name, and a pod template or an
/// admission webhook of the cluster may have added containers.
pub(crate) fn container(pod: &Pod) -> Option<&ContainerStatus> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|status| status.name == CONTAINER)
}

/// Whether a pod has ended for good: its phase says so, or the session's container has ended, which is not started again.
/// Beside another container that goes on the phase stays `Running`.
pub(crate) fn is_finished(pod: &Pod) -> bool {
    let state = container(pod).and_then(|status| status.state.as_ref());
    state.is_some_and(|state| state.terminated.is_some()) || has_final_phase(pod)
}

/// Whether the kubelet has written the last phase of a pod.
pub(crate) fn has_final_phase(pod: &Pod) -> bool {
    pod.status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .is_some_and(|phase| phase == "Failed" || phase == "Succeeded")
}

/// Whether a pod with the session's label belongs to another record of that session: one that was deleted, and whose pod
/// still ends. A Job's pod belongs to its Job, which says nothing of records.
pub(crate) fn is_of_another_record(pod: &Pod, owner: &Owner) -> bool {
    let references = pod.metadata.owner_references.as_deref().unwrap_or_default();
    let record = references
        .iter()
        .find(|reference| reference.kind == owner.reference().kind);
    record.is_some_and(|record| record.uid != owner.uid)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::PersistentVolumeClaimVolumeSource;

    use super::*;

    #[test]
    fn an_outline_keeps_neither_labels_nor_what_the_kubelet_repeats() {
        let status = |repeated: bool| ContainerStatus {
            name: CONTAINER.to_owned(),
            image: "debian:12".to_owned(),
            ready: true,
            allocated_resources: repeated.then(Default::default),
            resources: repeated.then(Default::default),
            user: repeated.then(Default::default),
            volume_mounts: repeated.then(Vec::new),
            ..ContainerStatus::default()
        };
        let pod = |repeated: bool| Pod {
            metadata: ObjectMeta {
                name: Some("p".to_owned()),
                labels: repeated.then(|| [("app".to_owned(), "x".to_owned())].into()),
                ..ObjectMeta::default()
            },
            status: Some(PodStatus {
                container_statuses: Some(vec![status(repeated)]),
                init_container_statuses: Some(vec![status(repeated)]),
                ..PodStatus::default()
            }),
            ..Pod::default()
        };
        assert_eq!(outline(pod(true)), pod(false));
    }

    /// Of thousands of sessions each keeps one.
    #[test]
    fn an_outline_keeps_no_room_for_what_it_leaves_out() {
        let claim = Volume {
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource::default()),
            ..Volume::default()
        };
        let spec = |volumes: Vec<Volume>| PodSpec {
            volumes: Some(volumes),
            init_containers: Some(vec![Container::default(); 3]),
            ..PodSpec::default()
        };
        let outlined = |volumes| {
            let pod = Pod {
                spec: Some(spec(volumes)),
                ..Pod::default()
            };
            outline(pod).spec.unwrap()
        };
        assert_eq!(outlined(vec![Volume::default(); 5]).volumes, None);
        let kept = outlined(vec![Volume::default(), claim.clone(), Volume::default()]);
        let volumes = kept.volumes.unwrap();
        assert_eq!((volumes.len(), volumes.capacity()), (1, 1));
        assert_eq!(volumes[0], claim);
        let containers = kept.init_containers.unwrap();
        assert_eq!((containers.len(), containers.capacity()), (3, 3));
    }
}
