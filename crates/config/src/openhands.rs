//! What OpenHands' own configuration file may hold beside the settings we share, so that a user's whole file loads.

/// Sections of OpenHands that are none of ours; they are passed over in silence. From `load_from_toml` of its
/// `core/config/utils.py`; `[core]` is read for our top-level settings.
pub(crate) const SECTIONS: [&str; 9] = [
    "core",
    "llm",
    "agent",
    "security",
    "mcp",
    "condenser",
    "model_routing",
    "extended",
    "cli",
];

/// Keys of `[sandbox]` that OpenHands' `SandboxConfig` has. One that is also a setting here is that setting.
pub(crate) const SANDBOX_KEYS: [&str; 34] = [
    "remote_runtime_api_url",
    "local_runtime_url",
    "keep_runtime_alive",
    "pause_closed_runtimes",
    "rm_all_containers",
    "api_key",
    "base_container_image",
    "runtime_container_image",
    "user_id",
    "timeout",
    "remote_runtime_init_timeout",
    "remote_runtime_api_timeout",
    "remote_runtime_enable_retries",
    "remote_runtime_class",
    "remote_runtime_resource_factor",
    "enable_auto_lint",
    "use_host_network",
    "additional_networks",
    "runtime_binding_address",
    "runtime_extra_build_args",
    "initialize_plugins",
    "force_rebuild_runtime",
    "runtime_extra_deps",
    "runtime_startup_env_vars",
    "browsergym_eval_env",
    "platform",
    "close_delay",
    "enable_gpu",
    "docker_runtime_kwargs",
    "selected_repo",
    "trusted_dirs",
    "vscode_port",
    "volumes",
    "cuda_visible_devices",
];
