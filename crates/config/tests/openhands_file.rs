//! A user's whole OpenHands `config.toml` loads.

mod support;

use podbay_config::Warning;
use support::load;

const WHOLE_FILE: &str = r#"
#:schema none
[core]
workspace_base = "./workspace"
workspace_mount_path_in_sandbox = "/project"
runtime = "kubernetes"
max_iterations = 500
file_uploads_allowed_extensions = [".*"]
jwt_secret = ""

[llm]
api_key = "llm-secret"
model = "gpt-4o"

[llm.gpt3]
model = "gpt-3.5"

[agent]
enable_browsing = true
[agent.RepoExplorerAgent]
llm_config = 'gpt3'

[security]
confirmation_mode = false
[condenser]
type = "noop"
[mcp]
sse_servers = [ "http://localhost:8080/mcp/sse" ]
[model_routing]
router_name = "noop_router"
[extended]
anything = 1
[cli]
vi_mode = true

[sandbox]
timeout = 120
user_id = 1000
base_container_image = "debian:12"
use_host_network = false
runtime_extra_build_args = ["--network=host"]
docker_runtime_kwargs = { dns = ["8.8.8.8"] }
runtime_startup_env_vars = { TOKEN = "startup-secret" }
api_key = "sandbox-secret"

[kubernetes]
namespace = "agents"
ingress_domain = "agents.example.com"
pvc_storage_size = "5Gi"
pvc_storage_class = "fast"
resource_cpu_request = "2"
resource_memory_request = "2Gi"
resource_memory_limit = "4Gi"
image_pull_secret = ""
ingress_tls_secret = "tls"
node_selector_key = "pool"
node_selector_val = "agents"
tolerations_yaml = '''
- key: "pool"
  operator: "Equal"
  value: "agents"
  effect: "NoExecute"
  tolerationSeconds: 60
'''
privileged = "true"
"#;

#[test]
fn it_loads_with_a_warning_for_each_sandbox_key_without_effect() {
    let config = load(WHOLE_FILE, &[]).unwrap();
    assert_eq!(config.workspace_mount_path_in_sandbox, "/project");
    assert_eq!(config.sandbox.base_container_image, "debian:12");
    assert_eq!(
        config.sandbox.runtime_startup_env_vars.keys().collect::<Vec<_>>(),
        ["TOKEN"]
    );
    assert_eq!(config.kubernetes.namespace, "agents");
    assert_eq!(config.kubernetes.image_pull_secret, None);
    assert_eq!(config.kubernetes.node_selector_key.as_deref(), Some("pool"));
    assert_eq!(config.kubernetes.tolerations_yaml[0].toleration_seconds, Some(60));
    assert!(config.kubernetes.privileged, "text is read as OpenHands reads it");

    let mut ignored: Vec<_> = config
        .warnings()
        .iter()
        .map(|warning| match warning {
            Warning::NoEffect { key, place } => {
                assert!(place.line.is_some());
                key.as_str()
            }
            other => panic!("{other}"),
        })
        .collect();
    ignored.sort_unstable();
    assert_eq!(
        ignored,
        [
            "sandbox.api_key",
            "sandbox.docker_runtime_kwargs",
            "sandbox.runtime_extra_build_args",
            "sandbox.timeout",
            "sandbox.use_host_network",
            "sandbox.user_id",
        ]
    );
}

#[test]
fn sections_nobody_knows_are_told() {
    let config = load(
        "debug = true\n[kubernets]\nnamespace = 'a'\n[core]\nnope = 1",
        &[],
    )
    .unwrap();
    let texts: Vec<_> = config.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(
        texts
            .iter()
            .any(|text| text.ends_with("config.toml:1: debug is not known and ignored")),
        "{texts:?}"
    );
    assert!(
        texts.iter().any(|text| text
            .ends_with("config.toml:2: kubernets is not known and ignored; did you mean kubernetes?")),
        "{texts:?}"
    );
}

#[test]
fn the_top_level_goes_before_core() {
    let file = |core: &str| {
        format!("workspace_mount_path_in_sandbox = '/a'\n[core]\nworkspace_mount_path_in_sandbox = '{core}'")
    };
    assert_eq!(load(&file("/a"), &[]).unwrap().warnings(), []);
    let config = load(&file("/b"), &[]).unwrap();
    assert_eq!(config.workspace_mount_path_in_sandbox, "/a");
    let [Warning::Conflict { used, ignored, .. }] = config.warnings() else {
        panic!("{:?}", config.warnings())
    };
    assert_eq!((used.line, ignored.line), (Some(1), Some(3)));
}
