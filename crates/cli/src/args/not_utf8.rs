//! Arguments that are not UTF-8, which paths alone may be.

use std::ffi::OsString;

use clap::error::ErrorKind;

use crate::exit::Failure;

/// What to tell in place of clap's own words, which don't say which argument it is; `None` for other errors. `args` are
/// those of the process, its name first.
#[expect(
    clippy::unnecessary_debug_formatting,
    reason = "escaped, the bytes that are not UTF-8 can be seen"
)]
pub(crate) fn not_utf8(error: &clap::Error, args: impl Iterator<Item = OsString>) -> Option<Failure> {
    if error.kind() != ErrorKind::InvalidUtf8 {
        return None;
    }
    let wrong: Vec<String> = args
        .enumerate()
        .skip(1)
        .filter(|(_, arg)| arg.to_str().is_none())
        .map(|(number, arg)| format!("argument {number}, {arg:?}"))
        .collect();
    Some(Failure::Usage {
        message: format!("not UTF-8: {}", wrong.join("; ")),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use clap::Parser as _;

    use super::*;
    use crate::args::Args;

    #[test]
    fn an_argument_that_is_not_utf8_is_named() {
        let args = || {
            ["podbay", "run", "--config"]
                .map(OsString::from)
                .into_iter()
                .chain([OsString::from_vec(b"/\xfe".to_vec())])
                .chain(["--", "echo"].map(OsString::from))
                .chain([OsString::from_vec(b"a\xffb".to_vec())])
        };
        let error = Args::try_parse_from(args()).unwrap_err();
        let failure = not_utf8(&error, args()).unwrap();
        assert_eq!(failure.exit_code(), 2);
        assert_eq!(
            failure.to_string(),
            "not UTF-8: argument 3, \"/\\xFE\"; argument 6, \"a\\xFFb\""
        );
        let other = Args::try_parse_from(["podbay", "fly"]).unwrap_err();
        assert!(not_utf8(&other, args()).is_none());
    }
}
