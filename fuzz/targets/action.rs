//! Actions as clients send them: bodies of JSON, forms, and the texts of commands; and what programs write to a terminal.

#![no_main]

use libfuzzer_sys::fuzz_target;
use podbay_agent::action::multipart::{Event, Form};
use podbay_agent::action::request;
use podbay_agent::action::shell::marker::{Marks, Piece};
use podbay_agent::action::shell::screen::Screen;
use podbay_agent::action::shell::split::commands;

fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else {
        return;
    };
    match choice % 5 {
        0 => {
            let _ = request::parse(bytes);
        }
        1 => split(bytes),
        2 => form(bytes),
        3 => marks(bytes),
        _ => screen(bytes),
    }
});

/// Nothing of a text is lost, and none of its commands is empty.
fn split(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let parts = commands(text);
    let blank = |part: &&str| part.chars().all(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
    assert!(!parts.iter().any(blank));
    let visible = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    assert_eq!(visible(&parts.concat()), visible(text));
}

/// However a form is cut, it says the same.
fn form(bytes: &[u8]) {
    let read = |step: usize| {
        let mut form = Form::new("multipart/form-data; boundary=XX").ok()?;
        let mut events: Vec<Event> = Vec::new();
        for piece in bytes.chunks(step) {
            for event in form.feed(piece).ok()? {
                match (events.last_mut(), event) {
                    (Some(Event::Data(before)), Event::Data(data)) => before.extend(data),
                    (_, event) => events.push(event),
                }
            }
        }
        Some(events)
    };
    assert_eq!(read(1), read(bytes.len().max(1)));
}

fn marks(bytes: &[u8]) {
    let read = |step: usize| {
        let mut marks = Marks::new("n");
        let (mut text, mut bodies) = (Vec::new(), Vec::new());
        for piece in bytes.chunks(step) {
            for piece in marks.feed(piece) {
                match piece {
                    Piece::Text(bytes) => text.extend(bytes),
                    Piece::Mark(body) => bodies.push(body),
                }
            }
        }
        (text, bodies)
    };
    assert_eq!(read(1), read(bytes.len().max(1)));
}

fn screen(bytes: &[u8]) {
    let read = |step: usize| {
        let mut screen = Screen::default();
        bytes.chunks(step).for_each(|piece| screen.write(piece));
        screen.text().1
    };
    assert_eq!(read(1), read(bytes.len().max(1)));
}
