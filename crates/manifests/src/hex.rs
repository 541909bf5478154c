//! Which texts are bytes as lower-case hexadecimal digits.

/// Whether `text` is what [`podbay_protocol::hex::to_hex`] makes of `bytes` bytes.
pub(crate) fn is_hex(text: &str, bytes: usize) -> bool {
    text.len() == 2 * bytes && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
