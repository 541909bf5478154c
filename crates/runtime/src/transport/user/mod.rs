//! Another user than the container's for a command.
//!
//! The exec subresource knows no user: whatever it starts has the container's. Root can become another one, by whichever
//! program the image has for that; `look_up.sh` finds it, and `become.sh` goes through it.

use podbay_archive::tar::Owner;
use podbay_k8s_client::ExecEnd;
use podbay_manifests::ServerSpec;
use podbay_protocol::ProcessUser;

use super::errand::{self, Errand};
use crate::error::Error;
use crate::session::{ClusterSession, Place, Session};

const LOOK_UP: &str = include_str!("look_up.sh");
const BECOME: &str = include_str!("become.sh");

/// What a session says of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
struct UserLookup {
    /// The user that commands have by themselves.
    own: Owner,
    way: Way,
    ids: Owner,
    /// Its name, if `/etc/passwd` has one; else empty.
    name: String,
    home: String,
}

/// How a command becomes the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It is already.
    Own,
    /// Only root can change its user.
    NotRoot,
    /// The image has no program for it, or the container no capability.
    None,
    /// util-linux' `setpriv`.
    Setpriv,
    /// GNU's `chroot --userspec`.
    Chroot,
    /// `su`, which knows names alone.
    Su,
}

impl UserLookup {
    /// Reads what `look_up.sh` printed.
    fn parse(answer: &str) -> Option<Self> {
        let mut lines = answer.lines();
        let own = owner(&mut lines)?;
        let way = match lines.next()? {
            "own" => Way::Own,
            "not-root" => Way::NotRoot,
            "none" => Way::None,
            "setpriv" => Way::Setpriv,
            "chroot" => Way::Chroot,
            "su" => Way::Su,
            _ => return None,
        };
        let ids = owner(&mut lines)?;
        Some(Self {
            own,
            way,
            ids,
            name: lines.next()?.to_owned(),
            home: lines.next()?.to_owned(),
        })
    }

    /// The words that stand before a command to make it the user's; none where it is already.
    fn prefix(&self) -> Result<Vec<String>, Error> {
        let refused = |why: String| Error::Unsupported {
            what: "a command of another user",
            why,
        };
        let way = match self.way {
            Way::Own => return Ok(Vec::new()),
            Way::NotRoot => {
                return Err(refused(format!(
                    "commands of the session run as user {}, and only root can become user {}",
                    self.own.uid, self.ids.uid
                )));
            }
            Way::None => {
                return Err(refused(format!(
                    "the image has neither setpriv nor chroot --userspec, nor su for a named user {}, or the container lacks \
                     the capabilities SETUID and SETGID",
                    self.ids.uid
                )));
            }
            Way::Setpriv => "setpriv",
            Way::Chroot => "chroot",
            Way::Su => "su",
        };
        let (uid, gid) = (self.ids.uid.to_string(), self.ids.gid.to_string());
        Ok([
            "/bin/sh", "-c", BECOME, "podbay", way, &uid, &gid, &self.name, &self.home,
        ]
        .map(str::to_owned)
        .to_vec())
    }

    /// Whose the user's files are, where root writes them; `None` where the session's own user is not root, or is this one.
    const fn owner(&self) -> Option<Owner> {
        if self.own.uid == 0 && self.ids.uid != 0 {
            Some(self.ids)
        } else {
            None
        }
    }
}

/// A user's and a group's id, on a line each.
fn owner<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Option<Owner> {
    Some(Owner {
        uid: lines.next()?.parse().ok()?,
        gid: lines.next()?.parse().ok()?,
    })
}

/// The command that asks a session for a user.
pub(super) fn question(user: ProcessUser) -> Vec<String> {
    let gid = user.gid.map(|gid| gid.to_string()).unwrap_or_default();
    let argv = ["/bin/sh", "-c", LOOK_UP, "podbay", &user.uid.to_string(), &gid];
    argv.map(str::to_owned).to_vec()
}

/// Asks a session for a user.
async fn look_up(session: &ClusterSession, user: ProcessUser) -> Result<UserLookup, Error> {
    let answer = errand::run_when_ready(session, question(user), None).await?;
    read(user, answer)
}

/// Reads what a session answered.
fn read(user: ProcessUser, answer: Errand) -> Result<UserLookup, Error> {
    let Errand { end, stdout, stderr } = answer;
    let found = match end {
        ExecEnd::Exited { code: 0 } => UserLookup::parse(&stdout),
        _ => None,
    };
    found.ok_or_else(|| Error::Unsupported {
        what: "a command of another user",
        why: format!(
            "the session could not be asked for user {} ({end}): {}",
            user.uid,
            stderr.trim()
        ),
    })
}

/// The words that stand before a command to make it the user's, by what the session answered to [`question`]; none where it is
/// already.
pub(super) fn prefix(user: ProcessUser, answer: Errand) -> Result<Vec<String>, Error> {
    read(user, answer)?.prefix()
}

/// The same for a command of a cluster's session.
pub(super) async fn prefix_in(
    session: &ClusterSession,
    user: Option<ProcessUser>,
) -> Result<Vec<String>, Error> {
    match user {
        Some(user) => look_up(session, user).await?.prefix(),
        None => Ok(Vec::new()),
    }
}

impl Session {
    /// Whose files are to be that are copied in: the user's that the session's server runs as, where the container's own
    /// is root; `None` is the container's.
    pub(crate) async fn owner_of_copies(&self) -> Result<Option<Owner>, Error> {
        let Place::Cluster(session) = self.home() else {
            return Ok(None);
        };
        let specification = session.specification().await?;
        let Some(user) = specification.server().and_then(ServerSpec::user) else {
            return Ok(None);
        };
        let user = ProcessUser {
            uid: user.uid(),
            gid: user.gid(),
        };
        Ok(look_up(session, user).await?.owner())
    }
}

#[cfg(test)]
mod tests;
