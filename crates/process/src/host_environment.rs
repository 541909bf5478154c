//! What of the host's environment a command gets to see.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// Passed on as they are. An allow-list: credentials, agents' sockets and cluster addresses have too many names
/// for anything else.
const PASSED_ON: [&str; 5] = ["PATH", "LANG", "TZ", "USER", "LOGNAME"];
/// Passed on by their beginning: the locale's categories.
const PASSED_ON_PREFIX: &str = "LC_";
/// Where there is none: what `login` gives a user who isn't root, and the places for administration.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where there is none: what is known everywhere.
const DEFAULT_TERM: &str = "xterm";

/// The part of the host's environment that commands get.
#[derive(Clone, Debug)]
pub struct HostEnvironment {
    variables: BTreeMap<OsString, OsString>,
    /// The host's `TERM`: only for commands with a terminal.
    term: OsString,
}

impl HostEnvironment {
    /// Picks from an environment what is passed on.
    pub fn from_variables(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut term = OsString::from(DEFAULT_TERM);
        let mut passed_on = BTreeMap::from([("PATH".into(), DEFAULT_PATH.into())]);
        for (name, value) in variables {
            if name == "TERM" {
                term = value;
            } else if is_passed_on(&name) {
                passed_on.insert(name, value);
            }
        }
        Self {
            variables: passed_on,
            term,
        }
    }

    /// The variables of a command with or without a terminal.
    pub fn variables(&self, tty: bool) -> BTreeMap<OsString, OsString> {
        let mut variables = self.variables.clone();
        if tty {
            variables.insert("TERM".into(), self.term.clone());
        }
        variables
    }
}

fn is_passed_on(name: &OsStr) -> bool {
    PASSED_ON.iter().any(|allowed| name == *allowed)
        || name
            .to_str()
            .is_some_and(|name| name.starts_with(PASSED_ON_PREFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(host: &[(&str, &str)], tty: bool) -> Vec<(String, String)> {
        let host = host
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let text = |text: OsString| text.into_string().unwrap();
        HostEnvironment::from_variables(host)
            .variables(tty)
            .into_iter()
            .map(|(n, v)| (text(n), text(v)))
            .collect()
    }

    #[test]
    fn credentials_and_cluster_addresses_are_left_out() {
        let secret = [
            "SSH_AUTH_SOCK",
            "KUBECONFIG",
            "KUBERNETES_SERVICE_HOST",
            "AWS_SECRET_ACCESS_KEY",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GITHUB_TOKEN",
            "DOCKER_HOST",
            "DBUS_SESSION_BUS_ADDRESS",
            "XDG_RUNTIME_DIR",
            "LD_PRELOAD",
            "HOME",
            "PATHS",
            "LANGUAGE_TOKEN",
        ];
        let host: Vec<_> = secret
            .iter()
            .map(|name| (*name, "x"))
            .chain([("PATH", "/p")])
            .collect();
        assert_eq!(of(&host, false), [("PATH".to_owned(), "/p".to_owned())]);
    }

    #[test]
    fn locale_zone_and_user_are_passed_on_and_the_terminal_only_to_a_terminal() {
        let host = [
            ("LANG", "C"),
            ("LC_ALL", "C"),
            ("TERM", "vt100"),
            ("TZ", "UTC"),
            ("USER", "u"),
            ("LOGNAME", "u"),
        ];
        let names = |tty| {
            of(&host, tty)
                .into_iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(false), ["LANG", "LC_ALL", "LOGNAME", "PATH", "TZ", "USER"]);
        assert_eq!(
            names(true),
            ["LANG", "LC_ALL", "LOGNAME", "PATH", "TERM", "TZ", "USER"]
        );
    }

    #[test]
    fn an_empty_host_environment_still_finds_programs() {
        let expected = [("PATH", DEFAULT_PATH), ("TERM", DEFAULT_TERM)];
        assert_eq!(of(&[], true), expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }
}
