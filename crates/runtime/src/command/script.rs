//! The words that carry a command into a container.
//!
//! Until a server of ours runs in the pod, the image's `/bin/sh` does what the exec subresource can't: it
//! marks the command's environment, so that a later exec can find and kill all its descendants, notes how many
//! processes the kernel had killed for memory before, and changes the directory. Then it *becomes* the command
//! (`exec`) where it has a terminal. Else a shell of its own becomes the command, and the first one stays to write an
//! [`EndMark`] on both streams when the command has ended: the exec itself ends only when all that the command left
//! behind has closed them. Exit codes, signals and the terminal are the command's own, and a program that doesn't exist or
//! can't be executed gives 127 or 126 with the shell's message on standard error.

use podbay_k8s_client::TerminalSize;

use super::end_mark::EndMark;

/// The shell: every image that can keep a session alive has it.
const SHELL: &str = "/bin/sh";

/// The variable that marks a command and its descendants.
const MARK: &str = "PODBAY_EXEC_ID";

/// A file of the container's own tmpfs. `/dev/shm` is there and writable in every container, also with a
/// read-only root. A line per command: its mark, and the count of memory kills before it.
const LEDGER: &str = "/dev/shm/.podbay";

/// Reads the count of memory kills of the container into `o`: `memory.events` of cgroup v2,
/// `memory.oom_control` of v1. Shell builtins alone, so that it costs microseconds and no process.
const COUNT_MEMORY_KILLS: &str = "o=0; for f in /sys/fs/cgroup/memory.events \
     /sys/fs/cgroup/memory/memory.oom_control; do [ -r \"$f\" ] && while read -r k v _; do \
     [ \"$k\" = oom_kill ] && o=$v; done <\"$f\"; done;";

/// What carries a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// A container whose shell prepares the command.
    Container,
    /// A process of ours, which its backend can mark and kill by itself.
    Process,
}

/// Names one command of a session.
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

/// Comes before a command in a shell of its own. The first shell's own words about a signal go nowhere.
const KEEP_STREAMS: &str = "exec 3<&0 4>&2 2>/dev/null; ( exec 3<&- 2>&4 4>&-;";

/// Comes after a command in a shell of its own: both streams are told its end.
const TELL_END: &str = "); c=$?; echo \"$3$c\"; echo \"$3$c\" >&4;";

/// Leaves a reader for what the command did not read of its standard input. Without, an exec whose
/// command ends with more than some 100 KB of input unread never ends: the node waits to hand the rest over, and
/// with it waits the status (seen with kubectl too, over both of its protocols, containerd 2.4). The reader
/// outlives the shell until the node closes the input.
const READ_ON: &str = "cat <&3 >/dev/null 3<&- 4>&- &";

/// Bytes of arguments that still fit into a request's URL, each of them escaped as three at worst: clients, proxies
/// and servers draw the line at 64 KiB and less.
const LONGEST_IN_URL: usize = 16 * 1024;

/// Whether the arguments are too long for a URL and have to be brought into the container first: see [`stage`].
pub(super) fn needs_staging(carrier: Carrier, argv: &[String]) -> bool {
    carrier == Carrier::Container && argv.iter().map(|word| word.len() + 1).sum::<usize>() > LONGEST_IN_URL
}

/// The argv that takes [`staged`] on its standard input and keeps it for the command of this mark.
pub(super) fn stage(mark: &Mark) -> Vec<String> {
    let script = format!("umask 077; cat >{LEDGER}-\"$1\"");
    [SHELL, "-c", &script, "podbay", &mark.0]
        .map(str::to_owned)
        .to_vec()
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

impl Input {
    /// The script that becomes or runs the command, whose words `arguments` makes the shell's own.
    fn script(self, arguments: &str) -> String {
        let becomes = format!("{arguments} unset o f k v p _; exec \"$@\"");
        match self {
            Self::None => format!("{KEEP_STREAMS} {becomes} {TELL_END} exit $c"),
            Self::Stream => format!("{KEEP_STREAMS} {becomes} {TELL_END} {READ_ON} exit $c"),
            // The size that is sent with the streams may arrive after the command has asked for it.
            Self::Terminal(TerminalSize { width, height }) => {
                format!("stty rows {height} cols {width} 2>/dev/null; {becomes}")
            }
        }
    }
}

/// The argv that runs `argv`.
pub(super) fn run(
    carrier: Carrier,
    mark: &Mark,
    workdir: Option<&str>,
    input: Input,
    argv: &[String],
) -> Vec<String> {
    let is_staged = needs_staging(carrier, argv);
    let arguments = if is_staged {
        format!("p={LEDGER}-$1; . \"$p\"; rm -f \"$p\";")
    } else {
        "shift 3;".to_owned()
    };
    let script = match (carrier, workdir) {
        (Carrier::Process, None) => return argv.to_vec(),
        (Carrier::Process, Some(_)) => "cd -- \"$2\" || exit 126; shift 3; exec \"$@\"".to_owned(),
        (Carrier::Container, _) => format!(
            "{COUNT_MEMORY_KILLS} {{ echo \"$1 $o\" >>{LEDGER}; }} 2>/dev/null; [ ! -e {LEDGER}-kill-\"$1\" ] || exit 137; \
             {MARK}=$1; export {MARK}; [ -z \"$2\" ] || cd -- \"$2\" || exit 126; {}",
            input.script(&arguments)
        ),
    };
    let end_mark = EndMark::of(&mark.0);
    // `$0` is what the shell's messages begin with.
    let words = [
        SHELL,
        "-c",
        &script,
        "podbay",
        &mark.0,
        workdir.unwrap_or_default(),
        &end_mark,
    ];
    words
        .into_iter()
        .map(str::to_owned)
        .chain(if is_staged { &[] } else { argv }.iter().cloned())
        .collect()
}

/// The argv that sends a signal to a command of a container, and not to its descendants: of the processes that inherited
/// its mark the one whose parent is the shell that carries it (which has the mark among its arguments alone) or, where that
/// shell became the command, is outside of the container; else those whose parents have no mark. Shell builtins alone.
pub(super) fn signal(mark: &Mark, number: i32) -> Vec<String> {
    let script = "marked=' '; carriers=' 0 '; for p in /proc/[0-9]*; do n=${p#/proc/}; [ \"$n\" != $$ ] || continue; \
         for f in environ cmdline; do while IFS= read -r l || [ -n \"$l\" ]; do case $l in *\"$1\"*) \
         case $f in environ) marked=\"$marked$n \";; *) carriers=\"$carriers$n \";; esac; break 2;; esac; \
         done 2>/dev/null <\"$p/$f\"; done; done; \
         parent() { u=; while read -r k v; do case $k in PPid:) u=$v; break;; esac; done 2>/dev/null <\"/proc/$1/status\"; }; \
         t=; for n in $marked; do parent \"$n\"; case $carriers in *\" $u \"*) t=\"$t $n\";; esac; done; \
         [ -n \"$t\" ] || for n in $marked; do parent \"$n\"; case $marked in *\" $u \"*) ;; *) t=\"$t $n\";; esac; done; \
         [ -n \"$t\" ] && kill -\"$2\" $t";
    [SHELL, "-c", script, "podbay", &mark.0, &number.to_string()]
        .map(str::to_owned)
        .to_vec()
}

/// The argv that kills a command of a container with its descendants, those that left its session or process group
/// too: they inherited its mark, unless they cleared their environment. The shell that is about to become the command
/// has the mark among its arguments, and one that has not begun finds a file that tells it not to. It repeats itself
/// until it finds none, since a process may fork while it is looked at. Shell builtins alone.
pub(super) fn kill(mark: &Mark) -> Vec<String> {
    let script = format!(
        "{{ : >{LEDGER}-kill-\"$1\"; }} 2>/dev/null; \
         n=0; while [ $n -lt 20 ]; do n=$((n+1)); found=; for p in /proc/[0-9]*; do \
         [ \"$p\" != \"/proc/$$\" ] || continue; hit=; for f in environ cmdline; do while IFS= read -r l || \
         [ -n \"$l\" ]; do case $l in *\"$1\"*) hit=1;; esac; done 2>/dev/null <\"$p/$f\"; done; \
         [ -z \"$hit\" ] || {{ kill -KILL \"${{p#/proc/}}\" && found=1; }} 2>/dev/null; done; \
         [ -n \"$found\" ] || exit 0; done; exit 1"
    );
    [SHELL, "-c", &script, "podbay", &mark.0]
        .map(str::to_owned)
        .to_vec()
}

/// The argv that tells whether the kernel killed a process of the container for memory since a command
/// began: it prints [`MEMORY_KILL`] if so.
pub(super) fn ask_memory_kill(mark: &Mark) -> Vec<String> {
    let script = format!(
        "{COUNT_MEMORY_KILLS} b=$o; while read -r m c; do [ \"$m\" = \"$1\" ] && b=$c; done 2>/dev/null \
         <{LEDGER}; [ \"$o\" -gt \"$b\" ] && echo {MEMORY_KILL}"
    );
    [SHELL, "-c", &script, "podbay", &mark.0]
        .map(str::to_owned)
        .to_vec()
}

/// The answer of [`ask_memory_kill`].
pub(super) const MEMORY_KILL: &str = "oom-kill";

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
        let output = sh(&run(Carrier::Container, &mark, Some("/tmp"), Input::None, &argv));
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
            sh(&run(
                Carrier::Container,
                &Mark::new(1),
                None,
                Input::None,
                &words(argv),
            ))
            .status
            .code()
        };
        assert_eq!(code(&["no-such-program"]), Some(127));
        assert_eq!(code(&["/etc/passwd"]), Some(126));
        let nowhere = run(
            Carrier::Container,
            &Mark::new(1),
            Some("/nowhere"),
            Input::None,
            &words(&["true"]),
        );
        assert_eq!(sh(&nowhere).status.code(), Some(126));
    }

    #[test]
    fn arguments_too_long_for_a_url_are_brought_in_first() {
        let long = "x'\"$y\n ".repeat(10_000);
        let argv = words(&["sh", "-c", "printf %s \"$1\"; exit 4", "sh", &long]);
        let mark = Mark::new(rand::random());
        assert!(needs_staging(Carrier::Container, &argv) && !needs_staging(Carrier::Process, &argv));
        let keep = stage(&mark);
        let mut child = Command::new(&keep[0])
            .args(&keep[1..])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&staged(&argv)).unwrap();
        assert!(child.wait().unwrap().success());
        let run = run(Carrier::Container, &mark, Some("/tmp"), Input::None, &argv);
        assert!(run.iter().map(String::len).sum::<usize>() < LONGEST_IN_URL);
        let output = sh(&run);
        assert_eq!(output.status.code(), Some(4));
        assert!(output.stdout == long.as_bytes(), "{} bytes", output.stdout.len());
        assert!(!std::path::Path::new(&format!("{LEDGER}-{}", mark.0)).exists());
    }

    /// With an input the shell stays, and is not to be noticed: codes, both streams, no word of its own.
    #[test]
    fn a_command_with_an_input_has_its_own_code_and_words() {
        let output = |argv: &[&str], input: &[u8]| {
            let argv = run(
                Carrier::Container,
                &Mark::new(1),
                None,
                Input::Stream,
                &words(argv),
            );
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

    #[test]
    fn a_killed_command_takes_its_descendants_with_it() {
        let mark = Mark::new(rand::random());
        // One that has left the session and the process group.
        let argv = words(&[
            "sh",
            "-c",
            "setsid sleep 1000 >/dev/null 2>&1 & echo $!; exec sleep 1000",
        ]);
        let argv = run(Carrier::Container, &mark, None, Input::None, &argv);
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
            let argv = run(Carrier::Container, &mark, None, input, &argv);
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
        let argv = run(
            Carrier::Container,
            &mark,
            None,
            Input::None,
            &words(&["sh", "-c", script]),
        );
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
        let output = sh(&run(
            Carrier::Container,
            &mark,
            None,
            Input::None,
            &words(&["echo", "began"]),
        ));
        assert_eq!((output.status.code(), output.stdout), (Some(137), Vec::new()));
        std::fs::remove_file(format!("{LEDGER}-kill-{}", mark.0)).unwrap();
    }

    #[test]
    fn a_command_that_was_not_killed_for_memory_is_not_said_to_be() {
        let mark = Mark::new(rand::random());
        sh(&run(
            Carrier::Container,
            &mark,
            None,
            Input::None,
            &words(&["true"]),
        ));
        assert_eq!(sh(&ask_memory_kill(&mark)).stdout, b"");
    }
}
