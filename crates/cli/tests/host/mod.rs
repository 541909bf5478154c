//! What a run takes from, and leaves to, the machine it is on: mounts, files, descriptors, signals.

mod files;
mod processes;
mod signals;

use std::ffi::OsString;
use std::process::Command;

use crate::support::Surroundings;

/// `podbay run --backend local` as a shell would be given it, after words that prepare its surroundings. The command is
/// run by a shell.
pub(crate) fn prepared(there: &Surroundings, words: &[&str], flags: &[&str], script: &str) -> Command {
    let program = ["run", "--backend", "local"];
    let by_shell = ["--", "sh", "-c", script];
    let podbay = there.podbay(program.iter().chain(flags).chain(&by_shell));
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .arg(podbay.get_program())
        .args(podbay.get_args())
        .env_clear()
        .envs(
            podbay
                .get_envs()
                .filter_map(|(name, value)| Some((OsString::from(name), value?.to_owned()))),
        )
        .current_dir(there.path("work"))
        .stdin(std::process::Stdio::null());
    command
}

/// The words that run a shell script which ends by becoming what follows them.
pub(crate) fn after(script: &str) -> Vec<String> {
    ["sh", "-c", &format!("{script}; exec \"$@\""), "sh"]
        .map(str::to_owned)
        .to_vec()
}

/// Whether a mount namespace of one's own can be had, with the words that make one; says so where it can't.
#[expect(clippy::print_stderr, reason = "a test says what it lacks")]
pub(crate) fn mounting() -> Option<[&'static str; 2]> {
    for flags in ["-m", "-Urm"] {
        let made = Command::new("unshare")
            .args([flags, "mount", "-t", "tmpfs", "none", "/mnt"])
            .status();
        if made.is_ok_and(|status| status.success()) {
            return Some(["unshare", flags]);
        }
    }
    eprintln!("skipped: unshare(1) can make no mount namespace here");
    None
}
