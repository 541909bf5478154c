//! `[serve]`: the service that OpenHands' clients use.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;

use crate::api_key::ApiKeyEntry;
use crate::declaration::settings;
use crate::rule::{
    OPTIONAL_PATH, OPTIONAL_SESSIONS, OPTIONAL_TEXT, SECONDS, SWITCH, TEXT, TEXT_TABLE, TEXTS,
};
use crate::serve_rule::{
    API_KEYS, BODY, CONNECTIONS, HOLD, HOLD_SECONDS, LISTEN, LOG_FORMAT, OPTIONAL_LISTEN, OPTIONAL_SECRET,
    PAUSE_DRAIN, PORTS, RESOURCE_FACTOR, URL_SCHEME, URL_SEPARATOR, URL_STYLE,
};
use crate::setting::Section;
use crate::vocabulary::{LogFormat, UrlScheme, UrlStyle};

settings! {
    /// `[serve]`: the service that OpenHands' clients use (`podbay serve`).
    pub struct ServeConfig in Section::Serve;

    /// The address that the service listens on. On any other than this machine's own it needs keys that are configured.
    listen: String = "127.0.0.1:8000".to_owned(), LISTEN;

    /// The domain below which each session has a host of its own, `{runtime_id}.DOMAIN`. Its wildcard has to lead to the service.
    /// One that nothing else uses is best: what a sandbox serves shares it.
    domain: Option<String> = None, OPTIONAL_TEXT;

    /// How the URL of a session tells which one is meant. `auto` is a host of its own below `domain` where that is set, else below
    /// `localhost` where this machine resolves such names, else a port of its own.
    url_style: UrlStyle = UrlStyle::Auto, URL_STYLE;

    /// The scheme of the URLs of sessions. `auto` is `https` where the service has a certificate (`tls_cert_file`) or stands behind a
    /// proxy (`behind_proxy`), else `http`.
    url_scheme: UrlScheme = UrlScheme::Auto, URL_SCHEME;

    /// What stands between runtime id and domain in the hosts of sessions: `.`, for which a wildcard certificate of the domain
    /// is needed, or `-`, for a domain that is itself below one that there is such a certificate for.
    url_separator: String = ".".to_owned(), URL_SEPARATOR;

    /// In port style: the ports of this machine that sessions have, four each.
    ports: String = "21000-28999".to_owned(), PORTS;

    /// A file with the certificate that the service shows, in PEM, and those that lead from it to an authority. With it the service
    /// speaks TLS. It is looked at every 30 seconds, and a new one is taken without a restart.
    tls_cert_file: Option<PathBuf> = None, OPTIONAL_PATH;

    /// The file with the private key of that certificate, in PEM.
    tls_private_key_file: Option<PathBuf> = None, OPTIONAL_PATH;

    /// Whether nobody but a proxy (an ingress, a load balancer) can reach the service. Then what it says of its clients in `Forwarded` and
    /// `X-Forwarded-*` is passed on to sandboxes, and the URLs of sessions are `https` (`url_scheme`). It must keep the request's `Host`.
    behind_proxy: bool = false, SWITCH;

    /// A file with a secret of 32 characters or more (`openssl rand -hex 32`), the same for all replicas of the service: what one of them
    /// lets a browser in with, to VS Code and to what a sandbox serves, the others know. When it is not set, each process makes its own,
    /// and browsers are asked for the session's key again after a restart.
    browser_secret_file: Option<PathBuf> = None, OPTIONAL_PATH;

    /// How long a request for a session is held that is starting, or that is paused and the request does not wake.
    hold_starting_seconds: u64 = 30, HOLD_SECONDS;

    /// How long a request is held that wakes a paused session.
    hold_waking_seconds: u64 = 120, HOLD_SECONDS;

    /// Whether a request with the session's key on its URL wakes a paused session.
    wake: bool = true, SWITCH;

    /// Connections at the same time, for each port that is listened on. More wait until one of these ends. Each may need two
    /// descriptors (`ulimit -n`).
    max_connections: u32 = 16_384, CONNECTIONS;

    /// How long the head of a request, or a TLS handshake, may take to arrive. A connection of HTTP/1.1 on which nothing is asked for
    /// as long is closed, too.
    header_timeout_seconds: u64 = 30, SECONDS;

    /// Bytes of the body of a request to the API, at most. What goes to sandboxes may be of any size.
    api_body_bytes: u64 = 4 << 20, BODY;

    /// How long requests may take to be answered once the service was told to end, and upgraded connections (WebSockets) may go on.
    drain_seconds: u64 = 20, HOLD_SECONDS;

    /// Where metrics are served for Prometheus, at `/metrics`, without a key. A port alone is one of this machine. When it is not set,
    /// they are served nowhere.
    metrics_listen: Option<String> = None, OPTIONAL_LISTEN;

    /// How the service writes its log.
    log_format: LogFormat = LogFormat::Text, LOG_FORMAT;

    /// How long the answer to a start, and to a question after a session that starts, is held back for the session to become ready.
    /// Clients ask again every 2 to 10 seconds only; one second makes most sessions ready in the first answer, and is far below
    /// every client's time-out. 0 answers at once.
    hold_milliseconds: u64 = 1000, HOLD;

    /// Who serves sessions that OpenHands' V0 clients ask for, which send the same command for any image: `agent` is Podbay's
    /// agent, in any image, and the command is not run; `image` is the server that the image has. A pattern, in which `*` stands for
    /// any text, names images whose own server is run; with patterns alone, the agent serves the others.
    v0_server: Vec<String> = vec!["agent".to_owned()], TEXTS;

    /// Whether sessions that clients start have a workspace on a persistent claim. Without one they can't be paused, which OpenHands
    /// does with conversations that are closed. On this machine it has no effect: pausing loses nothing there.
    persistent: bool = true, SWITCH;

    /// The owner to whom sessions are shown that belong to nobody, as those that the command line opened. When it is not set,
    /// the service does not show them.
    adopt_unowned: Option<String> = None, OPTIONAL_TEXT;

    /// An API key, for a service with one. It is better given by the variable than in a file.
    api_key: Option<SecretString> = None, OPTIONAL_SECRET, also "PODBAY_API_KEY";

    /// The owner of the sessions that are started with `api_key`, or with the key that is made where none is configured.
    api_key_owner: String = "default".to_owned(), TEXT;

    /// API keys, each with a name, the owner of the sessions that are started with it, and the key's SHA-256 in hexadecimal
    /// (`printf %s "$KEY" | sha256sum`): tables of `name`, `owner` and `sha256`. Several keys may have one owner, so that a key
    /// can be replaced without losing a session. Three fields more may be left out: `namespace` is where the sessions of the key are, and
    /// the only place where it finds any, for which the service needs its rights there, too; `max_sessions` and `starts_per_minute` stand
    /// for this key in place of `max_sessions_per_owner` and `starts_per_minute`.
    keys: Vec<ApiKeyEntry> = Vec::new(), API_KEYS;

    /// A file with more such keys: a JSON list of objects with the fields of `keys`.
    keys_file: Option<PathBuf> = None, OPTIONAL_PATH;

    /// The runtime classes that clients may name, each with the one that their sessions get: the same name, another, or an empty text
    /// for one that is passed over, so that `kubernetes.runtime_class` holds. A name that is not in here is refused. OpenHands' SDK asks
    /// for `sysbox-runc` unless told otherwise.
    runtime_classes: BTreeMap<String, String> = [("sysbox-runc".to_owned(), String::new())].into(), TEXT_TABLE;

    /// How many sessions one owner may have at once in a namespace. Those that are paused or have failed do not count; one that is brought
    /// back does, also by a request. When it is not set, `kubernetes.max_sessions` alone holds. A key may have its own (`keys`).
    max_sessions_per_owner: Option<u32> = None, OPTIONAL_SESSIONS;

    /// How many sessions may be started with one API key in a minute, at each replica. More are answered with 429, which OpenHands' V0
    /// clients try again by themselves. A start of a session that is there does not count. When it is not set, there is no limit.
    starts_per_minute: Option<u32> = None, OPTIONAL_SESSIONS;

    /// A file with the configurations that `GET /api/warm-runtime-configs` tells clients of, in the form of OpenHands' official chart
    /// (`warm-runtimes.json`). It is read at the start. OpenHands' app offers them to its users; nothing is kept warm here.
    warm_runtimes_file: Option<PathBuf> = None, OPTIONAL_PATH;

    /// The registries that are asked whether they have an image (`GET /image_exists`), as images name them: `ghcr.io`, `docker.io`,
    /// `registry.example:5000`. Of images of any other registry it is told that it is not known. Addresses of private networks are not
    /// connected to, whatever name leads there, and redirects are not followed.
    image_registries: Vec<String> = Vec::new(), TEXTS;

    /// The same, for registries whose addresses may be private, or this machine's. One without TLS is `http://HOST:PORT`.
    private_image_registries: Vec<String> = Vec::new(), TEXTS;

    /// A file with names and passwords for registries, as `docker login` writes it (`config.json`, with `auth`). Each is sent to its registry and to where
    /// that has its tokens, if that is the registry itself or in these lists.
    registry_auth_file: Option<PathBuf> = None, OPTIONAL_PATH;

    /// What clients that build images themselves are told to push to (`GET /registry_prefix`), such as `registry.example/team`. When it is
    /// not set, they are told that nothing is built here.
    registry_prefix: Option<String> = None, OPTIONAL_TEXT;

    /// How long a pause waits for actions that run, before the pod goes. OpenHands' app waits 15 seconds for a pause. 0 waits for nothing.
    pause_drain_seconds: u64 = 5, PAUSE_DRAIN;

    /// In path style: all sandboxes are one tenant's, who trusts what runs in each with what the others show. Without it, documents from
    /// sandboxes have an origin of their own, which breaks pages that keep something in the browser.
    trusted_single_tenant: bool = false, SWITCH;

    /// The most that a client may ask its session's resources to be multiplied with. One that asks for more gets this.
    resource_factor_limit: u32 = 8, RESOURCE_FACTOR;
}
