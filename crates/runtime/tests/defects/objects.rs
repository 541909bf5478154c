//! Objects as JSON, for assertions on what a session is made of.

use podbay_config::Config;
use podbay_manifests::SecretValues;
use podbay_runtime::{Podbay, SessionRequest};
use serde_json::Value;

use crate::support::IMAGE;
use crate::test_client::TestClient;

/// What would be made for a request, as `podbay render` shows it.
pub(crate) struct Rendered(Vec<Value>);

impl Rendered {
    pub(crate) fn of(config: Config, request: SessionRequest) -> Self {
        let podbay: Podbay = TestClient::with(config).podbay;
        let request = SessionRequest {
            image: request.image.or_else(|| Some(IMAGE.into())),
            ..request
        };
        let objects = podbay
            .session("s")
            .request(request)
            .render(SecretValues::Hidden)
            .unwrap_or_else(|error| panic!("{}", error.chain()));
        let Value::Array(items) = objects.to_json_list()["items"].take() else {
            panic!("a List has items");
        };
        Self(items)
    }

    /// The objects of a kind.
    pub(crate) fn all(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|object| object["kind"] == kind).collect()
    }

    /// The only object of a kind.
    pub(crate) fn the(&self, kind: &str) -> &Value {
        let all = self.all(kind);
        assert_eq!(all.len(), 1, "{kind}: {all:#?}");
        all[0]
    }

    /// The pod's specification.
    pub(crate) fn pod(&self) -> &Value {
        &self.the("Pod")["spec"]
    }

    /// Its only container.
    pub(crate) fn container(&self) -> &Value {
        &self.pod()["containers"][0]
    }

    /// The argv of its server.
    pub(crate) fn argv(&self) -> Vec<&str> {
        strings(&self.container()["command"])
    }
}

/// The texts of a list.
pub(crate) fn strings(list: &Value) -> Vec<&str> {
    let items = list.as_array().unwrap_or_else(|| panic!("{list} is no list"));
    items.iter().map(|item| item.as_str().unwrap()).collect()
}

/// Asserts that `object` has at least what `expected` has: each field of a table, and of a list as many items as
/// `expected` lists, in order.
pub(crate) fn assert_has(object: &Value, expected: &Value) {
    fn lacks(at: &str, object: &Value, expected: &Value) -> Option<String> {
        match expected {
            Value::Object(fields) => fields
                .iter()
                .find_map(|(name, value)| lacks(&format!("{at}.{name}"), &object[name], value)),
            Value::Array(items) if object.as_array().is_some_and(|list| list.len() == items.len()) => items
                .iter()
                .enumerate()
                .find_map(|(index, item)| lacks(&format!("{at}[{index}]"), &object[index], item)),
            expected => (object != expected).then(|| format!("{at} is {object}, not {expected}")),
        }
    }
    if let Some(lack) = lacks("", object, expected) {
        panic!("{lack}, in {object:#}");
    }
}
