//! What a method and a path, a query and a range mean to an agent, written down anew.

/// Whom a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A resource.
    Resource {
        /// Whether it is answered without the key.
        is_open: bool,
        /// The process it is, or is below.
        process: Option<String>,
    },
    /// A path that has other methods.
    OtherMethods,
    /// A part of the path is no id of a process.
    NoId,
    /// None of the API's.
    Nothing,
}

/// The resources that are not of a process, with their methods.
const RESOURCES: [(&str, &str); 20] = [
    ("/alive", "GET HEAD"),
    ("/server_info", "GET HEAD"),
    ("/podbay/v1/proof", "POST"),
    ("/podbay/v1/figures", "GET HEAD"),
    ("/podbay/v1/hold", "PUT"),
    ("/podbay/v1/processes", "GET HEAD"),
    ("/podbay/v1/files", "GET HEAD PUT"),
    ("/podbay/v1/files/stat", "GET HEAD"),
    ("/podbay/v1/files/list", "GET HEAD"),
    ("/podbay/v1/files/mkdir", "POST"),
    ("/podbay/v1/files/remove", "POST"),
    ("/podbay/v1/files/move", "POST"),
    ("/podbay/v1/files/transfer", "GET HEAD DELETE"),
    ("/podbay/v1/trees", "GET HEAD PUT"),
    ("/execute_action", "POST"),
    ("/upload_file", "POST"),
    ("/download_files", "GET HEAD"),
    ("/list_files", "POST"),
    ("/vscode/connection_token", "GET HEAD"),
    ("/update_mcp_server", "POST"),
];
/// What there is below a process, itself first.
const OF_A_PROCESS: [(&str, &str); 7] = [
    ("", "GET HEAD PUT DELETE"),
    ("/output", "GET HEAD"),
    ("/acknowledged", "POST"),
    ("/stdin", "POST DELETE"),
    ("/signal", "POST"),
    ("/size", "POST"),
    ("/terminal", "GET"),
];

/// Whom a request is about.
pub fn about(method: &str, path: &str) -> About {
    let has = |methods: &str| methods.split(' ').any(|one| one == method);
    if let Some((_, methods)) = RESOURCES.iter().find(|(one, _)| *one == path) {
        return if has(methods) {
            let is_open = ["/alive", "/server_info", "/podbay/v1/proof"].contains(&path);
            About::Resource {
                is_open,
                process: None,
            }
        } else {
            About::OtherMethods
        };
    }
    let Some(below) = path.strip_prefix("/podbay/v1/processes/") else {
        return About::Nothing;
    };
    let (id, part) = below.find('/').map_or((below, ""), |slash| below.split_at(slash));
    let Some((_, methods)) = OF_A_PROCESS.iter().find(|(one, _)| *one == part) else {
        return About::Nothing;
    };
    let is_of_an_id = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if id.is_empty() || id.len() > 64 || !id.chars().all(is_of_an_id) {
        About::NoId
    } else if has(methods) {
        About::Resource {
            is_open: false,
            process: Some(id.to_owned()),
        }
    } else {
        About::OtherMethods
    }
}

/// The values of these parameters; `None` if one is there twice, is none of them, or is not encoded as it should be.
pub fn query(text: &str, known: &[&str]) -> Option<Vec<Option<Vec<u8>>>> {
    let mut values = vec![None; known.len()];
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let end = pair.find('=').unwrap_or(pair.len());
        let place = known.iter().position(|name| *name == &pair[..end])?;
        let value = decoded(pair.get(end + 1..).unwrap_or_default().as_bytes())?;
        if values[place].replace(value).is_some() {
            return None;
        }
    }
    Some(values)
}

/// RFC 3986, 2.1.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut parts = text.split(|&byte| byte == b'%');
    let mut bytes = parts.next().unwrap_or_default().to_vec();
    for part in parts {
        let digits = part
            .get(..2)
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        bytes.extend(&part[2..]);
    }
    Some(bytes)
}

/// Where a range begins in a file of `size` bytes, and how many bytes it has; the outer `None` if it is to be ignored, the inner one
/// if none of it is in the file (RFC 9110, 14.1.2).
pub fn range(header: &str, size: u64) -> Option<Option<(u64, u64)>> {
    let text = header.strip_prefix("bytes=")?.trim();
    let dash = text.find('-')?;
    let (first, last) = (&text[..dash], &text[dash + 1..]);
    // Any number that is larger than every file is as good as another one.
    let value = |digits: &str| {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| {
            digits.bytes().fold(0_u128, |sum, byte| {
                (sum * 10 + u128::from(byte - b'0')).min(u128::from(u64::MAX))
            })
        })
    };
    let size = u128::from(size);
    let (begin, end) = if first.is_empty() {
        (size.saturating_sub(value(last)?), size)
    } else {
        let first = value(first)?;
        if last.is_empty() {
            (first, size)
        } else {
            let last = value(last)?;
            if last < first {
                return None;
            }
            (first, (last + 1).min(size))
        }
    };
    let narrow = |number: u128| u64::try_from(number).expect("not beyond the size");
    Some((begin < end).then(|| (narrow(begin), narrow(end - begin))))
}
