//! The words that carry a command into a container.
//!
//! Until a server of ours runs in the pod, the image's `/bin/sh` does what the exec subresource can't: see `run.sh`. Exit
//! codes, signals and the terminal are the command's own, and a program that doesn't exist or can't be executed gives 127 or
//! 126 with the shell's message on standard error.
//!
//! `/dev/shm/.podbay*` are files of the container's own tmpfs, which is there and writable in every container, also with a
//! read-only root. `.podbay` has a line per command: its mark, and the count of memory kills before it.

use podbay_k8s_client::TerminalSize;

use super::end_mark::EndMark;

/// The shell: every image that can keep a session alive has it.
const SHELL: &str = "/bin/sh";

const RUN: &str = include_str!("run.sh");
const STAGE: &str = include_str!("stage.sh");
const SIGNAL: &str = include_str!("signal.sh");
const KILL: &str = include_str!("kill.sh");
const MEMORY_KILLS: &str = include_str!("memory_kills.sh");

/// Names one command of a session. No other process has these characters in its arguments or its environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark(String);

impl Mark {
    /// A mark from a random number.
    pub(super) fn new(random: u128) -> Self {
        Self(format!("{random:032x}"))
    }

    /// Looks for the end of the command of this mark.
    pub(super) fn end_mark(&self) -> EndMark {
        EndMark::find(&self.0)
    }
}

/// Bytes of arguments that still fit into a request's URL, each of them escaped as three at worst: clients, proxies
/// and servers draw the line at 64 KiB and less.
const LONGEST_IN_URL: usize = 16 * 1024;

/// Whether the arguments are too long for a URL and have to be brought into the container first: see [`stage`].
pub(super) fn needs_staging(argv: &[String]) -> bool {
    argv.iter().map(|word| word.len() + 1).sum::<usize>() > LONGEST_IN_URL
}

/// The argv that takes [`staged`] on its standard input and keeps it for the command of this mark.
pub(super) fn stage(mark: &Mark) -> Vec<String> {
    shell(STAGE, [mark.0.as_str()])
}

/// The arguments as a script that sets them.
pub(super) fn staged(argv: &[String]) -> Vec<u8> {
    let mut script = b"set --".to_vec();
    for word in argv {
        script.extend_from_slice(b" '");
        script.extend_from_slice(word.replace('\'', "'\\''").as_bytes());
        script.push(b'\'');
    }
    script.push(b'\n');
    script
}

/// What a command's standard input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Empty.
    None,
    /// A stream of ours.
    Stream,
    /// A terminal of this size.
    Terminal(TerminalSize),
}

/// The argv that runs `argv`.
pub(super) fn run(mark: &Mark, directory: Option<&str>, input: Input, argv: &[String]) -> Vec<String> {
    let end_mark = EndMark::of(&mark.0);
    let (kind, [rows, columns]) = match input {
        Input::None => ("none", [String::new(), String::new()]),
        Input::Stream => ("stream", [String::new(), String::new()]),
        Input::Terminal(TerminalSize { width, height }) => {
            ("terminal", [height.to_string(), width.to_string()])
        }
    };
    let (staged, follow) = if needs_staging(argv) {
        ("staged", [].as_slice())
    } else {
        ("", argv)
    };
    let words = [
        &mark.0,
        directory.unwrap_or_default(),
        &end_mark,
        kind,
        &rows,
        &columns,
        staged,
    ];
    shell(RUN, words.into_iter().chain(follow.iter().map(String::as_str)))
}

/// The argv that sends a signal to a command of a container, and not to its descendants.
pub(super) fn signal(mark: &Mark, number: i32) -> Vec<String> {
    shell(SIGNAL, [mark.0.as_str(), &number.to_string()])
}

/// The argv that kills a command of a container with its descendants.
pub(super) fn kill(mark: &Mark) -> Vec<String> {
    shell(KILL, [mark.0.as_str()])
}

/// The argv that tells whether the kernel killed a process of the container for memory since a command
/// began: it prints [`MEMORY_KILL`] if so.
pub(super) fn ask_memory_kill(mark: &Mark) -> Vec<String> {
    shell(MEMORY_KILLS, [mark.0.as_str()])
}

/// The answer of [`ask_memory_kill`].
pub(super) const MEMORY_KILL: &str = "oom-kill";

/// One of our scripts with its arguments. `$0` is what the shell's messages begin with.
fn shell<'a>(script: &str, arguments: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let words = [SHELL, "-c", &without_comments(script), "podbay"].map(str::to_owned);
    words
        .into_iter()
        .chain(arguments.into_iter().map(str::to_owned))
        .collect()
}

/// The script as it is sent: it stands in URLs and audit logs, where nobody reads comments.
fn without_comments(script: &str) -> String {
    let lines = script.lines().map(str::trim_start);
    let lines: Vec<&str> = lines.filter(|line| !line.starts_with('#')).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Output, Stdio};

    use super::*;

    /// Runs it, and takes the marks of its end out of its streams.
    fn sh(argv: &[String]) -> Output {
        unmarked(Command::new(&argv[0]).args(&argv[1..]).output().unwrap())
    }

    fn unmarked(mut output: Output) -> Output {
        for stream in [&mut output.stdout, &mut output.stderr] {
            if let Some(at) = stream.iter().position(|byte| *byte == 0x1e) {
                let rest = stream.split_off(at);
                let length = rest.iter().position(|byte| *byte == b'\n').unwrap() + 1;
                stream.extend_from_slice(&rest[length..]);
            }
        }
        output
    }

    fn words(argv: &[&str]) -> Vec<String> {
        argv.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn the_shell_becomes_the_command() {
        let mark = Mark::new(7);
        let argv = words(&[
            "sh",
            "-c",
            "echo $PODBAY_EXEC_ID; pwd; echo \"[$1]\" >&2; exit 3",
            "sh",
            "a  b'\"$x",
        ]);
        let output = sh(&run(&mark, Some("/tmp"), Input::None, &argv));
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            format!("{}\n/tmp\n", mark.0)
        );
        assert_eq!(output.stderr, b"[a  b'\"$x]\n");
    }

    #[test]
    fn what_cannot_be_run_has_the_shells_codes() {
        let code = |argv: &[&str]| {
            sh(&run(&Mark::new(1), None, Input::None, &words(argv)))
                .status
                .code()
        };
        assert_eq!(code(&["no-such-program"]), Some(127));
        assert_eq!(code(&["/etc/passwd"]), Some(126));
        let nowhere = run(&Mark::new(1), Some("/nowhere"), Input::None, &words(&["true"]));
        assert_eq!(sh(&nowhere).status.code(), Some(126));
    }

    #[test]
    fn arguments_too_long_for_a_url_are_brought_in_first() {
        let long = "x'\"$y\n ".repeat(10_000);
        let argv = words(&["sh", "-c", "printf %s \"$1\"; exit 4", "sh", &long]);
        let mark = Mark::new(rand::random());
        assert!(needs_staging(&argv) && !needs_staging(&argv[..3]));
        let keep = stage(&mark);
        let mut child = Command::new(&keep[0])
            .args(&keep[1..])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&staged(&argv)).unwrap();
        assert!(child.wait().unwrap().success());
        let run = run(&mark, Some("/tmp"), Input::None, &argv);
        assert!(run.iter().map(String::len).sum::<usize>() < LONGEST_IN_URL);
        let output = sh(&run);
        assert_eq!(output.status.code(), Some(4));
        assert!(output.stdout == long.as_bytes(), "{} bytes", output.stdout.len());
        assert!(!std::path::Path::new(&format!("/dev/shm/.podbay-{}", mark.0)).exists());
    }

    /// With an input the shell stays, and is not to be noticed: codes, both streams, no word of its own.
    #[test]
    fn a_command_with_an_input_has_its_own_code_and_words() {
        let output = |argv: &[&str], input: &[u8]| {
            let argv = run(&Mark::new(1), None, Input::Stream, &words(argv));
            let mut child = Command::new(&argv[0])
                .args(&argv[1..])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            // One that does not read does not break what writes to it.
            child.stdin.take().unwrap().write_all(input).unwrap();
            unmarked(child.wait_with_output().unwrap())
        };
        let read = output(&["sh", "-c", "cat; echo err >&2; exit 5"], b"in");
        assert_eq!(
            (read.status.code(), read.stdout, read.stderr),
            (Some(5), b"in".to_vec(), b"err\n".to_vec())
        );
        let unread = output(&["true"], &vec![b'x'; 1 << 20]);
        assert_eq!((unread.status.code(), unread.stderr), (Some(0), Vec::new()));
        let killed = output(&["sh", "-c", "kill -9 $$"], b"");
        assert_eq!((killed.status.code(), killed.stderr), (Some(137), Vec::new()));
        let missing = output(&["no-such-program"], b"");
        assert_eq!(missing.status.code(), Some(127));
        assert!(
            String::from_utf8(missing.stderr)
                .unwrap()
                .contains("no-such-program")
        );
    }

    /// Else what is still sent would find nobody, and the connection would break under the status.
    #[test]
    fn the_shell_reads_until_its_input_is_closed_however_the_command_ended() {
        for (directory, program, code) in [
            (None, "true", 0),
            (None, "no-such-program", 127),
            (Some("/nowhere"), "true", 126),
        ] {
            let mark = Mark::new(1);
            let argv = run(&mark, directory, Input::Stream, &words(&[program]));
            // One that reads nothing any more is ended, not waited for.
            let mut child = Command::new("timeout")
                .arg("20")
                .args(argv)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut line = String::new();
            let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
            std::io::BufRead::read_line(&mut output, &mut line).unwrap();
            assert_eq!(mark.end_mark().take(line.into()).1, Some(code));
            // More than a pipe holds.
            let mut input = child.stdin.take().unwrap();
            input.write_all(&vec![b'x'; 1 << 20]).unwrap();
            assert_eq!(child.try_wait().unwrap(), None);
            drop(input);
            assert_eq!(child.wait().unwrap().code(), Some(code));
        }
    }

    /// A command shares its pipes with the shell, and what it does to them stays.
    #[test]
    fn what_a_command_leaves_non_blocking_is_written_and_read_all_the_same() {
        let pipe = || {
            let (reader, writer) = std::io::pipe().unwrap();
            rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK).unwrap();
            rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK).unwrap();
            (reader, writer)
        };
        let (stdin, input) = pipe();
        let (output, mut stdout) = pipe();
        let mut room = 0;
        while stdout.write_all(b"x").is_ok() {
            room += 1;
        }
        let mark = Mark::new(1);
        let argv = run(
            &mark,
            None,
            Input::Stream,
            &words(&["sh", "-c", "echo ended >&2; exit 9"]),
        );
        let mut command = Command::new("timeout");
        command
            .arg("20")
            .args(argv)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It holds this side's copies.
        drop(command);
        let mut lines = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
        assert_eq!(line, "ended\n");
        rustix::fs::fcntl_setfl(&output, rustix::fs::OFlags::empty()).unwrap();
        let mut lines_out = std::io::BufReader::new(output);
        line.clear();
        std::io::BufRead::read_line(&mut lines_out, &mut line).unwrap();
        assert_eq!(mark.end_mark().take(line.clone().into()).1, Some(9));
        assert_eq!(line.matches('x').count(), room);
        line.clear();
        std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
        assert_eq!(mark.end_mark().take(line.into()).1, Some(9));
        assert_eq!(child.try_wait().unwrap(), None);
        drop(input);
        assert_eq!(child.wait().unwrap().code(), Some(9));
    }

    #[test]
    fn the_environment_of_the_image_reaches_the_command_whole() {
        let argv = run(
            &Mark::new(1),
            None,
            Input::None,
            &words(&["sh", "-c", "echo $c $f $i $k $o $p $v"]),
        );
        let mut shell = Command::new(&argv[0]);
        for name in ["c", "f", "i", "k", "o", "p", "v"] {
            shell.env(name, name);
        }
        let output = unmarked(shell.args(&argv[1..]).output().unwrap());
        assert_eq!(output.stdout, b"c f i k o p v\n");
    }

    #[test]
    fn a_killed_command_takes_its_descendants_with_it() {
        let mark = Mark::new(rand::random());
        // One that has left the session and the process group.
        let argv = words(&[
            "sh",
            "-c",
            "setsid sleep 1000 >/dev/null 2>&1 & echo $!; exec sleep 1000",
        ]);
        let argv = run(&mark, None, Input::None, &argv);
        let mut child = Command::new(&argv[0])
            .args(&argv[1..])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        let daemon = format!("/proc/{}/environ", line.trim());
        assert!(sh(&kill(&mark)).status.success());
        assert!(!child.wait().unwrap().success());
        // Gone, or a zombie that nobody has reaped yet: its environment is empty then.
        assert_eq!(std::fs::read(daemon).unwrap_or_default(), b"");
    }

    /// Both streams say where the command's own part ends, although a descendant writes on.
    #[test]
    fn the_end_of_a_command_is_marked_in_both_streams() {
        let mark = Mark::new(rand::random());
        for input in [Input::None, Input::Stream] {
            let argv = words(&[
                "sh",
                "-c",
                "(while kill -0 $$; do :; done; echo late) 2>/dev/null & echo out; echo err >&2; exit 3",
            ]);
            let argv = run(&mark, None, input, &argv);
            let output = Command::new(&argv[0])
                .args(&argv[1..])
                .stdin(Stdio::null())
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(3));
            for (stream, own) in [(output.stdout, "out\n"), (output.stderr, "err\n")] {
                let (bytes, code) = mark.end_mark().take(stream.into());
                assert_eq!(code, Some(3));
                assert!(bytes.starts_with(own.as_bytes()), "{bytes:?}");
            }
        }
    }

    #[test]
    fn a_signal_reaches_the_command_alone() {
        let mark = Mark::new(rand::random());
        // Were the descendant or the carrier hit, the code would be another one.
        let script = "trap 'kill -9 $!; wait $!; [ $? = 137 ] && exit 7' TERM; sleep 1000 & echo ready; wait";
        let argv = run(&mark, None, Input::None, &words(&["sh", "-c", script]));
        let mut child = Command::new(&argv[0])
            .args(&argv[1..])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        assert!(sh(&signal(&mark, 15)).status.success());
        assert_eq!(child.wait().unwrap().code(), Some(7));
        assert!(!sh(&signal(&mark, 15)).status.success());
    }

    #[test]
    fn a_command_that_was_killed_before_it_began_does_not_begin() {
        let mark = Mark::new(rand::random());
        assert!(sh(&kill(&mark)).status.success());
        let output = sh(&run(&mark, None, Input::None, &words(&["echo", "began"])));
        assert_eq!((output.status.code(), output.stdout), (Some(137), Vec::new()));
        std::fs::remove_file(format!("/dev/shm/.podbay-kill-{}", mark.0)).unwrap();
    }

    #[test]
    fn a_command_that_was_not_killed_for_memory_is_not_said_to_be() {
        let mark = Mark::new(rand::random());
        sh(&run(&mark, None, Input::None, &words(&["true"])));
        assert_eq!(sh(&ask_memory_kill(&mark)).stdout, b"");
    }
}
