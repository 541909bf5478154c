//! `[sandbox]`: what runs in the pod.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::declaration::settings;
use crate::rule::{ENVIRONMENT_VARIABLES, OPTIONAL_TEXT, TEXT};
use crate::setting::Section;

settings! {
    /// `[sandbox]`: what runs in the pod. Names and defaults are those of OpenHands' `SandboxConfig`.
    pub struct SandboxConfig in Section::Sandbox;

    /// Image of a session that names none, when `runtime_container_image` is not set either.
    base_container_image: String = "nikolaik/python-nodejs:python3.12-nodejs22".to_owned(), TEXT;

    /// Image of a session that names none; it goes before `base_container_image`.
    runtime_container_image: Option<String> = None, OPTIONAL_TEXT;

    /// Environment variables of the sandbox. The values are secrets: they reach the pod by a Secret and are
    /// never shown. A variable sets them all together, as a JSON object or, as OpenHands has it, a Python dict:
    /// `{"NAME": "value"}` or `{'NAME': 'value'}`.
    runtime_startup_env_vars: BTreeMap<String, SecretString> = BTreeMap::new(), ENVIRONMENT_VARIABLES;
}
