//! What was wrong so far, and the checks that fields have in common.

use std::borrow::Cow;

use podbay_config::{ApiObject, ApiObjects};
use podbay_protocol::Field;

use super::problem::SpecProblem;
use super::reason::{Reason, ValueError};
use crate::api_object::{self, ApiPiece};
use crate::dns::DnsSubdomain;
use crate::path::ContainerPath;
use crate::profile::Profile;
use crate::quantity::Quantity;

/// The problems so far. Where a method gives nothing for a field that was given, it has added the reason.
pub(super) struct Problems(pub(super) Vec<SpecProblem>);

/// The settings that choose the profile.
pub(super) const PROFILE: Field = Field::Setting("kubernetes.profile");
pub(super) const PRIVILEGED: Field = Field::Setting("kubernetes.privileged");

/// Largest user or group id Kubernetes takes (`IsValidUserID`: 0 to 2³¹ − 1).
pub(super) const MAX_ID: u32 = i32::MAX as u32;

impl Problems {
    pub(super) fn push(&mut self, problem: SpecProblem) {
        self.0.push(problem);
    }

    pub(super) fn take<T, E: Into<ValueError>>(&mut self, field: Field, result: Result<T, E>) -> Option<T> {
        result
            .map_err(|source| self.0.push(SpecProblem::invalid(field, source)))
            .ok()
    }

    /// Notes what is wrong with one field.
    pub(super) fn of(&mut self, field: Field, reason: Reason) {
        self.push(SpecProblem::new([field], reason));
    }

    /// Notes a value that is none of those that the field takes; `value` is a text.
    pub(super) fn not_allowed(&mut self, field: Field, value: &str, expected: impl Into<Cow<'static, str>>) {
        let (value, expected) = (format!("{value:?}"), expected.into());
        self.of(field, Reason::NotAllowed { value, expected });
    }

    /// Notes an entry of a list, or a key of a table, that is none of those that the field takes.
    pub(super) fn entry_not_allowed(&mut self, field: Field, entry: &str, expected: &'static str) {
        let entry = entry.to_owned();
        self.of(field, Reason::EntryNotAllowed { entry, expected });
    }

    pub(super) fn path(&mut self, setting: Field, text: &str) -> Option<ContainerPath> {
        self.take(setting, text.parse())
    }

    /// A path at which something is mounted.
    pub(super) fn mount_path(&mut self, setting: Field, text: &str) -> Option<ContainerPath> {
        let path = self.path(setting, text)?;
        if path.is_root() {
            self.of(setting, Reason::MountAtRoot);
            return None;
        }
        Some(path)
    }

    pub(super) fn amount(&mut self, setting: Field, text: &str) -> Option<Quantity> {
        let quantity: Quantity = self.take(setting, text.parse())?;
        if quantity.is_zero() {
            self.of(setting, Reason::Zero);
            return None;
        }
        Some(quantity)
    }

    pub(super) fn bytes(&mut self, setting: Field, text: &str) -> Option<Quantity> {
        let value = self.amount(setting, text)?;
        // Kubernetes rounds up what is left of a byte in 1.1Gi. In 512m it is all there is, and nobody means that.
        if !value.is_whole() && !value.is_in_multiples() {
            self.of(setting, Reason::Fraction { value });
            return None;
        }
        Some(value)
    }

    pub(super) fn object_name(&mut self, setting: Field, name: &str) -> Option<DnsSubdomain> {
        self.take(setting, name.parse())
    }

    /// The name in an optional setting.
    pub(super) fn optional_name(&mut self, setting: Field, name: Option<&String>) -> Option<DnsSubdomain> {
        name.and_then(|name| self.object_name(setting, name))
    }

    /// A user or group id.
    pub(super) fn id(&mut self, setting: Field, id: Option<u64>) -> Option<u32> {
        let value = id?;
        match u32::try_from(value) {
            Ok(id) if id <= MAX_ID => Some(id),
            _ => {
                let expected = Cow::Borrowed("ids are numbers from 0 to 2147483647");
                let value = value.to_string();
                self.of(setting, Reason::NotAllowed { value, expected });
                None
            }
        }
    }

    /// A piece of the Kubernetes API, with every field known to it.
    pub(super) fn api_object<T: ApiPiece>(&mut self, setting: Field, object: &ApiObject) -> Option<T> {
        let parsed = api_object::read(&object.as_value());
        self.api_problems(setting, None, parsed)
    }

    /// A list of such pieces.
    pub(super) fn api_objects<T: ApiPiece>(&mut self, setting: Field, objects: &ApiObjects) -> Vec<T> {
        let parse = |(index, object): (usize, &ApiObject)| {
            self.api_problems(setting, Some(index), api_object::read(&object.as_value()))
        };
        objects.iter().enumerate().filter_map(parse).collect()
    }

    fn api_problems<T>(
        &mut self,
        setting: Field,
        item: Option<usize>,
        parsed: Result<T, Vec<api_object::ApiObjectError>>,
    ) -> Option<T> {
        parsed
            .map_err(|errors| {
                self.0.extend(errors.into_iter().map(|source| {
                    // People count from one.
                    let item = item.map(|index| index + 1);
                    let source = source.into();
                    SpecProblem::new([setting], Reason::Invalid { item, source })
                }));
            })
            .ok()
    }

    /// Notes that `profile` forbids what `setting` asks, unless it is as far out as `needs`.
    pub(super) fn needs_profile(
        &mut self,
        profile: Profile,
        needs: Profile,
        setting: Field,
        asked: impl Into<String>,
    ) {
        if profile < needs {
            let asked = asked.into();
            self.push(SpecProblem::new(
                [setting, PROFILE, PRIVILEGED],
                Reason::NeedsProfile {
                    asked,
                    profile,
                    needs,
                },
            ));
        }
    }

    /// Notes that two settings can't hold together.
    pub(super) fn contradiction(&mut self, first: Field, second: Field, advice: &'static str) {
        self.push(SpecProblem::new(
            [first, second],
            Reason::Contradiction { advice },
        ));
    }

    /// Notes that `given` says nothing without `missing`.
    pub(super) fn needs(&mut self, given: Field, missing: Field) {
        self.push(SpecProblem::new(
            [given, missing],
            Reason::Needs {
                value: None,
                missing: None,
            },
        ));
    }
}
