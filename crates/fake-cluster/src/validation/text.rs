//! The forms of names (`apimachinery/pkg/util/validation`): each function says what is wrong, in the server's
//! words, or nothing.

/// Longest DNS label, and label value: RFC 1123, section 2.1.
const LABEL_BYTES: usize = 63;

/// Longest DNS name: RFC 1123, section 2.1.
const SUBDOMAIN_BYTES: usize = 253;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
     start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
     alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
     validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
     '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
     '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex \
     used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
     with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

const ENV_NAME: &str = "a valid environment variable name must consist only of printable ASCII characters other \
     than '='";

const DATA_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. \
     'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/// An RFC 1123 label.
pub(super) fn label(text: &str) -> Option<String> {
    if text.len() > LABEL_BYTES {
        return Some(too_long(LABEL_BYTES));
    }
    (!is_label(text)).then(|| LABEL.to_owned())
}

/// An RFC 1035 label: a Service's name.
pub(super) fn label_1035(text: &str) -> Option<String> {
    if text.len() > LABEL_BYTES {
        return Some(too_long(LABEL_BYTES));
    }
    let ok = is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase());
    (!ok).then(|| LABEL_1035.to_owned())
}

/// An RFC 1123 subdomain.
pub(super) fn subdomain(text: &str) -> Option<String> {
    if text.len() > SUBDOMAIN_BYTES {
        return Some(too_long(SUBDOMAIN_BYTES));
    }
    (!text.split('.').all(is_label)).then(|| SUBDOMAIN.to_owned())
}

/// A label's value.
pub(super) fn label_value(text: &str) -> Option<String> {
    if text.len() > LABEL_BYTES {
        return Some(format!("must be no more than {LABEL_BYTES} bytes"));
    }
    (!text.is_empty() && !is_name_part(text)).then(|| LABEL_VALUE.to_owned())
}

/// The key of a label or annotation: `[PREFIX/]NAME`.
pub(super) fn qualified(text: &str) -> Option<String> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if prefix == Some("") {
        return Some("prefix part must be non-empty".to_owned());
    }
    if let Some(wrong) = prefix.and_then(subdomain) {
        return Some(format!("prefix part {wrong}"));
    }
    if name.len() > LABEL_BYTES {
        return Some(format!("name part {}", too_long(LABEL_BYTES)));
    }
    (!is_name_part(name)).then(|| QUALIFIED.to_owned())
}

/// The name of an environment variable (relaxed since 1.32: `RelaxedEnvironmentVariableValidation`).
pub(super) fn env_name(text: &str) -> Option<String> {
    let ok = !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=');
    (!ok).then(|| ENV_NAME.to_owned())
}

/// A key of a ConfigMap or Secret.
pub(super) fn data_key(text: &str) -> Option<String> {
    if text.len() > SUBDOMAIN_BYTES {
        return Some(too_long(SUBDOMAIN_BYTES));
    }
    let ok = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if !ok {
        return Some(DATA_KEY.to_owned());
    }
    match text {
        "." | ".." => Some(format!("must not be '{text}'")),
        _ => text
            .starts_with("..")
            .then(|| "must not start with '..'".to_owned()),
    }
}

/// The name of a port (`IsValidPortName`).
pub(super) fn port_name(text: &str) -> Option<String> {
    let ok = text.len() <= 15
        && is_label(text)
        && text.contains(|c: char| c.is_ascii_lowercase())
        && !text.contains("--");
    (!ok).then(|| {
        "must be no more than 15 characters, contain only alpha-numeric characters (a-z, 0-9), and hyphens (-), at \
         least one letter, and no two hyphens beside one another"
            .to_owned()
    })
}

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.bytes().all(|b| inner(b) || b == b'-')
        && text.bytes().next().is_some_and(inner)
        && text.bytes().next_back().is_some_and(inner)
}

fn is_name_part(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && text
            .bytes()
            .next_back()
            .is_some_and(|b| b.is_ascii_alphanumeric())
}

fn too_long(bytes: usize) -> String {
    format!("must be no more than {bytes} characters")
}
