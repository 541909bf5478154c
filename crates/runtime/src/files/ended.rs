//! How a program in the session ended.

use podbay_protocol::{End, Outcome};

use crate::error::FileError;

/// Characters of a program's standard error that an error repeats.
const WORDS_LIMIT: usize = 2000;

/// Whether a program in the session ended well.
pub(super) fn check(program: &'static str, outcome: &Outcome) -> Result<(), FileError> {
    let words = || {
        let text = outcome.stderr_content.text();
        text.trim().chars().take(WORDS_LIMIT).collect::<String>()
    };
    let missing = |message: String| match program {
        "tar" => FileError::NoTar { message },
        _ => FileError::Remote {
            program,
            code: outcome.end.exit_code(),
            words: message,
        },
    };
    match &outcome.end {
        End::Exited { code: 0 } => Ok(()),
        End::Exited { code: 126 | 127 } => Err(missing(words())),
        End::NotFound { message } | End::CannotExecute { message } => Err(missing(message.clone())),
        End::Exited { code } => Err(FileError::Remote {
            program,
            code: *code,
            words: words(),
        }),
        End::Signaled { .. } => Err(FileError::Remote {
            program,
            code: outcome.end.exit_code(),
            words: words(),
        }),
        End::Cancelled => Err(FileError::Cancelled),
        End::Lost { message } => Err(FileError::Lost {
            message: message.clone(),
        }),
        End::Killed | End::TimedOut { .. } => {
            let message = outcome.verdict.as_ref().map(|verdict| verdict.message.clone());
            Err(FileError::Lost {
                message: message.unwrap_or_else(|| format!("{program} was killed")),
            })
        }
    }
}
