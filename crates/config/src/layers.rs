//! The sources laid over one another. Only this file knows figment.

use std::collections::BTreeMap;

use figment::value::{Dict, Map, Num, Tag, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};

use crate::origin::Origin;
use crate::raw::Raw;

/// Values by full key, with the source of each.
#[derive(Default)]
pub(crate) struct Layers {
    figment: Figment,
}

/// All layers as one.
pub(crate) struct Merged {
    figment: Figment,
    root: Value,
}

/// The values of one source.
struct Layer<'a> {
    origin: &'a Origin,
    values: Dict,
}

const ENVIRONMENT: &str = "environment";
const FLAG: &str = "flag";

impl Layers {
    /// Lays a source over those before it.
    pub(crate) fn over(self, origin: &Origin, values: impl IntoIterator<Item = (String, Raw)>) -> Layers {
        values.into_iter().fold(self, |Layers { figment }, (key, raw)| {
            // `nest` makes the dictionaries around the value that the dots of the key ask for.
            let values = figment::util::nest(&key, Value::from(raw))
                .into_dict()
                .unwrap_or_default();
            Layers {
                figment: figment.merge(Layer { origin, values }),
            }
        })
    }

    pub(crate) fn merged(self) -> Merged {
        // The layers are already values, so there is nothing in them that could fail to be merged; an empty
        // path is the root, which is missing only when there is no layer.
        let root = self
            .figment
            .find_value("")
            .unwrap_or_else(|_| Value::from(Dict::new()));
        Merged {
            figment: self.figment,
            root,
        }
    }
}

impl Merged {
    /// The value of the strongest source that has one.
    pub(crate) fn get(&self, key: &str) -> Option<(Raw, Origin)> {
        let value = self.root.find_ref(key)?;
        let origin = self
            .figment
            .get_metadata(value.tag())
            .map_or(Origin::Default, origin_of);
        Some((Raw::from(value.clone()), origin))
    }
}

impl Provider for Layer<'_> {
    fn metadata(&self) -> Metadata {
        match self.origin {
            Origin::Default => Metadata::named("default"),
            Origin::File { path } => Metadata::from("file", Source::File(path.clone())),
            Origin::Environment { name } => Metadata::from(ENVIRONMENT, Source::Custom(name.clone())),
            Origin::Flag { name } => Metadata::from(FLAG, Source::Custom(name.clone())),
        }
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

fn origin_of(metadata: &Metadata) -> Origin {
    match (metadata.name.as_ref(), &metadata.source) {
        (_, Some(Source::File(path))) => Origin::File { path: path.clone() },
        (ENVIRONMENT, Some(Source::Custom(name))) => Origin::Environment { name: name.clone() },
        (FLAG, Some(Source::Custom(name))) => Origin::Flag { name: name.clone() },
        _ => Origin::Default,
    }
}

impl From<Raw> for Value {
    fn from(raw: Raw) -> Value {
        match raw {
            Raw::Null => Value::from(figment::value::Empty::None),
            Raw::Text(text) => Value::String(Tag::Default, text),
            Raw::Bool(value) => Value::Bool(Tag::Default, value),
            Raw::Integer(number) => Value::Num(Tag::Default, Num::I128(number)),
            Raw::Float(number) => Value::Num(Tag::Default, Num::F64(number)),
            Raw::Array(items) => Value::Array(Tag::Default, items.into_iter().map(Value::from).collect()),
            Raw::Table(table) => Value::Dict(
                Tag::Default,
                table.into_iter().map(|(key, raw)| (key, raw.into())).collect(),
            ),
        }
    }
}

impl From<Value> for Raw {
    fn from(value: Value) -> Raw {
        match value {
            Value::String(_, text) => Raw::Text(text),
            Value::Char(_, c) => Raw::Text(c.into()),
            Value::Bool(_, value) => Raw::Bool(value),
            Value::Num(_, number) => match number.to_i128() {
                Some(number) => Raw::Integer(number),
                None => Raw::Float(number.to_f64().unwrap_or(f64::NAN)),
            },
            Value::Empty(..) => Raw::Null,
            Value::Array(_, items) => Raw::Array(items.into_iter().map(Raw::from).collect()),
            Value::Dict(_, dict) => Raw::Table(
                dict.into_iter()
                    .map(|(key, value)| (key, value.into()))
                    .collect::<BTreeMap<_, _>>(),
            ),
        }
    }
}
