//! Paths that clients name: of the API's resources, of files, in queries, and which part of a file they ask for.
//!
//! The first byte chooses: `r` and a method and a path, `q` and a query, `f` and the path of a file, `b` and a size and a range, `t`
//! and bytes that mostly are text, `j` and such bytes in JSON.

#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use http::Method;
use libfuzzer_sys::fuzz_target;
use podbay_agent::files::{AbsolutePath, ByteRange};
use podbay_agent::server::fuzzing::{About, about, query};
use podbay_fuzz::resource_model;
use podbay_protocol::agent::{RawText, path};

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        Some((b'r', request)) => resource(request),
        Some((b'q', text)) => parameters(text),
        Some((b'f', path)) => file(path),
        Some((b'b', range)) => part(range),
        Some((b't', bytes)) => {
            let text = RawText::from(bytes.to_vec());
            let json = serde_json::to_string(&text).expect("text");
            assert_eq!(
                serde_json::from_str::<RawText>(&json).expect("what was written"),
                text
            );
            let encoded = path::encoded(bytes);
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte);
            assert!(encoded.bytes().all(is_plain), "{encoded}");
            assert_eq!(path::decoded(&encoded).as_deref(), Some(bytes));
        }
        Some((b'j', json)) => {
            if let Ok(text) = serde_json::from_slice::<RawText>(json) {
                let again = serde_json::to_string(&text).expect("text");
                assert_eq!(
                    serde_json::from_str::<RawText>(&again).expect("what was written"),
                    text
                );
            }
        }
        _ => {}
    }
});

/// A path means a resource only as it is written in the list of them, and only three are open.
fn resource(request: &[u8]) {
    let Ok(text) = std::str::from_utf8(request) else {
        return;
    };
    let Some((method, path)) = text.split_once(' ') else {
        return;
    };
    let Ok(method) = method.parse::<Method>() else {
        return;
    };
    let expected = resource_model::about(method.as_str(), path);
    let found = match about(&method, path) {
        About::Nothing => resource_model::About::Nothing,
        About::NoId => resource_model::About::NoId,
        About::OtherMethods => resource_model::About::OtherMethods,
        About::Resource { is_open, process } => resource_model::About::Resource {
            is_open,
            process: process.map(|id| id.to_string()),
        },
    };
    assert_eq!(found, expected, "{text:?}");
}

/// Each parameter has the bytes that it was given, is there once, and is one of those that are known.
fn parameters(text: &[u8]) {
    const KNOWN: [&str; 3] = ["path", "offset", "name"];
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    assert_eq!(
        query(text, &KNOWN),
        resource_model::query(text, &KNOWN),
        "{text:?}"
    );
}

/// A relative path is below the directory, an absolute one is itself; a name is never a directory's `.` or `..`.
fn file(bytes: &[u8]) {
    let base = Path::new("/w/x");
    let is_bad = bytes.is_empty() || bytes.contains(&0);
    let parsed = match AbsolutePath::below(base, bytes.to_vec()) {
        Ok(parsed) => parsed,
        Err(_) => return assert!(is_bad),
    };
    assert!(!is_bad);
    let expected = if bytes[0] == b'/' {
        bytes.to_vec()
    } else {
        [b"/w/x/", bytes].concat()
    };
    assert_eq!(parsed.as_path().as_os_str().as_bytes(), expected);
    // The last part between slashes, those at the end left out.
    let end = expected
        .iter()
        .rposition(|&byte| byte != b'/')
        .map_or(0, |last| last + 1);
    let begin = expected[..end]
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |slash| slash + 1);
    let name = &expected[begin..end];
    match parsed.split() {
        Ok((parent, last)) => {
            assert_eq!(last, OsStr::from_bytes(name));
            assert!(!name.is_empty() && name != b"." && name != b"..");
            assert!(parent.is_absolute());
            assert_eq!(parent.join(last), parsed.as_path());
        }
        Err(_) => assert!(
            name.is_empty() || name == b".." || name == b".",
            "{}",
            expected.escape_ascii()
        ),
    }
}

/// Of a range that is understood, the part that lies in the file, as numbers without limit have it.
fn part(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let Some((size, header)) = text.split_once(' ') else {
        return;
    };
    let Ok(size) = size.parse::<u64>() else {
        return;
    };
    let found = ByteRange::parse(header).map(|range| range.of(size));
    assert_eq!(found, resource_model::range(header, size), "{text:?}");
}
