//! What a terminal would show of a command's output: text, with what programs do to lines they have written already.
//!
//! Carriage returns, backspaces, tabs, the cursor's movements and the erasing of text change what is shown (ECMA-48,
//! 8.3); colours, titles and all other sequences leave no trace. Lines are as long as they come: nothing wraps. A
//! full-screen program that switches to the alternate screen shows there, and is gone when it switches back.

use std::collections::VecDeque;

/// The terminal's rows, which the cursor's absolute movements refer to.
pub const ROWS: usize = 1000;
/// How many lines are kept, above those of the terminal.
const HISTORY: usize = 10_000;
/// How many characters are kept in all lines, roughly.
const KEPT: usize = 1 << 20;
/// How many characters of what is no longer kept are: the beginning, which is shown when the middle is left out.
const HEAD: usize = 15_000;
/// A movement is not farther than this: the numbers are a program's to choose.
const FAR: usize = 10_000;

/// The terminal's text.
#[derive(Clone, Debug)]
pub struct Screen {
    main: Lines,
    alternate: Option<Lines>,
    parser: Parser,
    decoder: Decoder,
    saved: (usize, usize),
}

/// Lines with a cursor.
#[derive(Clone, Debug, Default)]
struct Lines {
    all: VecDeque<Vec<char>>,
    /// The first line that is on the terminal.
    top: usize,
    row: usize,
    column: usize,
    characters: usize,
    /// The beginning of what was dropped.
    head: String,
    head_length: usize,
    dropped: bool,
}

/// Where in a control sequence the next character stands.
#[derive(Clone, Debug, Default)]
enum Parser {
    #[default]
    Text,
    Escape,
    /// After `ESC` and an intermediate character.
    Intermediate,
    Control(String),
    /// A text for the terminal, up to `BEL` or `ESC \`.
    Command {
        escape: bool,
    },
}

/// UTF-8 in pieces.
#[derive(Clone, Debug, Default)]
struct Decoder {
    pending: Vec<u8>,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            main: Lines::new(),
            alternate: None,
            parser: Parser::Text,
            decoder: Decoder::default(),
            saved: (0, 0),
        }
    }
}

impl Screen {
    /// Takes what a program wrote.
    pub fn write(&mut self, bytes: &[u8]) {
        let mut decoder = std::mem::take(&mut self.decoder);
        decoder.decode(bytes, |character| self.take(character));
        self.decoder = decoder;
    }

    /// Whether lines are no longer kept.
    pub const fn is_cut(&self) -> bool {
        self.main.dropped
    }

    /// The text, without blanks at the ends of lines; of what is no longer kept, the beginning.
    pub fn text(&self) -> (Option<&str>, String) {
        let shown = self.alternate.as_ref().unwrap_or(&self.main);
        let head = (shown.dropped).then_some(shown.head.as_str());
        let mut text = String::with_capacity(shown.characters + shown.all.len());
        for (number, line) in shown.all.iter().enumerate() {
            if number > 0 {
                text.push('\n');
            }
            let length = line.iter().rposition(|c| *c != ' ').map_or(0, |last| last + 1);
            text.extend(&line[..length]);
        }
        (head, text)
    }

    fn lines(&mut self) -> &mut Lines {
        self.alternate.as_mut().unwrap_or(&mut self.main)
    }

    fn take(&mut self, character: char) {
        self.parser = match std::mem::take(&mut self.parser) {
            Parser::Text => return self.text_or_control(character),
            Parser::Escape => self.after_escape(character),
            Parser::Intermediate => Parser::Text,
            Parser::Control(mut parameters) => match character {
                '\x1b' => Parser::Escape,
                '\x18' | '\x1a' => Parser::Text,
                '@'..='~' => {
                    self.control(&parameters, character);
                    Parser::Text
                }
                ' '..='?' => {
                    // The rest of a number that nobody means is not kept.
                    if parameters.len() < 64 {
                        parameters.push(character);
                    }
                    Parser::Control(parameters)
                }
                // Other controls act within a sequence.
                _ => {
                    self.text_or_control(character);
                    Parser::Control(parameters)
                }
            },
            Parser::Command { escape } => match character {
                '\x07' | '\x18' | '\x1a' => Parser::Text,
                '\\' if escape => Parser::Text,
                '\x1b' => Parser::Command { escape: true },
                _ if escape => {
                    // Anything else after ESC begins another sequence.
                    self.parser = Parser::Escape;
                    return self.take(character);
                }
                _ => Parser::Command { escape: false },
            },
        };
    }

    fn text_or_control(&mut self, character: char) {
        let lines = self.lines();
        match character {
            '\x1b' => self.parser = Parser::Escape,
            '\n' | '\x0b' | '\x0c' => lines.down(),
            '\r' => lines.column = 0,
            '\x08' => lines.column = lines.column.saturating_sub(1),
            '\t' => lines.column = (lines.column / 8 + 1) * 8,
            '\0'..='\x1f' | '\x7f'..='\u{9f}' => {}
            _ => lines.put(character),
        }
    }

    fn after_escape(&mut self, character: char) -> Parser {
        match character {
            '[' => return Parser::Control(String::new()),
            ']' | 'P' | 'X' | '^' | '_' => return Parser::Command { escape: false },
            ' '..='/' => return Parser::Intermediate,
            '\x1b' => return Parser::Escape,
            '7' => self.save(),
            '8' => self.restore(),
            'D' => self.lines().down(),
            'E' => {
                self.lines().down();
                self.lines().column = 0;
            }
            'M' => self.lines().up(1),
            'c' => self.lines().clear_all(),
            _ => {}
        }
        Parser::Text
    }

    fn save(&mut self) {
        let lines = self.lines();
        self.saved = (lines.row.saturating_sub(lines.top), lines.column);
    }

    fn restore(&mut self) {
        let (row, column) = self.saved;
        self.lines().go(row, column);
    }

    fn control(&mut self, parameters: &str, last: char) {
        if let Some(modes) = parameters.strip_prefix('?') {
            return self.mode(modes, last);
        }
        if parameters.starts_with(['<', '=', '>', '!', ' ']) {
            return;
        }
        let mut numbers = parameters.split(';').map(|text| text.parse::<usize>().ok());
        let mut next = |default: usize| numbers.next().flatten().unwrap_or(default).min(FAR);
        let lines = self.lines();
        match last {
            'A' => lines.up(next(1).max(1)),
            'B' | 'e' => (0..next(1).max(1)).for_each(|_| lines.step_down()),
            'C' | 'a' => {
                lines.column = lines
                    .column
                    .saturating_add(next(1).max(1))
                    .min(FAR.max(lines.column));
            }
            'D' => lines.column = lines.column.saturating_sub(next(1).max(1)),
            'E' => {
                (0..next(1).max(1)).for_each(|_| lines.step_down());
                lines.column = 0;
            }
            'F' => {
                lines.up(next(1).max(1));
                lines.column = 0;
            }
            'G' | '`' => lines.column = next(1).saturating_sub(1),
            'd' => {
                let (row, column) = (next(1).saturating_sub(1), lines.column);
                lines.go(row, column);
            }
            'H' | 'f' => {
                let row = next(1).saturating_sub(1);
                lines.go(row, next(1).saturating_sub(1));
            }
            'J' => lines.erase_screen(next(0)),
            'K' => lines.erase_line(next(0)),
            'P' => lines.delete(next(1).max(1)),
            '@' => lines.insert(next(1).max(1)),
            'X' => lines.blank(next(1).max(1)),
            'L' => lines.insert_lines(next(1).max(1)),
            'M' => lines.delete_lines(next(1).max(1)),
            's' => self.save(),
            'u' => self.restore(),
            _ => {}
        }
    }

    fn mode(&mut self, modes: &str, last: char) {
        let switches = modes
            .split(';')
            .any(|mode| matches!(mode, "1049" | "1047" | "47"));
        match last {
            'h' if switches && self.alternate.is_none() => self.alternate = Some(Lines::new()),
            'l' if switches => self.alternate = None,
            _ => {}
        }
    }
}

impl Lines {
    fn new() -> Self {
        let mut lines = Self::default();
        lines.all.push_back(Vec::new());
        lines
    }

    fn line(&mut self) -> &mut Vec<char> {
        while self.all.len() <= self.row {
            self.all.push_back(Vec::new());
        }
        &mut self.all[self.row]
    }

    fn put(&mut self, character: char) {
        let column = self.column;
        let line = self.line();
        let before = line.len();
        if column < before {
            line[column] = character;
        } else {
            line.resize(column, ' ');
            line.push(character);
        }
        let grown = line.len() - before;
        self.characters += grown;
        self.column += 1;
        if self.characters > KEPT {
            self.trim();
        }
    }

    fn step_down(&mut self) {
        if self.row + 1 < self.top + ROWS {
            self.row += 1;
            self.line();
        }
    }

    fn down(&mut self) {
        self.row += 1;
        self.line();
        self.top = self.top.max((self.row + 1).saturating_sub(ROWS));
        if self.all.len() > HISTORY + ROWS {
            self.drop_first();
        }
    }

    fn up(&mut self, count: usize) {
        self.row = self.row.saturating_sub(count).max(self.top);
    }

    fn go(&mut self, row: usize, column: usize) {
        self.row = self.top + row.min(ROWS - 1);
        self.column = column;
        self.line();
    }

    fn drop_first(&mut self) {
        let Some(line) = self.all.pop_front() else {
            return;
        };
        self.characters -= line.len();
        self.row = self.row.saturating_sub(1);
        self.top = self.top.saturating_sub(1);
        self.remember(&line);
        if self.head_length < HEAD {
            self.head.push('\n');
            self.head_length += 1;
        }
        if self.all.is_empty() {
            self.all.push_back(Vec::new());
        }
    }

    fn remember(&mut self, characters: &[char]) {
        self.dropped = true;
        let room = HEAD.saturating_sub(self.head_length).min(characters.len());
        self.head.extend(&characters[..room]);
        self.head_length += room;
    }

    /// Drops the oldest half of what is kept.
    fn trim(&mut self) {
        while self.characters > KEPT / 2 && self.all.len() > 1 && self.row > 0 {
            self.drop_first();
        }
        if self.characters > KEPT / 2 {
            // One line is all there is.
            let row = self.row;
            let surplus = (self.characters - KEPT / 2).min(self.all[row].len());
            let dropped: Vec<char> = self.all[row].drain(..surplus).collect();
            self.characters -= surplus;
            self.column = self.column.saturating_sub(surplus);
            self.remember(&dropped);
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<char>, usize)) {
        let column = self.column;
        let line = self.line();
        let before = line.len();
        change(line, column);
        let after = line.len();
        self.characters = self.characters + after - before;
    }

    fn erase_line(&mut self, part: usize) {
        self.change(|line, column| match part {
            0 => line.truncate(column),
            1 => {
                let end = (column + 1).min(line.len());
                line[..end].fill(' ');
            }
            _ => line.clear(),
        });
    }

    /// Clearing all of the terminal moves its text out of sight: it stays part of the output.
    fn erase_screen(&mut self, part: usize) {
        match part {
            0 => {
                self.erase_line(0);
                self.cut_below(self.row + 1);
            }
            1 => {
                self.erase_line(1);
                for row in self.top..self.row {
                    self.characters -= self.all[row].len();
                    self.all[row].clear();
                }
            }
            2 => {
                let row = self.row - self.top.min(self.row);
                let used = self
                    .all
                    .iter()
                    .rposition(|line| !line.is_empty())
                    .map_or(0, |last| last + 1);
                self.cut_below(used.max(self.top));
                self.top = used.max(self.top);
                self.row = self.top + row;
                self.line();
            }
            _ => {}
        }
    }

    fn cut_below(&mut self, row: usize) {
        while self.all.len() > row.max(1) {
            if let Some(line) = self.all.pop_back() {
                self.characters -= line.len();
            }
        }
        if row == 0 {
            self.characters -= self.all[0].len();
            self.all[0].clear();
        }
    }

    fn clear_all(&mut self) {
        self.erase_screen(2);
        self.go(0, 0);
    }

    fn delete(&mut self, count: usize) {
        self.change(|line, column| {
            let end = column.saturating_add(count).min(line.len());
            if column < end {
                line.drain(column..end);
            }
        });
    }

    fn insert(&mut self, count: usize) {
        self.change(|line, column| {
            if column < line.len() {
                line.splice(column..column, std::iter::repeat_n(' ', count));
            }
        });
    }

    fn blank(&mut self, count: usize) {
        self.change(|line, column| {
            let end = column.saturating_add(count).min(line.len());
            if column < end {
                line[column..end].fill(' ');
            }
        });
    }

    fn insert_lines(&mut self, count: usize) {
        let last = self.top + ROWS;
        self.line();
        for _ in 0..count.min(ROWS) {
            self.line();
            self.all.insert(self.row, Vec::new());
            if self.all.len() > last
                && let Some(line) = self.all.pop_back()
            {
                self.characters -= line.len();
            }
        }
    }

    fn delete_lines(&mut self, count: usize) {
        for _ in 0..count.min(ROWS) {
            if self.row < self.all.len()
                && let Some(line) = self.all.remove(self.row)
            {
                self.characters -= line.len();
            }
            self.line();
        }
    }
}

impl Decoder {
    /// Hands out the characters; what is none is the replacement character, as soon as that is certain.
    fn decode(&mut self, bytes: &[u8], mut take: impl FnMut(char)) {
        let mut all = std::mem::take(&mut self.pending);
        all.extend_from_slice(bytes);
        let mut rest = all.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => return text.chars().for_each(take),
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    String::from_utf8_lossy(valid).chars().for_each(&mut take);
                    let Some(wrong) = error.error_len() else {
                        self.pending = after.to_vec();
                        return;
                    };
                    take(char::REPLACEMENT_CHARACTER);
                    rest = &after[wrong..];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(output: &str) -> String {
        let mut screen = Screen::default();
        screen.write(output.replace('\n', "\r\n").as_bytes());
        screen.text().1
    }

    #[test]
    fn plain_text_is_itself() {
        assert_eq!(shown("a\n  b\n\nc"), "a\n  b\n\nc");
        assert_eq!(shown("grüße 你好 🙂"), "grüße 你好 🙂");
        assert_eq!(shown("a\tb"), "a       b");
    }

    #[test]
    fn what_is_written_over_is_gone() {
        assert_eq!(shown("one\rtwo!"), "two!");
        assert_eq!(shown("10%\r20%\r100%\n"), "100%\n");
        assert_eq!(shown("abcdef\r\x1b[Kxy"), "xy");
        assert_eq!(shown("abc\x08\x08X"), "aXc");
        assert_eq!(shown("one\ntwo\n\x1b[1A\x1b[2Kthree\n"), "one\nthree\n");
        assert_eq!(shown("abc\x1b[2D\x1b[1P"), "ac");
        assert_eq!(shown("ac\x1b[1D\x1b[1@b"), "abc");
    }

    #[test]
    fn what_was_cleared_is_still_part_of_the_output() {
        assert_eq!(shown("before\n\x1b[H\x1b[2Jafter\n"), "before\nafter\n");
        assert_eq!(shown("a\nb\x1b[2J\x1b[1;1Hc"), "a\nb\nc\n");
    }

    #[test]
    fn sequences_leave_no_trace() {
        assert_eq!(
            shown("\x1b[1;31mred\x1b[0m \x1b]0;title\x07a\x1b]8;;http://x\x1b\\b"),
            "red ab"
        );
        assert_eq!(shown("\x1b(B\x1b[?25la\x1b[?25hb\x1b[>4;1mc"), "abc");
    }

    #[test]
    fn a_full_screen_program_is_gone_when_it_ends() {
        let mut screen = Screen::default();
        screen.write(b"before\r\n\x1b[?1049h\x1b[H\x1b[2Jinside");
        assert_eq!(screen.text().1, "inside");
        screen.write(b"\x1b[?1049lafter");
        assert_eq!(screen.text().1, "before\nafter");
    }

    #[test]
    fn the_beginning_of_what_is_not_kept_is() {
        let mut screen = Screen::default();
        for number in 0..20_000 {
            screen.write(format!("{number}\r\n").as_bytes());
        }
        let (head, text) = screen.text();
        assert!(head.is_some_and(|head| head.starts_with("0\n1\n2\n")));
        assert!(text.ends_with("19998\n19999\n"));
        assert_eq!(text.lines().count(), HISTORY + ROWS - 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut screen = Screen::default();
        for _ in 0..300 {
            screen.write(&[b'x'; 10_000]);
        }
        assert!(screen.main.characters <= KEPT);
        assert!(screen.is_cut());
        screen.write(b"\x1b[999999999C\x1b[999999999@\x1b[99999999B\x1b[99999999Ly");
        assert!(screen.main.characters <= KEPT + 2 * FAR);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0..200usize) {
            let cut = cut.min(bytes.len());
            let (mut whole, mut pieces) = (Screen::default(), Screen::default());
            whole.write(&bytes);
            pieces.write(&bytes[..cut]);
            pieces.write(&bytes[cut..]);
            prop_assert_eq!(whole.text().1, pieces.text().1);
        }

        #[test]
        fn counted_as_it_is(text in "(\\x1b\\[[0-9;]{0,4}[A-HJKLMPX@]|[a-z\\r\\n\\t]){0,60}") {
            let mut screen = Screen::default();
            screen.write(text.as_bytes());
            let counted: usize = screen.main.all.iter().map(Vec::len).sum();
            prop_assert_eq!(counted, screen.main.characters);
        }
    }
}
