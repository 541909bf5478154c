//! `podbay serve`: the service that OpenHands' clients use.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use podbay_config::{Config, Loader, LogFormat, UrlStyle};
use podbay_exec_proxy::api::{Api, Urls, WarmConfigs};
use podbay_exec_proxy::keys::{ApiKeys, Sources};
use podbay_exec_proxy::listen::{Limits, Listening, PortListeners, serve};
use podbay_exec_proxy::registry::Registries;
use podbay_exec_proxy::routing::ports::PortRange;
use podbay_exec_proxy::routing::url::UrlStyle as UrlsBy;
use podbay_exec_proxy::routing::{Access, Router, RoutingSettings};
use podbay_exec_proxy::service::Service;
use podbay_exec_proxy::sessions::{AllSessions, ServiceSessions};
use podbay_exec_proxy::style::{Surroundings, choose};
use podbay_exec_proxy::telemetry::{Exposition, Metrics, RequestTelemetry};
use podbay_manifests::SessionOwner;
use podbay_runtime::error::chain;
use podbay_runtime::{Backend, BackendKind, Error, Podbay, WatchPolicy};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::net::{TcpListener, lookup_host};
use tokio::task::JoinHandle;

use super::chart::OfChart;
use crate::args::{GlobalArgs, log_format, url_style};
use crate::connection::{of_lasting_sessions, warned};
use crate::exit::Failure;
use crate::logging;
use crate::output::{note, print_line, warn};
use crate::signals::Signals;

/// How often it is looked for failed sessions whose time is over: they stay for a day by default.
const SWEEP: Duration = Duration::from_secs(60);

/// Connections of those who ask for metrics, at the same time.
const SCRAPERS: usize = 64;

/// Flags of `podbay serve`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// The address to listen on; a port alone is one of this machine [default: 127.0.0.1:8000]
    #[arg(long, value_name = "[ADDRESS:]PORT")]
    listen: Option<String>,
    /// The domain below which each session has a host
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// How the URL of a session tells which one is meant
    #[arg(long, value_name = "STYLE", value_parser = url_style())]
    url_style: Option<UrlStyle>,
    /// The file with the certificate to show, in PEM; the service speaks TLS then
    #[arg(long, value_name = "FILE")]
    tls_cert_file: Option<PathBuf>,
    /// The file with the certificate's private key, in PEM
    #[arg(long, value_name = "FILE")]
    tls_private_key_file: Option<PathBuf>,
    /// Nobody but a proxy reaches the service: what it says of its clients is believed
    #[arg(long)]
    behind_proxy: bool,
    /// Where metrics are served for Prometheus; a port alone is one of this machine
    #[arg(long, value_name = "[ADDRESS:]PORT")]
    metrics_listen: Option<String>,
    /// How the log is written, on standard error [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = log_format())]
    log_format: Option<LogFormat>,
}

const EXAMPLES: &str = "\
Examples:
  podbay serve --backend local                            sessions of this machine, without isolation; prints a key
  podbay serve --backend cluster --listen 0.0.0.0:8000    pods; PODBAY_API_KEY or [serve] has the keys
  podbay serve --backend cluster --listen 0.0.0.0:8443 --domain run.example.com --tls-cert-file tls.crt --tls-private-key-file tls.key

Clients of OpenHands find it by RUNTIME=remote, SANDBOX_REMOTE_RUNTIME_API_URL and SANDBOX_API_KEY.";

impl ServeArgs {
    fn settings(&self, mut loader: Loader) -> Loader {
        let Self {
            listen,
            domain,
            url_style,
            tls_cert_file,
            tls_private_key_file,
            behind_proxy,
            metrics_listen,
            log_format,
        } = self;
        if let Some(listen) = listen {
            loader = loader.flag("serve.listen", "--listen", listen.as_str());
        }
        if let Some(domain) = domain {
            loader = loader.flag("serve.domain", "--domain", domain.as_str());
        }
        if let Some(style) = url_style {
            loader = loader.flag("serve.url_style", "--url-style", style.as_str());
        }
        if let Some(path) = tls_cert_file {
            loader = loader.flag("serve.tls_cert_file", "--tls-cert-file", path.as_path());
        }
        if let Some(path) = tls_private_key_file {
            loader = loader.flag(
                "serve.tls_private_key_file",
                "--tls-private-key-file",
                path.as_path(),
            );
        }
        if *behind_proxy {
            loader = loader.flag("serve.behind_proxy", "--behind-proxy", true);
        }
        if let Some(listen) = metrics_listen {
            loader = loader.flag("serve.metrics_listen", "--metrics-listen", listen.as_str());
        }
        if let Some(format) = log_format {
            loader = loader.flag("serve.log_format", "--log-format", format.as_str());
        }
        loader
    }
}

/// Serves until a signal ends it.
pub(crate) async fn run(global: &GlobalArgs, args: ServeArgs) -> Result<u8, Failure> {
    let config = configure(global, &args)?;
    // The setting has checked it.
    let address = address_of(&config.serve.listen).ok_or_else(|| Failure::Usage {
        message: format!("{:?} is no address to listen on", config.serve.listen),
    })?;
    let usage = |error: &dyn std::error::Error| Failure::Usage {
        message: chain(error),
    };
    let listening = Listening::of(&config.serve)
        .await
        .map_err(|error| usage(&error))?;
    let access = Access::of(&config.serve).map_err(|error| usage(&error))?;
    let range: PortRange = config.serve.ports.parse().map_err(|error| usage(&error))?;
    let format = config.serve.log_format;
    let listener = bind(address, "the service").await?;
    let exposition = match config.serve.metrics_listen.as_deref().and_then(address_of) {
        Some(address) => Some(bind(address, "the metrics").await?),
        None => None,
    };
    let address = listener.local_addr().unwrap_or(address);
    let sources = Sources {
        config: &config.serve,
        listen: address,
    };
    let (keys, made) = ApiKeys::gather(sources).map_err(|error| usage(&error))?;
    let adopts = adopts(&config)?;
    let podbay = connect(global, config.clone(), &keys).await?;
    let metrics = Metrics::default();
    let sessions = ServiceSessions::new(podbay, adopts)?
        .with_owner_limit(config.serve.max_sessions_per_owner)
        .with_metrics(metrics.clone());
    let sessions = AllSessions::of_keys(sessions, &keys)?;
    let here = Surroundings {
        listen: address,
        resolves_localhost: resolves_localhost().await,
    };
    let style = choose(&config.serve, here).map_err(|error| usage(&error))?;
    let mut limits = Limits::of(&config.serve);
    if of_lasting_sessions(global, &config) == Backend::Local {
        // Nobody takes over, and somebody waits for it.
        limits.linger = Duration::ZERO;
    }
    let ports = (style == UrlsBy::Port).then(|| {
        let sessions = Arc::new(sessions.clone());
        Arc::new(PortListeners::new(sessions, range, kept_ports(), limits))
    });
    let urls: Arc<dyn Urls> = match &ports {
        Some(ports) => Arc::clone(ports) as _,
        None => Arc::new(style.clone()),
    };
    let registries = Registries::of(&config).map_err(|error| usage(&error))?;
    let warm = match &config.serve.warm_runtimes_file {
        Some(path) => WarmConfigs::of_file(path).map_err(|error| usage(&error))?,
        None => WarmConfigs::default(),
    };
    let api = Api::new(sessions.clone(), urls, keys, &config.serve)
        .with_warm_configs(warm)
        .with_registries(registries);
    let exposed = Exposition::new(&metrics, sessions.clone(), env!("CARGO_PKG_VERSION"));
    let sessions_to_sweep = sessions.clone();
    let routing = RoutingSettings::of(&config.serve, style.clone());
    let router = Router::new(Arc::new(sessions), routing)
        .with_access(access)
        .with_metrics(metrics.clone());
    let service = RequestTelemetry::new(Service::new(api, router), metrics.clone());
    let service = Arc::new(service);
    if let Some(ports) = &ports {
        ports.begin(&service).await;
    }
    let signals = Signals::listen().map_err(|source| Failure::Local {
        what: "signals can't be listened to".to_owned(),
        source,
    })?;
    let scheme = if listening.tls.is_some() { "https" } else { "http" };
    announce(format, &format!("{scheme}://{address}"), made.as_ref())?;
    tell(format, &format!("sessions are reached at {style}"));
    let exposing = exposition.map(|listener| expose(listener, exposed, format));
    let sweeping = tokio::spawn(sweep(sessions_to_sweep));
    let ends = signals.token().cancelled_owned();
    let listening = Listening { metrics, ..listening };
    serve(listener, listening, Arc::clone(&service), limits, ends).await;
    sweeping.abort();
    if let Some(ports) = &ports {
        ports.end().await;
    }
    service.inner().router().drain(limits.grace).await;
    if let Some(exposing) = exposing {
        exposing.abort();
    }
    tell(format, "the service ends; sessions stay");
    Ok(0)
}

/// Says where it listens, and the key that was made for this run if no other was configured.
fn announce(format: LogFormat, url: &str, made: Option<&SecretString>) -> Result<(), Failure> {
    let listens = format!("listening on {url}");
    match format {
        LogFormat::Text => print_line(listens)?,
        LogFormat::Json => tracing::info!("{listens}"),
    }
    if let Some(key) = made {
        print_line(format_args!(
            "API key (made for this run): {}",
            key.expose_secret()
        ))?;
    }
    Ok(())
}

/// The owner to whom sessions are shown that have none.
fn adopts(config: &Config) -> Result<Option<SessionOwner>, Error> {
    let name = config.serve.adopt_unowned.as_deref();
    let owner = name.map(|name| {
        SessionOwner::of(name).map_err(|source| Error::Owner {
            name: name.to_owned(),
            source,
        })
    });
    owner.transpose()
}

/// Listens on an address.
async fn bind(address: SocketAddr, what: &str) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| Failure::Local {
        what: format!("{what} can't listen on {address}"),
        source,
    })
}

/// What an address to listen on means: a port alone is one of this machine. The settings have checked it.
fn address_of(text: &str) -> Option<SocketAddr> {
    let port = text
        .parse()
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    port.or_else(|_| text.parse()).ok()
}

/// Serves metrics, until it is aborted: also while the service ends.
fn expose(listener: TcpListener, exposed: Exposition, format: LogFormat) -> JoinHandle<()> {
    if let Ok(address) = listener.local_addr() {
        tell(format, &format!("metrics are at http://{address}/metrics"));
    }
    let mut limits = Limits::default();
    limits.connections = SCRAPERS;
    tokio::spawn(serve(
        listener,
        Listening::default(),
        Arc::new(exposed),
        limits,
        std::future::pending(),
    ))
}

/// Tells what whoever started the service wants to know; as a line of the log, where that is for programs.
fn tell(format: LogFormat, line: &str) {
    match format {
        LogFormat::Text => note(line),
        LogFormat::Json => tracing::info!("{line}"),
    }
}

/// Removes what failed long ago, from time to time.
async fn sweep(sessions: AllSessions) {
    loop {
        tokio::time::sleep(SWEEP).await;
        sessions.remove_expired().await;
    }
}

/// Where it is kept which session has which ports, below the user's directory of state (XDG Base Directory Specification); nowhere
/// without one. Not in the directory of local sessions, which make it themselves and have it alone.
fn kept_ports() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    state.map(|state| state.join("podbay-serve/ports.json"))
}

/// Whether names below `localhost` lead to this machine: not every resolver follows RFC 6761.
async fn resolves_localhost() -> bool {
    match lookup_host(("podbay.localhost", 80)).await {
        Ok(mut found) => found.any(|address| address.ip().is_loopback()),
        Err(_) => false,
    }
}

fn configure(global: &GlobalArgs, args: &ServeArgs) -> Result<Config, Failure> {
    if global.owner.is_some() {
        return Err(Failure::Usage {
            message: "--owner names whose sessions a command means; the owners of a service are those of its keys ([serve])"
                .to_owned(),
        });
    }
    let mut config = global.load(|loader| args.settings(loader))?;
    let of_chart = OfChart::read(&config, |name| std::env::var(name).ok());
    if !of_chart.is_empty() {
        config = global.load(|loader| of_chart.put(args.settings(loader)))?;
    }
    // A service tells what it does.
    let format = config.serve.log_format;
    logging::start_service(global.verbose.max(if config.debug { 2 } else { 1 }), format);
    let warn_of = |warning: &dyn std::fmt::Display| match format {
        LogFormat::Text => warn(warning),
        LogFormat::Json => tracing::warn!("{warning}"),
    };
    if let Some(warning) = of_chart.warning() {
        warn_of(&warning);
    }
    for warning in config.warnings() {
        warn_of(warning);
    }
    Ok(config)
}

/// A cluster; this machine only where that is spelled out, by the flag or by the setting `runtime`.
async fn connect(global: &GlobalArgs, config: Config, keys: &ApiKeys) -> Result<Podbay, Failure> {
    let backend = of_lasting_sessions(global, &config);
    let builder = Podbay::builder(config)
        .backend(backend)
        .watch_policy(WatchPolicy::Persist);
    let podbay = builder.connect().await?;
    has_its_rights(&podbay).await?;
    for namespace in keys.namespaces() {
        let podbay = podbay.in_namespace(namespace).map_err(|error| Failure::Usage {
            message: format!("an API key names the namespace {namespace:?}: {}", error.chain()),
        })?;
        has_its_rights(&podbay).await?;
    }
    Ok(if podbay.kind() == BackendKind::Local {
        warned(podbay)
    } else {
        podbay
    })
}

/// Refuses to serve a namespace without a right that the service needs in it.
async fn has_its_rights(podbay: &Podbay) -> Result<(), Error> {
    let rights = podbay.missing_rights().await?;
    if rights.is_empty() {
        return Ok(());
    }
    let namespace = podbay.namespace().to_owned();
    Err(Error::Rights { namespace, rights })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_reaches_its_setting() {
        let args = ServeArgs {
            listen: Some("[::1]:1".to_owned()),
            domain: Some("d.example".to_owned()),
            url_style: Some(UrlStyle::Host),
            tls_cert_file: Some("/c".into()),
            tls_private_key_file: Some("/k".into()),
            behind_proxy: true,
            metrics_listen: Some("9090".to_owned()),
            log_format: Some(LogFormat::Json),
        };
        let config = args.settings(Config::loader().search(false)).load().unwrap();
        assert_eq!(config.serve.listen, "[::1]:1");
        assert_eq!(config.serve.domain.as_deref(), Some("d.example"));
        assert_eq!(config.serve.url_style, UrlStyle::Host);
        assert_eq!(config.serve.tls_cert_file.as_deref(), Some("/c".as_ref()));
        assert_eq!(config.serve.tls_private_key_file.as_deref(), Some("/k".as_ref()));
        assert!(config.serve.behind_proxy);
        assert_eq!(config.serve.metrics_listen.as_deref(), Some("9090"));
        assert_eq!(config.serve.log_format, LogFormat::Json);
    }

    #[test]
    fn a_port_alone_is_one_of_this_machine() {
        assert_eq!(address_of("9090"), "127.0.0.1:9090".parse().ok());
        assert_eq!(address_of("[::]:9090"), "[::]:9090".parse().ok());
        assert_eq!(address_of("localhost"), None);
    }
}
