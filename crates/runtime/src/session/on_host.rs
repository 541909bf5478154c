//! What sessions on this machine can't have, and what becomes of settings that ask for it.

use podbay_config::{AgentDelivery, Config, NetworkMode, Origin, Place, Section, settings};
use podbay_manifests::{Launch, SessionRequest};

use crate::error::Error;

/// Settings of `[sandbox]` that describe a pod, and nothing of the processes in it.
const OF_PODS: [&str; 12] = [
    "sandbox.base_container_image",
    "sandbox.runtime_container_image",
    "sandbox.remote_runtime_resource_factor",
    "sandbox.remote_runtime_class",
    "sandbox.user_id",
    "sandbox.use_host_network",
    "sandbox.initialize_plugins",
    "sandbox.vscode_port",
    "sandbox.platform",
    "sandbox.enable_gpu",
    "sandbox.cuda_visible_devices",
    "sandbox.volumes",
];

/// A setting whose effect a command relies on for its safety or its data.
struct Relied {
    key: &'static str,
    what: &'static str,
    place: Place,
}

/// Refuses what was asked of a session by flags and calls, and by variables, which are as much meant for this run. What
/// stands in a file is for other days too, and is told by [`unheeded_on_this_machine`].
pub(super) fn refuse(request: &SessionRequest, config: &Config) -> Result<(), Error> {
    let asked = [
        ("an image", request.image.is_some()),
        ("a user", request.user.is_some()),
        ("a group of volumes", request.fs_group.is_some()),
        ("a pull policy", request.pull_policy.is_some()),
        ("a runtime class", request.runtime_class.is_some()),
        ("a profile", request.profile.is_some()),
        ("a limit of CPU", request.cpu.is_some()),
        ("a limit of memory", request.memory.is_some()),
        ("a persistent workspace", request.persistent == Some(true)),
        (
            "a server's image",
            request.server.is_some() && !matches!(request.launch, Some(Launch::Server(_))),
        ),
        ("a port", !request.ports.is_empty()),
        ("VS Code", request.vscode),
        ("a network policy", request.network.is_some()),
        ("a kind of workload", request.workload.is_some()),
        ("a GPU", request.gpus.is_some()),
        ("a resource factor", request.resource_factor.is_some()),
    ];
    let reason = "the local backend runs this machine's own programs as you; a cluster does it";
    if let Some((what, _)) = asked.into_iter().find(|(_, asked)| *asked) {
        return Err(Error::Unsupported {
            what,
            why: reason.to_owned(),
        });
    }
    match relied_on(config, our_user())
        .into_iter()
        .find(|relied| !is_of_file(relied))
    {
        Some(Relied { key, what, place }) => Err(Error::Unsupported {
            what,
            why: format!("{key} asks for it ({place}), and {reason}"),
        }),
        None => Ok(()),
    }
}

/// Settings of the file that sessions on this machine go without although a command may rely on them, each with its
/// place: `kubernetes.network (FILE:2:11)`. For a warning.
pub fn unheeded_on_this_machine(config: &Config) -> Vec<String> {
    relied_on(config, our_user())
        .into_iter()
        .filter(is_of_file)
        .map(|Relied { key, place, .. }| format!("{key} ({place})"))
        .collect()
}

/// The configuration without what describes pods, so that nothing of it is asked for.
pub(super) fn without_pods(config: &Config) -> Config {
    let mut config = config.clone();
    let of_pods = settings()
        .iter()
        .filter(|setting| setting.section == Section::Kubernetes || OF_PODS.contains(&setting.key.as_str()));
    for setting in of_pods {
        config.reset(&setting.key);
    }
    config.agent.delivery = AgentDelivery::None;
    // No policy is written here.
    config.kubernetes.network = NetworkMode::Open;
    config
}

fn relied_on(config: &Config, our_user: u32) -> Vec<Relied> {
    let kubernetes = &config.kubernetes;
    // The user that we are is what all processes here have.
    let is_other_user = |id: Option<u64>| id.is_some_and(|id| id != u64::from(our_user));
    [
        (
            "kubernetes.network",
            "a network policy",
            kubernetes.network != NetworkMode::Open,
        ),
        ("kubernetes.profile", "a profile", kubernetes.profile.is_some()),
        (
            "kubernetes.run_as_user",
            "a user",
            is_other_user(kubernetes.run_as_user),
        ),
        ("sandbox.user_id", "a user", is_other_user(config.sandbox.user_id)),
        ("sandbox.volumes", "a volume", config.sandbox.volumes.is_some()),
        ("kubernetes.volumes", "a volume", !kubernetes.volumes.is_empty()),
        (
            "kubernetes.workspace_host_path",
            "a volume",
            kubernetes.workspace_host_path.is_some(),
        ),
        (
            "kubernetes.pvc_existing_claim",
            "a volume",
            kubernetes.pvc_existing_claim.is_some(),
        ),
    ]
    .into_iter()
    .filter(|(key, _, asked)| *asked && config.origin(key) != Origin::Default)
    .map(|(key, what, _)| Relied {
        key,
        what,
        place: config.place(key),
    })
    .collect()
}

fn is_of_file(relied: &Relied) -> bool {
    matches!(relied.place.origin, Origin::File { .. })
}

fn our_user() -> u32 {
    rustix::process::getuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(variable: &'static str, value: &'static str) -> Config {
        Config::loader()
            .search(false)
            .environment([(variable, value)])
            .load()
            .unwrap()
    }

    #[test]
    fn what_a_variable_asks_for_and_this_machine_has_not_is_refused() {
        for (variable, value, what) in [
            ("KUBERNETES_NETWORK", "none", "a network policy"),
            ("OH_K8S_NETWORK", "default", "a network policy"),
            ("KUBERNETES_PROFILE", "restricted", "a profile"),
            ("SANDBOX_VOLUMES", "/a:/workspace:rw", "a volume"),
            ("SANDBOX_USER_ID", "4294", "a user"),
            ("KUBERNETES_PVC_EXISTING_CLAIM", "data", "a volume"),
        ] {
            let said = refuse(&SessionRequest::default(), &load(variable, value)).unwrap_err();
            let text = said.to_string();
            assert!(
                text.starts_with(&format!("{what} is not supported here: "))
                    && text.contains(&format!("environment variable {variable}")),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_so_anyway_is_not_refused() {
        for (variable, value) in [
            ("KUBERNETES_NETWORK", "open"),
            ("KUBERNETES_RESOURCE_MEMORY_LIMIT", "512Mi"),
            ("SANDBOX_ENV_FOO", "bar"),
        ] {
            assert!(
                refuse(&SessionRequest::default(), &load(variable, value)).is_ok(),
                "{variable}"
            );
        }
        let config = load("SANDBOX_USER_ID", "1000");
        assert!(relied_on(&config, 1000).is_empty());
        assert_eq!(relied_on(&config, 0).len(), 1);
    }

    #[test]
    fn what_stands_in_a_file_is_told_and_left_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "[kubernetes]\nnetwork = 'none'\npvc_storage_size = '2Gi'\n[sandbox]\nvolumes = '/a:/b'\nuser_id = 4294\n";
        std::fs::write(file.path(), text).unwrap();
        let none: [(&str, &str); 0] = [];
        let config = Config::loader()
            .file(file.path())
            .environment(none)
            .load()
            .unwrap();
        assert!(refuse(&SessionRequest::default(), &config).is_ok());
        let path = file.path().display();
        assert_eq!(
            unheeded_on_this_machine(&config),
            [
                format!("kubernetes.network ({path}:2:11)"),
                format!("sandbox.user_id ({path}:6:11)"),
                format!("sandbox.volumes ({path}:5:11)"),
            ]
        );
        let plain = without_pods(&config);
        assert_eq!(plain.sandbox.volumes, None);
        assert_eq!(plain.origin("kubernetes.pvc_storage_size"), Origin::Default);
    }
}
