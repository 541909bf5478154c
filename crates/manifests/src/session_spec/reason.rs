//! What can be wrong with a field of a session's specification.

use std::borrow::Cow;

use crate::api_object::ApiObjectError;
use crate::cidr::CidrError;
use crate::dns::DnsError;
use crate::environment::EnvError;
use crate::image::ImageError;
use crate::labels::LabelError;
use crate::opening::OpeningError;
use crate::path::ContainerPathError;
use crate::pod_security::Violation;
use crate::pod_template::PodTemplateError;
use crate::profile::Profile;
use crate::quantity::{Quantity, QuantityError};
use crate::user::{RunAs, RunAsError};

/// Why a field can't be used. The fields it is about stand beside it in a [`SpecProblem`](super::SpecProblem), the one
/// to change first; below they are called the first, the second and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The value can't be read as what the field takes.
    Invalid {
        /// Which item of a list, from one.
        item: Option<usize>,
        /// What is wrong with it.
        source: ValueError,
    },
    /// The value is none of those that the field takes.
    NotAllowed {
        /// The value as it is shown: a text in quotes, a number as it is.
        value: String,
        /// What the field takes.
        expected: Cow<'static, str>,
    },
    /// One entry of a list or key of a table is none of those that the field takes.
    EntryNotAllowed {
        /// The entry or key.
        entry: String,
        /// What the field takes.
        expected: &'static str,
    },
    /// A name that Podbay sets itself.
    Reserved {
        /// The name.
        name: String,
        /// Which names Podbay sets, and when.
        why: &'static str,
    },
    /// A list without any entry.
    Empty {
        /// What an entry is.
        of: &'static str,
    },
    /// An amount or count is zero.
    Zero,
    /// Bytes that are no whole number.
    Fraction {
        /// The amount.
        value: Quantity,
    },
    /// A request that is more than the limit, which is the second field.
    AboveLimit {
        /// The request.
        request: Quantity,
        /// The limit.
        limit: Quantity,
    },
    /// An amount that is too much for Kubernetes once it is multiplied; the factor is the second field.
    TooLargeMultiple {
        /// The amount.
        amount: Quantity,
        /// What it is multiplied with.
        factor: u32,
    },
    /// A volume would hide the whole image.
    MountAtRoot,
    /// Two volumes at one path.
    MountedTwice {
        /// The path.
        path: String,
        /// A volume.
        first: String,
        /// The other.
        second: String,
    },
    /// Two volumes of one name.
    VolumeTwice {
        /// The name.
        name: String,
    },
    /// A mount of a volume that is not there.
    NoVolume {
        /// The name.
        name: String,
    },
    /// The workspace can't be written.
    ReadOnlyWorkspace,
    /// Root where the profile forbids it.
    Root {
        /// The user.
        user: RunAs,
    },
    /// Something that the profile forbids.
    NeedsProfile {
        /// What is asked.
        asked: String,
        /// The session's profile.
        profile: Profile,
        /// The strictest profile that allows it.
        needs: Profile,
    },
    /// The finished pod has what the profile forbids.
    PodSecurity {
        /// The session's profile.
        profile: Profile,
        /// What it forbids.
        violation: Violation,
    },
    /// The first field can't hold together with the session's profile.
    ContradictsProfile {
        /// The profile.
        profile: Profile,
        /// Why.
        advice: &'static str,
    },
    /// The value of the first field can't hold together with that of the second.
    ContradictoryValues {
        /// The first field's value.
        value: String,
        /// The second field's value, as it is written in a file.
        other: &'static str,
    },
    /// The first field and the second can't hold together.
    Contradiction {
        /// Why, or what to do.
        advice: &'static str,
    },
    /// The first field says nothing without the second, or without one of those after it.
    Needs {
        /// The value of the first field that needs it, as it is written in a file; `None` if any value does.
        value: Option<&'static str>,
        /// The value that is needed; `None` if any will do.
        missing: Option<&'static str>,
    },
    /// The first field needs a server, which is the second.
    NeedsServer,
    /// Two fields that must differ.
    Same {
        /// Their value.
        value: u16,
    },
    /// More entries than a session may have, in all the fields together.
    TooMany {
        /// What an entry is, in the plural.
        of: &'static str,
        /// How many were asked for.
        count: usize,
        /// How many it may have.
        most: usize,
    },
    /// More than the record holds, with the first field as what is most likely too large.
    TooLarge {
        /// How many bytes there are.
        bytes: usize,
        /// How many the record holds.
        most: usize,
    },
}

/// Why a value can't be read as what its field takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
#[non_exhaustive]
pub enum ValueError {
    /// No DNS name.
    Dns(#[from] DnsError),
    /// No image reference.
    Image(#[from] ImageError),
    /// No user that Kubernetes takes.
    User(#[from] RunAsError),
    /// No quantity.
    Quantity(#[from] QuantityError),
    /// No path in a container.
    Path(#[from] ContainerPathError),
    /// No environment variable.
    Env(#[from] EnvError),
    /// No label.
    Label(#[from] LabelError),
    /// No piece of the Kubernetes API.
    ApiObject(#[from] ApiObjectError),
    /// Nothing that can be laid over the pod.
    Template(#[from] PodTemplateError),
    /// No address range with ports.
    Opening(#[from] OpeningError),
    /// No address range.
    Cidr(#[from] CidrError),
}
