//! Variables that OpenHands' official chart sets for its own runtime API, read by `podbay serve`: those with an effect here stand for
//! settings that nothing else says, and the others are named once.

use podbay_config::{Config, Loader, Origin};

/// A variable of the chart and the setting that it stands for.
struct Alias {
    variable: &'static str,
    setting: &'static str,
    /// The setting's value, made of the variable's.
    value: fn(&str) -> String,
}

fn as_it_is(value: &str) -> String {
    value.to_owned()
}

/// `https://runtime.example.com/` or `runtime.example.com`.
fn domain(value: &str) -> String {
    let host = value.split_once("://").map_or(value, |(_, host)| host);
    host.trim_end_matches('/').to_owned()
}

fn routing_mode(value: &str) -> String {
    if value == "subdomain" { "host" } else { value }.to_owned()
}

fn scheme(value: &str) -> String {
    let is_disabled = ["true", "1", "yes"].contains(&value.to_ascii_lowercase().as_str());
    if is_disabled { "http" } else { "https" }.to_owned()
}

const ALIASES: [Alias; 14] = [
    alias("K8S_NAMESPACE", "kubernetes.namespace", as_it_is),
    alias("RUNTIME_BASE_URL", "serve.domain", domain),
    alias("RUNTIME_URL_SEPARATOR", "serve.url_separator", as_it_is),
    alias("RUNTIME_ROUTING_MODE", "serve.url_style", routing_mode),
    alias("RUNTIME_DISABLE_SSL", "serve.url_scheme", scheme),
    alias("RUNTIME_CLASS", "kubernetes.runtime_class", as_it_is),
    alias("MEMORY_REQUEST", "kubernetes.resource_memory_request", as_it_is),
    alias("MEMORY_LIMIT", "kubernetes.resource_memory_limit", as_it_is),
    alias("CPU_REQUEST", "kubernetes.resource_cpu_request", as_it_is),
    alias(
        "EPHEMERAL_STORAGE_SIZE",
        "kubernetes.resource_ephemeral_storage_request",
        as_it_is,
    ),
    alias("STORAGE_CLASS", "kubernetes.pvc_storage_class", as_it_is),
    alias("RUNTIME_NODE_SELECTOR", "kubernetes.node_selector", as_it_is),
    alias(
        "RUNTIME_IMAGE_PULL_SECRETS",
        "kubernetes.image_pull_secrets",
        as_it_is,
    ),
    alias("DEFAULT_API_KEY", "serve.api_key", as_it_is),
];

const fn alias(variable: &'static str, setting: &'static str, value: fn(&str) -> String) -> Alias {
    Alias {
        variable,
        setting,
        value,
    }
}

/// Variables of the chart without an effect here: its database, its clean-up and its ingress are none of ours.
const WITHOUT_EFFECT: [&str; 17] = [
    "ADMIN_PASSWORD",
    "DB_HOST",
    "DB_NAME",
    "DB_PASS",
    "DB_PORT",
    "DB_USER",
    "GATEWAY_NAME",
    "INGRESS_BASE",
    "INGRESS_CLASS",
    "RUNTIME_CERT_SECRET",
    "RUNTIME_DEAD_SECONDS",
    "RUNTIME_FILE_ARCHIVE_ENABLED",
    "RUNTIME_IDLE_SECONDS",
    "RUNTIME_IN_SAME_CLUSTER",
    "RUNTIME_PENDING_REAP_ENABLED",
    "RUNTIME_TOLERATIONS",
    "USE_GATEWAY_API",
];
/// The chart's own variables: where none of these is set, the others are somebody else's, and nothing is said or read.
const OF_THE_CHART: [&str; 3] = [
    "RUNTIME_BASE_URL",
    "RUNTIME_ROUTING_MODE",
    "RUNTIME_IN_SAME_CLUSTER",
];

/// What the chart's variables came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct OfChart {
    /// Settings that are taken from them: key, variable, value.
    settings: Vec<(&'static str, &'static str, String)>,
    /// Variables that are set and have no effect.
    without_effect: Vec<&'static str>,
}

impl OfChart {
    /// Reads them, of a configuration that was loaded without them: what that says holds.
    pub(crate) fn read(config: &Config, variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        if OF_THE_CHART.iter().all(|name| variable(name).is_none()) {
            return Self::default();
        }
        let unsaid = ALIASES
            .iter()
            .filter(|alias| config.origin(alias.setting) == Origin::Default);
        let settings = unsaid.filter_map(|alias| {
            let value = (alias.value)(variable(alias.variable)?.trim());
            Some((alias.setting, alias.variable, value))
        });
        let without_effect = WITHOUT_EFFECT.into_iter().filter(|name| variable(name).is_some());
        Self {
            settings: settings.collect(),
            without_effect: without_effect.collect(),
        }
    }

    /// Whether nothing of it is a setting.
    pub(crate) fn is_empty(&self) -> bool {
        self.settings.is_empty()
    }

    /// The loader with them.
    pub(crate) fn put(&self, mut loader: Loader) -> Loader {
        for (key, variable, value) in &self.settings {
            loader = loader.flag(*key, *variable, value.as_str());
        }
        loader
    }

    /// The warning that names what has no effect.
    pub(crate) fn warning(&self) -> Option<String> {
        (!self.without_effect.is_empty()).then(|| {
            format!(
                "variables of OpenHands' chart without an effect here: {}",
                self.without_effect.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &Config, variables: &[(&str, &str)]) -> OfChart {
        OfChart::read(config, |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_chart_s_variables_are_settings_that_nothing_else_says() {
        let default = Config::loader().search(false).load().unwrap();
        let read = read(
            &default,
            &[
                ("K8S_NAMESPACE", "runtimes"),
                ("RUNTIME_BASE_URL", "https://runtime.example.com/"),
                ("RUNTIME_URL_SEPARATOR", "-"),
                ("RUNTIME_ROUTING_MODE", "subdomain"),
                ("RUNTIME_DISABLE_SSL", "false"),
                ("RUNTIME_CLASS", "gvisor"),
                ("MEMORY_REQUEST", "3072Mi"),
                ("MEMORY_LIMIT", "3072Mi"),
                ("CPU_REQUEST", "500m"),
                ("EPHEMERAL_STORAGE_SIZE", "10Gi"),
                ("STORAGE_CLASS", "fast"),
                ("RUNTIME_NODE_SELECTOR", "{\"pool\": \"sandboxes\"}"),
                ("RUNTIME_IMAGE_PULL_SECRETS", "a,b"),
                ("DEFAULT_API_KEY", "secret"),
                ("DB_HOST", "db"),
                ("RUNTIME_IDLE_SECONDS", "1200"),
                ("INGRESS_CLASS", ""),
            ],
        );
        let config = read.put(Config::loader().search(false)).load().unwrap();
        for (key, _, _) in &read.settings {
            assert_ne!(config.origin(key), Origin::Default, "{key}");
        }
        assert_eq!(read.settings.len(), ALIASES.len());
        assert_eq!(config.serve.domain.as_deref(), Some("runtime.example.com"));
        assert_eq!(config.serve.url_style.as_str(), "host");
        assert_eq!(config.serve.url_scheme.as_str(), "https");
        assert_eq!(config.kubernetes.node_selector["pool"], "sandboxes");
        assert_eq!(config.kubernetes.image_pull_secrets, ["a", "b"]);
        let warning = read.warning().unwrap();
        assert!(warning.ends_with(": DB_HOST, RUNTIME_IDLE_SECONDS"), "{warning}");
    }

    #[test]
    fn what_is_configured_holds() {
        let loader = || {
            Config::loader()
                .search(false)
                .flag("serve.domain", "--domain", "d.example")
        };
        let config = loader().load().unwrap();
        let read = read(&config, &[("RUNTIME_BASE_URL", "runtime.example.com")]);
        assert!(read.is_empty() && read.warning().is_none());
        assert_eq!(
            read.put(loader()).load().unwrap().serve.domain.as_deref(),
            Some("d.example")
        );
    }

    #[test]
    fn without_the_chart_others_variables_are_nobody_s() {
        let config = Config::loader().search(false).load().unwrap();
        let read = read(
            &config,
            &[("CPU_REQUEST", "9"), ("DB_HOST", "db"), ("STORAGE_CLASS", "x")],
        );
        assert_eq!(read, OfChart::default());
    }
}
