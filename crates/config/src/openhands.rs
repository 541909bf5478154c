//! What OpenHands' own configuration file may hold beside the settings we share, so that a user's whole file loads.

/// Sections of OpenHands that are none of ours; they are passed over in silence. From `load_from_toml` of its
/// `core/config/utils.py`.
pub(crate) const SECTIONS: [&str; 8] = [
    "llm",
    "agent",
    "security",
    "mcp",
    "condenser",
    "model_routing",
    "extended",
    "cli",
];

/// The section in which OpenHands has what is at the top level here.
pub(crate) const CORE: &str = "core";
