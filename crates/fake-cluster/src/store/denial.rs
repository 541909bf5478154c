//! What the store refuses, in the API server's words (`apimachinery/pkg/api/errors`).

use podbay_k8s_client::{Error, ErrorKind, Kind, ObjectKey};

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Denial {
    /// What it means; stands for the HTTP status.
    pub kind: ErrorKind,
    /// The `message` of the API's Status.
    pub message: String,
}

impl Denial {
    /// Refuses with `message`.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// 409, reason AlreadyExists.
    pub(crate) fn already_exists(key: &ObjectKey) -> Self {
        Self::new(
            ErrorKind::AlreadyExists,
            format!("{} {:?} already exists", resource(key.kind), key.name),
        )
    }

    /// 404.
    pub(crate) fn not_found(key: &ObjectKey) -> Self {
        Self::new(
            ErrorKind::NotFound,
            format!("{} {:?} not found", resource(key.kind), key.name),
        )
    }

    /// 409, reason Conflict: a resource version that is not the current one.
    pub(crate) fn stale(key: &ObjectKey) -> Self {
        Self::conflict(
            key,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 409, reason AlreadyExists: the name is that of an object that is still being deleted.
    pub(crate) fn still_exists(key: &ObjectKey) -> Self {
        let mut denial = Self::already_exists(key);
        denial.message = format!("object is being deleted: {}", denial.message);
        denial
    }

    /// 500: a new object can't have a version.
    pub(crate) fn versioned() -> Self {
        Self::new(
            ErrorKind::Server { status: 500 },
            "resourceVersion should not be set on objects to be created",
        )
    }

    /// 400: a patch that is for an object of another name or namespace.
    pub(crate) fn misdirected(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// 409, reason Conflict: the object to be deleted is another one than was meant.
    pub(crate) fn another_object(key: &ObjectKey, asked: &str, found: &str) -> Self {
        // Here the server names the kind, not the resource.
        Self::new(
            ErrorKind::Conflict,
            format!(
                "Operation cannot be fulfilled on {} {:?}: the UID in the precondition ({asked}) does not match the UID in \
                 record ({found}). The object might have been deleted and then recreated",
                qualified_kind(key.kind),
                key.name
            ),
        )
    }

    /// 409, reason Conflict: the object to be deleted has another version than was meant.
    pub(crate) fn another_version(key: &ObjectKey, asked: &str, found: &str) -> Self {
        // The kind, as above.
        Self::new(
            ErrorKind::Conflict,
            format!(
                "Operation cannot be fulfilled on {} {:?}: the ResourceVersion in the precondition ({asked}) does not match \
                 the ResourceVersion in record ({found}). The object might have been modified",
                qualified_kind(key.kind),
                key.name
            ),
        )
    }

    /// 409, reason Conflict: the object to be replaced is another one than was meant.
    pub(crate) fn precondition(key: &ObjectKey, asked: &str, found: &str) -> Self {
        Self::conflict(
            key,
            &format!(
                "StorageError: invalid object, Code: 4, Key: /registry/{}/{}/{}, ResourceVersion: 0, \
                 AdditionalErrorMsg: Precondition failed: UID in precondition: {asked}, UID in object meta: {found}",
                key.kind.resource(),
                key.namespace,
                key.name
            ),
        )
    }

    fn conflict(key: &ObjectKey, why: &str) -> Self {
        Self::new(
            ErrorKind::Conflict,
            format!(
                "Operation cannot be fulfilled on {} {:?}: {why}",
                resource(key.kind),
                key.name
            ),
        )
    }

    /// 403: admission refuses.
    pub(crate) fn forbidden(key: &ObjectKey, why: &str) -> Self {
        Self::new(
            ErrorKind::Forbidden,
            format!("{} {:?} is forbidden: {why}", resource(key.kind), key.name),
        )
    }

    /// 422: what is wrong with which fields (`field: what`). There must be at least one.
    pub(crate) fn invalid(key: &ObjectKey, problems: &[String]) -> Self {
        let problems = match problems {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        Self::new(
            ErrorKind::Invalid,
            format!(
                "{} {:?} is invalid: {problems}",
                qualified_kind(key.kind),
                key.name
            ),
        )
    }

    /// 410: changes since this revision are no longer known.
    pub(crate) fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(
            ErrorKind::Expired,
            format!("too old resource version: {asked} ({oldest})"),
        )
    }

    /// As [`podbay_k8s_client::ClusterClient::patch`] has it: the API says 422 where a patch names another UID, for a
    /// UID can't be changed; what it means is that the object is another one.
    #[must_use]
    pub(crate) fn of_patch(mut self) -> Self {
        if self.kind == ErrorKind::Invalid && self.message.contains(" metadata.uid: ") {
            self.kind = ErrorKind::Conflict;
        }
        self
    }

    /// The error of a call.
    pub(crate) fn during(self, operation: impl Into<String>) -> Error {
        Error::new(operation, self.kind).with_message(self.message)
    }
}

/// The API group of a kind; the core group is empty.
const fn group(kind: Kind) -> &'static str {
    match kind {
        Kind::ConfigMap | Kind::Secret | Kind::Pod | Kind::PersistentVolumeClaim | Kind::Service => "",
        Kind::Job => "batch",
        Kind::Ingress | Kind::NetworkPolicy => "networking.k8s.io",
        Kind::HttpRoute => "gateway.networking.k8s.io",
    }
}

/// As the API server names a resource: `jobs.batch`.
pub(super) fn resource(kind: Kind) -> String {
    qualified(kind.resource(), kind)
}

/// As the API server names a kind: `Job.batch`.
fn qualified_kind(kind: Kind) -> String {
    qualified(kind.name(), kind)
}

fn qualified(name: &str, kind: Kind) -> String {
    match group(kind) {
        "" => name.to_owned(),
        group => format!("{name}.{group}"),
    }
}
