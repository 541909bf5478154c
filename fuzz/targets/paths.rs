//! Names of files and processes as clients send them: percent-encoding, paths from the root on, ids.

#![no_main]

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;
use podbay_agent::files::AbsolutePath;
use podbay_protocol::ProcessId;
use podbay_protocol::agent::{RawText, path};

fuzz_target!(|data: &[u8]| {
    encoding(data);
    absolute(data);
    raw_text(data);
    id(data);
});

/// What is encoded comes back, and is of harmless characters; what is decoded is what its encoding is decoded to.
fn encoding(bytes: &[u8]) {
    let encoded = path::encoded(bytes);
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte);
    assert!(encoded.bytes().all(harmless), "{encoded}");
    assert_eq!(path::decoded(&encoded).as_deref(), Some(bytes));
    if let Some(decoded) = std::str::from_utf8(bytes).ok().and_then(path::decoded) {
        assert!(decoded.len() <= bytes.len());
        assert_eq!(path::decoded(&path::encoded(&decoded)), Some(decoded));
    }
}

/// What is accepted begins at the root, has no NUL byte and is what was sent; its last name is one.
fn absolute(bytes: &[u8]) {
    let fits = bytes.first() == Some(&b'/') && !bytes.contains(&0);
    let parsed = AbsolutePath::parse(bytes.to_vec());
    assert_eq!(parsed.is_ok(), fits);
    let base = Path::new("/workspace");
    match AbsolutePath::below(base, bytes.to_vec()) {
        Ok(below) => {
            let sent = below.as_path().as_os_str().as_bytes();
            assert!(sent == bytes || sent == [b"/workspace/", bytes].concat());
            assert!(sent.starts_with(b"/") && !sent.contains(&0));
        }
        Err(_) => assert!(bytes.is_empty() || bytes.contains(&0)),
    }
    let Ok(parsed) = parsed else { return };
    assert_eq!(parsed.as_path().as_os_str().as_bytes(), bytes);
    if let Ok((directory, name)) = parsed.split() {
        assert!(directory.is_absolute());
        let mut components = Path::new(name).components();
        assert!(matches!(components.next(), Some(Component::Normal(_))) && components.next().is_none());
        assert_eq!(directory.join(name), parsed.as_path());
    }
}

/// A name goes through JSON as it is, text or not.
fn raw_text(bytes: &[u8]) {
    let name = RawText::from(bytes.to_vec());
    let json = serde_json::to_string(&name).expect("any name can be written");
    let again: RawText = serde_json::from_str(&json).expect("what was written can be read");
    assert_eq!(again, name);
    if let Ok(read) = serde_json::from_slice::<RawText>(bytes) {
        let json = serde_json::to_string(&read).expect("any name can be written");
        assert_eq!(serde_json::from_str::<RawText>(&json).ok(), Some(read));
    }
}

/// An id is one segment of a path, and nothing in it means anything there.
fn id(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(id) = text.parse::<ProcessId>() {
        assert_eq!(id.as_str(), text);
        assert_eq!(path::encoded(bytes), text);
        assert!(!text.is_empty() && text.len() <= 64 && !text.contains('/') && text != "." && text != "..");
    }
}
