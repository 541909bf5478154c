//! OpenHands' remote runtime API: what its clients start, stop, pause and ask after sessions with.
//!
//! ```text
//!   route.rs       which question a request is                               (pure)
//!   start.rs       the body of a start -> what a session is asked to be      (pure)
//!   kind.rs        a command -> the kind of session                          (pure)
//!   pod_fields.rs  what of it says how the pod is made, and what the service lets through  (pure)
//!   launch.rs      the kind -> what is run in a session                    (pure)
//!   here.rs        what of a start this machine can't do
//!   words.rs       a command as a text -> its words                          (pure)
//!   status.rs      a session's state -> the words that clients act on        (pure)
//!   answer.rs      the object that all routes answer with
//!   error.rs       refusals, with a `detail` that clients show
//!   describe.rs    a session -> its answer; held back while it is about to be ready
//!   lifecycle.rs   start, stop, pause, resume
//!   questions.rs   sessions by either id, several at once, all that run
//!   images.rs      whether there is an image, and where images are pushed to
//!   warm.rs        configurations that clients are told of
//!   others.rs      builds; whether the service lives
//!   urls.rs        the URLs of a session
//!   fuzzing.rs     the body of a start, for those who fuzz it
//! ```

mod answer;
mod body;
mod describe;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod here;
mod images;
mod kind;
mod launch;
mod lifecycle;
mod others;
mod pod_fields;
mod questions;
mod route;
mod start;
mod status;
mod urls;
mod warm;
mod words;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Method, StatusCode};
use podbay_config::ServeConfig;

use crate::body::Body;
use crate::keys::{ApiKeys, Caller, StartRate};
use crate::registry::Registries;
use crate::sessions::AllSessions;
use answer::Answer;
use error::Refusal;
use pod_fields::PodPolicy;
use route::{NoRoute, Route};
use start::StartPolicy;

pub use urls::Urls;
pub use warm::{WarmConfigs, WarmConfigsError};

/// The header of API keys.
const KEY_HEADER: &str = "x-api-key";

/// The API, over the sessions of a service.
pub struct Api {
    sessions: AllSessions,
    urls: Arc<dyn Urls>,
    keys: ApiKeys,
    warm: WarmConfigs,
    registries: Option<Registries>,
    registry_prefix: Option<String>,
    policy: StartPolicy,
    hold: Duration,
    /// Bytes of a body, at most.
    body_limit: usize,
    /// How long a pause waits for what runs.
    pause_drain: Duration,
    rate: Mutex<StartRate>,
}

impl Api {
    /// The API as the settings have it.
    pub fn new(
        sessions: impl Into<AllSessions>,
        urls: Arc<dyn Urls>,
        keys: ApiKeys,
        config: &ServeConfig,
    ) -> Self {
        let sessions = sessions.into();
        let own = sessions.own();
        Self {
            policy: StartPolicy {
                on_this_machine: own.is_on_this_machine(),
                v0_server: config.v0_server.clone(),
                persistent: config.persistent,
                resource_factor_limit: config.resource_factor_limit,
                pod: PodPolicy::of(own.config(), config),
            },
            hold: Duration::from_millis(config.hold_milliseconds),
            pause_drain: Duration::from_secs(config.pause_drain_seconds),
            rate: Mutex::default(),
            body_limit: usize::try_from(config.api_body_bytes).unwrap_or(usize::MAX),
            sessions,
            urls,
            keys,
            warm: WarmConfigs::default(),
            registries: None,
            registry_prefix: config.registry_prefix.clone(),
        }
    }

    /// The same that asks these registries for images.
    #[must_use]
    pub fn with_registries(self, registries: Registries) -> Self {
        Self {
            registries: Some(registries),
            ..self
        }
    }

    /// The same that tells clients of these configurations.
    #[must_use]
    pub fn with_warm_configs(self, warm: WarmConfigs) -> Self {
        Self { warm, ..self }
    }

    /// Answers a request.
    pub async fn answer<B>(&self, parts: &Parts, body: B) -> Answer
    where
        B: http_body::Body + Send,
        B::Data: Send,
        B::Error: std::fmt::Display,
    {
        let mut answer = self.find(parts, body).await.unwrap_or_else(Refusal::answer);
        if parts.method == Method::HEAD {
            *answer.body_mut() = Body::empty();
        }
        answer
    }

    async fn find<B>(&self, parts: &Parts, body: B) -> Result<Answer, Refusal>
    where
        B: http_body::Body + Send,
        B::Data: Send,
        B::Error: std::fmt::Display,
    {
        let path = parts.uri.path();
        let route = match Route::find(&parts.method, path, parts.uri.query()) {
            Ok(route) => route,
            Err(NoRoute::Method(allowed)) => {
                let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("{path} takes {allowed}"));
                let mut answer = refusal.answer();
                let allow = HeaderValue::from_static(allowed);
                answer.headers_mut().insert(http::header::ALLOW, allow);
                return Ok(answer);
            }
            Err(NoRoute::Unknown) => {
                return Err(Refusal::new(
                    StatusCode::NOT_FOUND,
                    format!("the API has no path {path}"),
                ));
            }
            Err(NoRoute::Encoding) => {
                return Err(Refusal::new(
                    StatusCode::BAD_REQUEST,
                    "the path or the query is not well encoded",
                ));
            }
        };
        let handler = route.handler();
        let answer = self.answer_to(route, parts, body).await;
        let mut answer = answer.unwrap_or_else(Refusal::answer);
        answer.extensions_mut().insert(handler);
        Ok(answer)
    }

    async fn answer_to<B>(&self, route: Route, parts: &Parts, body: B) -> Result<Answer, Refusal>
    where
        B: http_body::Body + Send,
        B::Data: Send,
        B::Error: std::fmt::Display,
    {
        if route.is_open() {
            return Ok(self.open(&route));
        }
        let caller = self.caller(parts)?;
        match route {
            Route::Start => {
                self.start(caller, &body::read(body, self.body_limit).await?)
                    .await
            }
            Route::Stop => self.stop(caller, &body::read(body, self.body_limit).await?).await,
            Route::Pause => {
                self.pause(caller, &body::read(body, self.body_limit).await?)
                    .await
            }
            Route::Resume => {
                self.resume(caller, &body::read(body, self.body_limit).await?)
                    .await
            }
            Route::Session(id) => self.session(caller, &id).await,
            Route::Batch(ids) => self.batch(caller, ids).await,
            Route::Runtime(id) => self.runtime(caller, &id).await,
            Route::List => self.list(caller).await,
            Route::RegistryPrefix => self.registry_prefix(),
            Route::ImageExists(image) => self.image_exists(image).await,
            Route::Build | Route::BuildStatus => others::build(),
            Route::WarmConfigs => Ok(answer::json(StatusCode::OK, &self.warm.answer())),
            open @ (Route::Alive | Route::Ready | Route::OpenApi) => Ok(self.open(&open)),
        }
    }

    /// What is answered to those without a key.
    fn open(&self, route: &Route) -> Answer {
        match route {
            Route::Ready => others::ready(self.sessions.is_ready()),
            Route::OpenApi => others::openapi(),
            _ => others::alive(),
        }
    }

    /// Who asks, by exactly one key.
    fn caller(&self, parts: &Parts) -> Result<&Caller, Refusal> {
        let mut presented = parts.headers.get_all(KEY_HEADER).iter();
        let caller = match (presented.next(), presented.next()) {
            (Some(key), None) => self.keys.caller(key.as_bytes()),
            _ => None,
        };
        caller.ok_or_else(Refusal::unauthorized)
    }
}
