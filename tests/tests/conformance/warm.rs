//! What the service offers OpenHands' app as sandboxes to choose from.

use std::path::{Path, PathBuf};

use serde_json::json;

/// An image that can't be had, which the programs know by this name, too.
const BAD_IMAGE: &str = "registry.invalid/no-such-image:1";

/// Writes the file for `serve.warm_runtimes_file`: an agent-server of an image, as the chart has it, and one that can't be had.
/// What the server stores lies in this directory of the sandbox.
pub(crate) fn configs(directory: &Path, image: &str) -> PathBuf {
    let config = |name: &str, image: &str, work: &Path| {
        json!({
            "name": name,
            "image": image,
            "working_dir": work.join("project"),
            "command": ["/usr/local/bin/openhands-agent-server", "--port", "60000"],
            "environment": {
                // The server asks the internet for nothing, and starts sooner.
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "OH_PRELOAD_TOOLS": "false",
                "OH_ENABLE_VSCODE": "false",
                "OH_CONVERSATIONS_PATH": work.join("conversations"),
                "OH_BASH_EVENTS_DIR": work.join("bash_events"),
            },
        })
    };
    let work = if image == "host" {
        directory
    } else {
        Path::new("/workspace")
    };
    let file = directory.join("warm-runtimes.json");
    let configs = [config("v1_current", image, work), config("bad", BAD_IMAGE, work)];
    let content = json!({ "count": 0, "configs": configs });
    std::fs::write(&file, content.to_string()).unwrap();
    file
}
