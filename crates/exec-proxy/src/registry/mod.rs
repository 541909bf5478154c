//! Whether a registry has an image, asked of the registry itself. Image names come from clients, so what is asked is bounded by
//! what is configured:
//!
//! ```text
//!   rules.rs        which registries may be asked, and where their tokens are   (pure)
//!   address.rs      which addresses may be connected to                         (pure)
//!   challenge.rs    what a registry wants before it answers                     (pure)
//!   credentials.rs  names and passwords, each for its registry alone
//!   roots.rs        the authorities that this machine trusts
//!   exchange.rs     one question
//! ```
//!
//! The API is that of the OCI Distribution Specification 1.1, with the tokens of Docker's registry.

mod address;
mod challenge;
mod credentials;
mod exchange;
mod roots;
mod rules;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use podbay_config::{Config, ServeConfig};
use podbay_manifests::{ImageError, ImageRef};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use challenge::Challenge;
use credentials::Credentials;
use exchange::{Asking, Reply};
use rules::{Place, Rules};

/// What a manifest may be (OCI Image Specification 1.1, and Docker's before it).
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// How long an image may take, with all that is asked for it: clients wait a little longer.
const PATIENCE: Duration = Duration::from_secs(9);
/// Images that are asked for at once.
const AT_ONCE: usize = 8;
/// How long an answer holds, and how many are kept.
const FRESH: Duration = Duration::from_secs(30);
const KEPT: usize = 1000;
/// How long a registry is left alone that said it was asked too often, if it does not say how long; and at most.
const REST: Duration = Duration::from_secs(60);
const LONGEST_REST: Duration = Duration::from_secs(3600);

/// What a registry said of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It has it.
    There {
        /// The digest of its manifest.
        digest: Option<String>,
        /// Bytes of its layers, as they are stored, for linux/amd64 where there are several; `None` where it can't be told.
        bytes: Option<u64>,
    },
    /// It has none.
    Missing,
}

/// Why it is not known whether there is an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotTold {
    /// The text names no image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The registry is none of those that may be asked.
    #[error(
        "whether there is an image {image:?} is not known: {registry} is not among the registries that this service asks \
         (serve.image_registries); a start tells"
    )]
    NotListed {
        /// The image.
        image: String,
        /// Its registry.
        registry: String,
    },
    /// The registry did not say.
    #[error("whether there is an image {image:?} is not known: {why}; a start tells")]
    Unknown {
        /// The image.
        image: String,
        /// What was met.
        why: String,
    },
}

/// Why the settings can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistriesError {
    /// An entry is no registry.
    #[error("serve.image_registries and serve.private_image_registries: {0}")]
    Registry(String),
    /// The file of credentials can't be read.
    #[error("the file of registries' credentials {} can't be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: std::io::Error,
    },
    /// It is none.
    #[error("the file of registries' credentials {} can't be used: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// TLS can't be spoken.
    #[error("registries can't be asked by TLS: {0}")]
    Tls(String),
}

/// The registries that may be asked.
#[derive(Debug)]
pub struct Registries {
    rules: Rules,
    credentials: Credentials,
    mirrors: BTreeMap<String, String>,
    asking: Asking,
    places: Semaphore,
    /// Until when a registry is left alone.
    resting: Mutex<HashMap<Place, Instant>>,
    answers: Mutex<HashMap<String, (Instant, Found)>>,
}

/// An image, and where it is asked for.
struct Asked<'a> {
    place: &'a Place,
    /// The registry, as images name it.
    registry: &'a str,
    repository: &'a str,
    /// A digest or a tag.
    reference: &'a str,
}

impl Registries {
    /// Those of the settings.
    pub fn of(config: &Config) -> Result<Self, RegistriesError> {
        let ServeConfig {
            image_registries,
            private_image_registries,
            registry_auth_file,
            ..
        } = &config.serve;
        let rules =
            Rules::new(image_registries, private_image_registries).map_err(RegistriesError::Registry)?;
        let credentials = match registry_auth_file {
            None => Credentials::default(),
            Some(path) => {
                let text = std::fs::read(path).map_err(|source| RegistriesError::File {
                    path: path.clone(),
                    source,
                })?;
                Credentials::parse(&text).map_err(|message| RegistriesError::Content {
                    path: path.clone(),
                    message,
                })?
            }
        };
        Ok(Self {
            rules,
            credentials,
            mirrors: config.kubernetes.registry_mirrors.clone(),
            asking: Asking::new().map_err(RegistriesError::Tls)?,
            places: Semaphore::new(AT_ONCE),
            resting: Mutex::default(),
            answers: Mutex::default(),
        })
    }

    /// Whether the registry of an image has it, or that of its mirror, where that is where it is pulled from.
    pub async fn look(&self, image: &str) -> Result<Found, NotTold> {
        let reference: ImageRef = image.parse()?;
        let pulled = match reference.mirrored(&self.mirrors) {
            Some(mirrored) => mirrored?,
            None => reference,
        };
        let name = pulled.full_name();
        if let Some(found) = self.known(&name) {
            return Ok(found);
        }
        let unknown = |why: String| NotTold::Unknown {
            image: image.to_owned(),
            why,
        };
        let (registry, repository, reference) =
            parts(&name).ok_or_else(|| unknown("its name has no parts".to_owned()))?;
        let Some(place) = self.rules.registry(registry) else {
            return Err(NotTold::NotListed {
                image: image.to_owned(),
                registry: registry.to_owned(),
            });
        };
        let asked = Asked {
            place,
            registry,
            repository,
            reference,
        };
        let found = match timeout(PATIENCE, self.ask(&asked)).await {
            Ok(found) => found.map_err(unknown)?,
            Err(_) => return Err(unknown(format!("{place} did not answer in time"))),
        };
        self.keep(name, found.clone());
        Ok(found)
    }

    async fn ask(&self, asked: &Asked<'_>) -> Result<Found, String> {
        let _place = self.places.acquire().await.map_err(|error| error.to_string())?;
        let mut authorization = None;
        let reply = self.manifest(asked, asked.reference, &mut authorization).await?;
        match reply.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(Found::Missing),
            status => return Err(in_words(asked.place, status)),
        }
        let digest = reply.headers.get("docker-content-digest");
        let digest = digest.and_then(|digest| digest.to_str().ok()).map(str::to_owned);
        let manifest: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let bytes = match of_platform(&manifest) {
            None => size(&manifest),
            Some(digest) => match self.manifest(asked, digest, &mut authorization).await {
                Ok(reply) if reply.status == StatusCode::OK => {
                    size(&serde_json::from_slice(&reply.body).unwrap_or_default())
                }
                // That it is there is known.
                Ok(_) | Err(_) => None,
            },
        };
        Ok(Found::There { digest, bytes })
    }

    /// A manifest, with what the registry wants for it.
    async fn manifest(
        &self,
        asked: &Asked<'_>,
        reference: &str,
        authorization: &mut Option<HeaderValue>,
    ) -> Result<Reply, String> {
        let path = format!("/v2/{}/manifests/{reference}", asked.repository);
        let reply = self
            .get(asked.place, &path, MANIFESTS, authorization.as_ref())
            .await?;
        if reply.status != StatusCode::UNAUTHORIZED || authorization.is_some() {
            return Ok(reply);
        }
        let mut wanted = reply.headers.get_all(WWW_AUTHENTICATE).iter();
        let wanted = wanted.find_map(|field| Challenge::parse(field.to_str().ok()?));
        let own = self.credentials.of(asked.registry);
        *authorization = match (wanted, own) {
            (Some(Challenge::Bearer { realm, service }), own) => {
                Some(self.token(asked, &realm, service.as_deref(), own).await?)
            }
            (Some(Challenge::Basic), Some(own)) => Some(own.clone()),
            (Some(Challenge::Basic) | None, _) => return Ok(reply),
        };
        self.get(asked.place, &path, MANIFESTS, authorization.as_ref())
            .await
    }

    /// A token to read the image with.
    async fn token(
        &self,
        asked: &Asked<'_>,
        realm: &str,
        service: Option<&str>,
        own: Option<&HeaderValue>,
    ) -> Result<HeaderValue, String> {
        let (place, path) = self.rules.realm(asked.place, realm).ok_or_else(|| {
            format!(
                "{} has its tokens at {realm:?}, which is neither its own nor among serve.image_registries",
                asked.place
            )
        })?;
        let joint = if path.contains('?') { '&' } else { '?' };
        let service = service
            .map(|service| format!("service={}&", encoded(service)))
            .unwrap_or_default();
        let scope = encoded(&format!("repository:{}:pull", asked.repository));
        let path = format!("{path}{joint}{service}scope={scope}");
        let reply = self.get(&place, &path, "application/json", own).await?;
        if reply.status != StatusCode::OK {
            return Err(in_words(&place, reply.status));
        }
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let token = answer
            .get("token")
            .or_else(|| answer.get("access_token"))
            .and_then(Value::as_str);
        let token = token.ok_or_else(|| format!("{place} gives no token"))?;
        let mut header = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| format!("{place} gives no token"))?;
        header.set_sensitive(true);
        Ok(header)
    }

    /// One question, unless the registry wants to be left alone; that it does is noted.
    async fn get(
        &self,
        place: &Place,
        path: &str,
        accept: &'static str,
        authorization: Option<&HeaderValue>,
    ) -> Result<Reply, String> {
        let rests = self
            .resting()
            .get(place)
            .map(|until| until.saturating_duration_since(Instant::now()));
        if let Some(rest) = rests.filter(|rest| !rest.is_zero()) {
            return Err(format!(
                "{place} was asked too often, and is left alone for {} s more",
                rest.as_secs() + 1
            ));
        }
        let reply = self.asking.get(place, path, accept, authorization).await?;
        if reply.status == StatusCode::TOO_MANY_REQUESTS {
            let rest = reply
                .headers
                .get(RETRY_AFTER)
                .and_then(|after| after.to_str().ok()?.trim().parse().ok());
            let rest = rest.map_or(REST, Duration::from_secs).min(LONGEST_REST);
            self.resting().insert(place.clone(), Instant::now() + rest);
        }
        Ok(reply)
    }

    fn resting(&self) -> std::sync::MutexGuard<'_, HashMap<Place, Instant>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, name: &str) -> Option<Found> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, found) = answers.get(name)?;
        (since.elapsed() < FRESH).then(|| found.clone())
    }

    fn keep(&self, name: String, found: Found) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= KEPT {
            answers.retain(|_, (since, _)| since.elapsed() < FRESH);
        }
        if answers.len() < KEPT {
            answers.insert(name, (Instant::now(), found));
        }
    }
}

/// Registry, repository, and digest or tag.
fn parts(name: &str) -> Option<(&str, &str, &str)> {
    let (registry, rest) = name.split_once('/')?;
    let (path, digest) = match rest.split_once('@') {
        Some((path, digest)) => (path, Some(digest)),
        None => (rest, None),
    };
    let (repository, tag) = path.rsplit_once(':').unwrap_or((path, "latest"));
    Some((registry, repository, digest.unwrap_or(tag)))
}

/// The manifest for linux/amd64, or the first, of one that lists several.
fn of_platform(manifest: &Value) -> Option<&str> {
    let all = manifest.get("manifests")?.as_array()?;
    let is_usual =
        |entry: &&Value| entry["platform"]["os"] == "linux" && entry["platform"]["architecture"] == "amd64";
    let digest = all.iter().find(is_usual).or_else(|| all.first())?["digest"].as_str()?;
    // It becomes part of a path.
    let is_digest = digest
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b":+._-".contains(&byte));
    is_digest.then_some(digest)
}

/// Bytes of the layers and the configuration.
fn size(manifest: &Value) -> Option<u64> {
    let layers = manifest.get("layers")?.as_array()?;
    let parts = layers.iter().chain(manifest.get("config"));
    parts
        .map(|part| part["size"].as_u64())
        .try_fold(0_u64, |sum, size| sum.checked_add(size?))
}

fn in_words(place: &Place, status: StatusCode) -> String {
    match status.as_u16() {
        401 | 403 => format!("{place} does not tell without other credentials ({status})"),
        429 => format!("{place} was asked too often"),
        300..=399 => format!("{place} leads elsewhere ({status}), which is not followed"),
        _ => format!("{place} answers {status}"),
    }
}

/// For a query (RFC 3986, 2.1).
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            encoded + &char::from(byte).to_string()
        }
        byte => format!("{encoded}%{byte:02X}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_three_parts() {
        assert_eq!(
            parts("docker.io/library/a:1"),
            Some(("docker.io", "library/a", "1"))
        );
        assert_eq!(parts("h:5000/a/b"), Some(("h:5000", "a/b", "latest")));
        assert_eq!(parts("h/a:1@sha256:00"), Some(("h", "a", "sha256:00")));
        assert_eq!(parts("a"), None);
        assert_eq!(
            encoded("repository:a/b:pull &"),
            "repository%3Aa%2Fb%3Apull%20%26"
        );
    }
}
