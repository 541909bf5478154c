//! Enumerations of which each value has one word: [`choices!`](crate::choices), by which each word is written once.

/// A text that is none of the words of an enumeration made by [`choices!`](crate::choices).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}: {}", known(.words))]
pub struct UnknownWord {
    /// What the word should name.
    pub what: &'static str,
    /// The text.
    pub text: String,
    /// The words there are.
    pub words: Vec<&'static str>,
}

/// `a`, `a or b`, `a, b or c`.
fn known(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// Declares an enumeration with a word for each of its values, and what the value is called in errors:
///
/// ```
/// podbay_protocol::choices! {
///     /// What is chosen.
///     pub enum Colour: "colour" {
///         /// What it means.
///         Red = "red",
///         /// The other one.
///         Blue = "blue",
///     }
/// }
///
/// assert_eq!("blue".parse(), Ok(Colour::Blue));
/// assert_eq!(Colour::Red.to_string(), "red");
/// assert_eq!(
///     "green".parse::<Colour>().map_err(|error| error.to_string()),
///     Err("\"green\" is no colour: red or blue".to_owned())
/// );
/// ```
///
/// The enumeration has `ALL` and `as_str`, is read by `FromStr` and written by `Display` and serde. The crate that uses
/// it needs a dependency on `serde`. Words are compared exactly.
#[macro_export]
macro_rules! choices {
    (
        $(#[$meta:meta])*
        $vis:vis enum $Choice:ident: $what:literal {
            $($(#[$variant_meta:meta])* $Variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ::serde::Serialize, ::serde::Deserialize)]
        $vis enum $Choice {
            $($(#[$variant_meta])* #[serde(rename = $word)] $Variant,)+
        }

        impl $Choice {
            /// Every value, in the order of their declaration.
            $vis const ALL: &'static [Self] = &[$(Self::$Variant),+];

            /// The word for it, as it stands in JSON.
            $vis const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$Variant => $word,)+
                }
            }
        }

        impl ::std::str::FromStr for $Choice {
            type Err = $crate::UnknownWord;

            fn from_str(text: &str) -> ::std::result::Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$Variant),)+
                    _ => Err($crate::UnknownWord {
                        what: $what,
                        text: text.to_owned(),
                        words: vec![$($word),+],
                    }),
                }
            }
        }

        impl ::std::fmt::Display for $Choice {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;

    crate::choices! {
        /// One value.
        enum Single: "value" {
            /// The only one.
            Only = "only",
        }
    }

    #[test]
    fn a_word_is_the_same_for_people_and_in_json() {
        assert_eq!(Single::ALL, [Single::Only]);
        assert_eq!(Single::Only.as_str().parse(), Ok(Single::Only));
        let name = serde::de::value::StrDeserializer::<serde::de::value::Error>::new("only");
        assert_eq!(Single::deserialize(name), Ok(Single::Only));
        let unknown = "Only".parse::<Single>().unwrap_err();
        assert_eq!(unknown.to_string(), "\"Only\" is no value: only");
    }
}
