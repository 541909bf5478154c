//! Takes a text apart into the commands that a shell would run one after the other, line by line.
//!
//! The API takes one command at a time: `a; b`, `a && b` and any compound command are one, and so is what goes on over
//! several lines; a line behind it is another. This is the part of the shell's grammar that says where a command ends
//! (POSIX.1-2024, Shell Command Language, 2.3 and 2.10, and what bash adds). A text that it does not understand is one
//! command: the shell itself will say what is wrong with it.

/// Nesting that is deeper is not followed.
const DEPTH: usize = 200;

/// The commands of a text, each with the comments that follow it; none if there is nothing but blanks and comments.
pub fn commands(text: &str) -> Vec<&str> {
    let mut reader = Reader::new(text);
    let whole = || match trimmed(text) {
        "" => Vec::new(),
        whole => vec![whole],
    };
    if reader.list(End::Text, 0).is_none() {
        return whole();
    }
    let starts = &reader.starts;
    if starts.len() < 2 {
        return whole();
    }
    let ends = starts[1..].iter().copied().chain([text.len()]);
    let firsts = std::iter::once(0).chain(starts[1..].iter().copied());
    firsts
        .zip(ends)
        .map(|(start, end)| trimmed(&text[start..end]))
        .collect()
}

/// A command without the blanks around it: those of the shell, and the carriage returns of texts whose lines end with two
/// characters. Other white space is part of a word, and so is a blank behind a backslash.
fn trimmed(command: &str) -> &str {
    const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];
    let command = command.trim_start_matches(BLANKS);
    let end = command.trim_end_matches(BLANKS);
    let backslashes = end.len() - end.trim_end_matches('\\').len();
    if backslashes % 2 == 1 && end.len() < command.len() {
        return &command[..=end.len()];
    }
    end
}

/// What ends a list of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The text does.
    Text,
    /// `)` does.
    Parenthesis,
}

/// A compound command that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    If,
    Loop,
    Brace,
    Subshell,
    /// `[[`.
    Test,
    /// `case`, before `in`.
    CaseWord,
    /// `case`, where a pattern may begin.
    CasePattern,
    /// `case`, in the commands of a pattern.
    CaseBody,
    /// The elements of an array.
    Array,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where the commands of the text begin.
    starts: Vec<usize>,
    /// Here documents whose text begins at the next line: the word that ends one, and whether tabs before it are taken off.
    documents: Vec<(Vec<u8>, bool)>,
}

/// A word as it stands, and as a reserved word has to be: without quotes.
struct Word {
    plain: bool,
    text: Vec<u8>,
}

impl<'a> Reader<'a> {
    const fn new(text: &'a str) -> Self {
        Self {
            bytes: text.as_bytes(),
            at: 0,
            starts: Vec::new(),
            documents: Vec::new(),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn second(&self) -> Option<u8> {
        self.bytes.get(self.at + 1).copied()
    }

    fn starts_with(&self, text: &str) -> bool {
        self.bytes[self.at..].starts_with(text.as_bytes())
    }

    /// Reads commands. `None` where the text is not understood.
    #[expect(clippy::too_many_lines, reason = "one step for each token of the grammar")]
    fn list(&mut self, end: End, depth: usize) -> Option<()> {
        if depth > DEPTH {
            return None;
        }
        let outermost = end == End::Text;
        let mut open: Vec<Open> = Vec::new();
        // Whether a command's name may stand here, which is where a reserved word is one.
        let mut fresh = true;
        // Whether the command goes on whatever stands at the end of its line.
        let mut goes_on = false;
        // Whether a command has begun since the last boundary.
        let mut begun = false;
        // Whether the body of a function is still to come.
        let mut function = false;
        loop {
            self.blanks();
            let Some(byte) = self.peek() else {
                return (outermost && open.is_empty()).then_some(());
            };
            let top = open.last().copied();
            if byte == b'\n' {
                self.at += 1;
                self.bodies();
                if open.is_empty() && !goes_on && !function {
                    begun = false;
                }
                fresh = !matches!(top, Some(Open::Array | Open::Test));
                continue;
            }
            if byte == b'#' {
                self.comment();
                continue;
            }
            if outermost && open.is_empty() && !begun {
                self.starts.push(self.at);
                begun = true;
            }
            goes_on = false;
            match (byte, top) {
                (b')', Some(Open::Array | Open::Subshell)) => {
                    open.pop();
                    self.at += 1;
                    fresh = false;
                }
                (b')', Some(Open::CasePattern)) => {
                    self.at += 1;
                    *open.last_mut()? = Open::CaseBody;
                    fresh = true;
                }
                (b')', None) if end == End::Parenthesis => {
                    self.at += 1;
                    return Some(());
                }
                (b'(' | b'|', Some(Open::CasePattern))
                | (b'(' | b')' | b'|' | b'&' | b'<' | b'>' | b';', Some(Open::Test)) => self.at += 1,
                (b')', _) | (b';', Some(Open::Array | Open::CasePattern)) => return None,
                (b'(', _) if fresh => {
                    if self.second() == Some(b'(') && self.arithmetic().is_some() {
                        fresh = false;
                        function = false;
                    } else {
                        self.at += 1;
                        open.push(Open::Subshell);
                        function = false;
                    }
                }
                // `name ()`.
                (b'(', _) => {
                    self.at += 1;
                    self.blanks();
                    if self.peek() != Some(b')') {
                        return None;
                    }
                    self.at += 1;
                    function = true;
                    fresh = true;
                }
                (b';', Some(Open::CaseBody)) if self.case_end() => {
                    *open.last_mut()? = Open::CasePattern;
                }
                (b';', _) => {
                    self.at += 1;
                    fresh = true;
                }
                (b'&', _) => {
                    if self.starts_with("&>") {
                        self.at += 2;
                        continue;
                    }
                    goes_on = self.starts_with("&&");
                    self.at += if goes_on { 2 } else { 1 };
                    fresh = true;
                }
                (b'|', _) => {
                    self.at += if matches!(self.second(), Some(b'|' | b'&')) {
                        2
                    } else {
                        1
                    };
                    goes_on = true;
                    fresh = true;
                }
                (b'<' | b'>', _) => self.redirection(depth)?,
                _ => {
                    let word = self.word(depth)?;
                    let array = self.bytes[..self.at].ends_with(b"=") && self.peek() == Some(b'(');
                    if array && (fresh || !matches!(top, Some(Open::Array))) {
                        self.at += 1;
                        open.push(Open::Array);
                        continue;
                    }
                    let reserved = if word.plain { word.text.as_slice() } else { b"" };
                    match (reserved, top) {
                        (b"]]", Some(Open::Test)) | (b"esac", Some(Open::CasePattern)) => {
                            open.pop();
                            fresh = false;
                        }
                        (b"in", Some(Open::CaseWord)) => *open.last_mut()? = Open::CasePattern,
                        // Words of an array, a test or a pattern; and arguments.
                        (_, Some(Open::Array | Open::Test | Open::CaseWord | Open::CasePattern)) => {}
                        _ if !fresh => {}
                        (b"esac", Some(Open::CaseBody))
                        | (b"fi", Some(Open::If))
                        | (b"done", Some(Open::Loop))
                        | (b"}", Some(Open::Brace)) => {
                            open.pop();
                            fresh = false;
                        }
                        (b"if", _) => open.push(Open::If),
                        (b"while" | b"until", _) => open.push(Open::Loop),
                        (b"for" | b"select", _) => {
                            open.push(Open::Loop);
                            fresh = false;
                            self.blanks();
                            if self.starts_with("((") {
                                self.arithmetic()?;
                            }
                        }
                        (b"case", _) => open.push(Open::CaseWord),
                        (b"{", _) => {
                            open.push(Open::Brace);
                            function = false;
                            continue;
                        }
                        (b"[[", _) => {
                            open.push(Open::Test);
                            fresh = false;
                        }
                        (b"function", _) => {
                            self.blanks();
                            self.word(depth)?;
                            function = true;
                            continue;
                        }
                        (b"then" | b"else" | b"elif", Some(Open::If)) | (b"do", Some(Open::Loop)) => {}
                        (b"then" | b"else" | b"elif" | b"do" | b"fi" | b"done" | b"}" | b"esac", _) => {
                            return None;
                        }
                        (b"!" | b"time" | b"coproc", _) => continue,
                        // `name=value` may stand before a command.
                        _ => fresh = assigns(&word.text) && fresh,
                    }
                    function = false;
                }
            }
        }
    }

    /// Blanks, and lines that are put together.
    fn blanks(&mut self) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\r') => self.at += 1,
                Some(b'\\') if self.second() == Some(b'\n') => self.at += 2,
                _ => return,
            }
        }
    }

    fn comment(&mut self) {
        while self.peek().is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }

    /// `;;`, `;&` and `;;&` between the patterns of `case`.
    fn case_end(&mut self) -> bool {
        for end in [";;&", ";;", ";&"] {
            if self.starts_with(end) {
                self.at += end.len();
                return true;
            }
        }
        false
    }

    fn redirection(&mut self, depth: usize) -> Option<()> {
        if self.starts_with("<<") && !self.starts_with("<<<") {
            self.at += 2;
            let strips = self.peek() == Some(b'-');
            self.at += usize::from(strips);
            self.blanks();
            let word = self.word(depth)?;
            self.documents.push((word.text, strips));
            return Some(());
        }
        if self.second() == Some(b'(') {
            self.at += 2;
            return self.inner(depth);
        }
        while matches!(self.peek(), Some(b'<' | b'>' | b'&' | b'|')) {
            self.at += 1;
        }
        Some(())
    }

    /// The texts of here documents, at the beginning of a line.
    fn bodies(&mut self) {
        for (end, strips) in std::mem::take(&mut self.documents) {
            while self.at < self.bytes.len() {
                let rest = &self.bytes[self.at..];
                let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                let mut line = &rest[..length];
                self.at = (self.at + length + 1).min(self.bytes.len());
                while strips && line.first() == Some(&b'\t') {
                    line = &line[1..];
                }
                if line == end {
                    break;
                }
            }
        }
        // Its end is the line's: what follows is at the beginning of another.
    }

    /// The commands of a substitution, with its `)`.
    fn inner(&mut self, depth: usize) -> Option<()> {
        let documents = std::mem::take(&mut self.documents);
        self.list(End::Parenthesis, depth + 1)?;
        self.documents = documents;
        Some(())
    }

    /// `((` up to `))`.
    fn arithmetic(&mut self) -> Option<()> {
        let (before, mut nested) = (self.at, 0usize);
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'(' => nested += 1,
                b')' => {
                    nested -= 1;
                    if nested == 0 {
                        if self.bytes[..self.at].ends_with(b"))") {
                            return Some(());
                        }
                        break;
                    }
                }
                b'\\' => self.at += 1,
                _ => {}
            }
        }
        self.at = before;
        None
    }

    /// A word, with all that is quoted or substituted in it.
    fn word(&mut self, depth: usize) -> Option<Word> {
        let mut word = Word {
            plain: true,
            text: Vec::new(),
        };
        let begin = self.at;
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b')' => break,
                b'(' => {
                    // A pattern like `!(a|b)` is part of a word.
                    let pattern = self.at > begin
                        && matches!(self.bytes[self.at - 1], b'?' | b'*' | b'+' | b'@' | b'!');
                    if !pattern {
                        break;
                    }
                    word.plain = false;
                    self.at += 1;
                    self.pattern(depth)?;
                }
                b'\\' => {
                    word.plain = false;
                    self.at += 1;
                    match self.peek() {
                        Some(b'\n') | None => {}
                        Some(escaped) => word.text.push(escaped),
                    }
                    self.at = (self.at + 1).min(self.bytes.len());
                }
                b'\'' => {
                    word.plain = false;
                    self.at += 1;
                    let length = self.bytes[self.at..].iter().position(|byte| *byte == b'\'')?;
                    word.text
                        .extend_from_slice(&self.bytes[self.at..self.at + length]);
                    self.at += length + 1;
                }
                b'"' => {
                    word.plain = false;
                    self.at += 1;
                    let begin = self.at;
                    self.double_quoted(depth)?;
                    word.text.extend_from_slice(&self.bytes[begin..self.at - 1]);
                }
                b'`' | b'$' => {
                    word.plain = false;
                    let begin = self.at;
                    self.dollar(depth)?;
                    word.text.extend_from_slice(&self.bytes[begin..self.at]);
                }
                _ => {
                    word.text.push(byte);
                    self.at += 1;
                }
            }
        }
        (self.at > begin).then_some(word)
    }

    fn pattern(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH {
            return None;
        }
        loop {
            match self.peek()? {
                b')' => {
                    self.at += 1;
                    return Some(());
                }
                b'(' => {
                    self.at += 1;
                    self.pattern(depth + 1)?;
                }
                b'|' | b' ' | b'\t' | b'\n' | b';' | b'&' | b'<' | b'>' => self.at += 1,
                _ => drop(self.word(depth + 1)?),
            }
        }
    }

    /// Up to and with the quote that ends it.
    fn double_quoted(&mut self, depth: usize) -> Option<()> {
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.at += 2,
                b'`' => self.dollar(depth)?,
                b'$' if matches!(self.second(), Some(b'(' | b'{')) => self.dollar(depth)?,
                _ => self.at += 1,
            }
        }
    }

    /// What begins with `$` or a backtick.
    fn dollar(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH {
            return None;
        }
        if self.peek() == Some(b'`') {
            self.at += 1;
            loop {
                match self.peek()? {
                    b'`' => {
                        self.at += 1;
                        return Some(());
                    }
                    b'\\' => self.at += 2,
                    _ => self.at += 1,
                }
            }
        }
        match self.second() {
            Some(b'(') => {
                self.at += 1;
                if self.second() == Some(b'(') && self.arithmetic().is_some() {
                    return Some(());
                }
                self.at += 1;
                self.inner(depth)
            }
            Some(b'{') => {
                self.at += 2;
                self.parameter(depth + 1)
            }
            Some(b'\'') => {
                self.at += 2;
                loop {
                    match self.peek()? {
                        b'\'' => {
                            self.at += 1;
                            return Some(());
                        }
                        b'\\' => self.at += 2,
                        _ => self.at += 1,
                    }
                }
            }
            Some(b'"') => {
                self.at += 2;
                self.double_quoted(depth)
            }
            // `$#` is a parameter, and no comment follows.
            Some(b'#') => {
                self.at += 2;
                Some(())
            }
            _ => {
                self.at += 1;
                Some(())
            }
        }
    }

    /// `${` up to its `}`.
    fn parameter(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH {
            return None;
        }
        loop {
            match self.peek()? {
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.at += 2,
                b'\'' => {
                    self.at += 1;
                    let length = self
                        .bytes
                        .get(self.at..)?
                        .iter()
                        .position(|byte| *byte == b'\'')?;
                    self.at += length + 1;
                }
                b'"' => {
                    self.at += 1;
                    self.double_quoted(depth)?;
                }
                b'`' | b'$' => self.dollar(depth)?,
                _ => self.at += 1,
            }
        }
    }
}

/// Whether a word gives a variable a value.
fn assigns(word: &[u8]) -> bool {
    let Some(at) = word.iter().position(|byte| *byte == b'=') else {
        return false;
    };
    let name = word[..at].strip_suffix(b"+").unwrap_or(&word[..at]);
    let Some((first, rest)) = name.split_first() else {
        return false;
    };
    (first.is_ascii_alphabetic() || *first == b'_')
        && rest
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'[' | b']'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn one(text: &str) {
        assert_eq!(commands(text), [text.trim()]);
    }

    #[test]
    fn each_line_is_a_command() {
        assert_eq!(commands("a\nb"), ["a", "b"]);
        assert_eq!(commands("a\n\n  b\nc  "), ["a", "b", "c"]);
        assert_eq!(commands("sleep 1 &\nb"), ["sleep 1 &", "b"]);
        assert_eq!(commands("a;\nb"), ["a;", "b"]);
        assert_eq!(commands("if a; then b; fi\nc"), ["if a; then b; fi", "c"]);
        assert_eq!(commands("f() { a; }\nf"), ["f() { a; }", "f"]);
        assert_eq!(commands("[[ a ]]\nb"), ["[[ a ]]", "b"]);
        assert_eq!(commands("x=1\ny=2"), ["x=1", "y=2"]);
        assert_eq!(commands("a=(1 2)\nb"), ["a=(1 2)", "b"]);
        assert_eq!(commands("((i++))\nb"), ["((i++))", "b"]);
        assert_eq!(
            commands("case x in x) a;; esac\nb"),
            ["case x in x) a;; esac", "b"]
        );
    }

    #[test]
    fn what_is_white_space_and_no_blank_of_the_shell_is_part_of_a_word() {
        assert_eq!(commands("a\n\u{b}\nb"), ["a", "\u{b}", "b"]);
        assert_eq!(commands("\r\n1\n\u{b}\n"), ["1", "\u{b}"]);
        assert_eq!(commands("echo \u{a0}\nb"), ["echo \u{a0}", "b"]);
        assert_eq!(commands("echo a\\ \nb"), ["echo a\\ ", "b"]);
        assert_eq!(commands("echo a\\\\ \nb"), ["echo a\\\\", "b"]);
        assert_eq!(commands("a\r\nb\r\n"), ["a", "b"]);
    }

    #[test]
    fn what_is_one_command() {
        for text in [
            "a; b",
            "a && b || c",
            "a &&\nb",
            "a ||\n\n  b",
            "a |\nb",
            "a |& b",
            "a \\\n  b",
            "echo 'a\nb'",
            "echo \"a\n$(b\nc)\nd\"",
            "echo `a\nb`",
            "echo $'it\\'s\n'",
            "echo ${x:-a\nb}",
            "echo $(( 1 +\n 2 ))",
            "for i in 1 2\ndo\n  a\ndone",
            "for ((i=0; i<3; i++))\ndo a\ndone",
            "while a\ndo b\ndone < c",
            "if a\nthen b\nelif c\nthen d\nelse e\nfi",
            "{\na\nb\n}",
            "(\na\nb\n)",
            "f()\n{\n  a\n}",
            "function f\n{\n  a\n}",
            "f() (\n a\n)",
            "case $x in\n  a|b) c;;\n  (d) e;;\n  *) f\nesac",
            "case $x in a) case y in b) c;; esac;; esac",
            "a=(\n1\n2 # two\n)",
            "[[ a &&\n ( b || c ) ]]",
            "echo $(case x in a) b;; esac)",
            "echo $(\n# it's\na\n)",
            "diff <(a\nb) >(c)",
            "ls !(a|b)",
            "echo a # it's a comment",
            "echo $# && echo x#y",
            "time a",
            "! a",
            "echo if then fi done } esac",
            "x=1 y=2 a",
            "a 2>&1 >/dev/null &> b",
            "echo ${x#a} ${#x}",
            "a() { b; }; a",
        ] {
            one(text);
        }
    }

    #[test]
    fn here_documents_are_part_of_their_command() {
        one("cat <<EOF\na\nb\nEOF");
        one("cat <<'E O F' && b\n$x `\n'\nE O F");
        one("cat <<-EOF\n\ta\n\tEOF\n");
        one("cat <<A <<B\na\nA\nb\nB");
        one("cat <<\\EOF\n(\nEOF");
        one("a <<< 'b'");
        one("echo $(cat <<EOF\n)\nEOF\n)");
        one("cat <<EOF\nnever ends");
        assert_eq!(commands("cat <<EOF\na\nEOF\nb"), ["cat <<EOF\na\nEOF", "b"]);
        assert_eq!(
            commands("cat <<EOF\na\nEOF\n\nb <<X\nX\nc"),
            ["cat <<EOF\na\nEOF", "b <<X\nX", "c"]
        );
        assert_eq!(
            commands("(cat <<EOF\na\nEOF\n)\nb"),
            ["(cat <<EOF\na\nEOF\n)", "b"]
        );
    }

    #[test]
    fn comments_are_no_commands() {
        one("# a\nb");
        one("# only");
        one("a # b\n# c");
        assert_eq!(commands("a\n# b\nc"), ["a\n# b", "c"]);
        assert_eq!(commands("# a\nb\nc"), ["# a\nb", "c"]);
        assert!(commands(" \n\t").is_empty());
    }

    #[test]
    fn what_is_not_understood_is_left_to_the_shell() {
        for text in [
            "a\n)",
            "echo 'a\nb",
            "echo (\nb",
            "fi\na",
            "if a\nb",
            "a\n}",
            "\"a\nb",
            "a \\",
            "case\na",
            "\\",
        ] {
            one(text);
        }
    }

    #[test]
    fn deep_nesting_ends() {
        one(&"$(".repeat(5000));
        one(&"(".repeat(5000));
        one(&"\"${".repeat(5000));
        one(&format!("a!{}", "(".repeat(5000)));
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in "([a-c \\n;&|()<>{}'\"`$#\\\\]|<<E|E\\n|if |fi |case |in |esac |do |done |\\[\\[ |\\]\\] ){0,40}") {
            let parts = commands(&text);
            let joined: String = parts.concat().split_whitespace().collect();
            let whole: String = text.split_whitespace().collect();
            prop_assert_eq!(joined, whole);
        }
    }
}
