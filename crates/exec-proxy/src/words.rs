//! What fields and operations are called by those who speak HTTP to the service.

use podbay_protocol::{Field, Operation, Words};

/// The words of the service: fields are those of `POST /start` where it has them, else settings; operations are requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Http;

impl Words for Http {
    fn field(&self, field: Field) -> &'static str {
        match field {
            Field::Image => "image",
            Field::User => "run_as_user",
            Field::Env => "environment",
            Field::Workdir => "working_dir",
            Field::ResourceFactor => "resource_factor",
            // What the command starts is the server.
            Field::Server => "command",
            Field::Labels => "public",
            Field::Namespace => "kubernetes.namespace",
            Field::Profile => "kubernetes.profile",
            Field::Cpu => "resource_factor or kubernetes.resource_cpu_limit",
            Field::Memory => "resource_factor or kubernetes.resource_memory_limit",
            Field::Persistent => "serve.persistent",
            Field::Network => "kubernetes.network",
            Field::Workload => "kubernetes.workload",
            Field::Gpus => "kubernetes.extended_resources",
            // No start asks for these.
            Field::Ports => "ports",
            Field::VsCode => "vscode",
            Field::Setting(key) => key,
        }
    }

    fn operation(&self, operation: Operation<'_>) -> String {
        match operation {
            Operation::ReadLog => "pod_logs in GET /sessions/{session_id}".to_owned(),
            Operation::Describe(session) => format!("GET /sessions/{session}"),
            Operation::List => "GET /list".to_owned(),
            Operation::Open(session) => format!("POST /start with the session_id {session}"),
            Operation::Replace(session) => {
                format!("POST /stop, then POST /start with the session_id {session},")
            }
            Operation::OpenAgain | Operation::Resume(_) => "POST /resume".to_owned(),
            Operation::Close(_) | Operation::Delete(_) => "POST /stop".to_owned(),
            // The rest is nothing that a client of the service can do: it is for whoever runs that.
            Operation::Render => "the rendering of a session with the service's configuration".to_owned(),
            Operation::NameCluster => "kubernetes.kubeconfig or kubernetes.context".to_owned(),
            Operation::RunLocally => "a service for sessions of its own machine".to_owned(),
            Operation::SkipLinks => "a copy without links".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use podbay_protocol::Hint;

    use super::*;

    #[test]
    fn no_hint_names_a_flag_a_command_or_an_item_of_the_library() {
        for hint in Hint::of_each_code() {
            let told = hint.in_words(&Http);
            assert!(!told.is_empty(), "{hint:?}");
            for foreign in [
                "::",
                "podbay open",
                "podbay logs",
                "podbay ls",
                "podbay show",
                "OpenMode",
            ] {
                assert!(!told.contains(foreign), "{hint:?}: {told}");
            }
            // Of other programs flags may be told.
            let flags = told.split(' ').filter(|word| word.starts_with("--"));
            assert!(
                flags.clone().all(|flag| flag == "--show-labels"),
                "{hint:?}: {told}"
            );
        }
    }

    #[test]
    fn each_field_of_a_start_has_the_name_that_a_client_sends() {
        for field in Field::OF_REQUEST {
            assert!(!Http.field(field).starts_with("--"));
        }
        assert_eq!(Http.field(Field::Workdir), "working_dir");
        assert_eq!(Http.field(Field::Setting("serve.wake")), "serve.wake");
        assert_eq!(
            Hint::RaiseMemory.in_words(&Http),
            "give the session more with resource_factor or kubernetes.resource_memory_limit"
        );
    }
}
