//! Who a host and a path mean, by the documentation alone.

use std::net::Ipv6Addr;

/// Names of what a session has besides its server.
const ENDPOINTS: [&str; 3] = ["vscode", "work-1", "work-2"];

/// A host's name and port, if `text` is a host: letters, digits, `-`, `.` and `_`, or an IPv6 address in brackets, and perhaps a
/// port. A dot at the end is no part of the name.
pub fn host(text: &str) -> Option<(String, Option<u16>)> {
    let (name, port) = if text.starts_with('[') {
        let end = text.find(']')? + 1;
        let address = &text[1..end - 1];
        address.parse::<Ipv6Addr>().ok()?;
        (&text[..end], &text[end..])
    } else {
        let end = text.find(':').unwrap_or(text.len());
        (&text[..end], &text[end..])
    };
    let port = match port {
        "" | ":" => None,
        port => {
            let digits = port.strip_prefix(':')?;
            let is_number = digits.chars().all(|character| character.is_ascii_digit());
            Some(digits.parse().ok().filter(|_| is_number)?)
        }
    };
    let name = name.strip_suffix('.').unwrap_or(name).to_lowercase();
    let is_plain = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    (!name.is_empty() && (is_plain || name.starts_with('['))).then_some((name, port))
}

/// What of which session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its runtime id.
    pub id: String,
    /// What of it; empty for its server.
    pub endpoint: String,
}

/// Whether it is a runtime id: 32 hexadecimal digits in lower case.
pub fn is_id(text: &str) -> bool {
    text.len() == 32 && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}

/// The session that a host name means, of those below or beside `domain`.
pub fn by_host(name: &str, separator: &str, domain: &str) -> Option<Session> {
    let label = name.strip_suffix(&format!("{separator}{domain}"))?;
    let of = |endpoint: &str, id: &str| {
        is_id(id).then(|| Session {
            id: id.to_owned(),
            endpoint: endpoint.to_owned(),
        })
    };
    ENDPOINTS
        .iter()
        .find_map(|endpoint| of(endpoint, label.strip_prefix(&format!("{endpoint}-"))?))
        .or_else(|| of("", label))
}

/// The session that a path means, and what is below it.
pub fn by_path(path: &str) -> Option<(Session, String)> {
    let id = path.get(1..33).filter(|id| is_id(id) && path.starts_with('/'))?;
    let rest = &path[33..];
    if !(rest.is_empty() || rest.starts_with('/')) {
        return None;
    }
    for endpoint in ENDPOINTS {
        // V0's server has one path of VS Code's name.
        if rest == "/vscode/connection_token" {
            break;
        }
        if let Some(below) = rest.strip_prefix(&format!("/{endpoint}"))
            && (below.is_empty() || below.starts_with('/'))
        {
            let session = Session {
                id: id.to_owned(),
                endpoint: endpoint.to_owned(),
            };
            return Some((session, below.to_owned()));
        }
    }
    let session = Session {
        id: id.to_owned(),
        endpoint: String::new(),
    };
    Some((session, rest.to_owned()))
}
