//! What of a start a session of this machine can't have: another user than the service's own, and a directory that is not there.
//!
//! A command of the client's own is refused where it asks for that. Stock clients of OpenHands name the user of their images in each
//! start, and directories in them, whatever the image: of theirs it is passed over.

use std::path::Path;

use rustix::process::{getegid, geteuid};

use super::error::Refusal;
use super::kind::Kind;
use super::start::StartBody;

/// The user and the group of this process, whose sessions run as the same.
#[derive(Clone, Copy, Debug)]
struct Own {
    user: u64,
    group: u64,
}

/// Refuses what this machine can't do for a command of the client's own.
pub(super) fn check(body: &StartBody) -> Result<(), Refusal> {
    if body.kind != Kind::Other {
        return Ok(());
    }
    let own = Own {
        user: geteuid().as_raw().into(),
        group: getegid().as_raw().into(),
    };
    let wanting = wanting(body, own, |directory| Path::new(directory).is_dir());
    if wanting.is_empty() {
        Ok(())
    } else {
        Err(Refusal::invalid(wanting.join("; ")))
    }
}

/// What is asked of user and group that is not this process's own, and of a directory that is not there.
fn wanting(body: &StartBody, own: Own, is_directory: impl Fn(&str) -> bool) -> Vec<String> {
    let ids = [
        ("run_as_user", body.run_as_user(), "user", own.user),
        ("run_as_group", body.run_as_group(), "group", own.group),
    ];
    let others = ids.into_iter().filter_map(|(field, asked, what, own)| {
        let asked = asked.filter(|asked| *asked != own)?;
        Some(format!(
            "{field} {asked} can't be had: sessions of this machine run as the service's {what}, {own}"
        ))
    });
    let directory = body.working_dir().filter(|directory| !is_directory(directory));
    let missing = directory.map(|directory| {
        format!("working_dir {directory:?} is no directory of this machine, whose files are the image: make it, or leave it out")
    });
    others.chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const OWN: Own = Own { user: 7, group: 8 };

    fn body(fields: &Value) -> StartBody {
        let mut body = json!({"session_id": "s", "image": "host", "command": "serve"});
        for (name, value) in fields.as_object().unwrap() {
            body[name] = value.clone();
        }
        StartBody::parse(body.to_string().as_bytes()).unwrap()
    }

    fn told(fields: &Value) -> String {
        wanting(&body(fields), OWN, |directory| directory == "/there").join("; ")
    }

    #[test]
    fn the_own_user_and_a_directory_that_is_there_can_be_had() {
        let fields = json!({"run_as_user": 7, "run_as_group": 8, "working_dir": "/there"});
        assert_eq!(told(&fields), "");
        assert_eq!(told(&json!({})), "");
    }

    #[test]
    fn all_that_can_not_be_had_is_told() {
        let told = told(&json!({"run_as_user": 0, "run_as_group": 0, "working_dir": "/elsewhere"}));
        for part in ["run_as_user 0", "user, 7", "run_as_group 0", "\"/elsewhere\""] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn a_command_of_the_client_s_own_is_refused_and_a_stock_client_s_is_not() {
        let user = u64::from(geteuid().as_raw()) + 1;
        let fields = json!({"run_as_user": user, "working_dir": "/no/such/directory"});
        let refusal = check(&body(&fields)).unwrap_err();
        assert_eq!(refusal.status, 422);
        assert!(refusal.detail.contains("run_as_user") && refusal.detail.contains("/no/such/directory"));
        let stock = json!({"command": "openhands-agent-server --port 60000", "run_as_user": user, "working_dir": "/no/such/directory"});
        assert_eq!(check(&body(&stock)), Ok(()));
    }
}
