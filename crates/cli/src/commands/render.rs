//! `podbay render`: a session's objects, with no cluster.

use clap::Args;
use podbay_manifests::{SecretValues, SessionRequest, SessionSpec, render};
use podbay_runtime::Error;

use crate::addressing::owner_named;
use crate::args::{GlobalArgs, SessionArgs, our_variable};
use crate::connection::{Needs, configure};
use crate::exit::Failure;
use crate::output::{Format, json, print};

/// Flags of `podbay render`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RenderArgs {
    /// The session
    session_id: String,
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "yaml")]
    output: Format,
    /// Show the values of the environment
    #[arg(long)]
    show_secrets: bool,
    #[command(flatten)]
    session: SessionArgs,
}

const EXAMPLES: &str = "\
Examples:
  podbay render demo --image debian:12 -o yaml
  podbay render demo --image debian:12 --env TOKEN --show-secrets -o json

To be read, or checked by `kubectl apply --dry-run=server -f -`; not to be applied: what is chosen at random when a
session is opened is a placeholder here, also the owner's UID, so that the garbage collector would take Secret and
Pod within seconds. `podbay open` makes the session.";

/// Begins the YAML; JSON has no comments.
const NOT_TO_BE_APPLIED: &str = "\
# To be read, not applied: the session key, the runtime id and the owner's UID are placeholders, and the garbage
# collector takes what has an owner that does not exist. `podbay open` makes the session.
";

/// Prints a session's objects.
pub(crate) fn run(global: &GlobalArgs, args: RenderArgs) -> Result<u8, Failure> {
    let RenderArgs {
        session_id,
        output,
        show_secrets,
        session,
    } = args;
    let needs = Needs {
        session: Some(&session),
        ..Needs::default()
    };
    let config = configure(global, &needs)?;
    let id = session_id
        .parse()
        .map_err(|error: podbay_manifests::SessionIdError| Error::Id {
            id: session_id.clone(),
            message: error.to_string(),
        })?;
    let request = SessionRequest {
        owner: owner_named(global.owner.as_deref())?,
        ..session.request(our_variable)?
    };
    let (spec, secrets) =
        SessionSpec::validate(id, &config.kubernetes.namespace, &config, request).map_err(|source| {
            Error::Spec {
                session: session_id,
                source,
            }
        })?;
    let values = if show_secrets {
        SecretValues::Shown
    } else {
        SecretValues::Hidden
    };
    let objects = render(&spec, &secrets, values);
    let text = match output {
        Format::Yaml => {
            let yaml = objects.to_yaml().map_err(|error| Failure::Format {
                format: "YAML",
                message: error.to_string(),
            })?;
            format!("{NOT_TO_BE_APPLIED}{yaml}")
        }
        Format::Json => json(&objects.to_json_list())?,
    };
    print(text.as_bytes())?;
    Ok(0)
}
