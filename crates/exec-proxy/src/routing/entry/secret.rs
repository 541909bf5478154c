//! The secret that several replicas have in common, from a file.

use std::io;
use std::path::{Path, PathBuf};

use podbay_config::ServeConfig;
use secrecy::SecretBox;
use sha2::{Digest as _, Sha256};

use super::Access;

/// Characters that a secret has at least: 128 random bits in hexadecimal.
const LEAST: usize = 32;

/// Why the secret can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The file can't be read.
    #[error("the secret for browsers, {}, can't be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
    /// It is too short to be one.
    #[error(
        "the secret for browsers, {}, has {length} characters, and needs {LEAST}: openssl rand -hex 32 makes one",
        path.display()
    )]
    Short {
        /// The file.
        path: PathBuf,
        /// What it has, without the line's end.
        length: usize,
    },
}

impl Access {
    /// As the settings have it. Reads the file with the secret, where there is one.
    pub fn of(config: &ServeConfig) -> Result<Self, SecretError> {
        match &config.browser_secret_file {
            Some(path) => Ok(Self::Shared(read(path)?)),
            None => Ok(Self::HandOver),
        }
    }
}

fn read(path: &Path) -> Result<SecretBox<[u8; 32]>, SecretError> {
    let text = std::fs::read(path).map_err(|source| SecretError::Read {
        path: path.to_owned(),
        source,
    })?;
    let text = SecretBox::new(Box::new(text));
    let text = secrecy::ExposeSecret::expose_secret(&text).trim_ascii();
    if text.len() < LEAST {
        return Err(SecretError::Short {
            path: path.to_owned(),
            length: text.len(),
        });
    }
    // Whatever its length and alphabet, a key of the length that HMAC takes; random texts stay as random.
    Ok(SecretBox::new(Box::new(Sha256::digest(text).into())))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn of(text: &str) -> Result<[u8; 32], SecretError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let config = ServeConfig {
            browser_secret_file: Some(file.path().to_owned()),
            ..ServeConfig::default()
        };
        match Access::of(&config)? {
            Access::Shared(secret) => Ok(*secret.expose_secret()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn replicas_with_one_file_have_one_secret() {
        let (one, other) = ("a1".repeat(32), "b2".repeat(32));
        assert_eq!(of(&one).unwrap(), of(&format!("{one}\n")).unwrap());
        assert_ne!(of(&one).unwrap(), of(&other).unwrap());
        let shown = format!("{:?}", Access::Shared(SecretBox::new(Box::new([7; 32]))));
        assert!(!shown.contains('7'), "{shown}");
    }

    #[test]
    fn what_can_be_guessed_is_refused() {
        for short in ["", "\n", &"x".repeat(31)] {
            let refused = of(short).unwrap_err();
            assert!(matches!(refused, SecretError::Short { .. }), "{refused}");
        }
        let config = ServeConfig {
            browser_secret_file: Some("/nowhere".into()),
            ..ServeConfig::default()
        };
        assert!(matches!(Access::of(&config), Err(SecretError::Read { .. })));
        assert!(matches!(
            Access::of(&ServeConfig::default()),
            Ok(Access::HandOver)
        ));
    }
}
