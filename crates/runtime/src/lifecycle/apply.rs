//! One object of a session: created, or adopted when it is ours already.

use std::time::Duration;

use futures::future::BoxFuture;
use podbay_k8s_client::{ErrorKind, Kind, Object, ObjectKey};
use podbay_manifests::labels::CREATION_NONCE;
use podbay_manifests::{CreationValues, Owner, Record, RuntimeId, SessionKey};
use podbay_protocol::{PhaseTimes, Verdict};
use tokio::time::Instant;

use super::workload::is_over;
use crate::context::{SessionContext, is_owned};
use crate::error::{Error, ForSession as _};
use crate::readiness::{closed_meanwhile, may_pass, of_creation};
use crate::wait::wait_until_deleted;

/// How often an object that is neither created nor found is tried again. It takes somebody else who creates
/// and deletes the same object at the same moments; three in a row is no accident.
const TRIES: u32 = 8;

/// How long a namespace that was made a moment ago may take to be usable, and the pause between two tries.
const NEW_NAMESPACE: Duration = Duration::from_secs(3);
const NEW_NAMESPACE_PAUSE: Duration = Duration::from_millis(200);

/// How an object came to be there.
#[derive(Clone, Debug)]
pub(super) enum Ensured<T> {
    /// By this call, also where its answer was lost.
    Created(T),
    /// It was there and is ours.
    Adopted(T),
}

impl<T> Ensured<T> {
    pub(super) const fn is_created(&self) -> bool {
        matches!(self, Self::Created(_))
    }

    pub(super) fn into_inner(self) -> T {
        match self {
            Self::Created(object) | Self::Adopted(object) => object,
        }
    }
}

impl SessionContext<'_> {
    /// Creates the session's record, or finds the one that exists. `nonce` tells our own from another client's when the
    /// answer was lost.
    pub(super) async fn create_record(self, object: Object, nonce: &str) -> Result<Ensured<Record>, Error> {
        let key = object.key();
        for _ in 0..TRIES {
            let found = match self.create_or_get(object.clone(), &key).await? {
                Lookup::Created(object) => return Ok(Ensured::Created(self.parse_record(object)?)),
                Lookup::Exists(found) => found,
                Lookup::Missing => continue,
            };
            let uid = found.uid().to_owned();
            if found.is_terminating() {
                wait_until_deleted(self, &key, &uid, self.ctx.deletion_timeout).await?;
                continue;
            }
            let record = self.parse_record(found)?;
            return if !self.is_its(&record) {
                Err(self.name_taken(&key))
            } else if record.nonce.as_deref() == Some(nonce) {
                Ok(Ensured::Created(record))
            } else {
                Ok(Ensured::Adopted(record))
            };
        }
        Err(self.name_taken(&key))
    }

    /// An object that `owner` owns. One of an earlier record of the same session is about to be collected and
    /// is waited out.
    pub(super) async fn apply(self, object: Object, owner: &Owner) -> Result<Ensured<Object>, Error> {
        let key = object.key();
        for _ in 0..TRIES {
            let found = match self.create_or_get(object.clone(), &key).await? {
                Lookup::Created(object) => return Ok(Ensured::Created(object)),
                Lookup::Exists(found) => found,
                Lookup::Missing => continue,
            };
            let uid = found.uid().to_owned();
            if !found.is_terminating() && is_owned(&found, owner) {
                if is_over(&found) {
                    self.delete(&key, &uid).await?;
                } else {
                    return Ok(Ensured::Adopted(found));
                }
            } else if !self.is_ours(&found) {
                return Err(self.name_taken(&key));
            } else {
                self.check_owner(owner).await?;
            }
            wait_until_deleted(self, &key, &uid, self.ctx.deletion_timeout).await?;
        }
        Err(self.name_taken(&key))
    }

    /// Fails if the record that is to own an object is gone. Another client may have closed the session meanwhile, and the
    /// objects of the name may be those of a session that was opened after that.
    pub(super) async fn check_owner(self, owner: &Owner) -> Result<(), Error> {
        let record = self.get(&self.key(Kind::ConfigMap, owner.name.clone())).await?;
        if record.is_some_and(|record| record.uid() == owner.uid) {
            return Ok(());
        }
        Err(self.start_refused(closed_meanwhile()))
    }

    fn start_refused(self, verdict: Verdict) -> Error {
        Error::Start {
            session: self.id.to_string(),
            verdict: Box::new(verdict),
            times: PhaseTimes::default(),
            kept: false,
        }
    }

    /// The session's claim, which nothing owns. It carries a value of this creation's own, so that it is known again where
    /// the answer was lost: a claim that this call made goes when the start fails, one that was there before never.
    pub(super) async fn apply_claim(self, mut object: Object) -> Result<Ensured<Object>, Error> {
        let key = object.key();
        let nonce = nonce();
        let annotations = object.metadata_mut().annotations.get_or_insert_default();
        annotations.insert(CREATION_NONCE.to_owned(), nonce.clone());
        let is_of_this_call = |found: &Object| {
            let annotations = found.metadata().annotations.as_ref();
            annotations.and_then(|annotations| annotations.get(CREATION_NONCE)) == Some(&nonce)
        };
        for _ in 0..TRIES {
            let found = match self.create_or_get(object.clone(), &key).await? {
                Lookup::Created(object) => return Ok(Ensured::Created(object)),
                Lookup::Exists(found) => found,
                Lookup::Missing => continue,
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
            wait_until_deleted(self, &key, &uid, self.ctx.deletion_timeout).await?;
        }
        Err(self.name_taken(&key))
    }

    /// Creates the object; if it already exists, or the write may have succeeded, reads it back.
    ///
    /// Boxed, because it holds whole objects: what waits after it would keep room for them.
    pub(super) fn create_or_get<'b>(
        self,
        object: Object,
        key: &'b ObjectKey,
    ) -> BoxFuture<'b, Result<Lookup, Error>>
    where
        Self: 'b,
    {
        Box::pin(async move {
            let deadline = Instant::now() + NEW_NAMESPACE;
            let error = loop {
                match self.ctx.client.create(object.clone()).await {
                    Ok(object) => return Ok(Lookup::Created(object)),
                    Err(error) if may_pass(&error) && Instant::now() < deadline => {
                        tokio::time::sleep(NEW_NAMESPACE_PAUSE).await;
                    }
                    Err(error) => break error,
                }
            };
            if error.kind != ErrorKind::AlreadyExists && !error.may_have_happened() {
                return match of_creation(&error) {
                    Some(verdict) => Err(self.start_refused(verdict)),
                    None => Err(error).for_session(self.id),
                };
            }
            match self.get(key).await? {
                Some(object) => Ok(Lookup::Exists(object)),
                // It was there and has gone meanwhile: the next try creates it.
                None if error.kind == ErrorKind::AlreadyExists => Ok(Lookup::Missing),
                // The write came to nothing.
                None => Err(error).for_session(self.id),
            }
        })
    }
}

/// What came of a creation.
pub(super) enum Lookup {
    Created(Object),
    Exists(Object),
    Missing,
}

/// A value that no other creation has.
fn nonce() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// What a new session is told apart and entered by.
pub(crate) fn creation_values() -> CreationValues {
    CreationValues {
        nonce: nonce(),
        runtime_id: RuntimeId::from_random(rand::random()),
        key: SessionKey::from_random(rand::random()),
    }
}
