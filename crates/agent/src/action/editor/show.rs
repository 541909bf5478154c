//! How a text is shown.

/// Characters that are shown, at most.
const LONGEST: usize = 16_000;
const FILE_CLIPPED: &str = "<response clipped><NOTE>Due to the max output limit, only part of this file has been shown to \
    you. You should retry this tool after you have searched inside the file with `grep -n` in order to find the line \
    numbers of what you are looking for.</NOTE>";
const DIRECTORY_CLIPPED: &str = "<response clipped><NOTE>Due to the max output limit, only part of this directory has been \
    shown to you. You should use `ls -la` instead to view large directories incrementally.</NOTE>";

/// Numbered lines, as `cat -n` writes them.
pub(super) fn numbered(text: &str, what: &str, first: usize) -> String {
    let lines: Vec<String> = clipped(text, FILE_CLIPPED)
        .split('\n')
        .enumerate()
        .map(|(number, line)| format!("{:6}\t{line}", number + first))
        .collect();
    format!(
        "Here's the result of running `cat -n` on {what}:\n{}\n",
        lines.join("\n")
    )
}

/// A list of a directory.
pub(super) fn list(text: &str) -> String {
    clipped(text, DIRECTORY_CLIPPED)
}

fn clipped(text: &str, notice: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}{notice}", &text[..at]),
    }
}

/// Lines of a text, from one to another, both counted from 1 and both taken, with their ends.
pub(super) fn lines(text: &str, first: usize, last: usize) -> String {
    text.split_inclusive('\n')
        .take(last)
        .skip(first.saturating_sub(1))
        .collect()
}

/// How many lines a text has.
pub(super) fn count(text: &str) -> usize {
    text.split_inclusive('\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_and_counted() {
        assert_eq!(
            numbered("a\nb", "f", 9),
            "Here's the result of running `cat -n` on f:\n     9\ta\n    10\tb\n"
        );
        assert_eq!(lines("a\nb\nc\n", 2, 3), "b\nc\n");
        assert_eq!(lines("a\nb\nc", 3, 9), "c");
        assert_eq!([count(""), count("a"), count("a\n"), count("a\nb")], [0, 1, 1, 2]);
    }

    #[test]
    fn what_is_too_long_is_clipped() {
        let shown = numbered(&"ä".repeat(20_000), "f", 1);
        assert_eq!(shown.matches('ä').count(), LONGEST);
        assert!(shown.contains("<response clipped>"));
    }
}
