//! References to container images.
//!
//! Grammar: `github.com/distribution/reference`, which the kubelet and containerd parse with, so that what
//! passes here is never `InvalidImageName` there.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

mod mirrors;

/// Longest name (registry and path without tag and digest) that a registry takes.
const MAX_NAME: usize = 255;
/// Longest tag.
const MAX_TAG: usize = 128;
/// Shortest hexadecimal part of a digest.
const MIN_HEX: usize = 32;
/// Hexadecimal digits of a SHA-256 digest. A path of just so many is refused: it looks like a local image id.
const SHA256_HEX: usize = 64;

/// A valid image reference, `[registry[:port]/]path[:tag][@digest]`, kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageRef(String);

/// Why a text is no image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Nothing was given.
    #[error("an image reference must not be empty")]
    Empty,
    /// A blank or control character, most often at an end.
    #[error("image {0:?} must not contain blanks or control characters")]
    Blank(String),
    /// `https://…`.
    #[error("image {0:?} must not start with a URL scheme: write registry/path:tag")]
    Scheme(String),
    /// The registry is no host name with an optional port.
    #[error("image {image:?} has a bad registry {registry:?}: a host name or address with an optional port")]
    Registry {
        /// The whole reference.
        image: String,
        /// The refused part.
        registry: String,
    },
    /// The path has an upper-case letter.
    #[error("image {image:?} has upper case in its path {path:?}: only the registry and the tag may have it")]
    UpperCase {
        /// The whole reference.
        image: String,
        /// The refused part.
        path: String,
    },
    /// A part between slashes is empty or malformed.
    #[error(
        "image {image:?} has a bad path part {part:?}: lower-case letters and digits, joined by \".\", \"_\", \"__\" \
         or dashes"
    )]
    PathPart {
        /// The whole reference.
        image: String,
        /// The refused part.
        part: String,
    },
    /// Registry and path are too long together.
    #[error("image {image:?} has a name of {bytes} bytes: at most {MAX_NAME}")]
    NameTooLong {
        /// The whole reference.
        image: String,
        /// Length of the name.
        bytes: usize,
    },
    /// The path is 64 hexadecimal digits and nothing else.
    #[error("image {0:?} looks like an image id, which Kubernetes can't pull: name the repository")]
    ImageId(String),
    /// The tag is empty or malformed.
    #[error(
        "image {image:?} has a bad tag {tag:?}: 1 to {MAX_TAG} letters, digits, \"_\", \".\" and \"-\", not starting \
         with \".\" or \"-\""
    )]
    Tag {
        /// The whole reference.
        image: String,
        /// The refused part.
        tag: String,
    },
    /// The digest is malformed.
    #[error("image {image:?} has a bad digest {digest:?}: such as sha256: and 64 hexadecimal digits")]
    Digest {
        /// The whole reference.
        image: String,
        /// The refused part.
        digest: String,
    },
}

// === impl ImageRef ===

impl ImageRef {
    /// The reference as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ImageRef {
    type Err = ImageError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check(text)?;
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for ImageRef {
    type Error = ImageError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ImageRef> for String {
    fn from(image: ImageRef) -> Self {
        image.0
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(image: &str) -> Result<(), ImageError> {
    let whole = || image.to_owned();
    if image.is_empty() {
        return Err(ImageError::Empty);
    }
    if image.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(ImageError::Blank(whole()));
    }
    if image.contains("://") {
        return Err(ImageError::Scheme(whole()));
    }
    let (rest, digest) = split_last(image, '@');
    // A colon before the last slash belongs to the registry's port.
    let after_path = rest.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match rest[after_path..].split_once(':') {
        Some((last, tag)) => (&rest[..after_path + last.len()], Some(tag)),
        None => (rest, None),
    };
    check_name(image, name)?;
    if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
        return Err(ImageError::Tag {
            image: whole(),
            tag: tag.into(),
        });
    }
    if let Some(digest) = digest.filter(|digest| !is_digest(digest)) {
        return Err(ImageError::Digest {
            image: whole(),
            digest: digest.into(),
        });
    }
    Ok(())
}

fn check_name(image: &str, name: &str) -> Result<(), ImageError> {
    let whole = || image.to_owned();
    let (registry, path) = match name.split_once('/') {
        Some((first, path)) if is_registry_like(first) => (Some(first), path),
        _ => (None, name),
    };
    if let Some(registry) = registry.filter(|registry| !is_registry(registry)) {
        return Err(ImageError::Registry {
            image: whole(),
            registry: registry.into(),
        });
    }
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(ImageError::UpperCase {
            image: whole(),
            path: path.into(),
        });
    }
    if let Some(part) = path.split('/').find(|part| !is_path_part(part)) {
        return Err(ImageError::PathPart {
            image: whole(),
            part: part.into(),
        });
    }
    if name.len() > MAX_NAME {
        return Err(ImageError::NameTooLong {
            image: whole(),
            bytes: name.len(),
        });
    }
    if registry.is_none() && name.len() == SHA256_HEX && name.bytes().all(is_hex) {
        return Err(ImageError::ImageId(whole()));
    }
    Ok(())
}

fn split_last(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.rsplit_once(separator) {
        Some((rest, last)) => (rest, Some(last)),
        None => (text, None),
    }
}

/// Whether the first part of a name is a registry and not a path: Docker's rule.
fn is_registry_like(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            // An IPv6 address in brackets; a zone or anything else is refused as the grammar does.
            Some((host, "")) => return is_ipv6(host),
            Some((host, port)) => match port.strip_prefix(':') {
                Some(port) if is_ipv6(host) => return is_port(port),
                _ => return false,
            },
            None => return false,
        },
        None => split_last(text, ':'),
    };
    port.is_none_or(is_port) && host.split('.').all(is_host_part)
}

fn is_ipv6(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':')
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_host_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// Runs of letters and digits joined by one `.`, one or two `_`, or any number of `-`.
fn is_path_part(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = text.split(alphanumeric).filter(|separator| !separator.is_empty());
    text.starts_with(alphanumeric)
        && text.ends_with(alphanumeric)
        && separators.into_iter().all(|separator| {
            matches!(separator, "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
        })
}

fn is_tag(text: &str) -> bool {
    let bytes = text.as_bytes();
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    text.len() <= MAX_TAG
        && bytes.first().is_some_and(word)
        && bytes.iter().all(|byte| word(byte) || b".-".contains(byte))
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else {
        return false;
    };
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let length = if algorithm == "sha256" {
        hex.len() == SHA256_HEX
    } else {
        hex.len() >= MIN_HEX
    };
    algorithm.split(['+', '.', '-', '_']).all(part) && length && hex.bytes().all(is_hex)
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

#[cfg(test)]
mod tests;
