//! The body of `POST /start`: read with all that is wrong with it, and turned into what a session is asked to be.
//!
//! Fields that are not known are passed over: newer clients send more. Values of the environment are taken as they are: they
//! travel in the session's Secret, and Kubernetes expands `$(NAME)` in values that stand in a pod alone.

use std::collections::BTreeMap;

use podbay_config::PullPolicy;
use podbay_manifests::SessionRequest;
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::error::Refusal;
use super::kind::Kind;
use super::launch::{Drawn, V0Server, launch, routed};
use super::pod_fields::{MOST_ID, PodFields, PodPolicy};
use super::words::words;
use crate::sessions::PUBLIC_LABEL;

/// Variables that hold a session's key: it is never a client's choice.
const KEY_VARIABLES: [&str; 2] = ["SESSION_API_KEY", "OH_SESSION_API_KEYS_0"];
/// What asks for a V1 server that is told its settings after its start.
const DEFERRED_INIT: &str = "OH_DEFERRED_INIT";
/// The port that OpenHands' clients expect a server on.
pub(crate) const SERVER_PORT: u16 = 60_000;
/// The image that stands for this machine's own files.
pub(crate) const HOST_IMAGE: &str = "host";

/// What a client asks with `POST /start`.
#[derive(Debug)]
pub(crate) struct StartBody {
    /// The client's own id of the session.
    pub(crate) session_id: String,
    pub(crate) image: String,
    pub(crate) kind: Kind,
    argv: Vec<String>,
    working_dir: Option<String>,
    environment: BTreeMap<String, SecretString>,
    resource_factor: Option<u32>,
    pod: PodFields,
    /// Whether the session's work ports are shown to whoever knows their URL.
    public: bool,
}

/// What the service makes of starts.
#[derive(Clone, Debug)]
pub(crate) struct StartPolicy {
    /// Whether sessions are processes of this machine.
    pub(crate) on_this_machine: bool,
    /// Whose server serves V0 clients: `agent`, `image`, patterns of images with a server of their own.
    pub(crate) v0_server: Vec<String>,
    /// Whether the workspace outlives the pod.
    pub(crate) persistent: bool,
    /// The most that resources are multiplied with.
    pub(crate) resource_factor_limit: u32,
    /// What is made of user, groups, pull policy and runtime class.
    pub(crate) pod: PodPolicy,
}

impl StartBody {
    /// Reads a body. The refusal names everything that is wrong with it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|error| Refusal::invalid(format!("the body is no JSON: {error}")))?;
        let Value::Object(fields) = value else {
            return Err(Refusal::invalid("the body is no JSON object"));
        };
        let mut reader = Reader {
            fields,
            wrong: Vec::new(),
        };
        let session_id = reader.needed("session_id");
        let image = reader.needed("image");
        let argv = reader.command();
        let body = Self {
            session_id: session_id.unwrap_or_default(),
            image: image.unwrap_or_default(),
            kind: Kind::of(argv.as_deref()),
            argv: argv.unwrap_or_default(),
            working_dir: reader.text("working_dir"),
            environment: reader.environment(),
            resource_factor: reader.factor(),
            pod: reader.pod(),
            public: reader.switch("public"),
        };
        if reader.wrong.is_empty() {
            Ok(body)
        } else {
            Err(Refusal::invalid(reader.wrong.join("; ")))
        }
    }

    /// The directory that the command is to start in.
    pub(crate) fn working_dir(&self) -> Option<&str> {
        self.working_dir.as_deref()
    }

    /// The user that the session is to run as.
    pub(crate) const fn run_as_user(&self) -> Option<u64> {
        self.pod.run_as_user
    }

    /// The group that the session is to run as.
    pub(crate) const fn run_as_group(&self) -> Option<u64> {
        self.pod.run_as_group
    }

    /// What the session is asked to be.
    pub(crate) fn request(self, policy: &StartPolicy, drawn: &Drawn) -> Result<SessionRequest, Refusal> {
        if policy.on_this_machine && self.image != HOST_IMAGE {
            return Err(Refusal::invalid(format!(
                "image {:?} can't be run: this service runs sessions as processes of its own machine, whose files are the image \
                 {HOST_IMAGE:?}; images need a service with --backend cluster",
                self.image
            )));
        }
        let v0 = if policy.runs_v0_server_of(&self.image) {
            V0Server::Image
        } else {
            V0Server::Agent
        };
        let mut request = SessionRequest {
            env: self.environment,
            workdir: self.working_dir,
            ..SessionRequest::default()
        };
        if self.public {
            request.labels.insert(PUBLIC_LABEL.to_owned(), "true".to_owned());
        }
        let mut user_id = None;
        if let Kind::V0(asked) = &self.kind {
            // The stock server is started where its code is, and told where to work.
            request.workdir = asked.working_dir.clone().or(request.workdir);
            user_id = asked.user_id.map(u64::from);
        }
        launch(&mut request, &self.kind, (self.argv, &self.image), v0, drawn);
        if !policy.on_this_machine {
            request.image = Some(self.image);
            request.routed = routed(&request);
            let mut pod = self.pod;
            // That of the command is the one that V0's clients mean.
            if let Some(user) = user_id {
                pod.run_as_user = Some(user);
                pod.run_as_group = Some(user);
            }
            pod.put(&mut request, &policy.pod)?;
            request.persistent = policy.persistent.then_some(true);
            request.resource_factor = self
                .resource_factor
                .map(|factor| capped(factor, policy.resource_factor_limit))
                .filter(|factor| *factor != 1);
        }
        Ok(request)
    }
}

impl StartPolicy {
    /// Whether a V0 client's session of this image is served by the image's own server.
    fn runs_v0_server_of(&self, image: &str) -> bool {
        self.v0_server.iter().any(|word| match word.as_str() {
            "agent" => false,
            "image" => true,
            pattern => matches(pattern, image),
        })
    }
}

/// The largest factor that sessions may have and that is no more than `limit`: factors are 1, 2, 4 and 8.
fn capped(factor: u32, limit: u32) -> u32 {
    if factor <= limit {
        return factor;
    }
    [8, 4, 2].into_iter().find(|factor| *factor <= limit).unwrap_or(1)
}

/// Whether a pattern, in which `*` stands for any text, is of all of the text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// Takes fields out of a body, and notes what is wrong with them.
struct Reader {
    fields: Map<String, Value>,
    wrong: Vec<String>,
}

impl Reader {
    /// A field; null is as good as none.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &str) -> Option<String> {
        if let Value::String(text) = self.take(name)? {
            return Some(text);
        }
        self.wrong.push(format!("{name} is no text"));
        None
    }

    fn needed(&mut self, name: &str) -> Option<String> {
        let text = self.text(name);
        if text.as_ref().is_none_or(|text| text.trim().is_empty())
            && self.wrong.iter().all(|told| !told.starts_with(name))
        {
            self.wrong.push(format!("{name} is missing or empty"));
        }
        text
    }

    /// A list of words, or a text that is split into words.
    fn command(&mut self) -> Option<Vec<String>> {
        match self.take("command")? {
            Value::String(text) => match words(&text) {
                Ok(words) => Some(words),
                Err(error) => {
                    self.wrong
                        .push(format!("command can't be split into words: {error}"));
                    None
                }
            },
            Value::Array(items) => {
                let words: Option<Vec<String>> = items
                    .into_iter()
                    .map(|item| match item {
                        Value::String(word) => Some(word),
                        _ => None,
                    })
                    .collect();
                if words.is_none() {
                    self.wrong
                        .push("command is a list of texts, and one of its items is none".to_owned());
                }
                words
            }
            _ => {
                self.wrong
                    .push("command is a list of texts, a text or null".to_owned());
                None
            }
        }
    }

    fn environment(&mut self) -> BTreeMap<String, SecretString> {
        let Some(value) = self.take("environment") else {
            return BTreeMap::new();
        };
        let Value::Object(variables) = value else {
            self.wrong.push("environment is a table of texts".to_owned());
            return BTreeMap::new();
        };
        let mut environment = BTreeMap::new();
        for (name, value) in variables {
            let text = match value {
                Value::String(text) => text,
                // As a shell would have them.
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                Value::Null => continue,
                Value::Array(_) | Value::Object(_) => {
                    self.wrong
                        .push(format!("environment: the value of {name:?} is no text"));
                    continue;
                }
            };
            if name == DEFERRED_INIT && is_true(&text) {
                self.wrong.push(format!(
                    "environment: {DEFERRED_INIT} asks for a server that somebody initialises later, which this service does not do: \
                     leave it out"
                ));
            } else if !KEY_VARIABLES.contains(&name.as_str()) {
                environment.insert(name, text.into());
            }
        }
        environment
    }

    /// Clients send whole numbers as floats, too.
    fn factor(&mut self) -> Option<u32> {
        let factor = match self.take("resource_factor")? {
            Value::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(whole)),
            _ => None,
        };
        let factor = factor.and_then(|factor| u32::try_from(factor).ok());
        let factor = factor.filter(|factor| [1, 2, 4, 8].contains(factor));
        if factor.is_none() {
            self.wrong.push("resource_factor is 1, 2, 4 or 8".to_owned());
        }
        factor
    }

    fn switch(&mut self, name: &str) -> bool {
        match self.take(name) {
            None => false,
            Some(Value::Bool(switch)) => switch,
            Some(_) => {
                self.wrong.push(format!("{name} is true or false"));
                false
            }
        }
    }

    fn pod(&mut self) -> PodFields {
        PodFields {
            run_as_user: self.id("run_as_user"),
            run_as_group: self.id("run_as_group"),
            fs_group: self.id("fs_group"),
            pull_policy: self.pull_policy(),
            runtime_class: self
                .text("runtime_class")
                .filter(|class| !class.trim().is_empty()),
        }
    }

    fn pull_policy(&mut self) -> Option<PullPolicy> {
        let word = self.text("image_pull_policy")?;
        let policy = PullPolicy::ALL.iter().find(|policy| policy.as_str() == word);
        if policy.is_none() {
            self.wrong
                .push("image_pull_policy is Always, IfNotPresent or Never".to_owned());
        }
        policy.copied()
    }

    fn id(&mut self, name: &str) -> Option<u64> {
        let id = self.take(name)?;
        let number = id.as_u64().filter(|id| *id <= MOST_ID);
        if number.is_none() {
            self.wrong
                .push(format!("{name} is a whole number from 0 to {MOST_ID}"));
        }
        number
    }
}

/// What the server takes for a yes (pydantic's words).
fn is_true(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    ["1", "true", "t", "yes", "y", "on"].contains(&text.as_str())
}

/// A float without a fraction as a whole number, if it is a small one.
fn whole(float: f64) -> Option<u64> {
    (1..=8_u8)
        .find(|number| (f64::from(*number) - float).abs() < f64::EPSILON)
        .map(u64::from)
}

#[cfg(test)]
mod tests;
