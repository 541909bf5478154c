//! What a plain image runs so that its pod stays: a shell that waits for the end.

/// Waits, as PID 1, until the pod is deleted.
///
/// * PID 1 ignores signals it has no handler for, so TERM needs one, or every deletion takes the whole grace
///   period. An image may name another stop signal, which the container runtime sends in place of TERM: `INT`
///   (PostgreSQL), `QUIT` (nginx), `WINCH` (Apache httpd), 37 (`RTMIN+3`, systemd).
/// * A shell runs no handler while a program is in its foreground: hence the sleep in the background and
///   `wait`, which a signal ends at once. `wait` also reaps what orphans commands leave behind.
/// * It ends with 143 (128 + SIGTERM), as a program does that such a signal ends. With 0 the kubelet would take the pod
///   for one that succeeded, and drop why it ended it: `phase: Succeeded` in place of `Failed` with the reason `Evicted`.
/// * One hour, because not every `sleep` knows `infinity`; a wake-up an hour costs nothing. A sleep that
///   something in the sandbox killed is started again; one that can't be executed (126) or is not there (127)
///   ends the container with a message, not in a busy loop.
pub const SCRIPT: &str = "\
trap 'exit 143' HUP INT QUIT TERM WINCH 37
while :; do
  sleep 3600 &
  wait \"$!\"
  case $? in
    126|127) echo 'podbay: this image has no sleep to wait with' >&2; exit 127 ;;
  esac
done
";

/// The same until a signal (USR1) says that the agent, which is the script's arguments, is there: then the shell becomes the
/// agent, which so is PID 1 too.
///
/// * The agent and its key are renamed to their places before the signal is sent. A signal that comes before the shell has
///   a handler is ignored, as PID 1 may; the look at the file before each wait makes up for it.
/// * The sleep is ended and waited for first, so that the agent begins with no child that it knows nothing of.
pub const SCRIPT_UNTIL_AGENT: &str = "\
become() {
  [ -x \"$1\" ] || return 0
  [ -z \"$!\" ] || { kill \"$!\"; wait \"$!\"; } 2>/dev/null
  exec \"$@\"
}
trap 'exit 143' HUP INT QUIT TERM WINCH 37
trap 'become \"$@\"' USR1
while :; do
  become \"$@\"
  sleep 3600 &
  wait \"$!\"
  case $? in
    126|127) echo 'podbay: this image has no sleep to wait with' >&2; exit 127 ;;
  esac
done
";

/// The container's command until the agent that `agent` starts is brought.
pub(crate) fn command_until(agent: Vec<String>) -> Vec<String> {
    let shell = ["/bin/sh", "-c", SCRIPT_UNTIL_AGENT, "podbay"].map(Into::into);
    shell.into_iter().chain(agent).collect()
}

/// The container's command.
pub(crate) fn command() -> Vec<String> {
    ["/bin/sh", "-c", SCRIPT].map(Into::into).into()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, Read as _, Write as _};
    use std::process::{Command, Output, Stdio};

    use super::*;

    /// Runs the script with `sleep` defined as `sleep`, and `input` on its stdin.
    fn run(sleep: &str, input: &str) -> Output {
        let mut child = Command::new("/bin/sh")
            .args(["-c", &format!("exec 3<&0\n{sleep}\n{SCRIPT}")])
            .env("PATH", "/nonexistent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Dropped at the end of the statement, which is the end of the input.
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    #[test]
    fn each_stop_signal_ends_it_as_one() {
        for signal in ["HUP", "QUIT", "TERM", "WINCH", "37"] {
            // In the background, `$$` is still the waiting shell.
            let output = run(&format!("sleep() {{ kill -{signal} $$; }}"), "");
            assert_eq!(output.status.code(), Some(143), "{signal}: {output:?}");
        }
    }

    #[test]
    fn a_killed_sleep_is_started_again() {
        let sleep = "sleep() { if read -r line <&3; then echo killed; return 137; else kill -TERM $$; fi; }";
        let output = run(sleep, "1\n2\n");
        assert_eq!(output.status.code(), Some(143), "{output:?}");
        assert_eq!(output.stdout, b"killed\nkilled\n");
    }

    #[test]
    fn an_image_without_sleep_ends_with_a_message() {
        let output = run("", "");
        assert_eq!(output.status.code(), Some(127));
        assert!(String::from_utf8_lossy(&output.stderr).contains("podbay: this image has no sleep"));
    }

    /// The script that waits for an agent, which is a script too here, in its own directory.
    struct Waiting {
        shell: std::process::Child,
        stdout: std::io::BufReader<std::process::ChildStdout>,
        directory: tempfile::TempDir,
    }

    impl Waiting {
        /// Begun, and asleep with its handlers set.
        fn begin() -> Self {
            let directory = tempfile::tempdir().unwrap();
            write_program(
                &directory.path().join("sleep"),
                "echo asleep; exec /bin/sleep 5 >/dev/null",
            );
            let path = format!(
                "{}:{}",
                directory.path().display(),
                std::env::var("PATH").unwrap()
            );
            let mut shell = Command::new("/bin/sh")
                .args(["-c", SCRIPT_UNTIL_AGENT, "podbay"])
                .arg(directory.path().join("agent"))
                .args(["[::]:7", "a  b"])
                .env("PATH", path)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdout = std::io::BufReader::new(shell.stdout.take().unwrap());
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            assert_eq!(line, "asleep\n");
            Self {
                shell,
                stdout,
                directory,
            }
        }

        /// Puts the agent in its place at once, as a rename does.
        fn bring(&self) {
            let (new, agent) = (
                self.directory.path().join("new"),
                self.directory.path().join("agent"),
            );
            write_program(&new, "echo \"$$\" \"$@\"");
            std::fs::rename(new, agent).unwrap();
        }

        fn signal(&self, signal: &str) {
            let pid = self.shell.id().to_string();
            let status = Command::new("kill").args(["-s", signal, &pid]).status().unwrap();
            assert!(status.success());
        }

        /// The exit code, and what was written after it fell asleep for the first time.
        fn end(mut self) -> (Option<i32>, String) {
            let mut said = String::new();
            self.stdout.read_to_string(&mut said).unwrap();
            (self.shell.wait().unwrap().code(), said)
        }
    }

    /// Another process writes the program itself: each thread that starts one at this moment has our open files for a while, and
    /// what is open for writing can't be executed (execve(2), `ETXTBSY`).
    fn write_program(path: &std::path::Path, script: &str) {
        let written = path.with_extension("text");
        std::fs::write(&written, format!("#!/bin/sh\n{script}\n")).unwrap();
        let mut install = Command::new("install");
        let status = install.args(["-m", "700"]).args([&written, path]).status();
        assert!(status.unwrap().success());
    }

    #[test]
    fn the_shell_becomes_the_agent_once_it_is_told() {
        let waiting = Waiting::begin();
        // Nothing is there yet.
        waiting.signal("USR1");
        waiting.bring();
        waiting.signal("USR1");
        let agent = format!("{} [::]:7 a  b\n", waiting.shell.id());
        let (code, said) = waiting.end();
        assert_eq!(code, Some(0));
        // The process is the same one. It may have slept once more in between.
        assert_eq!(said.trim_start_matches("asleep\n"), agent);
    }

    #[test]
    fn an_agent_that_was_there_before_is_become_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let agent = directory.path().join("agent");
        write_program(&agent, "exit 7");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT_UNTIL_AGENT, "podbay"]).arg(agent);
        assert_eq!(command.status().unwrap().code(), Some(7));
    }

    #[test]
    fn one_that_waits_for_an_agent_ends_as_the_other_does() {
        for signal in ["TERM", "HUP", "37"] {
            let waiting = Waiting::begin();
            waiting.signal(signal);
            assert_eq!(waiting.end(), (Some(143), String::new()), "{signal}");
        }
    }
}
