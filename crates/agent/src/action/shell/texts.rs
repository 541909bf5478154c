//! What is told of commands that are not over, word for word as OpenHands 1.6.0 does: agents and their prompts know it
//! (`openhands/runtime/utils/bash.py`, `bash_constants.py`).

const ADVICE: &str = "You may wait longer to see additional output by sending empty command '', send other commands to \
    interact with the current process, send keys (\"C-c\", \"C-z\", \"C-d\") to interrupt/kill the previous command before \
    sending your new command, or use the timeout parameter in execute_bash for future commands.";

/// Before output of a command that an earlier observation told of.
pub(super) const CONTINUED: &str = "[Below is the output of the previous command.]\n";
pub(super) const NOTHING_TO_WAIT_FOR: &str = "ERROR: No previous running command to retrieve logs from.";
pub(super) const NOTHING_TO_INTERACT_WITH: &str = "ERROR: No previous running command to interact with.";

/// Nothing was written for so many seconds.
pub(super) fn no_change(seconds: f64) -> String {
    // A whole number of seconds stands without a fraction: it is an integer there.
    format!("\n[The command has no new output after {seconds} seconds. {ADVICE}]")
}

/// It was not over after so many seconds.
pub(super) fn timed_out(seconds: f64) -> String {
    format!("\n[The command timed out after {seconds:?} seconds. {ADVICE}]")
}

/// Another one was to be run.
pub(super) fn refused(command: &str) -> String {
    format!(
        "\n[Your command \"{command}\" is NOT executed. The previous command is still running - You CANNOT send new \
         commands until the previous command is completed. By setting `is_input` to `true`, you can interact with the \
         current process: {ADVICE}]"
    )
}

/// It is over.
pub(super) fn completed(code: i32, key: Option<char>) -> String {
    match key {
        None => format!("\n[The command completed with exit code {code}.]"),
        Some(key) => format!(
            "\n[The command completed with exit code {code}. CTRL+{} was sent.]",
            key.to_ascii_uppercase()
        ),
    }
}

/// It is over, and so is the shell.
pub(super) fn shell_ended(code: i32) -> String {
    format!(
        "\n[The command completed with exit code {code}. It ended the shell: the next command runs in a new one, in the \
         same directory, without the variables that were set in this one.]"
    )
}

/// Several commands in one text.
pub(super) fn several(commands: &[&str]) -> String {
    let listed: Vec<String> = commands
        .iter()
        .enumerate()
        .map(|(number, command)| format!("({}) {command}", number + 1))
        .collect();
    format!(
        "ERROR: Cannot execute multiple commands at once.\nPlease run each command separately OR chain them into a single \
         command via && or ;\nProvided commands:\n{}",
        listed.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_there() {
        assert!(
            no_change(10.0).starts_with("\n[The command has no new output after 10 seconds. You may wait")
        );
        assert!(timed_out(120.0).starts_with("\n[The command timed out after 120.0 seconds. You may wait"));
        assert!(timed_out(1.5).contains("after 1.5 seconds"));
    }
}
