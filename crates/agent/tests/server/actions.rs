//! Actions of OpenHands' clients, where the list that its own server was asked says nothing.

use std::ffi::OsString;
use std::io::Write as _;
use std::time::Duration;

use http::Method;
use podbay_agent::action::ActionSettings;
use podbay_agent::action::shell::Kind;
use podbay_protocol::agent::KEY_HEADER;
use serde_json::{Value, json};

use crate::client::{Agent, KEY, Protocol};

async fn agent_with(change: impl FnOnce(&mut ActionSettings)) -> Agent {
    agent_of(std::env::var_os("PATH").unwrap_or_default(), change).await
}

async fn agent_of(path: OsString, change: impl FnOnce(&mut ActionSettings)) -> Agent {
    Agent::start_of(
        path,
        |_| {},
        |services, directory| {
            std::fs::create_dir(directory.join("home")).unwrap();
            let mut settings = ActionSettings::default();
            settings.directory = Some(directory.to_owned());
            settings.no_change_seconds = 1.0;
            change(&mut settings);
            services.with_actions(settings)
        },
    )
    .await
}

pub(crate) async fn agent() -> Agent {
    agent_with(|_| {}).await
}

async fn ask(agent: &Agent, action: Value) -> Value {
    agent
        .post("/execute_action", &json!({ "action": action }))
        .await
        .ok()
        .json()
}

async fn run(agent: &Agent, command: &str) -> (i64, String) {
    run_with(agent, json!({"command": command, "blocking": true})).await
}

async fn run_with(agent: &Agent, arguments: Value) -> (i64, String) {
    let told = ask(agent, json!({"action": "run", "args": arguments, "timeout": 30})).await;
    let code = told["extras"]["metadata"]["exit_code"].as_i64();
    (
        code.unwrap_or_else(|| panic!("{told}")),
        told["content"].as_str().unwrap().to_owned(),
    )
}

/// Ending the sandbox, as a pause does, ends what runs; the rest of its list is not begun, and it is no success.
#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_the_sandbox_s_end_meets_does_not_go_on_with_its_next_command() {
    let agent = agent().await;
    let began = agent.at("began");
    let command = "touch began; sleep 1000; echo mid; touch went-on";
    let ending = async {
        while !began.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        agent.processes.shut_down(Duration::from_secs(10)).await;
    };
    let ((code, content), ()) = tokio::join!(run(&agent, command), ending);
    assert_ne!(code, 0, "{content}");
    assert!(
        !content.contains("mid") && !agent.at("went-on").exists(),
        "{content}"
    );
}

/// Bug of others (software-agent-sdk#3036): `exit` ended the shell, and nothing was run any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_ends_is_replaced() {
    let agent = agent().await;
    run(&agent, "mkdir d && cd d").await;
    let told = ask(
        &agent,
        json!({"action": "run", "args": {"command": "echo last; exit 3"}}),
    )
    .await;
    let metadata = &told["extras"]["metadata"];
    assert_eq!(
        (&metadata["exit_code"], &told["success"]),
        (&json!(3), &json!(false))
    );
    assert!(told["content"].as_str().unwrap().starts_with("last"), "{told}");
    assert!(
        metadata["suffix"]
            .as_str()
            .unwrap()
            .contains("It ended the shell"),
        "{told}"
    );
    // In the same directory.
    let (code, text) = run(&agent, "basename \"$PWD\"").await;
    assert_eq!((code, text.as_str()), (0, "d"));
    for (command, code) in [("exec false", 1), ("kill -9 $$", 137), ("set -e; false", 1)] {
        assert_eq!(run(&agent, command).await.0, code, "{command}");
        assert_eq!(run(&agent, "echo next").await, (0, "next".to_owned()));
    }
}

/// Bug of others (software-agent-sdk#3660): a pager waited for a key, and the next command got its screen.
#[tokio::test(flavor = "multi_thread")]
async fn a_pager_does_not_wait() {
    let agent = agent().await;
    let git = "git -c user.name=a -c user.email=a@b -c core.pager=less";
    run(
        &agent,
        &format!(
            "{git} init -q . && for i in $(seq 200); do {git} commit -q --allow-empty -m \"number $i\"; done"
        ),
    )
    .await;
    let (code, text) = run(&agent, &format!("{git} log")).await;
    assert_eq!((code, text.matches("number ").count()), (0, 200));
    assert_eq!(run(&agent, "echo x").await, (0, "x".to_owned()));
}

/// Bug of others (daytona#2748): an interactive shell without a terminal of its own was stopped.
#[tokio::test(flavor = "multi_thread")]
async fn shells_in_the_shell() {
    let agent = agent().await;
    assert_eq!(
        run(&agent, "bash --norc -ic 'echo inner; exit 4'").await,
        (4, "inner\nexit".to_owned())
    );
    assert_eq!(run(&agent, "sh -c 'echo $0; exit 5'").await, (5, "sh".to_owned()));
    assert_eq!(run(&agent, "cat <<'EOF' | sh\nexit 6\nEOF").await.0, 6);
    assert_eq!(run(&agent, "echo after").await, (0, "after".to_owned()));
}

/// Bug of others (SWE-ReX#29): what was written before the time-out was thrown away.
#[tokio::test(flavor = "multi_thread")]
async fn a_time_out_keeps_the_output_so_far() {
    let agent = agent().await;
    // The time runs from the request on: the session's shell is there before it.
    assert_eq!(run(&agent, "true").await.0, 0);
    let asked = json!({"action": "run", "timeout": 2, "args": {"command": "echo so far; sleep 60", "blocking": true}});
    let told = ask(&agent, asked).await;
    assert_eq!(told["content"], "so far");
    assert_eq!(
        run_with(&agent, json!({"command": "C-c", "is_input": true}))
            .await
            .0,
        130
    );
    assert_eq!(run(&agent, "echo x").await, (0, "x".to_owned()));
}

/// What a program does to the terminal, to the prompt, or to the shell's own outputs does not reach the next command.
#[tokio::test(flavor = "multi_thread")]
async fn what_wedges_a_shell_does_not() {
    let agent = agent().await;
    for command in [
        "stty raw -echo",
        "PS1='(venv) '; PROMPT_COMMAND='echo noise'",
        "unset PROMPT_COMMAND",
        "exec 2>/dev/null",
        "printf '\\033[?1049h\\033[6n\\033['",
        "trap 'echo trapped' INT",
        "set -u",
        "IFS=x",
        "set -o posix",
        "printf '\\033]7770;'",
        "printf '\\0\\1\\2\\3\\4\\22\\32'",
        "shopt -s extglob; alias eval=false printf=false read=false",
        "cd $(mktemp -d) && rmdir $PWD",
        "PATH=",
    ] {
        run(&agent, command).await;
        assert_eq!(
            run(&agent, "echo fine").await,
            (0, "fine".to_owned()),
            "{command}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_text_is_run_as_it_is() {
    let agent = agent().await;
    let hard = "it's \"quoted\" $HOME `x` \\ !! ~ \t 🙂 \u{1b}[31m %s {a,b} # no comment";
    let quoted = hard.replace('\'', "'\\''");
    let (code, text) = run(
        &agent,
        &format!("printf %s '{quoted}' | od -An -tx1 -v | tr -d ' \\n'"),
    )
    .await;
    let bytes: Vec<u8> = (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect();
    assert_eq!((code, String::from_utf8(bytes).unwrap().as_str()), (0, hard));
    let long = "x".repeat(200_000);
    assert_eq!(
        run(&agent, &format!(": '{long}'; echo ${{#_}}")).await,
        (0, "200000".to_owned())
    );
}

/// What was exported stays, whatever is in it; what was not goes with the shell.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_shell_has_what_the_last_one_exported() {
    for kind in [Kind::Bash, Kind::Sh] {
        let agent = agent_with(|settings| settings.shells = vec![kind]).await;
        let set = r#"export ONE="it's  \"x\" \$HOME" TWO=; PLAIN=1; export THREE="a
b""#;
        assert_eq!(run(&agent, set).await.0, 0);
        for end in ["exit 3", "set -u; exit 4", "sh -c 'kill -9 $PPID'"] {
            run(&agent, end).await;
            if end.contains("kill") {
                // It could say nothing.
                assert_eq!(
                    run(&agent, "echo \"[$ONE]\"").await,
                    (0, "[]".to_owned()),
                    "{kind:?}"
                );
                continue;
            }
            let told = run(&agent, "echo \"$ONE|${TWO-unset}|${PLAIN-unset}|$THREE|$?\"").await;
            assert_eq!(
                told,
                (0, "it's  \"x\" $HOME||unset|a\nb|0".to_owned()),
                "{kind:?} {end}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_bash_there_is_sh() {
    sh_does(agent_with(|settings| settings.shells = vec![Kind::Sh]).await).await;
}

/// Alpine's `sh`, and that of many small images.
#[tokio::test(flavor = "multi_thread")]
async fn busybox_is_a_shell_too() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(busybox) = std::env::split_paths(&path)
        .map(|directory| directory.join("busybox"))
        .find(|program| program.exists())
    else {
        return println!("skipped: there is no busybox in the search path");
    };
    let programs = tempfile::tempdir().unwrap();
    for name in ["sh", "ash"] {
        std::os::unix::fs::symlink(&busybox, programs.path().join(name)).unwrap();
    }
    let paths = [programs.path().to_owned()]
        .into_iter()
        .chain(std::env::split_paths(&path));
    let path = std::env::join_paths(paths).unwrap();
    let agent = agent_of(path, |settings| settings.shells = vec![Kind::Sh]).await;
    let (code, text) = run(&agent, "readlink /proc/$$/exe").await;
    assert_eq!((code, text.contains("busybox")), (0, true), "{text}");
    sh_does(agent).await;
}

async fn sh_does(agent: Agent) {
    assert_eq!(run(&agent, "echo $0; (exit 7)").await, (7, "sh".to_owned()));
    assert_eq!(run(&agent, "echo $?").await, (0, "7".to_owned()));
    run(&agent, "cd / && export A=1 && f() { echo \"f $A\"; }").await;
    assert_eq!(run(&agent, "pwd; f").await, (0, "/\nf 1".to_owned()));
    assert_eq!(run(&agent, "cat <<EOF\nit's\nEOF").await, (0, "it's".to_owned()));
    assert_eq!(run(&agent, "echo )").await.0, 2);
    let told = ask(
        &agent,
        json!({"action": "run", "timeout": 2, "args": {"command": "echo a; sleep 60", "blocking": true}}),
    )
    .await;
    assert_eq!(told["content"], "a");
    assert_eq!(
        run_with(&agent, json!({"command": "C-c", "is_input": true}))
            .await
            .0,
        130
    );
    assert_eq!(run(&agent, "PS1='$ '").await.0, 0);
    assert_eq!(run(&agent, "echo x").await, (0, "x".to_owned()));
    assert_eq!(run(&agent, "exit 9").await.0, 9);
    assert_eq!(run(&agent, "pwd").await, (0, "/".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_shell_files_are_there() {
    let agent = agent_with(|settings| settings.shells = Vec::new()).await;
    let told = ask(&agent, json!({"action": "run", "args": {"command": "true"}})).await;
    assert_eq!(told["observation"], "error");
    assert!(told["content"].as_str().unwrap().contains("no shell"), "{told}");
    let told = ask(
        &agent,
        json!({"action": "write", "args": {"path": "a", "content": "x"}}),
    )
    .await;
    assert_eq!(told["observation"], "write");
    assert_eq!(std::fs::read_to_string(agent.at("a")).unwrap(), "x\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn cells_of_python() {
    let agent = agent().await;
    let cell = |code: &str, timeout: f64| {
        let asked = json!({"action": "run_ipython", "timeout": timeout, "args": {"code": code, "include_extra": false}});
        let agent = &agent;
        async move {
            let told = ask(agent, asked).await;
            assert_eq!(told["observation"], "run_ipython", "{told}");
            told["content"].as_str().unwrap().to_owned()
        }
    };
    assert_eq!(
        cell("x = 6", 30.0).await,
        "[Code executed successfully with no output]"
    );
    assert_eq!(cell("print('a')\nx * 7", 30.0).await, "a\n42");
    assert_eq!(
        cell(
            "import os, sys\nos.system('echo out; echo err >&2')\nprint('e', file=sys.stderr)",
            30.0
        )
        .await,
        "out\nerr\ne"
    );
    let error = cell("def f():\n    return 1 / 0\nf()", 30.0).await;
    assert!(
        error.starts_with("Traceback")
            && error.contains("    return 1 / 0")
            && error.ends_with("ZeroDivisionError: division by zero"),
        "{error}"
    );
    assert!(!error.contains("serve"), "{error}");
    assert!(cell("a b", 30.0).await.contains("SyntaxError"));
    assert_eq!(cell("!echo shell", 30.0).await, "shell\n0");
    assert_eq!(cell("sys.exit(3)", 30.0).await, "SystemExit: 3");
    assert!(
        cell("input()", 30.0)
            .await
            .ends_with("EOFError: EOF when reading a line")
    );
    let late = cell("import time\nprint('so far')\ntime.sleep(60)", 1.0).await;
    assert!(
        late.starts_with("so far") && late.ends_with("[Execution timed out (1.0 seconds).]"),
        "{late}"
    );
    assert_eq!(cell("x", 30.0).await, "6");
    assert!(
        cell("os._exit(4)", 30.0)
            .await
            .contains("the next cell runs in a new one")
    );
    assert!(
        cell("x", 30.0)
            .await
            .ends_with("NameError: name 'x' is not defined")
    );
    // It follows the shell.
    run(&agent, "mkdir below && cd below").await;
    let told = ask(
        &agent,
        json!({"action": "run_ipython", "args": {"code": "import os; print(os.path.basename(os.getcwd()))"}}),
    )
    .await;
    let lines: Vec<&str> = told["content"].as_str().unwrap().lines().collect();
    assert_eq!(lines[0], "below");
    assert!(lines[1].starts_with("[Jupyter current working directory: ") && lines[1].ends_with("/below]"));
    assert!(lines[2].starts_with("[Jupyter Python interpreter: /"));
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_stay_where_they_are_sent() {
    let agent = agent().await;
    let form = |name: &str, content: &[u8]| {
        let mut body =
            format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n")
                .into_bytes();
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n--b--\r\n");
        body
    };
    let target = format!("/upload_file?destination={}", agent.at("in").display());
    let headers = [
        (KEY_HEADER, KEY),
        ("content-type", "multipart/form-data; boundary=b"),
    ];
    for (protocol, name) in [(Protocol::Http1, "../../one"), (Protocol::Http2, "/two")] {
        let reply = agent
            .send(
                protocol,
                Method::POST,
                &target,
                &headers,
                form(name, &vec![9; 3_000_000]),
            )
            .await
            .ok();
        assert_eq!(reply.json::<Value>()["filename"], name);
    }
    let mut names: Vec<_> = std::fs::read_dir(agent.at("in"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(std::fs::read(agent.at("in/two")).unwrap(), vec![9; 3_000_000]);
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive
        .start_file("../escaped", zip::write::SimpleFileOptions::default())
        .unwrap();
    archive.write_all(b"x").unwrap();
    let archive = archive.finish().unwrap().into_inner();
    let reply = agent
        .send(
            Protocol::Http1,
            Method::POST,
            &target,
            &headers,
            form("a.zip", &archive),
        )
        .await;
    assert_eq!(reply.status, 500);
    assert!(
        reply.json::<Value>()["detail"]
            .as_str()
            .unwrap()
            .contains("leads out of the directory")
    );
    assert!(!agent.at("escaped").exists());
    let reply = agent
        .send(Protocol::Http1, Method::POST, &target, &headers, form("..", b"x"))
        .await;
    assert_eq!(reply.status, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused() {
    let agent = agent().await;
    let body = vec![b' '; (32 << 20) + 1];
    let reply = agent
        .ask(Protocol::Http2, Method::POST, "/execute_action", body)
        .await;
    assert_eq!(reply.status, 413);
    assert!(reply.json::<Value>()["detail"].is_string());
}

/// Output that nobody waits for is taken all the same: the command does not stand still.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_writes_much_is_not_held_up() {
    let agent = agent().await;
    let asked = json!({"action": "run", "timeout": 0.1, "args": {"command": "seq 1 3000000; echo over", "blocking": true}});
    ask(&agent, asked).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let (code, text) = run_with(&agent, json!({"command": "", "blocking": true})).await;
    assert_eq!(code, 0);
    assert!(
        text.ends_with("3000000\nover") && text.len() < 31_000,
        "{}",
        text.len()
    );
}
