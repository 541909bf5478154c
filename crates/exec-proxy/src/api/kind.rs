//! What kind of session a start asks for, by its command: a pure function.

/// Modules and programs of OpenHands' V1 server, as they stand in a command.
const V1: [&str; 2] = ["openhands.agent_server", "openhands-agent-server"];
/// The module of OpenHands' V0 server.
pub(crate) const V0: &str = "openhands.runtime.action_execution_server";

/// What a command starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// OpenHands' V0 server, as stock clients ask for with any image.
    V0(V0Command),
    /// OpenHands' V1 server.
    V1 {
        /// The port that the command names.
        port: Option<u16>,
    },
    /// Nothing is said: the image's own command.
    Image,
    /// Something else.
    Other,
}

/// What of the V0 server's command matters to whoever stands in for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct V0Command {
    /// Where it listens; `None` if the command does not say so.
    pub(crate) port: Option<u16>,
    /// `--working-dir`: where the first command runs.
    pub(crate) working_dir: Option<String>,
    /// `--username`.
    pub(crate) username: Option<String>,
    /// `--user-id`.
    pub(crate) user_id: Option<u32>,
}

impl Kind {
    /// The kind of a command. `None` is one that was not said.
    pub(crate) fn of(command: Option<&[String]>) -> Self {
        let Some(argv) = command.filter(|argv| !argv.is_empty()) else {
            return Self::Image;
        };
        if argv.iter().any(|word| is_v1(word)) {
            return Self::V1 {
                port: option(argv, "--port").and_then(|port| port.parse().ok()),
            };
        }
        match argv.iter().position(|word| word == V0) {
            Some(module) => Self::V0(V0Command {
                port: argv.get(module + 1).and_then(|port| port.parse().ok()),
                working_dir: option(argv, "--working-dir").map(str::to_owned),
                username: option(argv, "--username").map(str::to_owned),
                user_id: option(argv, "--user-id").and_then(|id| id.parse().ok()),
            }),
            None => Self::Other,
        }
    }
}

/// Whether a word names OpenHands' V1 server: a path to the program, or the name of the module behind `-m`.
pub(crate) fn is_v1(word: &str) -> bool {
    let names = |name: &&str| word == *name || word.rsplit('/').next() == Some(name);
    V1.iter().any(names)
}

/// The value of an option, `--name VALUE` or `--name=VALUE`; of several the last, as Python's argparse has it.
fn option<'a>(argv: &'a [String], name: &str) -> Option<&'a str> {
    let mut value = None;
    let mut words = argv.iter();
    while let Some(word) = words.next() {
        if word == name {
            value = words.next().map(String::as_str);
        } else if let Some(joined) = word.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
            value = Some(joined);
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(command: &str) -> Kind {
        let argv: Vec<String> = command.split(' ').map(str::to_owned).collect();
        Kind::of(Some(&argv))
    }

    /// The command of a stock `RemoteRuntime` (openhands-ai 1.6.0) with all of its options.
    const STOCK: &str = "/openhands/micromamba/bin/micromamba run -n openhands poetry run python -u -m \
                         openhands.runtime.action_execution_server 60000 --working-dir /workspace --plugins agent_skills \
                         jupyter --username openhands --user-id 1000 --no-enable-browser";

    #[test]
    fn the_stock_v0_command_tells_port_directory_and_user() {
        let expected = V0Command {
            port: Some(60000),
            working_dir: Some("/workspace".to_owned()),
            username: Some("openhands".to_owned()),
            user_id: Some(1000),
        };
        assert_eq!(kind(STOCK), Kind::V0(expected));
        let root = "python -m openhands.runtime.action_execution_server 8080 --username=root --user-id=0";
        let expected = V0Command {
            port: Some(8080),
            working_dir: None,
            username: Some("root".to_owned()),
            user_id: Some(0),
        };
        assert_eq!(kind(root), Kind::V0(expected));
        let bare = Kind::V0(V0Command::default());
        assert_eq!(kind("python -m openhands.runtime.action_execution_server"), bare);
        assert_eq!(
            kind("python -m openhands.runtime.action_execution_server x"),
            bare
        );
    }

    #[test]
    fn both_ways_to_start_the_v1_server_are_known() {
        let v1 = |port| Kind::V1 { port };
        assert_eq!(
            kind("/usr/local/bin/openhands-agent-server --port 60000"),
            v1(Some(60000))
        );
        assert_eq!(
            kind("/agent-server/.venv/bin/python -m openhands.agent_server --port=8000"),
            v1(Some(8000))
        );
        assert_eq!(kind("openhands-agent-server"), v1(None));
        assert_eq!(kind("openhands-agent-server --port 70000"), v1(None));
    }

    #[test]
    fn all_else_is_the_image_s_own_or_another_command() {
        assert_eq!(Kind::of(None), Kind::Image);
        assert_eq!(Kind::of(Some(&[])), Kind::Image);
        for command in [
            "sleep infinity",
            "sh -c openhands.agent_server.x",
            "echo my-openhands-agent-server",
        ] {
            assert_eq!(kind(command), Kind::Other, "{command}");
        }
    }
}
