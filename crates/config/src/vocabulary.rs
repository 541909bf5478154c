//! The words that settings choose from.

use crate::choice::{Exact, choices};

choices! {
    /// How a container's image is pulled, in the words of the API's `imagePullPolicy`.
    pub enum PullPolicy {
        /// At every start of a container.
        Always = "Always",
        /// When the node has no such image.
        IfNotPresent = "IfNotPresent",
        /// Never: the node must have it.
        Never = "Never",
    }

    /// What happens to a session's objects when its client is done with it.
    pub enum CleanupPolicy {
        /// They stay, until they are closed by name.
        AlwaysKeep = "always_keep",
        /// They stay where something failed, so that it can be looked at.
        KeepOnFailure = "keep_on_failure",
        /// They go.
        AlwaysClean = "always_clean",
    }

    /// A profile of the Pod Security Standards.
    pub enum ProfileName {
        /// No root, no capabilities, no way to gain either.
        Restricted = "restricted",
        /// What a container runtime gives by default: root inside the container.
        Baseline = "baseline",
        /// Root on the node.
        Privileged = "privileged",
    }

    /// The kind of object that runs a session.
    pub enum WorkloadKind {
        /// A pod.
        Pod = "pod",
        /// A Job with one pod, for clusters that admit or queue Jobs.
        Job = "job",
    }

    /// What the workspace is kept on.
    pub enum WorkspaceVolume {
        /// A claim where one was asked for, else an `emptyDir`.
        Auto = "auto",
        /// Space of the node that goes with the pod.
        EmptyDir = "empty_dir",
        /// A persistent volume claim.
        Pvc = "pvc",
        /// A directory of the node.
        HostPath = "host_path",
    }

    /// How Podbay's agent comes into a pod.
    pub enum AgentDelivery {
        /// By the best way that there is, and not at all where there is none.
        Auto = "auto",
        /// Not at all.
        None = "none",
        /// From this machine, through the API server's exec.
        Upload = "upload",
        /// An init container copies it out of its image.
        InitContainer = "init_container",
        /// Its image is mounted.
        ImageVolume = "image_volume",
    }

    /// How the agent in a pod is connected to.
    pub enum AgentDial {
        /// The best way that works.
        Auto = "auto",
        /// By the pod's address.
        PodIp = "pod-ip",
        /// Through the API server's port-forward.
        PortForward = "port-forward",
        /// Through the API server's exec, by a program in the pod that passes on its standard streams.
        Stdio = "stdio",
    }

    /// What a sandbox may reach over the network.
    pub enum NetworkMode {
        /// Nothing but its server's clients, which reach it.
        None = "none",
        /// DNS and the public internet.
        Default = "default",
        /// All that the cluster lets pods reach.
        Open = "open",
    }

    /// How the URL of a session tells which one is meant.
    pub enum UrlStyle {
        /// By its host where names resolve, else by its port.
        Auto = "auto",
        /// By its host: `{runtime_id}.DOMAIN`.
        Host = "host",
        /// By the first part of its path, on one origin for all sessions.
        Path = "path",
        /// By its port, on this machine.
        Port = "port",
    }

    /// The scheme of the URLs of sessions.
    pub enum UrlScheme {
        /// With TLS where the service has a certificate or stands behind a proxy, else without.
        Auto = "auto",
        /// Without TLS.
        Http = "http",
        /// With TLS, which the service or a proxy before it speaks.
        Https = "https",
    }

    /// How log lines are written.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// A JSON object a line.
        Json = "json",
    }

    /// How much the agent writes into its log.
    pub enum AgentLogLevel {
        /// Nothing.
        Off = "off",
        /// What failed.
        Error = "error",
        /// And what may be wrong.
        Warn = "warn",
        /// And what it does.
        Info = "info",
        /// And how; an agent as it is shipped has no more than `info`.
        Debug = "debug",
        /// And all else.
        Trace = "trace",
    }

    /// OpenHands' word for a runtime class.
    pub enum RemoteRuntimeClass {
        /// The cluster's default.
        None = "none",
        /// The class `sysbox-runc`.
        Sysbox = "sysbox",
        /// The class `gvisor`.
        Gvisor = "gvisor",
    }
}

impl Exact for PullPolicy {}
impl Exact for CleanupPolicy {}
impl Exact for ProfileName {}
impl Exact for WorkloadKind {}
impl Exact for WorkspaceVolume {}
impl Exact for AgentDelivery {}
impl Exact for AgentDial {}
impl Exact for AgentLogLevel {}
impl Exact for NetworkMode {}
impl Exact for UrlStyle {}
impl Exact for UrlScheme {}
impl Exact for LogFormat {}
impl Exact for RemoteRuntimeClass {}
