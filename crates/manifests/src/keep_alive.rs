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

/// The container's command.
pub(crate) fn command() -> Vec<String> {
    ["/bin/sh", "-c", SCRIPT].map(Into::into).into()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
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
}
