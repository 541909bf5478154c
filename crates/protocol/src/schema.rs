//! Schemas of words for the agent's API in OpenAPI: derives don't see how the variants of [`crate::choices`] are called.

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use crate::agent::error::AgentErrorCode;
use crate::agent::files::FileKind;
use crate::process::{Retention, SignalTarget, StreamName};

macro_rules! words {
    ($($Choice:ident: $description:literal,)+) => {
        $(
            impl utoipa::PartialSchema for $Choice {
                fn schema() -> RefOr<Schema> {
                    let words = Self::ALL.iter().map(|choice| choice.as_str());
                    let schema = ObjectBuilder::new()
                        .schema_type(Type::String)
                        .description(Some($description))
                        .enum_values(Some(words));
                    RefOr::T(schema.into())
                }
            }

            impl utoipa::ToSchema for $Choice {}
        )+
    };
}

words! {
    AgentErrorCode: "What went wrong, as a name that programs may match on. A client that meets one it does not know goes by the status of the answer.",
    FileKind: "What stands under a name.",
    Retention: "What becomes of output that nobody takes.",
    SignalTarget: "Whom a signal is for.",
    StreamName: "An output of a process.",
}
