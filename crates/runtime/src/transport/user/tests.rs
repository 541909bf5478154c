//! Users looked up and become, by the shell of this machine where it is root.

use std::process::{Command, Output};

use super::*;

fn lookup(way: &str) -> UserLookup {
    UserLookup::parse(&format!("0\n0\n{way}\n1000\n1001\nagent\n/home/the agent\n")).unwrap()
}

fn sh(script: &str, arguments: &[&str]) -> Output {
    Command::new("/bin/sh")
        .args(["-c", script, "podbay"])
        .args(arguments)
        .output()
        .unwrap()
}

/// Our own user, as the kernel has it.
fn own_uid() -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").unwrap().uid()
}

#[test]
fn a_user_is_become_by_what_the_image_has() {
    for way in ["setpriv", "chroot", "su"] {
        let prefix = lookup(way).prefix().unwrap();
        assert_eq!(prefix[4..], [way, "1000", "1001", "agent", "/home/the agent"]);
    }
    assert_eq!(lookup("own").prefix().unwrap(), Vec::<String>::new());
    for (way, words) in [("not-root", "only root can"), ("none", "neither setpriv")] {
        let error = lookup(way).prefix().unwrap_err();
        assert_eq!(error.code(), podbay_protocol::ErrorCode::Unsupported);
        assert!(error.to_string().contains(words), "{error}");
    }
    for answer in [
        "",
        "0\n0\nmagic\n1\n1\n\n/\n",
        "0\n0\nsu\n1\n",
        "x\n0\nsu\n1\n1\n\n/\n",
    ] {
        assert_eq!(UserLookup::parse(answer), None, "{answer:?}");
    }
}

#[test]
fn copies_belong_to_the_servers_user_where_root_writes_them() {
    assert_eq!(lookup("setpriv").owner(), Some(Owner { uid: 1000, gid: 1001 }));
    // It needs no program to give files away.
    assert_eq!(lookup("none").owner(), Some(Owner { uid: 1000, gid: 1001 }));
    let root = UserLookup::parse("0\n0\nown\n0\n0\nroot\n/root\n").unwrap();
    assert_eq!(root.owner(), None);
    let other = UserLookup::parse("1000\n1000\nnot-root\n1001\n0\n\n/\n").unwrap();
    assert_eq!(other.owner(), None);
}

#[test]
fn our_own_user_needs_no_program() {
    let own = own_uid().to_string();
    let output = sh(LOOK_UP, &[&own, ""]);
    let found = UserLookup::parse(&String::from_utf8(output.stdout).unwrap()).unwrap();
    assert_eq!((found.own.uid.to_string(), found.way), (own, Way::Own));
}

/// Each way that this machine has, for a user without a name and for one with.
#[test]
fn a_command_has_the_user_and_group_it_was_given() {
    if own_uid() != 0 {
        return;
    }
    let run = |way: &str, uid: &str, gid: &str, name: &str, home: &str| {
        let words = "echo $(id -u):$(id -g):$(id -G) $HOME $PWD \"$1\"; exit 3";
        let output = sh(
            BECOME,
            &[way, uid, gid, name, home, "sh", "-c", words, "sh", "-l  x"],
        );
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text.trim_end().to_owned())
    };
    let here = std::env::current_dir().unwrap();
    let here = here.to_str().unwrap();
    let mut tried = 0;
    for way in ["setpriv", "chroot"] {
        let (code, text) = run(way, "12345", "54321", "", "/");
        if code == Some(127) {
            continue;
        }
        assert_eq!(
            (code, text),
            (Some(3), format!("12345:54321:54321 / {here} -l  x")),
            "{way}"
        );
        tried += 1;
    }
    let nobody = sh(LOOK_UP, &["65534", ""]);
    let nobody = UserLookup::parse(&String::from_utf8(nobody.stdout).unwrap()).unwrap();
    if nobody.name == "nobody" {
        let gid = nobody.ids.gid.to_string();
        let (code, text) = run("su", "65534", &gid, "nobody", &nobody.home);
        if code != Some(127) {
            assert_eq!(code, Some(3), "{text}");
            assert!(
                text.starts_with(&format!("65534:{gid}:")) && text.ends_with("-l  x"),
                "{text}"
            );
            tried += 1;
        }
    }
    assert!(tried > 0, "this machine has no program to change the user with");
    let found = sh(LOOK_UP, &["12345", ""]);
    let found = UserLookup::parse(&String::from_utf8(found.stdout).unwrap()).unwrap();
    assert!(matches!(found.way, Way::Setpriv | Way::Chroot), "{found:?}");
    assert_eq!(
        (found.ids, found.home.as_str()),
        (Owner { uid: 12345, gid: 0 }, "/")
    );
}
