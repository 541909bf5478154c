//! Users of the image, read from its `/etc/passwd` and `/etc/group` (passwd(5), group(5)) by ourselves: the C library
//! of a static program would load modules of the image for it (nsswitch.conf(5)), and crash with them.

use std::fs;
use std::io;

use podbay_protocol::ProcessUser;

use super::launch::UserChoice;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// Who runs a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The supplementary groups.
    pub(crate) groups: Vec<u32>,
    /// The home directory; `/` for a user who is not in `/etc/passwd`.
    pub(crate) home: String,
}

/// Why there is no such user.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UserError {
    #[error("there is no user {name:?} in {PASSWD}")]
    Unknown { name: String },
    #[error("{number} is no id of a user or group")]
    Number { number: i64 },
    #[error("reading {path}")]
    Read {
        path: &'static str,
        #[source]
        source: io::Error,
    },
}

/// Looks a user up.
pub(crate) fn identify(choice: &UserChoice) -> Result<Identity, UserError> {
    resolve(choice, &read(PASSWD)?, &read(GROUP)?)
}

/// The name that the image has for a user.
pub(crate) fn user_name(uid: u32) -> Option<String> {
    let passwd = read(PASSWD).ok()?;
    let account = passwd
        .lines()
        .filter_map(account)
        .find(|account| account.uid == uid);
    account.map(|account| account.name.to_owned())
}

/// An image without the file has no users in it. What is not UTF-8 is in names and comments.
fn read(path: &'static str) -> Result<String, UserError> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(UserError::Read { path, source }),
    }
}

/// A line of `/etc/passwd`.
struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn resolve(choice: &UserChoice, passwd: &str, group: &str) -> Result<Identity, UserError> {
    let mut accounts = passwd.lines().filter_map(account);
    let (account, uid, gid) = match choice {
        UserChoice::Name(name) => {
            let unknown = || UserError::Unknown { name: name.clone() };
            let account = accounts
                .find(|account| account.name == name)
                .ok_or_else(unknown)?;
            let (uid, gid) = (account.uid, account.gid);
            (Some(account), uid, gid)
        }
        UserChoice::Number(ProcessUser { uid, gid }) => {
            let uid = number(*uid)?;
            let account = accounts.find(|account| account.uid == uid);
            let own = account.as_ref().map_or(0, |account| account.gid);
            let gid = gid.map_or(Ok(own), number)?;
            (account, uid, gid)
        }
    };
    let (groups, home) = account.map_or((Vec::new(), "/"), |account| {
        (groups_of(account.name, group), account.home)
    });
    Ok(Identity {
        uid,
        gid,
        groups,
        home: if home.is_empty() { "/" } else { home }.to_owned(),
    })
}

/// `name:password:uid:gid:comment:home:shell`
fn account(line: &str) -> Option<Account<'_>> {
    let mut fields = line.split(':');
    Some(Account {
        name: fields.next().filter(|name| !name.is_empty())?,
        uid: fields.nth(1)?.parse().ok()?,
        gid: fields.next()?.parse().ok()?,
        home: fields.nth(1).unwrap_or_default(),
    })
}

/// `name:password:gid:member,member`
fn groups_of(user: &str, group: &str) -> Vec<u32> {
    let member = |line: &str| {
        let mut fields = line.split(':');
        let gid = fields.nth(2)?.parse().ok()?;
        let mut members = fields.next()?.split(',');
        members.any(|member| member == user).then_some(gid)
    };
    group.lines().filter_map(member).collect()
}

/// The highest number stands for "leave as it is" in setresuid(2), and is nobody's.
fn number(number: i64) -> Result<u32, UserError> {
    u32::try_from(number)
        .ok()
        .filter(|id| *id != u32::MAX)
        .ok_or(UserError::Number { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD_TEXT: &str = "root:x:0:0:root:/root:/bin/sh\n\
        # comment\n\
        +::::::\n\
        dev:x:1000:100:Ann, Developer:/home/dev:/bin/bash\n\
        nohome:x:7:8::\n";
    const GROUP_TEXT: &str = "root:x:0:\nwheel:x:10:dev,root\ndocker:x:999:dev\ndevices:x:5:developer\n";

    fn by_number(uid: i64, gid: Option<i64>) -> Result<Identity, UserError> {
        let choice = UserChoice::Number(ProcessUser { uid, gid });
        resolve(&choice, PASSWD_TEXT, GROUP_TEXT)
    }

    fn identity(uid: u32, gid: u32, groups: &[u32], home: &str) -> Identity {
        Identity {
            uid,
            gid,
            groups: groups.to_vec(),
            home: home.to_owned(),
        }
    }

    #[test]
    fn a_user_has_group_and_home_of_the_image() {
        let dev = identity(1000, 100, &[10, 999], "/home/dev");
        let named = resolve(&UserChoice::Name("dev".to_owned()), PASSWD_TEXT, GROUP_TEXT);
        assert_eq!(named.unwrap(), dev);
        assert_eq!(by_number(1000, None).unwrap(), dev);
        let other_group = identity(1000, 5, &[10, 999], "/home/dev");
        assert_eq!(by_number(1000, Some(5)).unwrap(), other_group);
    }

    #[test]
    fn a_number_that_is_in_no_file_is_a_user_too() {
        assert_eq!(by_number(4321, None).unwrap(), identity(4321, 0, &[], "/"));
        assert_eq!(by_number(7, None).unwrap(), identity(7, 8, &[], "/"));
        let none = resolve(&UserChoice::Number(ProcessUser { uid: 1, gid: None }), "", "");
        assert_eq!(none.unwrap(), identity(1, 0, &[], "/"));
    }

    #[test]
    fn what_is_no_user_is_refused() {
        let unknown = resolve(&UserChoice::Name("de".to_owned()), PASSWD_TEXT, GROUP_TEXT).unwrap_err();
        assert_eq!(unknown.to_string(), "there is no user \"de\" in /etc/passwd");
        for number in [-1, i64::from(u32::MAX), 1 << 40] {
            assert!(matches!(by_number(number, None), Err(UserError::Number { .. })));
            assert!(matches!(
                by_number(1, Some(number)),
                Err(UserError::Number { .. })
            ));
        }
    }
}
