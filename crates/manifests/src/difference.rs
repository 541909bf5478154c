//! What a request asks that a session which is already there has otherwise.

use std::fmt;

use podbay_config::PullPolicy;
use podbay_protocol::{Field, Library, Words};

use crate::image::ImageRef;
use crate::launch::{Launch, MainCommand};
use crate::quantity::Quantity;
use crate::request::SessionRequest;
use crate::server::ServerKind;
use crate::session_spec::{ResourceBounds, SessionSpec};
use crate::user::RunAs;

/// One thing that was asked explicitly and that the existing session has otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field that asks it.
    pub field: Field,
    /// What was asked.
    pub asked: String,
    /// What the session has, or `None` where it has nothing of the kind.
    pub existing: Option<String>,
}

impl Difference {
    /// What was asked and what there is, in the words of a surface.
    pub fn in_words(&self, words: &dyn Words) -> String {
        let Self {
            field,
            asked,
            existing,
        } = self;
        let field = words.field(*field);
        let existing = existing.as_deref().unwrap_or("none");
        format!("{field} {asked} (the session has {existing})")
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_words(&Library))
    }
}

impl SessionRequest {
    /// What this request asks explicitly and `spec` has otherwise, for the warning when a client attaches.
    ///
    /// Amounts are compared by value and users by number. The environment is compared by name: the record
    /// holds no values.
    pub fn differences(&self, spec: &SessionSpec) -> Vec<Difference> {
        let Self {
            // Another owner's session of this id is another session.
            owner: _,
            image,
            pull_policy,
            user,
            fs_group,
            profile,
            env,
            workdir,
            cpu,
            memory,
            persistent,
            labels,
            server,
            ports,
            vscode,
            network,
            workload,
            runtime_class,
            gpus,
            resource_factor,
            actions,
            launch,
            // What a service routes is its own affair.
            routed: _,
        } = self;
        let mut found = Differences(Vec::new());
        found.of_container(spec, image.as_ref(), user.as_ref(), workdir.as_ref());
        found.of_pod(spec, *pull_policy, *fs_group, runtime_class.as_ref());
        if let Some(profile) = profile {
            found.value(Field::Profile, profile, &spec.profile());
        }
        for name in env.keys() {
            let same = spec.env.iter().any(|existing| existing.as_str() == name);
            found.compare(Field::Env, name.clone(), None, same);
        }
        for (field, asked, bounds) in [
            (Field::Cpu, cpu, spec.cpu()),
            (Field::Memory, memory, spec.memory()),
        ] {
            found.amount(field, asked.as_ref(), bounds, spec.resources.factor);
        }
        if let Some(persistent) = persistent {
            found.value(Field::Persistent, persistent, &spec.persistent());
        }
        for (key, value) in labels {
            let existing = spec.labels.get(key);
            let shown = existing.map(|existing| format!("{key}={existing}"));
            found.compare(
                Field::Labels,
                format!("{key}={value}"),
                shown,
                existing == Some(value),
            );
        }
        found.of_server(spec, *server, ports, *vscode);
        if let Some(network) = network {
            found.value(Field::Network, network, &spec.network());
        }
        if let Some(workload) = workload {
            found.value(Field::Workload, workload, &spec.workload());
        }
        if let Some(gpus) = gpus {
            found.value(Field::Gpus, gpus, &spec.resources.gpus);
        }
        if let Some(factor) = resource_factor {
            found.value(Field::ResourceFactor, factor, &spec.resources.factor);
        }
        if let Some(port) = actions {
            let existing = spec.actions.map(actions_in_words);
            found.compare(
                Field::Server,
                actions_in_words(*port),
                existing,
                spec.actions == Some(*port),
            );
        }
        found.of_launch(spec, launch.as_ref());
        found.0
    }
}

/// The agent as the server that a client asks for.
fn actions_in_words(port: u16) -> String {
    format!("the agent on port {port}")
}

/// Whether two commands start the same server, whatever their ports.
fn is_same_server(one: &[String], other: &[String]) -> bool {
    let is_number = |word: &str| word.parse::<u16>().is_ok();
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(one, other)| one == other || is_number(one) && is_number(other))
}

/// The differences so far.
struct Differences(Vec<Difference>);

impl Differences {
    fn compare(&mut self, field: Field, asked: String, existing: Option<String>, same: bool) {
        if !same {
            self.0.push(Difference {
                field,
                asked,
                existing,
            });
        }
    }

    /// Compares what is a value on both sides.
    fn value<T: PartialEq + ToString>(&mut self, field: Field, asked: &T, existing: &T) {
        let same = asked == existing;
        self.compare(field, asked.to_string(), Some(existing.to_string()), same);
    }

    fn of_container(
        &mut self,
        spec: &SessionSpec,
        image: Option<&String>,
        user: Option<&String>,
        workdir: Option<&String>,
    ) {
        if let Some(image) = image {
            let same = image.parse::<ImageRef>().is_ok_and(|image| image == spec.image);
            self.compare(Field::Image, image.clone(), Some(spec.image.to_string()), same);
        }
        if let Some(user) = user {
            let existing = spec.run_as();
            let same = user.parse::<RunAs>().is_ok_and(|user| Some(user) == existing);
            self.compare(
                Field::User,
                user.clone(),
                existing.map(|user| user.to_string()),
                same,
            );
        }
        if let Some(workdir) = workdir {
            let existing = spec.workdir.as_ref();
            let same = workdir.parse().is_ok_and(|workdir| Some(&workdir) == existing);
            let shown = existing.map(ToString::to_string);
            self.compare(Field::Workdir, workdir.clone(), shown, same);
        }
    }

    fn of_pod(
        &mut self,
        spec: &SessionSpec,
        pull_policy: Option<PullPolicy>,
        fs_group: Option<u64>,
        runtime_class: Option<&String>,
    ) {
        if let Some(asked) = pull_policy {
            let existing = spec.pull.policy.map(|policy| policy.0);
            self.optional("kubernetes.pull_policy", &asked, existing.as_ref());
        }
        if let Some(asked) = fs_group {
            let existing = spec.security.fs_group.map(u64::from);
            self.optional("kubernetes.fs_group", &asked, existing.as_ref());
        }
        if let Some(asked) = runtime_class {
            let existing = spec.placement.runtime_class.as_ref().map(ToString::to_string);
            self.optional("kubernetes.runtime_class", asked, existing.as_ref());
        }
    }

    /// Compares what a session may have none of, and what a setting names.
    fn optional<T: PartialEq + ToString>(&mut self, setting: &'static str, asked: &T, existing: Option<&T>) {
        let shown = existing.map(ToString::to_string);
        let same = existing == Some(asked);
        self.compare(Field::Setting(setting), asked.to_string(), shown, same);
    }

    /// The flag sets request and limit, so both must be what was asked, as often as the session has it.
    fn amount(&mut self, field: Field, asked: Option<&String>, bounds: &ResourceBounds, factor: u32) {
        let Some(asked) = asked else { return };
        let amount = asked.parse::<Quantity>().ok();
        let amount = amount.and_then(|amount| amount.times(factor));
        let same = amount.is_some_and(|amount| {
            amount == bounds.request && bounds.limit.as_ref().is_some_and(|limit| amount == *limit)
        });
        self.compare(field, asked.clone(), Some(bounds.to_string()), same);
    }

    /// Words are compared, but those of a server on this machine, whose ports are the session's own.
    fn of_launch(&mut self, spec: &SessionSpec, asked: Option<&Launch>) {
        let in_words = |argv: &[String]| argv.join(" ");
        let (asked, existing, same) = match asked {
            None => return,
            Some(Launch::Image) => ("the image's own".to_owned(), None, spec.runs_image()),
            Some(Launch::Program(argv)) => match &spec.main {
                Some(MainCommand::Program(existing)) => {
                    (in_words(argv), Some(in_words(existing)), argv == existing)
                }
                _ => (in_words(argv), None, false),
            },
            Some(Launch::Server(command)) => {
                let existing = spec.server.as_ref().and_then(|server| server.command.as_deref());
                let same = existing.is_some_and(|existing| is_same_server(existing, &command.argv));
                (in_words(&command.argv), existing.map(in_words), same)
            }
        };
        self.compare(Field::Server, asked, existing, same);
    }

    fn of_server(&mut self, spec: &SessionSpec, asked: Option<ServerKind>, ports: &[u16], vscode: bool) {
        let server = spec.server.as_ref();
        if let Some(asked) = asked {
            let existing = server.map(|server| server.kind);
            let shown = existing.map(|existing| existing.to_string());
            self.compare(Field::Server, asked.to_string(), shown, existing == Some(asked));
        }
        let serves = |port: &u16| {
            let by_server = server.is_some_and(|server| server.port == *port);
            let exposure = spec.exposure.as_ref();
            exposure.is_some_and(|exposure| by_server || exposure.ports.contains(port))
        };
        let has: Vec<_> = spec
            .exposure
            .iter()
            .flat_map(|exposure| exposure.hosted())
            .map(|port| port.to_string())
            .collect();
        let shown = (!has.is_empty()).then(|| has.join(", "));
        for port in ports {
            self.compare(Field::Ports, port.to_string(), shown.clone(), serves(port));
        }
        if vscode {
            self.value(Field::VsCode, &true, &server.is_some_and(|server| server.vscode));
        }
    }
}
