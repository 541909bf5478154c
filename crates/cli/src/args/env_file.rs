//! Files of environment variables, as docker reads them.

use std::path::Path;

use secrecy::SecretString;

use super::environment::is_name;
use crate::exit::Failure;

/// The mark that some editors put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Reads a file: a line is `NAME=VALUE`, or `NAME` for the value that `ours` gives; nothing is quoted; blank lines and
/// those that begin with `#` are skipped.
///
/// A failure names the file and the line, counted from one, and never shows the line: it may be one of a private key
/// that somebody has written over several lines.
pub(super) fn read(
    path: &Path,
    ours: impl Fn(&str) -> Option<String>,
) -> Result<Vec<(String, SecretString)>, Failure> {
    let bytes = std::fs::read(path).map_err(|source| Failure::Usage {
        message: format!("--env-file {} can't be read: {source}", path.display()),
    })?;
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
    let mut variables = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let failed = |reason: &str| Failure::Usage {
            message: format!("--env-file {}:{}: {reason}", path.display(), index + 1),
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = std::str::from_utf8(line).map_err(|_| failed("the line is not UTF-8"))?;
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (line, None),
        };
        if !is_name(name) {
            return Err(failed(
                "it is neither NAME=VALUE nor NAME (the text is left out, as it may be secret); a value can't go on over \
                 several lines: export it and write its name alone",
            ));
        }
        let value = value.or_else(|| ours(name)).ok_or_else(|| {
            failed(
                "it names a variable that this process's environment doesn't have, or not as UTF-8 (the text is left out, \
                 as it may be secret): export it, or write NAME=VALUE",
            )
        })?;
        variables.push((name.to_owned(), value.into()));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn read_text(text: &[u8]) -> Result<Vec<(String, String)>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let path = file.path().display().to_string();
        match read(file.path(), |name| (name == "OURS").then(|| "ours".to_owned())) {
            Ok(variables) => Ok(variables
                .into_iter()
                .map(|(name, value)| (name, value.expose_secret().to_owned()))
                .collect()),
            Err(error) => {
                assert_eq!(error.exit_code(), 2);
                Err(error.to_string().replace(&path, "FILE"))
            }
        }
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn files_are_read_as_docker_reads_them() {
        assert_eq!(
            read_text(b"# comment\n\nA=1\r\n  B=\"quoted\" # not a comment\nOURS\nC=\nA=2=3"),
            Ok(pairs(&[
                ("A", "1"),
                ("B", "\"quoted\" # not a comment"),
                ("OURS", "ours"),
                ("C", ""),
                ("A", "2=3")
            ]))
        );
    }

    #[test]
    fn a_byte_order_mark_is_dropped() {
        assert_eq!(read_text("\u{feff}A=1\n".as_bytes()), Ok(pairs(&[("A", "1")])));
    }

    #[test]
    fn the_lines_of_a_key_are_never_shown() {
        for rest in [
            "MIIEhunter2hunter2",
            "MIIE+hunter2/hunter2==",
            "-----END PRIVATE KEY-----\"",
        ] {
            let text = format!("A=1\nKEY=\"-----BEGIN PRIVATE KEY-----\n{rest}\n");
            let said = read_text(text.as_bytes()).unwrap_err();
            assert!(said.starts_with("--env-file FILE:3: it "), "{said}");
            assert!(!said.contains("hunter2") && !said.contains("END"), "{said}");
        }
        let said = read_text(b"KEY=\"a\nb c\"").unwrap_err();
        assert!(said.contains("a value can't go on over several lines"), "{said}");
    }

    #[test]
    fn a_bad_name_has_its_file_and_line() {
        for text in [
            "A=1\nexport B=hunter2",
            "A=1\n1B=hunter2",
            "A=1\nB =hunter2",
            "A=1\nmy-var=hunter2",
            "A=1\n=hunter2",
        ] {
            let said = read_text(text.as_bytes()).unwrap_err();
            assert!(
                said.starts_with("--env-file FILE:2: it is neither NAME=VALUE nor NAME"),
                "{said}"
            );
            assert!(!said.contains("hunter2"), "{said}");
        }
        assert_eq!(
            read_text(b"A=1\nB=\xff\n").unwrap_err(),
            "--env-file FILE:2: the line is not UTF-8"
        );
    }
}
