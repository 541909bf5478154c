//! How settings are declared: the [`settings!`] macro and what it makes.

use serde_json::Value;

use crate::reader::Reader;
use crate::setting::Setting;

/// A struct of settings, as [`settings!`] makes it.
pub(crate) trait Group: Default {
    /// Adds its settings to the table.
    fn declare(table: &mut Vec<Setting>);
    /// Takes its settings from what was loaded; what is wrong is noted with the reader.
    fn read(reader: &mut Reader<'_>) -> Self;
    /// Adds the values of its settings in the order of the table, without those that are ignored.
    fn values(&self, values: &mut Vec<Option<Value>>);
    /// Gives the setting of this full key its default, where it is one of this group.
    fn reset(&mut self, key: &str);
}

/// Declares the settings of one section:
///
/// ```text
/// settings! {
///     /// What the section is about.
///     pub struct FooConfig in Section::Foo;
///
///     /// What the setting does.
///     key: Type = default, RULE;
///
///     /// With a name in the environment besides those by the section's rule.
///     other: Type = default, RULE, also "FOREIGN_NAME";
/// }
/// ```
///
/// The struct with its public fields, `Default`, and [`Group`] come from it. `sections { .. }` names the groups
/// nested inside, `ignored { .. }` settings that are accepted with a warning and have no field, each with the
/// reason after its rule, `private { .. }` a field that is no setting and starts at its default.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $Group:ident in $section:expr;

        $(
            $(#[doc = $doc:literal])+
            $field:ident: $Type:ty = $default:expr, $rule:expr $(, also $also:literal)?;
        )+

        $(ignored {
            $(
                $(#[doc = $ignored_doc:literal])+
                $ignored:ident: $Ignored:ty = $ignored_default:expr, $ignored_rule:expr, $reason:literal;
            )+
        })?
        $(sections {
            $($(#[$section_meta:meta])* $nested:ident: $Nested:ty;)+
        })?
        $(private { $private:ident: $Private:ty; })?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        pub struct $Group {
            $($(#[doc = $doc])+ pub $field: $Type,)+
            $($($(#[$section_meta])* pub $nested: $Nested,)+)?
            $(pub(crate) $private: $Private,)?
        }

        impl Default for $Group {
            fn default() -> Self {
                Self {
                    $($field: $default,)+
                    $($($nested: <$Nested>::default(),)+)?
                    $($private: <$Private>::default(),)?
                }
            }
        }

        impl $crate::declaration::Group for $Group {
            fn declare(table: &mut Vec<$crate::setting::Setting>) {
                $(table.push($crate::setting::Setting::new::<$Type>(
                    $section,
                    stringify!($field),
                    &[$($doc),+],
                    &$rule,
                    |raw| $crate::reader::decode::<$Type>(raw, &$rule).err().unwrap_or_default(),
                    &$default,
                )$(.also($also))?);)+
                $($(table.push($crate::setting::Setting::new::<$Ignored>(
                    $section,
                    stringify!($ignored),
                    &[$($ignored_doc),+],
                    &$ignored_rule,
                    |_| Vec::new(),
                    &$ignored_default,
                ).ignored($reason));)+)?
                $($(<$Nested as $crate::declaration::Group>::declare(table);)+)?
            }

            fn read(reader: &mut $crate::reader::Reader<'_>) -> Self {
                $($(reader.ignore($section, stringify!($ignored), $reason);)+)?
                Self {
                    $($field: reader.read($section, stringify!($field), &$rule, $default),)+
                    $($($nested: <$Nested as $crate::declaration::Group>::read(reader),)+)?
                    $($private: <$Private>::default(),)?
                }
            }

            fn values(&self, values: &mut Vec<Option<serde_json::Value>>) {
                $(values.push($crate::decode::SettingType::to_json(&self.$field));)+
                $($($crate::declaration::Group::values(&self.$nested, values);)+)?
            }

            fn reset(&mut self, key: &str) {
                $(if key == $section.key(stringify!($field)) {
                    self.$field = $default;
                })+
                $($($crate::declaration::Group::reset(&mut self.$nested, key);)+)?
            }
        }
    };
}
pub(crate) use settings;
