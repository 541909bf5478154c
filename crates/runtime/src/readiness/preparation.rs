//! What keeps a pod from having its container made: volumes, its sandbox. It stands in events alone, the pod says
//! `ContainerCreating`.

use k8s_openapi::api::core::v1::Event;
use podbay_protocol::{Cause, Hint, Verdict};

use super::diagnosis::Patience;

/// Events of the kubelet's that come after the volumes are mounted and the sandbox is made: what failed before them has
/// been mended.
const PAST: [&str; 4] = ["Pulling", "Pulled", "Created", "Started"];

/// What is wrong, by the pod's events, oldest first; none where nothing is, or it was mended.
pub(super) fn diagnose(events: &[Event]) -> Option<(Verdict, Patience)> {
    let reason = |event: &Event| event.reason.clone().unwrap_or_default();
    // Times of events are whole seconds, so that their order tells less than that there is such an event.
    if events.iter().any(|event| PAST.contains(&reason(event).as_str())) {
        return None;
    }
    events.iter().rev().find_map(|event| {
        let message = event.message.clone().unwrap_or_default();
        match event.reason.as_deref()? {
            "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" | "VolumeMountFailure" => {
                Some(of_volume(message))
            }
            "FailedCreatePodSandBox" => {
                let hint = Hint::AskNodeOwner;
                Some((
                    Verdict::new(Cause::ContainerStart, message, hint),
                    Patience::Volume,
                ))
            }
            _ => None,
        }
    })
}

/// The kubelet says `MountVolume.SetUp failed for volume "v" : configmap "x" not found`, or `references non-existent
/// config key: k` (`… secret key: k`): nothing that waiting or another node mends.
fn of_volume(message: String) -> (Verdict, Patience) {
    let lacks = |kind: &str| message.contains(&format!("{kind} \"")) && message.contains("\" not found");
    let hint = if message.contains("references non-existent") {
        Hint::AddVolumeKey
    } else if lacks("configmap") {
        Hint::MakeConfigMap
    } else if lacks("secret") {
        Hint::MakeVolumeSecret
    } else {
        let hint = Hint::DescribeVolumes;
        return (Verdict::new(Cause::Volume, message, hint), Patience::Volume);
    };
    (
        Verdict::new(Cause::ContainerConfig, message, hint),
        Patience::Preparation,
    )
}

#[cfg(test)]
mod tests {
    use podbay_protocol::{Blame, Retry};

    use super::*;

    fn event(reason: &str, message: &str) -> Event {
        Event {
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            ..Event::default()
        }
    }

    #[test]
    fn what_a_volume_names_and_is_not_there_is_the_configurations_fault() {
        for (words, setting) in [
            (
                "MountVolume.SetUp failed for volume \"v\" : configmap \"x\" not found",
                "ca_bundle_config_map",
            ),
            (
                "MountVolume.SetUp failed for volume \"v\" : secret \"x\" not found",
                "pod_template",
            ),
            (
                "MountVolume.SetUp failed for volume \"v\" : references non-existent config key: k",
                "lacks a key",
            ),
        ] {
            let (verdict, patience) = diagnose(&[event("FailedMount", words)]).unwrap();
            assert_eq!(verdict.cause, Cause::ContainerConfig);
            assert_eq!(
                (verdict.blame, verdict.retry),
                (Blame::Configuration, Retry::Never)
            );
            assert!(verdict.hint.to_string().contains(setting), "{}", verdict.hint);
            assert_eq!(patience, Patience::Preparation);
        }
        let other = event("FailedMount", "MountVolume.SetUp failed: rpc error");
        let (verdict, patience) = diagnose(&[other]).unwrap();
        assert_eq!((verdict.cause, patience), (Cause::Volume, Patience::Volume));
    }

    #[test]
    fn what_was_mended_is_no_trouble() {
        let failed = event("FailedMount", "configmap \"x\" not found");
        assert_eq!(diagnose(&[failed, event("Pulling", "Pulling image \"x\"")]), None);
        assert_eq!(diagnose(&[]), None);
    }
}
