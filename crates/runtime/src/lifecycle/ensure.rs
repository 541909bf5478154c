//! One object of a session: created, or adopted when it is ours already.

use std::time::Duration;

use podbay_k8s_client::{ClusterClient, DeleteOptions, ErrorKind, Kind, Object, ObjectKey};
use podbay_manifests::labels::{CREATION_NONCE, SESSION_ID};
use podbay_manifests::{Owner, Record, SessionId, SessionNames};
use podbay_protocol::{Cause, Hint, PhaseTimes, Verdict};
use tokio::time::Instant;

use super::gone::wait_until_gone;
use super::workload::is_over;
use crate::error::Error;
use crate::readiness;

/// How often an object that is neither created nor found is tried again. It takes somebody else who creates
/// and deletes the same object at the same moments; three in a row is no accident.
const TRIES: u32 = 8;

/// How long a namespace that was made a moment ago may take to be usable, and the pause between two tries.
const NEW_NAMESPACE: Duration = Duration::from_secs(3);
const NEW_NAMESPACE_PAUSE: Duration = Duration::from_millis(200);

/// Where objects are made, and for whom.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    pub(crate) client: &'a dyn ClusterClient,
    pub(crate) id: &'a SessionId,
    /// How long a same-named object that is being deleted is waited out.
    pub(crate) patience: Duration,
}

/// How an object came to be there.
#[derive(Clone, Debug)]
pub(crate) enum Ensured<T> {
    /// By this call, also where its answer was lost.
    Created(T),
    /// It was there and is ours.
    Adopted(T),
}

impl<T> Ensured<T> {
    pub(crate) const fn is_created(&self) -> bool {
        matches!(self, Self::Created(_))
    }

    pub(crate) fn into_inner(self) -> T {
        match self {
            Self::Created(object) | Self::Adopted(object) => object,
        }
    }
}

impl Site<'_> {
    fn session(&self) -> String {
        self.id.to_string()
    }

    pub(super) fn call(&self, source: podbay_k8s_client::Error) -> Error {
        Error::Call {
            session: self.session(),
            source,
        }
    }

    pub(super) fn name_taken(&self, key: &ObjectKey) -> Error {
        Error::NameTaken {
            session: self.session(),
            object: key.to_string(),
        }
    }

    /// The session's record. `nonce` tells our own from another client's when the answer was lost.
    pub(crate) async fn record(&self, object: Object, nonce: &str) -> Result<Ensured<Record>, Error> {
        let key = object.key();
        for _ in 0..TRIES {
            let found = match Box::pin(self.create_or_get(object.clone(), &key)).await? {
                Found::Created(object) => return Ok(Ensured::Created(self.parse(object)?)),
                Found::There(found) => found,
                Found::Vanished => continue,
            };
            let uid = found.uid().to_owned();
            if found.is_terminating() {
                wait_until_gone(self.client, self.id.as_str(), &key, &uid, self.patience).await?;
                continue;
            }
            let record = self.parse(found)?;
            return if record.id() != self.id {
                Err(self.name_taken(&key))
            } else if record.nonce.as_deref() == Some(nonce) {
                Ok(Ensured::Created(record))
            } else {
                Ok(Ensured::Adopted(record))
            };
        }
        Err(self.name_taken(&key))
    }

    /// The record that is there, if it is this session's.
    pub(crate) async fn existing_record(
        &self,
        namespace: &str,
        names: &SessionNames,
    ) -> Result<Option<Record>, Error> {
        let key = ObjectKey::new(Kind::ConfigMap, namespace, names.object());
        let found = self.client.get(&key).await.map_err(|source| self.call(source))?;
        let Some(object) = found.filter(|object| !object.is_terminating()) else {
            return Ok(None);
        };
        let record = self.parse(object)?;
        if record.id() == self.id {
            Ok(Some(record))
        } else {
            Err(self.name_taken(&key))
        }
    }

    /// An object that `owner` owns. One of an earlier record of the same session is about to be collected and
    /// is waited out.
    pub(crate) async fn owned(&self, object: Object, owner: &Owner) -> Result<Ensured<Object>, Error> {
        let key = object.key();
        for _ in 0..TRIES {
            let found = match Box::pin(self.create_or_get(object.clone(), &key)).await? {
                Found::Created(object) => return Ok(Ensured::Created(object)),
                Found::There(found) => found,
                Found::Vanished => continue,
            };
            let uid = found.uid().to_owned();
            let owners = found.metadata().owner_references.clone().unwrap_or_default();
            if !found.is_terminating() && owner.owns(&owners) {
                if is_over(&found) {
                    self.client
                        .delete(&key, DeleteOptions::only(&uid))
                        .await
                        .map_err(|source| self.call(source))?;
                } else {
                    return Ok(Ensured::Adopted(found));
                }
            } else if !self.is_ours(&found) {
                return Err(self.name_taken(&key));
            } else {
                self.check_owner(&key.namespace, owner).await?;
            }
            wait_until_gone(self.client, self.id.as_str(), &key, &uid, self.patience).await?;
        }
        Err(self.name_taken(&key))
    }

    /// Whether the record that is to own an object is still there. Another client may have closed the session meanwhile, and
    /// the objects of the name may be those of a session that was opened after that.
    pub(super) async fn check_owner(&self, namespace: &str, owner: &Owner) -> Result<(), Error> {
        let key = ObjectKey::new(Kind::ConfigMap, namespace, owner.name.clone());
        let record = self.client.get(&key).await.map_err(|source| self.call(source))?;
        if record.is_some_and(|record| record.uid() == owner.uid) {
            return Ok(());
        }
        Err(Error::Start {
            session: self.session(),
            verdict: Box::new(Verdict::new(
                Cause::Deleted,
                "the session was closed by another client while it started",
                Hint::OpenAgainIfWanted,
            )),
            times: PhaseTimes::default(),
            kept: false,
        })
    }

    /// The session's claim, which nothing owns. It carries a value of this creation's own, so that it is known again where
    /// the answer was lost: a claim that this call made goes when the start fails, one that was there before never.
    pub(crate) async fn claim(&self, mut object: Object) -> Result<Ensured<Object>, Error> {
        let key = object.key();
        let nonce = nonce();
        let annotations = object.metadata_mut().annotations.get_or_insert_default();
        annotations.insert(CREATION_NONCE.to_owned(), nonce.clone());
        let is_of_this_call = |found: &Object| {
            let annotations = found.metadata().annotations.as_ref();
            annotations.and_then(|annotations| annotations.get(CREATION_NONCE)) == Some(&nonce)
        };
        for _ in 0..TRIES {
            let found = match Box::pin(self.create_or_get(object.clone(), &key)).await? {
                Found::Created(object) => return Ok(Ensured::Created(object)),
                Found::There(found) => found,
                Found::Vanished => continue,
            };
            if !self.is_ours(&found) {
                return Err(self.name_taken(&key));
            }
            if !found.is_terminating() {
                return Ok(if is_of_this_call(&found) {
                    Ensured::Created(found)
                } else {
                    Ensured::Adopted(found)
                });
            }
            let uid = found.uid().to_owned();
            wait_until_gone(self.client, self.id.as_str(), &key, &uid, self.patience).await?;
        }
        Err(self.name_taken(&key))
    }

    /// In a box of its own, because objects are large: what waits after it would keep room for them.
    ///
    /// Creates, and reads where the answer says that it is there or may be.
    pub(super) async fn create_or_get(&self, object: Object, key: &ObjectKey) -> Result<Found, Error> {
        let deadline = Instant::now() + NEW_NAMESPACE;
        let error = loop {
            match self.client.create(object.clone()).await {
                Ok(object) => return Ok(Found::Created(object)),
                Err(error) if readiness::may_pass(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(NEW_NAMESPACE_PAUSE).await;
                }
                Err(error) => break error,
            }
        };
        if error.kind != ErrorKind::AlreadyExists && !error.may_have_happened() {
            return Err(match readiness::of_creation(&error) {
                Some(verdict) => Error::Start {
                    session: self.session(),
                    verdict: Box::new(verdict),
                    times: PhaseTimes::default(),
                    kept: false,
                },
                None => self.call(error),
            });
        }
        match self.client.get(key).await {
            Ok(Some(object)) => Ok(Found::There(object)),
            // It was there and has gone meanwhile: the next try creates it.
            Ok(None) if error.kind == ErrorKind::AlreadyExists => Ok(Found::Vanished),
            // The write came to nothing.
            Ok(None) => Err(self.call(error)),
            Err(source) => Err(self.call(source)),
        }
    }

    fn parse(&self, object: Object) -> Result<Record, Error> {
        let key = object.key();
        let Some(config_map) = object.into_config_map() else {
            return Err(self.name_taken(&key));
        };
        Record::parse(&config_map).map_err(|source| Error::Record {
            session: self.session(),
            source,
        })
    }

    /// Whether an object was made for this session.
    pub(super) fn is_ours(&self, object: &Object) -> bool {
        object
            .metadata()
            .annotations
            .as_ref()
            .and_then(|annotations| annotations.get(SESSION_ID))
            .is_some_and(|id| id == self.id.as_str())
    }
}

/// What came of a creation.
pub(super) enum Found {
    Created(Object),
    There(Object),
    Vanished,
}

/// A value that no other creation has.
pub(super) fn nonce() -> String {
    format!("{:032x}", rand::random::<u128>())
}
