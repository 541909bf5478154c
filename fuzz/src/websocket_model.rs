//! What the head of a request says of a WebSocket (RFC 6455, 4.2.1), read anew.

/// What it says.
#[derive(Debug)]
pub struct Asked {
    /// Whether a WebSocket is asked for as it should be.
    pub is_asked_for: bool,
    /// Whether our subprotocol is among those that are named.
    pub names_ours: bool,
    /// The keys among the subprotocols, as they are written.
    pub keys: Vec<String>,
}

/// Reads the lines of a head: names in lower case, and values.
pub fn read(lines: &[(String, Vec<u8>)]) -> Asked {
    let protocols = words(lines, "sec-websocket-protocol");
    let has = |name: &str, word: &str| {
        words(lines, name)
            .iter()
            .any(|one| one.to_ascii_lowercase() == word)
    };
    let once = |name: &str| -> Option<String> {
        let of_it: Vec<_> = lines.iter().filter(|(one, _)| one == name).collect();
        match of_it[..] {
            [(_, value)] => text(value).map(|text| text.trim_matches([' ', '\t']).to_owned()),
            _ => None,
        }
    };
    Asked {
        is_asked_for: has("connection", "upgrade")
            && has("upgrade", "websocket")
            && once("sec-websocket-version").as_deref() == Some("13")
            && once("sec-websocket-key").is_some_and(|key| is_nonce(&key)),
        names_ours: protocols.iter().any(|word| word == "podbay.terminal.v1"),
        keys: protocols
            .iter()
            .filter_map(|word| word.strip_prefix("podbay.key.").map(str::to_owned))
            .collect(),
    }
}

/// Whether a key is written in base64url without padding, in groups of four characters, so that none has bits that mean nothing: such a
/// one is taken.
pub fn is_plain_key(text: &str) -> bool {
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    text.bytes().all(alphabet) && text.len() % 4 == 0
}

/// 16 bytes in base64: 22 characters, of which the last has two bits, and two signs that fill.
fn is_nonce(text: &str) -> bool {
    const LAST: &[u8] = b"AQgw"; // Those whose lower four bits are 0.
    let Some(digits) = text.strip_suffix("==") else {
        return false;
    };
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    digits.len() == 22 && digits.bytes().all(alphabet) && LAST.contains(&digits.as_bytes()[21])
}

/// What a header lists, over all of its lines.
fn words(lines: &[(String, Vec<u8>)], name: &str) -> Vec<String> {
    let of_it = lines.iter().filter(|(one, _)| one == name);
    of_it
        .filter_map(|(_, value)| text(value))
        .flat_map(|value| {
            value
                .split(',')
                .map(|word| word.trim_matches([' ', '\t']).to_owned())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// A value that has nothing but visible characters of ASCII, spaces and tabs.
fn text(value: &[u8]) -> Option<&str> {
    let is_text = value
        .iter()
        .all(|&byte| byte == b'\t' || (32..127).contains(&byte));
    std::str::from_utf8(value).ok().filter(|_| is_text)
}
