//! What of a request's headers a sandbox gets, by the documentation alone.

/// A header: its name in lower case, and its value.
pub type Field = (String, String);

/// Headers that are about one connection.
const OF_CONNECTION: [&str; 12] = [
    "close",
    "connection",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// What only a proxy may say.
const OF_PROXIES: [&str; 8] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
];
/// What nobody may have removed.
const PROTECTED: [&str; 11] = [
    "authorization",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "forwarded",
    "host",
    "origin",
    "transfer-encoding",
    "x-api-key",
    "x-session-api-key",
];

/// The options of all `Connection` headers, in lower case.
pub fn options(fields: &[Field]) -> Vec<String> {
    fields
        .iter()
        .filter(|(name, _)| name == "connection")
        .flat_map(|(_, value)| value.split(','))
        .map(|option| option.trim_matches([' ', '\t']).to_lowercase())
        .filter(|option| !option.is_empty())
        .collect()
}

/// Whether an option names what nobody may have removed.
pub fn is_protected(option: &str) -> bool {
    let prefixes = ["x-forwarded-", "x-real-", "sec-", "access-control-"];
    PROTECTED.contains(&option) || prefixes.iter().any(|prefix| option.starts_with(prefix))
}

/// Whether a header other than a cookie goes to the sandbox of a client that is no proxy.
pub fn is_passed_on(name: &str, options: &[String]) -> bool {
    let meant = name.replace('_', "-");
    let is_secret = meant == "x-api-key" || (meant == "x-session-api-key" && name != meant);
    !(OF_CONNECTION.contains(&name)
        || OF_PROXIES.contains(&meant.as_str())
        || is_secret
        || options.iter().any(|option| option == name))
}

/// Pairs of cookies that go to the sandbox, in their order.
pub fn cookies(fields: &[Field]) -> Vec<String> {
    fields
        .iter()
        .filter(|(name, _)| name == "cookie")
        .flat_map(|(_, value)| value.split(';'))
        .map(|pair| pair.trim_matches([' ', '\t']).to_owned())
        .filter(|pair| !pair.is_empty() && !is_ours(pair))
        .collect()
}

/// Whether a pair has a name of ours.
pub fn is_ours(pair: &str) -> bool {
    let name = pair.split_once('=').map_or("", |(name, _)| name);
    let name = name.trim_matches([' ', '\t']).to_lowercase();
    name.starts_with("podbay-") || name.starts_with("__host-podbay-")
}
