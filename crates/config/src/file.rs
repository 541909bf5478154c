//! The TOML file as a source: ours, or a user's whole OpenHands `config.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::Fault;
use crate::nearest::nearest;
use crate::openhands;
use crate::origin::{Origin, Place};
use crate::raw::Raw;
use crate::setting::{self, Section};
use crate::warning::Warning;

const OUR_SECTIONS: [&str; 5] = ["kubernetes", "sandbox", "podbay", "agent", "serve"];
/// Largest edit distance at which an unknown section counts as a misspelling of a known one: all that is in it would be
/// passed over otherwise. None of OpenHands' sections is as near.
const MISSPELLINGS: [(&str, usize); 4] = [
    ("kubernetes", 2),
    ("sandbox", 2),
    ("podbay", 2),
    (openhands::CORE, 1),
];
/// A word for a section of ours that is far from its name.
const ALIASES: [(&str, &str); 1] = [("k8s", "kubernetes")];

/// A file's path and content as read from the disk.
pub(crate) struct Content {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// What a file says.
pub(crate) struct File<'a> {
    path: &'a Path,
    text: &'a str,
    /// By full key.
    pub(crate) values: BTreeMap<String, Raw>,
    pub(crate) positions: Positions,
    pub(crate) faults: Vec<Fault>,
    pub(crate) warnings: Vec<Warning>,
}

/// Line and column of the values of a file, and of what is inside them, both counted from 1. By full key, with what
/// is inside as in `kubernetes.tolerations[0].key`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Positions(BTreeMap<String, (usize, usize)>);

impl Positions {
    /// Where a value is from, or what is inside of it as far as that is known.
    pub(crate) fn place(&self, origin: &Origin, key: &str, inside: &str) -> Place {
        let position = match origin {
            Origin::File { .. } => self.nearest(key, inside),
            Origin::Default | Origin::Environment { .. } | Origin::Flag { .. } => None,
        };
        Place {
            origin: origin.clone(),
            line: position.map(|(line, _)| line),
            column: position.map(|(_, column)| column),
        }
    }

    /// The position of the innermost part of `inside` that has one; a value that is a text has none inside.
    fn nearest(&self, key: &str, inside: &str) -> Option<(usize, usize)> {
        let mut inside = inside;
        loop {
            if let Some(position) = self.0.get(&format!("{key}{inside}")) {
                return Some(*position);
            }
            inside = &inside[..inside.rfind(['.', '['])?];
        }
    }
}

impl<'a> File<'a> {
    pub(crate) fn parse(path: &'a Path, text: &'a str) -> File<'a> {
        let mut file = File {
            path,
            text,
            values: BTreeMap::new(),
            positions: Positions::default(),
            faults: Vec::new(),
            warnings: Vec::new(),
        };
        match DeTable::parse(text) {
            Ok(root) => file.read_root(root.get_ref()),
            Err(fault) => {
                let (line, column) = position(text, fault.span().map_or(0, |span| span.start));
                // Not its Display, which quotes the line: that may hold a secret.
                let message = fault.message().replace('\n', ", ");
                file.faults.push(Fault::Syntax {
                    path: path.to_owned(),
                    line,
                    column,
                    message,
                });
            }
        }
        file
    }

    pub(crate) fn origin(path: &Path) -> Origin {
        Origin::File {
            path: path.to_owned(),
        }
    }

    fn read_root(&mut self, root: &DeTable<'_>) {
        // Before [core], so that a key at the top level itself is the one that holds.
        for (name, value) in root {
            if setting::names_in(Section::TopLevel).any(|known| known == name.get_ref()) {
                self.take(Section::TopLevel, name.get_ref(), value);
            }
        }
        for (name, value) in root {
            let at = name.span().start;
            match (name.get_ref().as_ref(), value.get_ref()) {
                ("kubernetes", value) => self.read_section(Section::Kubernetes, at, value),
                ("sandbox", value) => self.read_section(Section::Sandbox, at, value),
                ("podbay", value) => self.read_section(Section::Podbay, at, value),
                ("serve", value) => self.read_section(Section::Serve, at, value),
                ("agent", DeValue::Table(table)) => self.read_agent(table),
                ("agent", value) => self.read_section(Section::Agent, at, value),
                (openhands::CORE, DeValue::Table(core)) => self.read_core(core),
                (openhands::CORE, _) => self.faults.push(Fault::NotASection {
                    place: self.place(at),
                    section: openhands::CORE.to_owned(),
                }),
                (name, _) if openhands::SECTIONS.contains(&name) => {}
                (name, _) if setting::names_in(Section::TopLevel).any(|known| known == name) => {}
                (name, value) => self.read_unknown("", name, at, value),
            }
        }
    }

    /// What nobody knows, at the top level or, as `inside` says, in `[core]`. What was meant by it would be left undone in
    /// silence.
    fn read_unknown(&mut self, inside: &str, name: &str, at: usize, value: &DeValue<'_>) {
        let place = self.place(at);
        let shown = format!("{inside}{}", on_one_line(name));
        let section = misspelt(name).filter(|_| is_section(value));
        if let Some(nearest) = section {
            self.faults.push(Fault::UnknownSection {
                place,
                name: shown,
                nearest,
            });
            return;
        }
        // A section's header that was forgotten. A setting that is a table looks like a section of its own.
        let elsewhere = keys_of(name, Section::TopLevel);
        if !elsewhere.is_empty() {
            self.faults.push(Fault::UnknownKey {
                place,
                key: shown,
                nearest: Some(elsewhere.join(" or ")),
            });
            return;
        }
        let known = OUR_SECTIONS
            .into_iter()
            .chain(setting::names_in(Section::TopLevel));
        self.warnings.push(Warning::Unknown {
            place,
            name: shown,
            nearest: nearest(name, known),
        });
    }

    /// `[core]` has dozens of keys that concern only OpenHands; those are passed over.
    fn read_core(&mut self, core: &DeTable<'_>) {
        for (name, value) in core {
            let at = name.span().start;
            let name = name.get_ref().as_ref();
            match setting::names_in(Section::TopLevel).find(|known| *known == name) {
                Some(setting) => self.read_core_setting(setting, value),
                None if openhands::CORE_KEYS.contains(&name) => {}
                None => self.read_unknown("core.", name, at, value.get_ref()),
            }
        }
    }

    /// `[agent]` is a section of OpenHands too: what is not ours is passed over, and warned of where it is not known to be
    /// theirs.
    fn read_agent(&mut self, agent: &DeTable<'_>) {
        for (name, value) in agent {
            let at = name.span().start;
            let name = name.get_ref().as_ref();
            if setting::names_in(Section::Agent).any(|known| known == name) {
                self.take(Section::Agent, name, value);
            } else if !openhands::AGENT_KEYS.contains(&name) && !matches!(value.get_ref(), DeValue::Table(_))
            {
                self.warnings.push(Warning::Unknown {
                    place: self.place(at),
                    name: Section::Agent.key(&on_one_line(name)),
                    nearest: nearest_key(Section::Agent, name),
                });
            }
        }
    }

    fn read_core_setting(&mut self, setting: &'static str, value: &Spanned<DeValue<'_>>) {
        match self.values.get(setting) {
            None => self.take(Section::TopLevel, setting, value),
            Some(used) if *used == raw(value.get_ref()) => {}
            Some(_) => self.warnings.push(Warning::Conflict {
                key: setting.to_owned(),
                used: self.positions.place(&File::origin(self.path), setting, ""),
                ignored: self.place(value.span().start),
            }),
        }
    }

    fn read_section(&mut self, section: Section, at: usize, value: &DeValue<'_>) {
        let DeValue::Table(table) = value else {
            let section = section.name().unwrap_or_default().to_owned();
            self.faults.push(Fault::NotASection {
                place: self.place(at),
                section,
            });
            return;
        };
        for (name, value) in table {
            let at = name.span().start;
            let name = name.get_ref().as_ref();
            if setting::names_in(section).any(|known| known == name) {
                self.take(section, name, value);
            } else {
                self.faults.push(Fault::UnknownKey {
                    place: self.place(at),
                    key: section.key(&on_one_line(name)),
                    nearest: nearest_key(section, name),
                });
            }
        }
    }

    fn take(&mut self, section: Section, name: &str, value: &Spanned<DeValue<'_>>) {
        let key = section.key(name);
        self.locate(&key, value);
        self.values.insert(key, raw(value.get_ref()));
    }

    /// Notes where a value stands, and everything inside of it.
    fn locate(&mut self, path: &str, value: &Spanned<DeValue<'_>>) {
        let position = position(self.text, value.span().start);
        self.positions.0.insert(path.to_owned(), position);
        match value.get_ref() {
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.locate(&format!("{path}[{index}]"), item);
                }
            }
            DeValue::Table(table) => {
                for (name, item) in table {
                    self.locate(&format!("{path}.{}", name.get_ref()), item);
                }
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {}
        }
    }

    fn place(&self, at: usize) -> Place {
        let (line, column) = position(self.text, at);
        Place {
            origin: File::origin(self.path),
            line: Some(line),
            column: Some(column),
        }
    }
}

/// The full keys of the settings of this name in other sections.
fn keys_of(name: &str, apart_from: Section) -> Vec<String> {
    let sections = [
        Section::TopLevel,
        Section::Kubernetes,
        Section::Sandbox,
        Section::Podbay,
        Section::Agent,
        Section::Serve,
    ];
    sections
        .into_iter()
        .filter(|section| *section != apart_from && setting::names_in(*section).any(|known| known == name))
        .map(|section| section.key(name))
        .collect()
}

/// What an unknown key of a section was most likely meant to be: the same name in another section, else one that is alike.
fn nearest_key(section: Section, name: &str) -> Option<String> {
    let elsewhere = keys_of(name, section);
    if elsewhere.is_empty() {
        nearest(name, setting::names_in(section)).map(|name| section.key(&name))
    } else {
        Some(elsewhere.join(" or "))
    }
}

/// The section that an unknown one was most likely meant to be.
fn misspelt(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let alias = ALIASES
        .into_iter()
        .find(|(alias, _)| *alias == name)
        .map(|(_, section)| section);
    alias.or_else(|| {
        MISSPELLINGS
            .into_iter()
            .map(|(section, most)| (strsim::osa_distance(&name, section), most, section))
            .filter(|(distance, most, _)| distance <= most)
            .min()
            .map(|(_, _, section)| section)
    })
}

/// Whether a value is one or more tables, as a header makes them.
fn is_section(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Table(_) => true,
        DeValue::Array(items) => {
            !items.is_empty()
                && items
                    .iter()
                    .all(|item| matches!(item.get_ref(), DeValue::Table(_)))
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => false,
    }
}

/// A name of a file in a message: one in quotes may hold anything, a terminal's escape sequences too.
fn on_one_line(name: &str) -> String {
    name.chars()
        .flat_map(|c| {
            let escaped = c.is_control().then(|| c.escape_default());
            let plain = escaped.is_none().then_some(c);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.as_ref().to_owned()),
        DeValue::Boolean(value) => Raw::Bool(*value),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Raw::Integer(number),
            // Longer than any setting takes; only its size is of interest.
            Err(_) => Raw::Float(f64::INFINITY),
        },
        DeValue::Float(number) => Raw::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Datetime(time) => Raw::Text(time.to_string()),
        DeValue::Array(items) => Raw::Array(items.iter().map(Spanned::get_ref).map(raw).collect()),
        DeValue::Table(table) => Raw::Table(
            table
                .iter()
                .map(|(name, value)| (name.get_ref().as_ref().to_owned(), raw(value.get_ref())))
                .collect(),
        ),
    }
}

/// Line and column, in characters, of a byte of the text; both counted from 1.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}
