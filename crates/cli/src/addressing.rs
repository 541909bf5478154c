//! Whose session a name means: `--owner`, and how hints say it again.

use std::sync::OnceLock;

use podbay_manifests::SessionOwner;
use podbay_runtime::{Error, Podbay, Summary};

/// What `--owner` says, once it is known: hints are worded far from the flags.
static OWNER: OnceLock<String> = OnceLock::new();

/// Has the hints of this process name this owner.
pub(crate) fn hint_with(owner: Option<&str>) {
    if let Some(owner) = owner {
        // A process has one command line.
        let _ = OWNER.set(owner.to_owned());
    }
}

/// The words of a hint that is a command, with the owner whose session it means.
pub(crate) fn addressed(command: impl Into<String>) -> String {
    with_owner(command.into(), OWNER.get().map(String::as_str))
}

fn with_owner(command: String, owner: Option<&str>) -> String {
    match owner {
        Some(owner) => format!("{command} --owner {}", quoted(owner)),
        None => command,
    }
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_.,:@/+".contains(c);
    if word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The sessions of the owner that `--owner` names: by the name that the key of a service has, or by the hash of it that `ls` shows.
pub(crate) fn of_owner(podbay: &Podbay, owner: Option<&str>) -> Result<Podbay, Error> {
    Ok(podbay.of_owner(owner_named(owner)?))
}

/// The owner that `--owner` names.
pub(crate) fn owner_named(owner: Option<&str>) -> Result<Option<SessionOwner>, Error> {
    let Some(owner) = owner else { return Ok(None) };
    let hash = SessionOwner::try_from(owner.to_owned());
    let named = hash.or_else(|_| SessionOwner::of(owner));
    named.map(Some).map_err(|source| Error::Owner {
        name: owner.to_owned(),
        source,
    })
}

/// What to say where a name was asked for without an owner, and there is nothing of that name but sessions of owners.
pub(crate) fn hint_of_owned(id: &str, sessions: &[Summary], command: &str) -> Option<String> {
    let mut of_name = sessions.iter().filter(|session| session.session == id);
    let owner = of_name.find_map(|session| session.owner.as_deref())?;
    Some(format!(
        "hint: a session of this name belongs to an owner: {}",
        with_owner(format!("podbay {command} {id}"), Some(owner))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_named_by_the_name_or_by_the_hash_of_it() {
        let alice = owner_named(Some("alice")).unwrap();
        let hash = alice.as_ref().unwrap().to_string();
        assert_eq!(owner_named(Some(&hash)).unwrap(), alice);
        assert_eq!(owner_named(None).unwrap(), None);
        assert!(matches!(owner_named(Some(" alice")), Err(Error::Owner { .. })));
    }

    #[test]
    fn hints_name_the_owner_as_a_shell_reads_it() {
        for (owner, hint) in [
            (None, "podbay delete demo"),
            (Some("team-a"), "podbay delete demo --owner team-a"),
            (Some("Team A"), "podbay delete demo --owner 'Team A'"),
            (Some("o'neil"), r"podbay delete demo --owner 'o'\''neil'"),
        ] {
            assert_eq!(with_owner("podbay delete demo".to_owned(), owner), hint);
        }
    }
}
