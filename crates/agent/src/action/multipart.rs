//! A form with a file in it, as it arrives (RFC 7578, RFC 2046 5.1).

use super::held::{find, overlap};

/// Bytes of a part's header, at most.
const HEADER: usize = 16 << 10;

/// What a form is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A part begins.
    Part {
        /// The name of its field.
        name: String,
        /// The name of its file, if it is one.
        filename: Option<String>,
    },
    /// Bytes of the part.
    Data(Vec<u8>),
    /// The form is over.
    End,
}

/// The body is no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The type of the body says nothing of parts.
    #[error("the body is no multipart/form-data with a boundary")]
    Type,
    /// A part's header is none, or is too long.
    #[error("a part of the form has no header that can be read")]
    Header,
    /// Something follows a boundary that can't.
    #[error("a boundary of the form is followed by something else than a line's end")]
    Boundary,
}

/// Where in the form the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Preamble,
    /// Behind a boundary.
    Boundary,
    Header,
    Data,
    Epilogue,
}

/// Takes a form apart, however it is cut.
#[derive(Debug)]
pub struct Form {
    /// The line between parts, with the line's end before it.
    boundary: Vec<u8>,
    at: At,
    held: Vec<u8>,
}

impl Form {
    /// A form of the type that its request says.
    pub fn new(content_type: &str) -> Result<Self, Malformed> {
        let (kind, parameters) = content_type.split_once(';').ok_or(Malformed::Type)?;
        if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
            return Err(Malformed::Type);
        }
        let boundary = parameter(parameters, "boundary").ok_or(Malformed::Type)?;
        if boundary.is_empty() || boundary.len() > 200 {
            return Err(Malformed::Type);
        }
        Ok(Self {
            boundary: format!("\r\n--{boundary}").into_bytes(),
            at: At::Preamble,
            // The first boundary may stand at the very beginning.
            held: b"\r\n".to_vec(),
        })
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Malformed> {
        self.held.extend_from_slice(bytes);
        let mut events = Vec::new();
        while self.step(&mut events)? {}
        Ok(events)
    }

    /// One step; whether another one may be possible.
    fn step(&mut self, events: &mut Vec<Event>) -> Result<bool, Malformed> {
        match self.at {
            At::Preamble | At::Data => {
                let is_data = self.at == At::Data;
                let found = find(&self.held, &self.boundary);
                let length = found.unwrap_or_else(|| self.held.len() - overlap(&self.held, &self.boundary));
                let rest = self.held.split_off(length);
                let data = std::mem::replace(&mut self.held, rest);
                if is_data && !data.is_empty() {
                    events.push(Event::Data(data));
                }
                if found.is_none() {
                    return Ok(false);
                }
                self.held.drain(..self.boundary.len());
                self.at = At::Boundary;
                Ok(true)
            }
            At::Boundary => {
                // Blanks may stand behind a boundary.
                let blanks = self
                    .held
                    .iter()
                    .take_while(|byte| matches!(byte, b' ' | b'\t'))
                    .count();
                let rest = &self.held[blanks..];
                if rest.len() < 2 {
                    return if self.held.len() > HEADER {
                        Err(Malformed::Boundary)
                    } else {
                        Ok(false)
                    };
                }
                self.at = match &rest[..2] {
                    b"--" => {
                        events.push(Event::End);
                        At::Epilogue
                    }
                    // It stays: a header that is empty begins with it.
                    b"\r\n" => At::Header,
                    _ => return Err(Malformed::Boundary),
                };
                self.held.drain(..blanks);
                Ok(true)
            }
            At::Header => {
                let Some(length) = find(&self.held, b"\r\n\r\n") else {
                    return if self.held.len() > HEADER {
                        Err(Malformed::Header)
                    } else {
                        Ok(false)
                    };
                };
                let header = self.held.drain(..length + 4).collect::<Vec<u8>>();
                events.push(part(&String::from_utf8_lossy(&header)).ok_or(Malformed::Header)?);
                self.at = At::Data;
                Ok(true)
            }
            At::Epilogue => {
                self.held.clear();
                Ok(false)
            }
        }
    }
}

/// What a part's header says.
fn part(header: &str) -> Option<Event> {
    let disposition = header.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim()
            .eq_ignore_ascii_case("content-disposition")
            .then_some(value)
    })?;
    let (_, parameters) = disposition.split_once(';')?;
    Some(Event::Part {
        name: parameter(parameters, "name")?,
        filename: parameter(parameters, "filename*")
            .and_then(|text| extended(&text))
            .or_else(|| parameter(parameters, "filename")),
    })
}

/// A parameter of a header, quoted or not.
fn parameter(parameters: &str, wanted: &str) -> Option<String> {
    let mut rest = parameters;
    loop {
        rest = rest.trim_start_matches([';', ' ', '\t', '\r', '\n']);
        let (name, after) = rest.split_once('=')?;
        let (value, after) = if let Some(quoted) = after.strip_prefix('"') {
            quoted_value(quoted)?
        } else {
            let end = after.find([';', ' ', '\t', '\r']).unwrap_or(after.len());
            (after[..end].to_owned(), &after[end..])
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after;
    }
}

/// Browsers and httpx write a quote in a name as `%22`, others as `\"`.
fn quoted_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value.replace("%22", "\""), &text[at + 1..])),
            '\\' => match characters.next()? {
                (_, escaped @ ('"' | '\\')) => value.push(escaped),
                // Some browsers write a backslash as it is.
                (_, other) => value.extend(['\\', other]),
            },
            _ => value.push(character),
        }
    }
    None
}

/// `UTF-8''a%20b` (RFC 8187).
fn extended(text: &str) -> Option<String> {
    let mut parts = text.splitn(3, '\'');
    if !parts.next()?.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let encoded = parts.nth(1)?;
    String::from_utf8(podbay_protocol::agent::path::decoded(encoded)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(body: &[u8], cuts: &[usize]) -> Result<Vec<Event>, Malformed> {
        let mut form = Form::new("multipart/form-data; boundary=XX")?;
        let (mut events, mut rest) = (Vec::new(), body);
        for cut in cuts.iter().chain([&usize::MAX]) {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            for event in form.feed(now)? {
                match (events.last_mut(), event) {
                    (Some(Event::Data(before)), Event::Data(data)) => before.extend(data),
                    (_, event) => events.push(event),
                }
            }
            rest = later;
        }
        Ok(events)
    }

    fn file(name: &str) -> Event {
        Event::Part {
            name: "file".to_owned(),
            filename: Some(name.to_owned()),
        }
    }

    const HEAD: &str = "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n";

    #[test]
    fn a_file_is_found() {
        let body = format!("{HEAD}content\r\n-XX\r\n--X\r\n--XX--\r\n");
        let expected = [
            file("a.txt"),
            Event::Data(b"content\r\n-XX\r\n--X".to_vec()),
            Event::End,
        ];
        assert_eq!(all(body.as_bytes(), &[]).unwrap(), expected);
    }

    #[test]
    fn an_empty_file_and_another_part() {
        let body = format!(
            "preamble\r\n{HEAD}\r\n--XX  \r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--XX--epilogue"
        );
        let x = Event::Part {
            name: "x".to_owned(),
            filename: None,
        };
        assert_eq!(
            all(body.as_bytes(), &[]).unwrap(),
            [file("a.txt"), x, Event::Data(b"1".to_vec()), Event::End]
        );
    }

    #[test]
    fn names_are_read() {
        for (header, name) in [
            ("form-data; name=\"file\"; filename=\"a%22b.txt\"", "a\"b.txt"),
            ("form-data; name=\"file\"; filename=\"a\\\"b.txt\"", "a\"b.txt"),
            (
                "form-data; name=\"file\"; filename=\"x\"; filename*=UTF-8''gr%C3%BCn",
                "grün",
            ),
            ("form-data; filename=plain; name=file", "plain"),
        ] {
            assert_eq!(
                part(&format!("\r\nContent-Disposition: {header}\r\n\r\n")),
                Some(file(name))
            );
        }
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for kind in [
            "text/plain",
            "multipart/form-data",
            "multipart/form-data; x=y",
            "multipart/form-data; boundary=",
        ] {
            assert_eq!(Form::new(kind).unwrap_err(), Malformed::Type);
        }
        assert_eq!(all(b"--XXz\r\n", &[]), Err(Malformed::Boundary));
        assert_eq!(all(b"--XX\r\nno header\r\n\r\n", &[]), Err(Malformed::Header));
        let long = format!("--XX\r\n{}", "x".repeat(HEADER + 1));
        assert_eq!(all(long.as_bytes(), &[]), Err(Malformed::Header));
    }

    proptest! {
        #[test]
        fn cuts_make_no_difference(
            content in "(\\r\\n|--|X|XX|-|[a-c]){0,20}",
            cuts in proptest::collection::vec(1..7usize, 0..60),
        ) {
            let body = format!("{HEAD}{content}\r\n--XX--\r\n");
            prop_assert_eq!(all(body.as_bytes(), &cuts), all(body.as_bytes(), &[]));
        }

        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut body = HEAD.as_bytes().to_vec();
            body.extend(bytes);
            let _ = all(&body, &[3, 5, 50]);
        }
    }
}
