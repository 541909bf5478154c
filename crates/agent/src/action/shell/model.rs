//! Where a shell is, from what it wrote.

use tokio::time::Instant;

use super::marker::{Marks, Piece};
use super::screen::Screen;

/// Where the shell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It has not shown its first prompt.
    Starting,
    /// It waits for a command.
    Idle,
    /// A command was typed, and it has not read all of it.
    Typed,
    /// It has read the command and waits until the terminal is set up.
    Ready,
    /// It runs the command.
    Running,
    /// It has ended.
    Ended,
}

/// What the shell says of itself at its prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// The exit code of the last command.
    pub code: i32,
    /// The last background process; -1 if there is none.
    pub pid: i64,
    /// The directory.
    pub directory: String,
}

/// What is known of a shell.
#[derive(Debug)]
pub struct Model {
    marks: Marks,
    place: Place,
    screen: Screen,
    prompt: Prompt,
    path: Option<String>,
    exports: Option<String>,
    /// The last probe that was answered, and the one whose prompt is still to come.
    probe: u64,
    probed: u64,
    /// When the output changed last.
    changed: Instant,
    /// The exit code of a shell that has ended.
    code: Option<i32>,
}

impl Model {
    /// A shell that was started, whose marks have this nonce.
    pub fn new(nonce: &str, now: Instant) -> Self {
        Self {
            marks: Marks::new(nonce),
            place: Place::Starting,
            screen: Screen::default(),
            prompt: Prompt::default(),
            path: None,
            exports: None,
            probe: 0,
            probed: 0,
            changed: now,
            code: None,
        }
    }

    /// Takes what the shell, or a program in it, wrote.
    pub fn feed(&mut self, bytes: &[u8], now: Instant) {
        for piece in self.marks.feed(bytes) {
            match piece {
                Piece::Text(text) => {
                    // In between is the terminal's echo, and what the shell's own tracing says of what we type. At the
                    // prompt it is what background processes write: it is shown with the next command.
                    if matches!(self.place, Place::Running | Place::Idle) {
                        self.screen.write(&text);
                        self.changed = now;
                    }
                }
                Piece::Mark(body) => self.mark(&String::from_utf8_lossy(&body), now),
            }
        }
    }

    fn mark(&mut self, body: &str, now: Instant) {
        let (what, rest) = body.split_once(';').unwrap_or((body, ""));
        match what {
            "ready" if self.place == Place::Typed => self.place = Place::Ready,
            "begin" if self.place == Place::Ready => {
                self.place = Place::Running;
                self.changed = now;
            }
            "path" => self.path = Some(rest.to_owned()),
            "exports" => self.exports = Some(rest.replace("\r\n", "\n")),
            "probe" => self.probed = rest.parse().unwrap_or(self.probed),
            "prompt" => {
                // The terminal has made `\r\n` of a line end in a directory's name.
                let rest = rest.replace("\r\n", "\n");
                let mut parts = rest.splitn(3, ';');
                let mut next = || parts.next().unwrap_or("");
                self.prompt = Prompt {
                    code: next().parse().unwrap_or(-1),
                    pid: next().parse().unwrap_or(-1),
                    directory: next().to_owned(),
                };
                self.probe = self.probed;
                if self.place != Place::Typed {
                    self.place = Place::Idle;
                }
            }
            _ => {}
        }
    }

    /// A command was typed.
    pub fn typed(&mut self) {
        self.place = Place::Typed;
    }

    /// The shell has ended.
    pub fn ended(&mut self, code: i32) {
        self.place = Place::Ended;
        self.code = Some(code);
    }

    /// Where it is.
    pub const fn place(&self) -> Place {
        self.place
    }

    /// What it said last at its prompt.
    pub const fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    /// The exit code of a shell that has ended.
    pub const fn code(&self) -> Option<i32> {
        self.code
    }

    /// Its search path, if it has told.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// What it exported when it ended, as commands, if it told.
    pub fn take_exports(&mut self) -> Option<String> {
        self.exports.take()
    }

    /// The last probe that was answered, and whose prompt has come.
    pub const fn probe(&self) -> u64 {
        self.probe
    }

    /// When the output changed last.
    pub const fn changed(&self) -> Instant {
        self.changed
    }

    /// The output since the last command was over.
    pub const fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Takes the output away.
    pub fn take_screen(&mut self) -> Screen {
        std::mem::take(&mut self.screen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(body: &str) -> Vec<u8> {
        format!("\x1b]7770;n;{body};n\x07").into_bytes()
    }

    fn at_prompt() -> Model {
        let now = Instant::now();
        let mut model = Model::new("n", now);
        model.feed(b"motd\r\n$ ", now);
        model.feed(&mark("prompt;0;;/work"), now);
        model
    }

    #[test]
    fn output_is_what_is_between_begin_and_prompt() {
        let mut model = at_prompt();
        let now = Instant::now();
        assert_eq!(
            (model.place(), model.screen().text().1.as_str()),
            (Place::Idle, "")
        );
        model.typed();
        model.feed(b"noise", now);
        model.feed(&mark("ready"), now);
        model.feed(b"\r\n", now);
        model.feed(&mark("begin"), now);
        assert_eq!(model.place(), Place::Running);
        model.feed(b"out\r\n", now);
        model.feed(&mark("prompt;3;77;/a;b"), now);
        assert_eq!(model.place(), Place::Idle);
        assert_eq!(model.take_screen().text().1, "out\n");
        let expected = Prompt {
            code: 3,
            pid: 77,
            directory: "/a;b".to_owned(),
        };
        assert_eq!(model.prompt(), &expected);
    }

    #[test]
    fn what_comes_at_the_prompt_is_not_lost() {
        let mut model = at_prompt();
        model.feed(b"from the background\r\n", Instant::now());
        assert_eq!(model.screen().text().1, "from the background\n");
    }

    #[test]
    fn a_prompt_more_does_not_end_what_was_typed() {
        let mut model = at_prompt();
        model.typed();
        model.feed(&mark("prompt;130;;/work"), Instant::now());
        assert_eq!(model.place(), Place::Typed);
    }
}
