//! `[sandbox]`: what runs in the pod.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::api_object::ApiObject;
use crate::declaration::settings;
use crate::kubernetes_rule::{OPTIONAL_ID, OPTIONAL_PORT, PLATFORM, RESOURCE_FACTOR, RUNTIME_CLASS};
use crate::rule::{ENVIRONMENT_VARIABLES, OPTIONAL_SECONDS, OPTIONAL_TEXT, SWITCH, TEXT, anything};
use crate::setting::Section;
use crate::vocabulary::RemoteRuntimeClass;

settings! {
    /// `[sandbox]`: what runs in the pod. The names are those of OpenHands' `SandboxConfig`, and so are the defaults
    /// where the documentation does not say otherwise.
    pub struct SandboxConfig in Section::Sandbox;

    /// Image of a session that names none, when `runtime_container_image` is not set either.
    base_container_image: String = "nikolaik/python-nodejs:python3.12-nodejs22".to_owned(), TEXT;

    /// Image of a session that names none; it goes before `base_container_image`.
    runtime_container_image: Option<String> = None, OPTIONAL_TEXT;

    /// Environment variables of the sandbox. The values are secrets: they reach the pod by a Secret and are
    /// never shown. A variable sets them all together, as a JSON object or, as OpenHands has it, a Python dict:
    /// `{"NAME": "value"}` or `{'NAME': 'value'}`. A variable `SANDBOX_ENV_NAME` sets `NAME` alone, over all of these, as
    /// in OpenHands.
    runtime_startup_env_vars: BTreeMap<String, SecretString> = BTreeMap::new(), ENVIRONMENT_VARIABLES;

    /// What every resource request and limit is multiplied by.
    remote_runtime_resource_factor: u32 = 1, RESOURCE_FACTOR;

    /// How long a session may take to become ready, where `podbay.start_timeout_seconds` is not set. OpenHands'
    /// default of 180 seconds is not taken.
    remote_runtime_init_timeout: Option<u64> = None, OPTIONAL_SECONDS;

    /// How long a request to the API server may take, where `podbay.request_timeout_seconds` is not set. OpenHands'
    /// default of 180 seconds is not taken.
    remote_runtime_api_timeout: Option<u64> = None, OPTIONAL_SECONDS;

    /// Whether a start that failed may be tried anew, as `kubernetes.start_retries` has it.
    remote_runtime_enable_retries: bool = true, SWITCH;

    /// Runtime class by OpenHands' word for it, where `kubernetes.runtime_class` is not set: `sysbox` is the class
    /// `sysbox-runc`, `gvisor` the class `gvisor`.
    remote_runtime_class: Option<RemoteRuntimeClass> = None, RUNTIME_CLASS;

    /// Keep a session's objects, as `kubernetes.cleanup_policy = "always_keep"` does, where that is not set.
    keep_runtime_alive: bool = false, SWITCH;

    /// User id of the sandbox's processes, where `kubernetes.run_as_user` is not set. OpenHands takes that of its own
    /// process instead of having a default.
    user_id: Option<u64> = None, OPTIONAL_ID;

    /// How long a command may run when it states no time-out of its own. OpenHands' default of 120 seconds is not
    /// taken: without a value there is no such limit.
    timeout: Option<u64> = None, OPTIONAL_SECONDS;

    /// Run pods in the network of their node, as `kubernetes.host_network` does.
    use_host_network: bool = false, SWITCH;

    /// Whether an OpenHands server in the sandbox starts its plugins (Jupyter, VS Code).
    initialize_plugins: bool = true, SWITCH;

    /// BrowserGym environment that an OpenHands server in the sandbox starts, for evaluations.
    browsergym_eval_env: Option<String> = None, OPTIONAL_TEXT;

    /// Port that VS Code listens on in the sandbox; 8081 when it is not set.
    vscode_port: Option<u16> = None, OPTIONAL_PORT;

    /// Operating system and architecture that a node must have to take a pod: `linux/amd64`. Other words for an
    /// architecture are read as the nodes' own: `x86_64` as `amd64`, `aarch64` as `arm64`.
    platform: Option<String> = None, PLATFORM;

    /// Give the sandbox GPUs: one, or as many as `cuda_visible_devices` lists.
    enable_gpu: bool = false, SWITCH;

    /// Comma separated list of GPUs. The devices are chosen by the cluster, so only their number matters.
    cuda_visible_devices: Option<String> = None, OPTIONAL_TEXT;

    /// Volumes of the sandbox: a comma separated list of `SOURCE:PATH` or `SOURCE:PATH:MODE`, where the mode is `rw`
    /// or `ro`. An absolute source is a directory of the node, any other the name of an existing claim.
    volumes: Option<String> = None, OPTIONAL_TEXT;

    ignored {
        /// Address of OpenHands' remote runtime service.
        remote_runtime_api_url: String = "http://localhost:8000".to_owned(), anything("text"),
            "Podbay talks to the cluster itself";

        /// Address of a runtime on the same machine.
        local_runtime_url: String = "http://localhost".to_owned(), anything("text"),
            "Podbay reaches pods through the cluster";

        /// Key for OpenHands' remote runtime service.
        api_key: Option<SecretString> = None, anything("text"),
            "the cluster's credentials are those of the kubeconfig, and each session makes a key of its own";

        /// Pause the runtimes of closed conversations.
        pause_closed_runtimes: bool = true, anything("true or false"),
            "what is closed is cleaned up as kubernetes.cleanup_policy says; pause a session by its own command";

        /// Remove all containers when OpenHands ends.
        rm_all_containers: bool = false, anything("true or false"),
            "sessions of others in the namespace are not Podbay's to remove; see kubernetes.cleanup_policy";

        /// Lint files after each edit.
        enable_auto_lint: bool = false, anything("true or false"),
            "it is a matter of OpenHands' agent, not of the sandbox";

        /// Docker networks to connect the container to.
        additional_networks: Vec<String> = Vec::new(), anything("a list of texts"),
            "pods have no Docker networks; see kubernetes.network_allow";

        /// Address of the host that Docker publishes ports at.
        runtime_binding_address: String = "0.0.0.0".to_owned(), anything("text"),
            "pods publish no ports on a host; Services and Ingresses lead to them";

        /// Arguments of the image build.
        runtime_extra_build_args: Vec<String> = Vec::new(), anything("a list of texts"),
            "Podbay builds no images; name one that is built";

        /// Build the image anew.
        force_rebuild_runtime: bool = false, anything("true or false"),
            "Podbay builds no images; name one that is built";

        /// Commands added to the image build.
        runtime_extra_deps: Option<String> = None, anything("text"),
            "Podbay builds no images; name one that has what is needed";

        /// How long OpenHands waits before it closes a conversation that nobody uses, in seconds.
        close_delay: u64 = 3600, anything("a whole number"),
            "sessions end when they are closed; see kubernetes.active_deadline_seconds";

        /// Arguments of Docker's run call.
        docker_runtime_kwargs: Option<ApiObject> = None, anything("a table"),
            "there is no Docker; see kubernetes.pod_template";

        /// Repository that OpenHands clones into the workspace.
        selected_repo: Option<String> = None, anything("text"),
            "it is a matter of OpenHands' conversations, not of the sandbox";

        /// Directories whose content OpenHands trusts.
        trusted_dirs: Vec<String> = Vec::new(), anything("a list of texts"),
            "it is a matter of OpenHands' command line, not of the sandbox";
    }
}
