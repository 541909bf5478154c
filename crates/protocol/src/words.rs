//! What fields and operations are called on a surface: the command line, the library, later the service.

use crate::field::Field;

/// The vocabulary of one surface. Errors and hints are told in it, so that nobody reads of a flag where there is none.
///
/// The sentences are the same everywhere; a surface has names of its own for what it takes and does.
pub trait Words {
    /// The name of a field: `--user`, `user`. A setting has its key.
    fn field(&self, field: Field) -> &'static str;

    /// What a caller writes to have something done: `podbay logs`, `Session::logs`.
    fn operation(&self, operation: Operation<'_>) -> String;
}

/// Something that a hint tells its reader to do with Podbay itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation<'a> {
    /// Read the log of a session that the text is about.
    ReadLog,
    /// Look at the session of this id, with its events.
    Describe(&'a str),
    /// List the sessions there are.
    List,
    /// Open a session that the text is about once more.
    OpenAgain,
    /// Open the session of this id.
    Open(&'a str),
    /// Open the session of this id in place of the one that is there.
    Replace(&'a str),
    /// Bring the paused session of this id back.
    Resume(&'a str),
    /// Close the session of this id.
    Close(&'a str),
    /// Delete the session of this id with its claim.
    Delete(&'a str),
    /// Look at the objects of a session before any is made.
    Render,
    /// Say which cluster is meant.
    NameCluster,
    /// Run without any cluster, on this machine.
    RunLocally,
    /// Leave links out of a copy.
    SkipLinks,
}

/// The words of the Rust library: fields are those of `SessionRequest`, operations are methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Library;

impl Words for Library {
    fn field(&self, field: Field) -> &'static str {
        field.as_str()
    }

    fn operation(&self, operation: Operation<'_>) -> String {
        match operation {
            Operation::ReadLog => "Session::logs".to_owned(),
            Operation::Describe(session) => format!("Session::describe of {session:?}"),
            Operation::List => "Podbay::list".to_owned(),
            Operation::OpenAgain => "SessionBuilder::open".to_owned(),
            Operation::Open(session) => format!("SessionBuilder::open of {session:?}"),
            Operation::Replace(session) => format!("SessionBuilder::mode(OpenMode::Replace) of {session:?}"),
            Operation::Resume(session) => format!("Podbay::resume of {session:?}"),
            Operation::Close(session) => format!("Podbay::close of {session:?}"),
            Operation::Delete(session) => format!("Podbay::delete of {session:?}"),
            Operation::Render => "SessionBuilder::render".to_owned(),
            Operation::NameCluster => "kubernetes.kubeconfig or kubernetes.context".to_owned(),
            Operation::RunLocally => "the local backend".to_owned(),
            Operation::SkipLinks => "skip_links".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_librarys_fields_have_their_codes_and_settings_their_keys() {
        assert_eq!(Library.field(Field::ResourceFactor), "resource_factor");
        assert_eq!(
            Library.field(Field::Setting("kubernetes.profile")),
            "kubernetes.profile"
        );
    }
}
