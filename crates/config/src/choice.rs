//! Settings that are one of a few words: the [`choices!`] macro, by which each word is written once.

use serde_json::{Value, json};

use crate::decode::{Scalar, SettingType, plain};
use crate::mismatch::Mismatch;
use crate::nearest::{nearest, suggestion};
use crate::raw::Raw;

/// One of a few words, as [`choices!`] makes it.
pub(crate) trait Choice: Copy + 'static {
    /// Every word that is read, other spellings included.
    const WORDS: &'static [&'static str];
    /// The value that a word stands for, in any case.
    fn of(word: &str) -> Option<Self>;
    /// The word for it in the file.
    fn word(self) -> &'static str;
}

/// A choice that takes its words and nothing else.
pub(crate) trait Exact: Choice {}

/// Declares enumerations and the words of their values:
///
/// ```text
/// choices! {
///     /// What is chosen.
///     pub enum Colour {
///         /// What it means.
///         Red = "red" ("crimson"),
///     }
/// }
/// ```
///
/// In parentheses stand other spellings that are read. Upper and lower case are the same.
macro_rules! choices {
    ($(
        $(#[$meta:meta])*
        pub enum $Choice:ident {
            $($(#[$variant_meta:meta])* $Variant:ident = $word:literal $(($($alias:literal),+))?,)+
        }
    )+) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub enum $Choice {
                $($(#[$variant_meta])* $Variant,)+
            }

            impl $Choice {
                /// Every value, in the order of the documentation.
                pub const ALL: &'static [Self] = &[$(Self::$Variant),+];

                /// The word for it in the file.
                pub fn as_str(self) -> &'static str {
                    match self {
                        $(Self::$Variant => $word,)+
                    }
                }
            }

            impl std::fmt::Display for $Choice {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.pad(self.as_str())
                }
            }

            impl $crate::choice::Choice for $Choice {
                const WORDS: &'static [&'static str] = &[$($word, $($($alias,)+)?)+];

                fn of(word: &str) -> Option<Self> {
                    let word = word.trim();
                    $(if [$word, $($($alias),+)?].iter().any(|known| known.eq_ignore_ascii_case(word)) {
                        return Some(Self::$Variant);
                    })+
                    None
                }

                fn word(self) -> &'static str {
                    self.as_str()
                }
            }
        )+
    };
}
pub(crate) use choices;

impl<T: Exact> Scalar for T {}
impl<T: Exact> SettingType for T {
    const TYPE: &'static str = "one of a few words";

    fn decode(raw: Raw) -> Result<Self, Vec<Mismatch>> {
        let Raw::Text(text) = raw else { return plain() };
        T::of(&text).ok_or_else(|| vec![unknown_word(&text, T::WORDS)])
    }

    fn to_json(&self) -> Option<Value> {
        Some(json!(self.word()))
    }

    fn schema() -> Value {
        json!({ "enum": T::WORDS })
    }
}

/// A word that is none of those known.
pub(crate) fn unknown_word(word: &str, known: &[&str]) -> Mismatch {
    match nearest(word, known.iter().copied()) {
        Some(nearest) => Mismatch::because(format!("there is no such word{}", suggestion(Some(&nearest)))),
        None => Mismatch::plain(),
    }
}
