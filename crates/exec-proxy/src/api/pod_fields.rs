//! What of a start says how the pod is made: user and groups, pull policy, runtime class. Held against the policy of the
//! service, which may not let a client have all of it: a pure function.

use std::collections::BTreeMap;

use podbay_config::{Config, PullPolicy, ServeConfig};
use podbay_manifests::SessionRequest;

use super::error::Refusal;

/// Largest user or group id that Kubernetes takes (`IsValidUserID`: 0 to 2³¹ − 1).
pub(super) const MOST_ID: u64 = i32::MAX as u64;

/// What a client asks of the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodFields {
    pub(crate) run_as_user: Option<u64>,
    pub(crate) run_as_group: Option<u64>,
    pub(crate) fs_group: Option<u64>,
    pub(crate) pull_policy: Option<PullPolicy>,
    pub(crate) runtime_class: Option<String>,
}

/// What the service makes of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct PodPolicy {
    /// Whether the cluster chooses user and groups: clients name them whether or not the cluster lets them, so theirs are
    /// passed over.
    ids_from_cluster: bool,
    /// Whether the configuration says how images are pulled, for all sessions: a client could else have a node's image
    /// without the registry's leave.
    has_pull_policy: bool,
    /// What the runtime class of this name is mapped to; nothing for one that is passed over.
    runtime_classes: BTreeMap<String, String>,
}

impl PodPolicy {
    /// That of the settings.
    pub(crate) fn of(config: &Config, serve: &ServeConfig) -> Self {
        Self {
            ids_from_cluster: config.kubernetes.uid_from_cluster,
            has_pull_policy: config.kubernetes.pull_policy.is_some(),
            runtime_classes: serve.runtime_classes.clone(),
        }
    }

    /// The runtime class that a session gets whose client asks for this one; none for that of the configuration.
    fn runtime_class(&self, asked: &str) -> Result<Option<String>, Refusal> {
        match self.runtime_classes.get(asked) {
            Some(class) if class.is_empty() => {
                tracing::info!(
                    asked,
                    "the runtime class is passed over, as serve.runtime_classes says"
                );
                Ok(None)
            }
            Some(class) => Ok(Some(class.clone())),
            None => Err(Refusal::invalid(format!(
                "runtime_class {asked:?} is none that this service gives: {}; the setting serve.runtime_classes says which there are",
                self.known()
            ))),
        }
    }

    fn known(&self) -> String {
        if self.runtime_classes.is_empty() {
            return "there is none".to_owned();
        }
        let known: Vec<String> = self
            .runtime_classes
            .keys()
            .map(|name| format!("{name:?}"))
            .collect();
        format!("it knows {}", known.join(", "))
    }
}

impl PodFields {
    /// Puts what the policy lets through into a request.
    pub(crate) fn put(self, request: &mut SessionRequest, policy: &PodPolicy) -> Result<(), Refusal> {
        if let Some(asked) = self.runtime_class.as_deref() {
            request.runtime_class = policy.runtime_class(asked)?;
        }
        request.pull_policy = self.pull_policy.filter(|_| !policy.has_pull_policy);
        if policy.ids_from_cluster {
            return Ok(());
        }
        request.fs_group = self.fs_group;
        let group = self.run_as_group.or(self.run_as_user);
        request.user = self.run_as_user.map(|user| match (user, group) {
            (0, None | Some(0)) => "root".to_owned(),
            (user, Some(group)) => format!("{user}:{group}"),
            (user, None) => user.to_string(),
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(fields: PodFields, policy: &PodPolicy) -> SessionRequest {
        let mut request = SessionRequest::default();
        fields.put(&mut request, policy).unwrap();
        request
    }

    fn full() -> PodFields {
        PodFields {
            run_as_user: Some(10_001),
            run_as_group: Some(5),
            fs_group: Some(6),
            pull_policy: Some(PullPolicy::Always),
            runtime_class: Some("sysbox-runc".to_owned()),
        }
    }

    fn policy(change: impl FnOnce(&mut Config, &mut ServeConfig)) -> PodPolicy {
        let (mut config, mut serve) = (Config::default(), ServeConfig::default());
        change(&mut config, &mut serve);
        PodPolicy::of(&config, &serve)
    }

    #[test]
    fn what_is_asked_is_had_and_the_sdk_s_default_class_passed_over() {
        let request = put(full(), &policy(|_, _| {}));
        assert_eq!(request.user.as_deref(), Some("10001:5"));
        assert_eq!(
            (request.fs_group, request.pull_policy, request.runtime_class),
            (Some(6), Some(PullPolicy::Always), None)
        );
    }

    #[test]
    fn what_the_service_decides_no_client_does() {
        let request = put(
            full(),
            &policy(|config, _| config.kubernetes.uid_from_cluster = true),
        );
        assert_eq!((request.user, request.fs_group), (None, None));
        let request = put(
            full(),
            &policy(|config, _| config.kubernetes.pull_policy = Some(PullPolicy::IfNotPresent)),
        );
        assert_eq!(request.pull_policy, None);
    }

    #[test]
    fn a_runtime_class_is_mapped_passed_over_or_refused() {
        let policy = policy(|_, serve| {
            serve.runtime_classes = [("sysbox-runc", "kata"), ("gvisor", "gvisor"), ("runc", "")]
                .map(|(asked, class)| (asked.to_owned(), class.to_owned()))
                .into();
        });
        for (asked, class) in [
            ("sysbox-runc", Some("kata")),
            ("gvisor", Some("gvisor")),
            ("runc", None),
        ] {
            let fields = PodFields {
                runtime_class: Some(asked.to_owned()),
                ..PodFields::default()
            };
            assert_eq!(put(fields, &policy).runtime_class.as_deref(), class, "{asked}");
        }
        let fields = PodFields {
            runtime_class: Some("Gvisor".to_owned()),
            ..PodFields::default()
        };
        let refusal = fields.put(&mut SessionRequest::default(), &policy).unwrap_err();
        assert_eq!(refusal.status, 422);
        assert!(
            refusal.detail.contains("serve.runtime_classes") && refusal.detail.contains("\"sysbox-runc\""),
            "{refusal:?}"
        );
    }
}
