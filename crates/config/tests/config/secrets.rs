//! The values of `runtime_startup_env_vars` are never shown, whatever goes wrong.

use crate::support::load;
use secrecy::ExposeSecret;

#[test]
fn values_arrive_and_debug_hides_them() {
    for (file, variables) in [
        ("[sandbox.runtime_startup_env_vars]\nTOKEN = 'hunter2'", vec![]),
        (
            "",
            vec![("SANDBOX_RUNTIME_STARTUP_ENV_VARS", r#"{"TOKEN": "hunter2"}"#)],
        ),
        (
            "",
            vec![("PODBAY_SANDBOX_RUNTIME_STARTUP_ENV_VARS", "{'TOKEN': 'hunter2'}")],
        ),
    ] {
        let config = load(file, &variables).unwrap();
        assert_eq!(
            config.sandbox.runtime_startup_env_vars["TOKEN"].expose_secret(),
            "hunter2"
        );
        for shown in [
            format!("{config:?}"),
            format!("{config:#?}"),
            format!("{:?}", config.sandbox),
        ] {
            assert!(shown.contains("TOKEN") && !shown.contains("hunter2"), "{shown}");
        }
    }
}

#[test]
fn errors_hide_them() {
    let name = "SANDBOX_RUNTIME_STARTUP_ENV_VARS";
    for (file, variables) in [
        ("", vec![(name, "hunter2")]),
        ("", vec![(name, "{'A': 'hunter2'")]),
        ("", vec![(name, r#"["hunter2"]"#)]),
        ("", vec![(name, r#""hunter2""#)]),
        ("", vec![(name, r#"{"A": ["hunter2"]}"#)]),
        ("", vec![(name, r#"{"A=": "hunter2"}"#)]),
        ("", vec![(name, r#"{"": "hunter2"}"#)]),
        ("", vec![(name, r#"{"A": "hunter2\u0000"}"#)]),
        ("[sandbox]\nruntime_startup_env_vars = ['hunter2']", vec![]),
        ("[sandbox.runtime_startup_env_vars]\nA = ['hunter2']", vec![]),
        ("[sandbox.runtime_startup_env_vars]\nA = 'hunter2", vec![]),
        ("[sandbox.runtime_startup_env_vars]\nA = hunter2", vec![]),
        ("[sandbox.runtime_startup_env_vars]\nA = \"\\hunter2\"", vec![]),
    ] {
        let error = load(file, &variables).expect_err(file);
        let shown = format!("{error}\n{error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn warnings_hide_them() {
    let config = load("[sandbox]\napi_key = 'hunter2'", &[]).unwrap();
    assert_eq!(config.warnings().len(), 1);
    assert!(!format!("{:?}", config.warnings()).contains("hunter2"));
}
