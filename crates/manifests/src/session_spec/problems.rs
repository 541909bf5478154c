//! What was wrong so far, and the checks that fields have in common.

use podbay_config::{ApiObject, ApiObjects};

use super::SpecError;
use crate::api_object::{self, ApiPiece};
use crate::dns::DnsSubdomain;
use crate::path::ContainerPath;
use crate::profile::Profile;
use crate::quantity::Quantity;

/// The problems so far. Where a method gives nothing for a field that was given, it has added the reason.
pub(super) struct Problems(pub(super) Vec<SpecError>);

/// Largest user or group id Kubernetes takes (`IsValidUserID`: 0 to 2³¹ − 1).
pub(super) const MAX_ID: u32 = i32::MAX as u32;

impl Problems {
    pub(super) fn push(&mut self, problem: SpecError) {
        self.0.push(problem);
    }

    pub(super) fn take<T, E>(
        &mut self,
        result: Result<T, E>,
        error: impl FnOnce(E) -> SpecError,
    ) -> Option<T> {
        result.map_err(|source| self.0.push(error(source))).ok()
    }

    pub(super) fn path(&mut self, setting: &'static str, text: &str) -> Option<ContainerPath> {
        self.take(text.parse(), |source| SpecError::Path { setting, source })
    }

    /// A path at which something is mounted.
    pub(super) fn mount_path(&mut self, setting: &'static str, text: &str) -> Option<ContainerPath> {
        let path = self.path(setting, text)?;
        if path.is_root() {
            self.push(SpecError::MountAtRoot { setting });
            return None;
        }
        Some(path)
    }

    pub(super) fn amount(&mut self, setting: &'static str, text: &str) -> Option<Quantity> {
        let quantity: Quantity = self.take(text.parse(), |source| SpecError::Quantity { setting, source })?;
        if quantity.is_zero() {
            self.push(SpecError::Zero { setting });
            return None;
        }
        Some(quantity)
    }

    pub(super) fn bytes(&mut self, setting: &'static str, text: &str) -> Option<Quantity> {
        let value = self.amount(setting, text)?;
        // Kubernetes rounds up what is left of a byte in 1.1Gi. In 512m it is all there is, and nobody means that.
        if !value.is_whole() && !value.is_in_multiples() {
            self.push(SpecError::Fraction { setting, value });
            return None;
        }
        Some(value)
    }

    pub(super) fn object_name(&mut self, setting: &'static str, name: &str) -> Option<DnsSubdomain> {
        self.take(name.parse(), |source| SpecError::ObjectName { setting, source })
    }

    /// The name in an optional setting.
    pub(super) fn optional_name(
        &mut self,
        setting: &'static str,
        name: Option<&String>,
    ) -> Option<DnsSubdomain> {
        name.and_then(|name| self.object_name(setting, name))
    }

    /// A user or group id.
    pub(super) fn id(&mut self, setting: &'static str, id: Option<u64>) -> Option<u32> {
        let value = id?;
        match u32::try_from(value) {
            Ok(id) if id <= MAX_ID => Some(id),
            _ => {
                self.push(SpecError::Id { setting, value });
                None
            }
        }
    }

    /// A piece of the Kubernetes API, with every field known to it.
    pub(super) fn api_object<T: ApiPiece>(&mut self, setting: &'static str, object: &ApiObject) -> Option<T> {
        let parsed = api_object::read(&object.as_value());
        self.api_problems(setting, None, parsed)
    }

    /// A list of such pieces.
    pub(super) fn api_objects<T: ApiPiece>(&mut self, setting: &'static str, objects: &ApiObjects) -> Vec<T> {
        let parse = |(index, object): (usize, &ApiObject)| {
            self.api_problems(setting, Some(index), api_object::read(&object.as_value()))
        };
        objects.iter().enumerate().filter_map(parse).collect()
    }

    fn api_problems<T>(
        &mut self,
        setting: &'static str,
        item: Option<usize>,
        parsed: Result<T, Vec<api_object::ApiObjectError>>,
    ) -> Option<T> {
        parsed
            .map_err(|errors| {
                self.0
                    .extend(errors.into_iter().map(|source| SpecError::ApiObject {
                        setting,
                        // People count from one.
                        item: item.map(|index| index + 1),
                        source,
                    }));
            })
            .ok()
    }

    /// Notes that `profile` forbids what `setting` asks, unless it is as far out as `needs`.
    pub(super) fn needs_profile(
        &mut self,
        profile: Profile,
        needs: Profile,
        setting: &'static str,
        asked: impl Into<String>,
    ) {
        if profile < needs {
            self.push(SpecError::NeedsProfile {
                setting,
                asked: asked.into(),
                profile,
                needs,
            });
        }
    }

    /// Notes that two settings can't hold together.
    pub(super) fn contradiction(&mut self, first: &'static str, second: &'static str, advice: &'static str) {
        self.push(SpecError::Contradiction {
            first,
            second,
            advice,
        });
    }

    /// Notes that `given` says nothing without `missing`.
    pub(super) fn needs(&mut self, given: &'static str, missing: &'static str) {
        self.push(SpecError::Needs { given, missing });
    }
}
