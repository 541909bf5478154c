//! What is typed into a shell: so that it says when it is ready, and so that it runs a text whatever is in it.
//!
//! ```text
//!   typed, without echo   the text, quoted, as a variable; then the mark `ready`
//!   <- ready              the terminal is set up as programs expect it, and a line is typed
//!   <- begin              from here on it is output: the shell evaluates the variable
//!   <- prompt             exit code, last background process, directory
//! ```
//!
//! The text is evaluated at the shell's top level, so that directory, variables, functions, options and jobs stay; `$?`
//! is what the command before left. Marks are written to `/dev/tty`, so that no redirection of the shell's own outputs
//! takes them away. An interrupt takes the shell back to its prompt, so the prompt tells the end in either case.

use std::fmt::Write as _;

use super::Kind;

/// How long a typed line's part of a text gets, about, in bytes.
const LINE: usize = 800;

/// Typed once, when the shell has started. What has a backslash before it is no alias.
pub fn greeting(kind: Kind, nonce: &str) -> String {
    // The number that is returned is `$?` for the command that follows.
    let begin = format!(
        "__podbay_r() {{ \\printf '\\033]7770;{nonce};begin;{nonce}\\007' >/dev/tty; \\return \"$1\"; }} 2>/dev/null;"
    );
    // A later shell goes on with what was exported. A command that sets a trap of its own for the end takes this one's place.
    let end = format!(
        "trap '{{ \\printf \"\\033]7770;{nonce};exports;\"; \\export -p; \\printf \";{nonce}\\007\"; }} >/dev/tty 2>/dev/null' EXIT;"
    );
    match kind {
        Kind::Bash => {
            let path = format!(
                "[[ $PATH == \"$__podbay_v\" ]] || {{ __podbay_v=$PATH; \\printf \"\\\\033]7770;{nonce};path;%s;{nonce}\\\\007\" \"$PATH\" >/dev/tty; }}"
            );
            let prompt = format!(
                "\\printf \"\\\\033]7770;{nonce};prompt;%s;%s;%s;{nonce}\\\\007\" \"${{__podbay_s:-$?}}\" \"${{!:-}}\" \"$PWD\" >/dev/tty"
            );
            // The code is taken first: all else changes it.
            format!(
                " set +H +o history; history -c; \\unset HISTFILE PROMPT_COMMAND; PS1= PS2= __podbay_s= __podbay_v=; {begin} {end} \
                 __podbay_p='{{ __podbay_e=${{__podbay_s:-$?}}; {path}; __podbay_s=$__podbay_e; {prompt}; }} 2>/dev/null'; \
                 PROMPT_COMMAND=$__podbay_p\n"
            )
        }
        // No control character is typed: BusyBox's shell edits the line meanwhile, and takes them for keys.
        Kind::Sh => format!(
            " {begin} {end} PS2= __podbay_s=; __podbay_q=$(\\printf '\\033]7770;{nonce};prompt;%s;{nonce}\\007' \
             '${{__podbay_s:-$?}};${{!:-}};$PWD'); PS1=$__podbay_q\n"
        ),
    }
}

/// Typed for a command.
///
/// It does not begin with a brace: after a text that ended in the middle of a quote, bash takes a reserved word for a word.
pub fn command(kind: Kind, nonce: &str, text: &str) -> String {
    let (given, prompts, before) = match kind {
        Kind::Bash => (
            format!(
                "__podbay_l=${{__podbay_s:-$?}}; {{ __podbay_s= __podbay_c='{}';",
                text.replace('\'', "'\\''")
            ),
            "\\unset PROMPT_COMMAND; PROMPT_COMMAND=$__podbay_p PS1= PS2=",
            "PROMPT_COMMAND=$__podbay_p; ",
        ),
        Kind::Sh => (
            format!("{}:; {{ __podbay_s=;", in_lines(text)),
            "PS1=$__podbay_q PS2=",
            "",
        ),
    };
    format!(
        "{given} \\printf '\\033]7770;{nonce};ready;{nonce}\\007' >/dev/tty; \\read -r __podbay_x </dev/tty || :; \
         {before}__podbay_r \"$__podbay_l\"; }} 2>/dev/null; \\eval \"$__podbay_c\"; \
         {{ __podbay_s=$?; {prompts}; }} 2>/dev/null\n"
    )
}

/// A text for the variable in short lines without control characters, and the code of the command before kept meanwhile: BusyBox's
/// shell edits lines of up to 1024 bytes, in which a tab, say, is a key.
fn in_lines(text: &str) -> String {
    let mut lines = "__podbay_l=${__podbay_s:-$?}; __podbay_s=$__podbay_l __podbay_c=\n".to_owned();
    let mut line = String::new();
    let mut end = |line: &mut String| {
        if !line.is_empty() {
            lines.push_str("__podbay_x=$(\\printf '%b_' '");
            lines.push_str(line);
            lines.push_str("'); __podbay_c=$__podbay_c${__podbay_x%_}\n");
            line.clear();
        }
    };
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'\\') {
            line.push(char::from(byte));
        } else {
            let _ = write!(line, "\\0{byte:03o}"); // Writing to a String can't fail.
        }
        if line.len() > LINE {
            end(&mut line);
        }
    }
    end(&mut line);
    lines
}

/// What a shell runs first that takes another one's place: `exports` is what `export -p` said there. The directory it was started
/// in counts, and not the variable of the other one.
pub fn exported(exports: &str) -> String {
    format!("{exports}\n\\cd . 2>/dev/null")
}

/// Typed to see whether the shell takes what is typed: after an interrupt it may have dropped some.
///
/// As above, no brace comes first.
pub fn probe(nonce: &str, number: u64) -> String {
    format!(":; {{ \\printf '\\033]7770;{nonce};probe;{number};{nonce}\\007' >/dev/tty; }} 2>/dev/null\n")
}

/// The byte that a key stands for: `C-c` is Ctrl-C.
pub fn key(text: &str) -> Option<u8> {
    let key = text.strip_prefix("C-")?;
    let [byte] = key.as_bytes() else {
        return None;
    };
    match byte {
        b'?' => Some(0x7f),
        b'@'..=b'_' | b'a'..=b'z' => Some(byte & 0x1f),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_quoted_whatever_is_in_it() {
        let typed = command(Kind::Bash, "n", "echo 'a'");
        assert!(typed.contains("__podbay_c='echo '\\''a'\\''';"), "{typed}");
    }

    #[test]
    fn lines_are_short_and_printable() {
        let text = "it's\t\\ \u{e9}\n".repeat(300);
        let typed = command(Kind::Sh, "n", &text);
        assert!(
            typed.contains("it\\0047s\\0011\\0134 \\0303\\0251\\0012"),
            "{typed}"
        );
        assert!(typed.lines().all(|line| line.len() < 1000));
        assert!(
            !typed
                .replace('\n', "")
                .contains(|character: char| character.is_control())
        );
    }

    #[test]
    fn keys_are_control_characters() {
        assert_eq!(
            [key("C-c"), key("C-d"), key("C-z"), key("C-\\")],
            [Some(3), Some(4), Some(26), Some(28)]
        );
        assert_eq!(
            [key("c"), key("C-"), key("C-cc"), key("C-ü"), key("C-1")],
            [None; 5]
        );
    }
}
