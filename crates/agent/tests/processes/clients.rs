//! Processes as a client sees them.

use std::time::Duration;

use crate::support::*;
use bytes::Bytes;
use podbay_agent::process::{AcknowledgeError, Piece, ReadError, SignalError, StartRefusal, StdinError};
use podbay_protocol::{Offsets, ProcessEnd, Retention, Signal, SignalTarget, StreamName};

#[tokio::test]
async fn a_process_gives_both_outputs_and_its_code() {
    let processes = processes();
    let all = run(&processes, shell("p", "printf out; printf err >&2; exit 3")).await;
    assert_eq!(
        (all.text().as_str(), all.error_text().as_str(), all.code()),
        ("out", "err", 3)
    );
    assert!(!all.record.stdout.truncated && !all.record.stderr.truncated);
    assert!(all.record.usage.unwrap().max_resident_bytes > 0);
    assert!(all.record.seconds.unwrap() > 0.0);
}

#[tokio::test]
async fn words_and_environment_arrive_as_they_are() {
    let processes = processes();
    let mut spec = program(
        "p",
        &[
            "/bin/sh",
            "-c",
            r#"printf '%s|' "$0" "$@" "$KEY""#,
            "a b",
            "",
            "*",
            "é\n",
        ],
    );
    spec.environment = [("KEY", "a=b 'c'\n")].into_iter().collect();
    let all = run(&processes, spec).await;
    assert_eq!(all.text(), "a b||*|é\n|a=b 'c'\n|");
}

#[tokio::test]
async fn the_same_start_gives_the_process_that_is_there() {
    let processes = processes();
    let directory = tempfile::tempdir().unwrap();
    let counter = directory.path().join("counter");
    let spec = shell("p", &format!("echo x >> {}", counter.display()));
    assert!(processes.start(spec.clone()).unwrap().created);
    assert!(!processes.start(spec.clone()).unwrap().created);
    read_all(&processes, "p").await;
    let again = processes.start(spec).unwrap();
    assert!(!again.created && again.info.end.is_some());
    assert_eq!(std::fs::read_to_string(&counter).unwrap(), "x\n");
    let other = processes.start(shell("p", "true")).unwrap_err();
    assert!(matches!(other, StartRefusal::IdTaken { .. }), "{other}");
}

#[tokio::test]
async fn a_forgotten_id_is_free_and_an_expired_one_is_not() {
    let processes = processes_with(|settings| settings.kept = 1);
    for name in ["a", "b"] {
        run(&processes, program(name, &["true"])).await;
    }
    until("the first is dropped", || processes.info(&id("a")).is_none()).await;
    let expired = processes.start(program("a", &["true"])).unwrap_err();
    assert!(matches!(expired, StartRefusal::Expired { .. }), "{expired}");
    processes.forget(&id("b")).unwrap();
    assert!(processes.start(program("b", &["true"])).unwrap().created);
}

#[tokio::test]
async fn what_can_not_be_started_says_why() {
    let processes = processes();
    let directory = tempfile::tempdir().unwrap();
    let not_executable = directory.path().join("plain");
    std::fs::write(&not_executable, "").unwrap();
    let mut no_directory = program("d", &["true"]);
    no_directory.directory = Some("/no/such".to_owned());
    let mut no_user = program("u", &["true"]);
    no_user.user_name = Some("nobody-of-this-name".to_owned());
    for (spec, reason, message) in [
        (
            program("a", &["no-such-program"]),
            "ENOENT",
            "no-such-program: command not found",
        ),
        (
            program("b", &["/no/such"]),
            "ENOENT",
            "/no/such: No such file or directory",
        ),
        (
            program("c", &[not_executable.to_str().unwrap()]),
            "EACCES",
            "Permission denied",
        ),
        (program("e", &["/etc"]), "EACCES", "/etc: Permission denied"),
        (no_directory, "working_directory", "working directory /no/such"),
        (
            no_user,
            "unknown_user",
            "there is no user \"nobody-of-this-name\"",
        ),
    ] {
        let all = run(&processes, spec).await;
        let ProcessEnd::NotStarted {
            reason: told,
            message: text,
        } = &all.record.end
        else {
            panic!("{:?}", all.record);
        };
        assert_eq!(told, reason);
        assert!(text.contains(message), "{text}");
    }
}

#[tokio::test]
async fn large_words_and_environments_pass() {
    let processes = processes();
    let word = "x".repeat(100 * 1024);
    let mut spec = program("p", &["/bin/sh", "-c", r#"printf '%s' "$#$KEY" | wc -c"#, "sh"]);
    spec.argv.extend(std::iter::repeat_n(word.clone(), 8));
    spec.environment = [("KEY", word)].into_iter().collect();
    assert_eq!(
        run(&processes, spec).await.text().trim(),
        (100 * 1024 + 1).to_string()
    );
}

#[tokio::test]
async fn standard_input_has_an_end() {
    let processes = processes();
    let mut spec = program("p", &["cat"]);
    spec.stdin = true;
    processes.start(spec).unwrap();
    let all = Bytes::from(
        (0..3_000_000_usize)
            .map(|number| b"0123456789abc"[number % 13])
            .collect::<Vec<_>>(),
    );
    let writer = {
        let (processes, all) = (processes.clone(), all.clone());
        tokio::spawn(async move {
            let half = all.slice(..1_500_000);
            assert_eq!(processes.write_stdin(&id("p"), 0, half).await, Ok(1_500_000));
            // Repeated from somewhere before: nothing is written twice.
            let rest = all.slice(1_000_000..);
            assert_eq!(
                processes.write_stdin(&id("p"), 1_000_000, rest).await,
                Ok(3_000_000)
            );
            processes.close_stdin(&id("p")).await.unwrap();
            processes.close_stdin(&id("p")).await.unwrap();
        })
    };
    let read = read_all(&processes, "p").await;
    writer.await.unwrap();
    assert!(read.stdout == all);
    assert_eq!(processes.info(&id("p")).unwrap().stdin, Some(3_000_000));
    let closed = processes
        .write_stdin(&id("p"), 3_000_000, Bytes::from_static(b"x"))
        .await;
    assert!(matches!(closed, Err(StdinError::Closed { .. })));
}

#[tokio::test]
async fn a_process_that_reads_no_input_ends_the_writing() {
    let processes = processes();
    let mut spec = shell("p", "exec 0<&-; sleep 1");
    spec.stdin = true;
    processes.start(spec).unwrap();
    let endless = Bytes::from(vec![0; 8 << 20]);
    let refused = processes.write_stdin(&id("p"), 0, endless).await;
    assert!(matches!(refused, Err(StdinError::Closed { .. })), "{refused:?}");
}

#[tokio::test]
async fn signals_reach_the_process_or_its_tree() {
    let processes = processes();
    // The shell's child ignores nothing; the shell itself says which signal it got.
    let text = "trap 'echo got; exit 5' TERM; sleep 99 & echo ready; wait";
    processes.start(shell("one", text)).unwrap();
    processes
        .start(shell(
            "tree",
            "trap '' TERM; sh -c 'trap \"\" TERM; sleep 98 & wait'",
        ))
        .unwrap();
    until("it is ready", || {
        processes.info(&id("one")).unwrap().written.stdout > 0
    })
    .await;
    let term = Signal::try_from(15).unwrap();
    processes.signal(&id("one"), term, SignalTarget::Process).unwrap();
    let all = read_all(&processes, "one").await;
    assert_eq!((all.text().as_str(), all.code()), ("ready\ngot\n", 5));
    assert!(matches!(
        processes.signal(&id("one"), term, SignalTarget::Process),
        Err(SignalError::Ended { .. })
    ));
    processes
        .signal(&id("tree"), Signal::KILL, SignalTarget::Tree)
        .unwrap();
    let all = read_all(&processes, "tree").await;
    assert_eq!(all.record.end, ProcessEnd::Signaled { signal: 9 });
    processes
        .signal(&id("one"), Signal::KILL, SignalTarget::Tree)
        .unwrap();
    until("nothing is left", || processes.alive() == 0).await;
}

#[tokio::test]
async fn a_real_time_signal_is_a_signal_too() {
    let processes = processes();
    let text = "trap 'echo got; exit' RTMIN+3; echo ready; while :; do sleep 0.01; done";
    processes.start(program("p", &["bash", "-c", text])).unwrap();
    until("it is ready", || {
        let info = processes.info(&id("p")).unwrap();
        assert_eq!(info.end, None, "bash is needed here");
        info.written.stdout > 0
    })
    .await;
    let signal = Signal::try_from(37).unwrap();
    processes.signal(&id("p"), signal, SignalTarget::Process).unwrap();
    assert_eq!(read_all(&processes, "p").await.text(), "ready\ngot\n");
}

#[tokio::test]
async fn a_place_that_is_gone_or_not_yet_there_is_refused() {
    let processes = processes_with(|settings| settings.window = 1000);
    let mut spec = shell("p", "head -c 5000 /dev/zero");
    spec.retention = Retention::Tail;
    let all_written = run_unread(&processes, spec).await;
    assert_eq!(all_written, 5000);
    let at = |stdout| Offsets { stdout, stderr: 0 };
    let gone = processes.read(&id("p"), at(0), None).unwrap_err();
    let expected = ReadError::Gone {
        id: id("p"),
        stream: StreamName::Stdout,
        asked: 0,
        first: 4000,
    };
    assert_eq!(gone, expected);
    let ahead = processes.read(&id("p"), at(5001), None).unwrap_err();
    assert!(matches!(ahead, ReadError::Ahead { written: 5000, .. }));
    let mut tail = processes.read(&id("p"), at(4000), None).unwrap();
    assert!(matches!(tail.next().await, Some(Piece::Output { bytes, .. }) if bytes.len() == 1000));
    let Some(Piece::End(record)) = tail.next().await else {
        panic!("no end");
    };
    assert_eq!((record.stdout.first, record.stdout.bytes), (4000, Some(5000)));
    let unread = processes
        .acknowledge(&id("p"), &reader_id("x"), at(1))
        .unwrap_err();
    assert!(matches!(unread, AcknowledgeError::OtherReader { .. }));
}

/// Waits for the end without reading.
async fn run_unread(processes: &podbay_agent::process::Processes, spec: podbay_protocol::ProcessSpec) -> u64 {
    let name = spec.id.clone();
    processes.start(spec).unwrap();
    until("it has ended", || processes.info(&name).unwrap().end.is_some()).await;
    processes.info(&name).unwrap().written.stdout
}

#[tokio::test]
async fn a_process_waits_for_its_reader_and_goes_on_where_he_was() {
    let processes = processes_with(|settings| settings.window = 100_000);
    let reader = reader_id("r");
    processes.start(shell("p", "seq 1 200000")).unwrap();
    let mut stream = processes
        .read(&id("p"), Offsets::default(), Some(reader.clone()))
        .unwrap();
    until("it waits", || {
        processes.info(&id("p")).unwrap().written.stdout == 100_000
    })
    .await;
    let mut head = Vec::new();
    while head.len() < 60_000 {
        match stream.next().await {
            Some(Piece::Output { bytes, .. }) => head.extend_from_slice(&bytes),
            other => panic!("{other:?}"),
        }
    }
    // What was not acknowledged is read again after a lost connection.
    let at = Offsets {
        stdout: 50_000,
        stderr: 0,
    };
    processes.acknowledge(&id("p"), &reader, at).unwrap();
    drop(stream);
    head.truncate(50_000);
    let stream = processes.read(&id("p"), at, Some(reader.clone())).unwrap();
    let rest = read_on(&processes, "p", stream, &reader, at).await;
    head.extend_from_slice(&rest.stdout);
    let expected: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    assert!(head == expected.as_bytes());
    assert_eq!(rest.record.stdout.sha256, Some(sha256(&head)));
    assert!(!rest.record.stdout.spooled && !rest.record.stdout.truncated);
}

#[tokio::test]
async fn without_its_reader_a_process_goes_on_into_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let processes = processes_with(|settings| {
        settings.window = 10_000;
        settings.reattach_grace = Duration::from_millis(50);
        settings.spool = Some(directory.path().to_owned());
    });
    let written = run_unread(&processes, shell("p", "seq 1 100000")).await;
    let all = read_all(&processes, "p").await;
    assert_eq!(all.stdout.len() as u64, written);
    assert!(all.record.stdout.spooled && !all.record.stdout.truncated);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_nobody_has_read_of_an_ended_process_leaves_memory() {
    let directory = tempfile::tempdir().unwrap();
    let open_files = || {
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        targets
            .filter(|target| target.starts_with(directory.path()))
            .count()
    };
    let processes = processes_with(|settings| settings.spool = Some(directory.path().to_owned()));
    run_unread(&processes, shell("p", "seq 1 50000; seq 1 9 >&2")).await;
    until("it is in a file", || open_files() == 1).await;
    let all = read_all(&processes, "p").await;
    assert_eq!((all.stdout.len(), all.error_text().len()), (288_894, 18));
    // Read and acknowledged, it is dropped.
    until("the file is closed", || open_files() == 0).await;
    let gone = processes.read(&id("p"), Offsets::default(), None).unwrap_err();
    assert!(matches!(gone, ReadError::Gone { first: 288_894, .. }), "{gone}");
}

#[tokio::test]
async fn a_full_spool_truncates_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let processes = processes_with(|settings| {
        settings.spool = Some(directory.path().to_owned());
        settings.stream_limit = 200_000;
    });
    let mut spec = shell("p", "seq 1 100000");
    spec.retention = Retention::Spool;
    assert_eq!(run_unread(&processes, spec.clone()).await, 200_000);
    let all = read_all(&processes, "p").await;
    assert!(all.record.stdout.truncated && all.code() == 0);
    // What he has taken is dropped: the room is another's.
    spec.id = id("q");
    assert_eq!(run_unread(&processes, spec).await, 200_000);
}

#[tokio::test]
async fn without_a_directory_detached_output_is_truncated() {
    let processes = processes();
    let mut spec = shell("p", "seq 1 100000");
    spec.retention = Retention::Spool;
    let kept = run_unread(&processes, spec).await;
    assert!((1..=65_536).contains(&kept), "{kept}");
    assert!(read_all(&processes, "p").await.record.stdout.truncated);
}

#[tokio::test]
async fn a_descendant_that_keeps_the_pipe_cuts_the_stream() {
    let processes = processes_with(|settings| settings.linger = Duration::from_millis(100));
    let all = run(&processes, shell("p", "echo mine; sleep 97 & exit 4")).await;
    assert_eq!((all.text().as_str(), all.code()), ("mine\n", 4));
    assert!(all.record.stdout.truncated && all.record.stderr.truncated);
    assert_eq!(processes.alive(), 1, "what it left behind goes on");
    processes.forget(&id("p")).unwrap();
    until("nothing is left", || processes.alive() == 0).await;
}

#[tokio::test]
async fn an_end_ends_all() {
    let processes = processes();
    processes
        .start(shell(
            "polite",
            "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done",
        ))
        .unwrap();
    processes
        .start(shell(
            "stubborn",
            "trap '' TERM; echo ready; while :; do sleep 0.01; done",
        ))
        .unwrap();
    let mut daemon = shell(
        "daemon",
        "(setsid env -i sleep 96 >/dev/null 2>&1 &) ; echo ready",
    );
    daemon.terminal = None;
    processes.start(daemon).unwrap();
    for name in ["polite", "stubborn", "daemon"] {
        until("it is ready", || {
            processes.info(&id(name)).unwrap().written.stdout > 0
        })
        .await;
    }
    processes.shut_down(Duration::from_millis(300)).await;
    assert_eq!(processes.alive(), 0);
    assert_eq!(read_all(&processes, "polite").await.text(), "ready\nbye\n");
    assert_eq!(
        read_all(&processes, "stubborn").await.record.end,
        ProcessEnd::Signaled { signal: 9 }
    );
    let refused = processes.start(program("late", &["true"])).unwrap_err();
    assert!(matches!(refused, StartRefusal::ShuttingDown { .. }));
}

#[tokio::test]
async fn an_agents_death_ends_its_processes() {
    let mark = {
        let settings = settings();
        settings.mark
    };
    let text = "sleep 95 & (setsid sleep 94 &); echo ready; wait";
    let thread_mark = mark.clone();
    // The runtime's end stands for the agent's: the socket is closed.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let processes = processes_with(|settings| settings.mark = thread_mark);
            processes.start(shell("p", text)).unwrap();
            until("it is ready", || {
                processes.info(&id("p")).unwrap().written.stdout > 0
            })
            .await;
        });
    })
    .join()
    .unwrap();
    until("nothing carries the mark", || {
        carrying(&format!("{mark}/p")).is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_killed_supervisor_takes_its_tree_along() {
    let mark = format!("lost-{}", std::process::id());
    let processes = processes_with(|settings| settings.mark.clone_from(&mark));
    processes
        .start(shell(
            "p",
            "(setsid sleep 93 &); echo ready; sleep 92; echo never",
        ))
        .unwrap();
    until("it is ready", || {
        processes.info(&id("p")).unwrap().written.stdout > 0
    })
    .await;
    let pid = processes.info(&id("p")).unwrap().pid.unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let supervisor = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(supervisor).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    let all = read_all(&processes, "p").await;
    assert!(
        matches!(all.record.end, ProcessEnd::Lost { .. }),
        "{:?}",
        all.record
    );
    assert_eq!(all.text(), "ready\n");
    until("nothing carries the mark", || {
        carrying(&format!("{mark}/p")).is_empty()
    })
    .await;
}

#[tokio::test]
async fn it_may_be_kept_from_gaining_rights() {
    for (kept, flag) in [(true, "1"), (false, "0")] {
        let processes = processes_with(|settings| settings.no_new_privileges = kept);
        let all = run(
            &processes,
            program("p", &["grep", "NoNewPrivs", "/proc/self/status"]),
        )
        .await;
        assert_eq!(all.text(), format!("NoNewPrivs:\t{flag}\n"));
    }
}

#[tokio::test]
async fn it_has_the_limit_of_open_files_that_it_should_have() {
    let own = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    for (setting, limit) in [(Some(200), Some(200)), (None, own)] {
        let processes = processes_with(|settings| settings.open_files = setting);
        let all = run(&processes, shell("p", "ulimit -Sn")).await;
        let expected = limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
        assert_eq!(all.text().trim(), expected);
    }
}

#[tokio::test]
async fn another_user_has_his_groups_and_his_home() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can run a process as another user");
        return;
    }
    let processes = processes();
    let mut spec = program(
        "p",
        &[
            "/bin/sh",
            "-c",
            "id -u; id -g; id -G; echo $HOME; grep NoNewPrivs /proc/self/status",
        ],
    );
    spec.user_name = Some("daemon".to_owned());
    let all = run(&processes, spec).await;
    let lines: Vec<String> = all.text().lines().map(str::to_owned).collect();
    assert_eq!(lines[..2], ["1", "1"], "{lines:?}");
    assert_eq!(lines[3], "/usr/sbin");
    let mut by_number = program(
        "q",
        &["/bin/sh", "-c", "id -u; id -G; echo $HOME; cat /proc/self/status"],
    );
    by_number.user = Some(podbay_protocol::ProcessUser {
        uid: 54321,
        gid: Some(54322),
    });
    let all = run(&processes, by_number).await;
    assert!(all.text().starts_with("54321\n54322\n/\n"), "{}", all.text());
    // No way back: real, effective, saved and file system id are the user's, and no capability is left.
    assert!(all.text().contains("Uid:\t54321\t54321\t54321\t54321"));
    assert!(all.text().contains("CapPrm:\t0000000000000000"));
}
