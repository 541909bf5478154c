//! What fields and operations are called on the command line.

use podbay_protocol::{Field, Operation, Words};

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
            Operation::ReadLog => "podbay logs".to_owned(),
            Operation::Describe(session) => format!("podbay show {session}"),
            Operation::List => "podbay ls".to_owned(),
            Operation::OpenAgain => "podbay open".to_owned(),
            Operation::Open(session) => format!("podbay open {session}"),
            Operation::Replace(session) => format!("podbay open {session} --replace"),
            Operation::Resume(session) => format!("podbay resume {session}"),
            Operation::Close(session) => format!("podbay close {session}"),
            Operation::Delete(session) => format!("podbay delete {session}"),
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
    use podbay_protocol::Hint;

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
}
