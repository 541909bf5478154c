//! What fields and operations are called on the command line.

use podbay_protocol::{Field, Operation, Words};

use crate::addressing::addressed;

/// The words of the command line: fields are flags, operations are commands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommandLine;

impl Words for CommandLine {
    fn field(&self, field: Field) -> &'static str {
        match field {
            Field::Namespace => "--namespace",
            Field::Image => "--image",
            Field::User => "--user",
            Field::Profile => "--profile",
            Field::Env => "--env",
            Field::Workdir => "--workdir",
            Field::Cpu => "--cpu",
            Field::Memory => "--memory",
            Field::Persistent => "--persistent",
            Field::Labels => "--label",
            Field::Server => "--server",
            Field::Ports => "--port",
            Field::VsCode => "--vscode",
            Field::Network => "--network",
            Field::Workload => "--workload",
            Field::Gpus => "--gpus",
            Field::ResourceFactor => "--resource-factor",
            Field::Setting(key) => key,
        }
    }

    fn operation(&self, operation: Operation<'_>) -> String {
        match operation {
            Operation::ReadLog => addressed("podbay logs"),
            Operation::Describe(session) => addressed(format!("podbay show {session}")),
            Operation::List => "podbay ls".to_owned(),
            Operation::OpenAgain => addressed("podbay open"),
            Operation::Open(session) => addressed(format!("podbay open {session}")),
            Operation::Replace(session) => addressed(format!("podbay open {session} --replace")),
            Operation::Resume(session) => addressed(format!("podbay resume {session}")),
            Operation::Close(session) => addressed(format!("podbay close {session}")),
            Operation::Delete(session) => addressed(format!("podbay delete {session}")),
            Operation::Render => "podbay render".to_owned(),
            Operation::NameCluster => "--kubeconfig or --context".to_owned(),
            Operation::RunLocally => "--backend local".to_owned(),
            Operation::SkipLinks => "--skip-links".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use podbay_config::Config;
    use podbay_manifests::{Profile, ServerKind, SessionSpec};
    use podbay_protocol::Hint;
    use podbay_runtime::SessionRequest;

    use super::*;
    use crate::args::Args;

    /// Every long flag and every command that the program has.
    fn known() -> (Vec<String>, Vec<String>) {
        let program = Args::command();
        let commands: Vec<_> = program.get_subcommands().collect();
        let flags = std::iter::once(&program)
            .chain(commands.iter().copied())
            .flat_map(clap::Command::get_arguments)
            .filter_map(|flag| Some(format!("--{}", flag.get_long()?)))
            .collect();
        let names = commands.iter().map(|command| command.get_name().to_owned());
        (flags, names.collect())
    }

    #[test]
    fn every_word_is_a_flag_or_a_command_that_there_is() {
        let (flags, commands) = known();
        for field in Field::OF_REQUEST {
            let flag = CommandLine.field(field);
            assert!(flags.iter().any(|known| known == flag), "{flag}");
        }
        let session = "demo";
        for operation in [
            Operation::ReadLog,
            Operation::Describe(session),
            Operation::List,
            Operation::OpenAgain,
            Operation::Open(session),
            Operation::Replace(session),
            Operation::Resume(session),
            Operation::Close(session),
            Operation::Delete(session),
            Operation::Render,
            Operation::NameCluster,
            Operation::RunLocally,
            Operation::SkipLinks,
        ] {
            let said = CommandLine.operation(operation);
            let mut words = said.split(' ');
            if words.clone().next() == Some("podbay") {
                let command = words.nth(1).unwrap();
                assert!(commands.iter().any(|known| known == command), "{said}");
            }
            for flag in words.filter(|word| word.starts_with("--")) {
                assert!(flags.iter().any(|known| known == flag), "{said}");
            }
        }
    }

    #[test]
    fn hints_speak_of_flags_here_and_of_fields_in_the_library() {
        assert_eq!(
            Hint::AskForLess.in_words(&CommandLine),
            "no node is as large: ask for less with --cpu and --memory, or add larger nodes"
        );
        assert_eq!(
            Hint::AskForLess.to_string(),
            "no node is as large: ask for less with cpu and memory, or add larger nodes"
        );
        let kept = Hint::Kept {
            session: "demo".to_owned(),
            hint: Box::new(Hint::ReadLog),
        };
        assert_eq!(
            kept.in_words(&CommandLine),
            "its log tells why: podbay logs; its objects were kept (kubernetes.cleanup_policy): podbay show demo tells \
             more, podbay delete demo removes them"
        );
    }

    fn refusal(namespace: &str, config: &Config, request: SessionRequest) -> String {
        let refused = SessionSpec::validate("demo".parse().unwrap(), namespace, config, request);
        refused.unwrap_err().in_words(&CommandLine)
    }

    #[test]
    fn what_is_wrong_with_a_request_is_told_by_its_flags() {
        let asked = |change: fn(&mut SessionRequest)| {
            let mut request = SessionRequest::default();
            change(&mut request);
            refusal("agents", &Config::default(), request)
        };
        for (change, message) in [
            (
                (|request| request.user = Some("node".into())) as fn(&mut SessionRequest),
                "--user can't be used: \"node\" is no number, and Kubernetes takes numbers only: give UID[:GID], or root",
            ),
            (
                |request| request.user = Some("root".into()),
                "--user 0 is root, which the profile restricted forbids: add --profile baseline",
            ),
            (
                |request| request.cpu = Some("0m".into()),
                "--cpu must be more than 0",
            ),
            (
                |request| request.memory = Some("512m".into()),
                "--memory 512m is not a whole number of bytes: \"m\" is a thousandth, write \"M\" or \"Mi\"",
            ),
            (|request| request.ports = vec![0], "--port can't be 0: 1 to 65535"),
            (
                |request| request.resource_factor = Some(3),
                "--resource-factor can't be 3: 1, 2, 4 or 8",
            ),
            (
                |request| request.vscode = true,
                "--vscode needs an image with a server, which starts it: add --server",
            ),
            (
                |request| {
                    request.server = Some(ServerKind::Image);
                    request.env = [("SESSION_API_KEY".to_owned(), "x".into())].into();
                },
                "--env can't have SESSION_API_KEY: Podbay sets it when the image brings a server (each session has its \
                 own key)",
            ),
        ] {
            assert_eq!(asked(change), message);
        }
        assert_eq!(
            refusal("Team A", &Config::default(), SessionRequest::default()),
            "--namespace can't be used: \"Team A\" is not a DNS label: 1 to 63 lower-case letters, digits and \"-\", \
             with a letter or digit at both ends"
        );
    }

    #[test]
    fn settings_have_their_keys_beside_flags() {
        let mut config = Config::default();
        config.kubernetes.privileged = true;
        config.kubernetes.uid_from_cluster = true;
        let request = SessionRequest {
            profile: Some(Profile::Baseline),
            user: Some("7".into()),
            ..SessionRequest::default()
        };
        assert_eq!(
            refusal("agents", &config, request),
            "--profile baseline contradicts kubernetes.privileged = true: drop one of them\n\
             kubernetes.uid_from_cluster and --user contradict each other: the cluster chooses user and groups, or you do"
        );
        let mut config = Config::default();
        config.sandbox.user_id = Some(0);
        assert_eq!(
            refusal("agents", &config, SessionRequest::default()),
            "sandbox.user_id 0 is root, which the profile restricted forbids: set kubernetes.profile to baseline"
        );
    }

    #[test]
    fn what_a_template_may_not_change_is_told_with_the_flag_that_may() {
        let mut config = Config::default();
        let template =
            serde_json::json!({ "spec": { "containers": [{ "name": "runtime", "image": "other" }] } });
        config.kubernetes.pod_template = Some(template.as_object().unwrap().clone().into());
        assert_eq!(
            refusal("agents", &config, SessionRequest::default()),
            "kubernetes.pod_template can't be used: it changes spec.containers[runtime].image: the session's record says \
             what it runs: use --image"
        );
    }
}
