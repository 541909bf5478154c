//! Values as Python writes them: the server that the API comes from is written in it, and its messages quote them.

use serde_json::Value;

/// `repr()` of a value.
pub(super) fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => string(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(repr).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", string(name), repr(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

/// `repr()` of a text: in single quotes, unless it has one and no double quote.
fn string(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut written = String::from(quote);
    for character in text.chars() {
        match character {
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            _ if character == quote => written.extend(['\\', quote]),
            '\0'..='\x1f' | '\x7f'..='\u{a0}' | '\u{ad}' => {
                let escape = format!("\\x{:02x}", u32::from(character));
                written.push_str(&escape);
            }
            _ => written.push(character),
        }
    }
    written.push(quote);
    written
}

/// The lines that a text opened in Python's text mode has: `\r\n` and `\r` end one as `\n` does.
pub(super) fn universal_newlines(text: &str) -> String {
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_python_does() {
        let value = json!({"a": [1, 2.5, null, true], "b": "it's \"x\"\n"});
        assert_eq!(repr(&value), r#"{'a': [1, 2.5, None, True], 'b': 'it\'s "x"\n'}"#);
        assert_eq!(string("it's"), "\"it's\"");
        assert_eq!(string("\u{7}ä"), "'\\x07ä'");
    }
}
