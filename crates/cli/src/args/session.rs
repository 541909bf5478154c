//! Flags that say what a session should be.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use podbay_config::{NetworkMode, WorkloadKind};
use podbay_manifests::ServerKind;
use podbay_runtime::{Profile, SessionRequest};

use super::choice::{network, workload};
use super::environment::{EnvArg, env_arg, variables};
use super::pair::{Pair, pair};
use crate::exit::Failure;

/// What a session should be; what is not said comes from the configuration.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Session")]
pub(crate) struct SessionArgs {
    /// Image
    #[arg(
        long,
        help = "Image, [REGISTRY/]NAME[:TAG][@DIGEST] [default: runtime_container_image, else base_container_image]"
    )]
    pub(crate) image: Option<String>,
    /// User of all commands: root or UID and GID
    #[arg(long, value_name = "USER", help = "User of all commands: root or UID[:GID]")]
    pub(crate) user: Option<String>,
    /// Pod Security profile: restricted, baseline or privileged
    #[arg(long)]
    pub(crate) profile: Option<Profile>,
    /// Environment variable, repeatable; NAME alone takes this process's value
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = env_arg)]
    pub(crate) env: Vec<EnvArg>,
    /// File of environment variables, one a line; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Vec<PathBuf>,
    /// Directory that commands start in
    #[arg(short, long, value_name = "DIRECTORY")]
    pub(crate) workdir: Option<String>,
    /// CPUs: 2, 500m
    #[arg(long, value_name = "QUANTITY")]
    pub(crate) cpu: Option<String>,
    /// Memory: 512Mi, 4Gi
    #[arg(long, value_name = "QUANTITY")]
    pub(crate) memory: Option<String>,
    /// Keep the workspace on a claim that outlives the session
    #[arg(long)]
    pub(crate) persistent: bool,
    /// Label of the session's objects, repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) label: Vec<Pair>,
    /// The image brings its own server
    #[arg(
        long,
        value_enum,
        value_name = "KIND",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "image",
        help = "The image brings its own server, which answers GET /alive"
    )]
    pub(crate) server: Option<ServerName>,
    /// Port to be reached by a Service and an Ingress, repeatable
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Vec<u16>,
    /// Make VS Code reachable, where the image's server brings it
    #[arg(long)]
    pub(crate) vscode: bool,
    /// What the session may reach over the network
    #[arg(
        long,
        value_name = "MODE",
        value_parser = network(),
        help = "What may be reached over the network: default (DNS and the public internet), none or open"
    )]
    pub(crate) network: Option<NetworkMode>,
    /// What runs the session
    #[arg(long, value_name = "KIND", value_parser = workload())]
    pub(crate) workload: Option<WorkloadKind>,
    /// GPUs
    #[arg(long, value_name = "NUMBER")]
    pub(crate) gpus: Option<u32>,
    /// Multiply what is reserved and allowed of CPU, memory and storage: 1, 2, 4 or 8
    #[arg(long, value_name = "FACTOR")]
    pub(crate) resource_factor: Option<u32>,
}

/// A kind of server, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServerName {
    /// Any, started by the image's own command, on port 8080
    Image,
    /// OpenHands' action execution server
    Openhands,
    /// OpenHands' agent-server
    AgentServer,
}

impl From<ServerName> for ServerKind {
    fn from(name: ServerName) -> Self {
        match name {
            ServerName::Image => Self::Image,
            ServerName::Openhands => Self::OpenHands,
            ServerName::AgentServer => Self::AgentServer,
        }
    }
}

impl SessionArgs {
    /// The settings that some flags stand for, so that what the configuration says is judged with them: key, flag, value.
    pub(crate) fn settings(&self) -> Vec<(&'static str, &'static str, String)> {
        let network = self.network.map(|network| network.to_string());
        let workload = self.workload.map(|workload| workload.to_string());
        let profile = self.profile.map(|profile| profile.to_string());
        let given = [
            ("kubernetes.network", "--network", network),
            ("kubernetes.workload", "--workload", workload),
            ("kubernetes.profile", "--profile", profile),
        ];
        let given = given.into_iter();
        given
            .filter_map(|(key, flag, value)| Some((key, flag, value?)))
            .collect()
    }

    /// What is asked of the session. `ours` gives the values of this process's environment.
    pub(crate) fn request(self, ours: impl Fn(&str) -> Option<String>) -> Result<SessionRequest, Failure> {
        let Self {
            image,
            user,
            profile,
            env,
            env_file,
            workdir,
            cpu,
            memory,
            persistent,
            label,
            server,
            port,
            vscode,
            network,
            workload,
            gpus,
            resource_factor,
        } = self;
        Ok(SessionRequest {
            image,
            user,
            profile,
            env: variables(&env_file, &env, ours)?,
            workdir,
            cpu,
            memory,
            persistent: persistent.then_some(true),
            labels: label
                .into_iter()
                .map(|Pair { key, value }| (key, value))
                .collect(),
            server: server.map(Into::into),
            ports: port,
            vscode,
            network,
            workload,
            gpus,
            resource_factor,
            // Settings of the configuration say these.
            pull_policy: None,
            fs_group: None,
            runtime_class: None,
            actions: None,
            launch: None,
            routed: Vec::new(),
            owner: None,
        })
    }
}

/// The value of a variable of this process's environment, where it is UTF-8.
pub(crate) fn our_variable(name: &str) -> Option<String> {
    // Names that can't be: asking for them panics on some systems.
    if name.is_empty() || name.contains(['=', '\0']) {
        None
    } else {
        std::env::var(name).ok()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use secrecy::ExposeSecret as _;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        session: SessionArgs,
    }

    fn parse(words: &[&str]) -> SessionRequest {
        let line = Line::try_parse_from(["podbay"].iter().chain(words)).unwrap();
        line.session.request(|_| Some("ours".to_owned())).unwrap()
    }

    #[test]
    fn every_flag_reaches_the_request() {
        let request = parse(&[
            "--image",
            "debian:12",
            "--user",
            "1000:1000",
            "--profile",
            "baseline",
            "--env",
            "A=1",
            "-e",
            "B",
            "--workdir",
            "/w",
            "--cpu",
            "2",
            "--memory",
            "4Gi",
            "--persistent",
            "--label",
            "team=x",
            "--server=openhands",
            "--port",
            "3000",
            "--port",
            "8000",
            "--vscode",
            "--network",
            "none",
            "--workload",
            "job",
            "--gpus",
            "2",
            "--resource-factor",
            "4",
        ]);
        let SessionRequest {
            image,
            user,
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
            gpus,
            resource_factor,
            actions,
            launch,
            routed,
            owner,
            pull_policy,
            fs_group,
            runtime_class,
        } = request;
        assert_eq!(image.as_deref(), Some("debian:12"));
        assert_eq!(user.as_deref(), Some("1000:1000"));
        assert_eq!(profile, Some(Profile::Baseline));
        let env: Vec<_> = env
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose_secret()))
            .collect();
        assert_eq!(env, [("A", "1"), ("B", "ours")]);
        assert_eq!(workdir.as_deref(), Some("/w"));
        assert_eq!((cpu.as_deref(), memory.as_deref()), (Some("2"), Some("4Gi")));
        assert_eq!(persistent, Some(true));
        assert_eq!(labels.get("team").map(String::as_str), Some("x"));
        assert_eq!(server, Some(ServerKind::OpenHands));
        assert_eq!(ports, [3000, 8000]);
        assert!(vscode);
        assert_eq!(network, Some(NetworkMode::None));
        assert_eq!(workload, Some(WorkloadKind::Job));
        assert_eq!((gpus, resource_factor), (Some(2), Some(4)));
        assert_eq!((owner, actions, launch, routed), (None, None, None, Vec::new()));
        assert_eq!((pull_policy, fs_group, runtime_class), (None, None, None));
    }

    #[test]
    fn without_flags_all_is_left_to_the_configuration() {
        let SessionRequest {
            image,
            user,
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
            gpus,
            resource_factor,
            actions,
            launch,
            routed,
            owner,
            pull_policy,
            fs_group,
            runtime_class,
        } = parse(&[]);
        assert!(image.is_none() && user.is_none() && profile.is_none() && workdir.is_none());
        assert!(cpu.is_none() && memory.is_none() && persistent.is_none() && server.is_none());
        assert!(ports.is_empty() && !vscode && network.is_none() && workload.is_none());
        assert!(
            gpus.is_none()
                && resource_factor.is_none()
                && owner.is_none()
                && actions.is_none()
                && launch.is_none()
        );
        assert!(pull_policy.is_none() && fs_group.is_none() && runtime_class.is_none());
        assert!(env.is_empty() && labels.is_empty() && routed.is_empty());
    }
}
