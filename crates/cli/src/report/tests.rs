use podbay_protocol::{Cause, TransportKind, TransportUsed, Verdict};
use podbay_runtime::Error;

use super::*;

fn summary(bytes: u64) -> StreamSummary {
    StreamSummary {
        bytes,
        sha256: "00".into(),
        truncated: false,
    }
}

fn attempt(end: End, stdout: &[u8]) -> Attempt {
    let outcome = Outcome {
        end,
        stdout: summary(stdout.len() as u64),
        stderr: summary(9),
        stdout_content: Content {
            bytes: stdout.to_vec(),
            capped: false,
        },
        stderr_content: Content {
            bytes: b"er".to_vec(),
            capped: true,
        },
        seconds: 0.25,
        verdict: None,
        transport: TransportUsed::plain(TransportKind::Exec),
    };
    Attempt {
        session: Some("demo".into()),
        argv: vec!["cat".into()],
        start: Some(PhaseTimes {
            creating: 0.5,
            total: 0.5,
            ..PhaseTimes::default()
        }),
        seconds: 1.0,
        result: Ok(outcome),
        signalled: None,
    }
}

#[test]
fn the_record_of_a_command_that_ran() {
    insta::assert_json_snapshot!(attempt(End::Exited { code: 3 }, "h\u{e9}\n".as_bytes()).record(true));
}

#[test]
fn the_files_record_has_no_content() {
    let record = attempt(End::Exited { code: 0 }, b"secret").record(false);
    assert!(record.stdout.text.is_none() && record.stdout.base64.is_none());
    assert!(record.stdout.content_capped.is_none());
    assert_eq!(record.stdout.bytes, 6);
}

#[test]
fn the_record_of_a_start_that_failed() {
    let verdict = Verdict::new(Cause::ImageNotFound, "no such image", "check the name");
    let error = Error::Start {
        session: "demo".into(),
        verdict: Box::new(verdict),
        times: PhaseTimes::default(),
        kept: false,
    };
    let attempt = Attempt {
        session: None,
        argv: vec!["true".into()],
        start: Some(PhaseTimes::default()),
        seconds: 1.5,
        result: Err(error.into()),
        signalled: None,
    };
    insta::assert_json_snapshot!(attempt.record(true));
}

#[test]
fn bytes_that_are_no_text_are_base64() {
    let record = attempt(End::Exited { code: 0 }, b"\xff\x00").record(true);
    assert_eq!(
        (record.stdout.text, record.stdout.base64.as_deref()),
        (None, Some("/wA="))
    );
}

#[test]
fn a_cap_within_a_character_leaves_text() {
    assert_eq!(text_of("h\u{e9}".as_bytes(), false), Some("h\u{e9}"));
    assert_eq!(text_of(b"h\xc3", true), Some("h"));
    assert_eq!(text_of(b"h\xc3", false), None);
    assert_eq!(text_of(b"\xffh", true), None);
}

#[test]
fn the_exit_code_is_the_commands_or_says_what_became_of_it() {
    let code = |end| attempt(end, b"").exit_code();
    assert_eq!(code(End::Exited { code: 7 }), 7);
    assert_eq!(code(End::Signaled { signal: 9 }), 137);
    assert_eq!(code(End::TimedOut { seconds: 1.0 }), 124);
    assert_eq!(code(End::Killed), 125);
    assert_eq!(
        code(End::Lost {
            message: String::new()
        }),
        125
    );
    assert_eq!(
        code(End::CannotExecute {
            message: String::new()
        }),
        126
    );
    assert_eq!(
        code(End::NotFound {
            message: String::new()
        }),
        127
    );
}

#[test]
fn a_signal_to_us_decides_only_where_it_ended_the_command() {
    let term = |end| {
        Attempt {
            signalled: Some(143),
            ..attempt(end, b"")
        }
        .exit_code()
    };
    assert_eq!(term(End::Cancelled), 143);
    assert_eq!(term(End::Exited { code: 0 }), 0);
}
