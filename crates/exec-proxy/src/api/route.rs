//! Which of the API's questions a request is: a pure function of its method and target.

use http::Method;

use crate::telemetry::Handler;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Start,
    Session(String),
    /// The sessions of these ids, in their order.
    Batch(Vec<String>),
    Runtime(String),
    Stop,
    Pause,
    Resume,
    List,
    RegistryPrefix,
    ImageExists(Option<String>),
    Build,
    BuildStatus,
    WarmConfigs,
    /// The service lives.
    Alive,
    /// It can tell which sessions there are.
    Ready,
    OpenApi,
}

/// Why there is nothing to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoute {
    /// The API has no such path.
    Unknown,
    /// It has, with this method.
    Method(&'static str),
    /// An id in it is no text.
    Encoding,
}

impl Route {
    /// What a request asks. One slash at the end of a path means nothing: V0's clients put what is configured before their
    /// paths as it is.
    pub(crate) fn find(method: &Method, path: &str, query: Option<&str>) -> Result<Self, NoRoute> {
        let get = |route| on(method, &Method::GET, "GET, HEAD", route);
        let post = |route| on(method, &Method::POST, "POST", route);
        let path = path
            .strip_suffix('/')
            .filter(|path| !path.is_empty())
            .unwrap_or(path);
        match path {
            "/start" => post(Self::Start),
            "/stop" => post(Self::Stop),
            "/pause" => post(Self::Pause),
            "/resume" => post(Self::Resume),
            "/list" => get(Self::List),
            "/registry_prefix" => get(Self::RegistryPrefix),
            "/image_exists" => get(Self::ImageExists(values(query, "image")?.into_iter().next())),
            "/build" => post(Self::Build),
            "/build_status" => get(Self::BuildStatus),
            "/api/warm-runtime-configs" => get(Self::WarmConfigs),
            "/alive" | "/health" => get(Self::Alive),
            "/ready" => get(Self::Ready),
            "/openapi.json" => get(Self::OpenApi),
            // Before the sessions: no client's id is lost by it, since an id named so would be asked for below `ids`, too.
            "/sessions/batch" => get(Self::Batch(values(query, "ids")?)),
            _ => {
                if let Some(id) = path.strip_prefix("/sessions/") {
                    return get(Self::Session(decoded(id)?));
                }
                match path.strip_prefix("/runtime/") {
                    Some(id) => get(Self::Runtime(decoded(id)?)),
                    None => Err(NoRoute::Unknown),
                }
            }
        }
    }

    /// What figures call it.
    pub(crate) const fn handler(&self) -> Handler {
        Handler(match self {
            Self::Start => "start",
            Self::Session(_) => "session",
            Self::Batch(_) => "sessions",
            Self::Runtime(_) => "runtime",
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::List => "list",
            Self::RegistryPrefix => "registry_prefix",
            Self::ImageExists(_) => "image_exists",
            Self::Build => "build",
            Self::BuildStatus => "build_status",
            Self::WarmConfigs => "warm_runtime_configs",
            Self::Alive | Self::Ready => "health",
            Self::OpenApi => "openapi",
        })
    }

    /// Whether it is answered to those without a key.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self, Self::Alive | Self::Ready | Self::OpenApi)
    }
}

/// The route, if the method is its own; `HEAD` asks what `GET` does (RFC 9110, 9.3.2).
fn on(method: &Method, own: &Method, allowed: &'static str, route: Route) -> Result<Route, NoRoute> {
    if method == own || (method == Method::HEAD && own == Method::GET) {
        Ok(route)
    } else {
        Err(NoRoute::Method(allowed))
    }
}

/// The values of a parameter, in their order; `ids=a,b` is one value, as clients repeat the parameter.
fn values(query: Option<&str>, name: &str) -> Result<Vec<String>, NoRoute> {
    let pairs = query
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| decoded(&value.replace('+', " ")))
        .collect()
}

/// Takes the percent-encoding away (RFC 3986, 2.1).
fn decoded(text: &str) -> Result<String, NoRoute> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(byte) = rest.next() {
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digit = |digit: Option<&u8>| digit.and_then(|digit| char::from(*digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err(NoRoute::Encoding);
        };
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| NoRoute::Encoding)?);
    }
    String::from_utf8(bytes).map_err(|_| NoRoute::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(method: &str, target: &str) -> Result<Route, NoRoute> {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        Route::find(&method.parse().unwrap(), path, query)
    }

    #[test]
    fn each_question_has_its_path() {
        let id = || "3DcnEd0iex2KcChdCDEeuf".to_owned();
        for (method, target, route) in [
            ("POST", "/start", Route::Start),
            ("POST", "/start/", Route::Start),
            ("GET", "/sessions/3DcnEd0iex2KcChdCDEeuf", Route::Session(id())),
            ("GET", "/sessions/a%20b%2Fc", Route::Session("a b/c".to_owned())),
            (
                "GET",
                "/sessions/batch?ids=b&ids=a&x=1",
                Route::Batch(vec!["b".to_owned(), "a".to_owned()]),
            ),
            ("GET", "/sessions/batch", Route::Batch(Vec::new())),
            ("GET", "/sessions/batches", Route::Session("batches".to_owned())),
            ("GET", "/runtime/null", Route::Runtime("null".to_owned())),
            ("POST", "/stop", Route::Stop),
            ("POST", "/pause", Route::Pause),
            ("POST", "/resume", Route::Resume),
            ("GET", "/list", Route::List),
            ("GET", "/registry_prefix", Route::RegistryPrefix),
            (
                "GET",
                "/image_exists?image=ghcr.io%2Fa%2Fb%3A1",
                Route::ImageExists(Some("ghcr.io/a/b:1".to_owned())),
            ),
            ("GET", "/image_exists", Route::ImageExists(None)),
            ("POST", "/build", Route::Build),
            ("GET", "/build_status?build_id=1", Route::BuildStatus),
            ("GET", "/api/warm-runtime-configs", Route::WarmConfigs),
            ("HEAD", "/alive", Route::Alive),
            ("GET", "/health", Route::Alive),
            ("GET", "/ready", Route::Ready),
            ("GET", "/openapi.json", Route::OpenApi),
        ] {
            assert_eq!(find(method, target), Ok(route), "{method} {target}");
        }
    }

    #[test]
    fn all_else_is_nothing() {
        for target in [
            "/",
            "",
            "//start",
            "/Start",
            "/start/x",
            "/sessions",
            "/api",
            "/runtimes/a",
        ] {
            assert_eq!(find("GET", target), Err(NoRoute::Unknown), "{target}");
        }
        assert_eq!(find("GET", "/start"), Err(NoRoute::Method("POST")));
        assert_eq!(find("POST", "/list"), Err(NoRoute::Method("GET, HEAD")));
        for target in [
            "/sessions/%",
            "/sessions/%zz",
            "/runtime/%ff",
            "/sessions/batch?ids=%c3",
        ] {
            assert_eq!(find("GET", target), Err(NoRoute::Encoding), "{target}");
        }
    }

    #[test]
    fn what_tells_nothing_of_sessions_needs_no_key() {
        for (target, open) in [
            ("/alive", true),
            ("/health", true),
            ("/ready", true),
            ("/openapi.json", true),
            ("/list", false),
            ("/registry_prefix", false),
            ("/sessions/a", false),
        ] {
            assert_eq!(find("GET", target).unwrap().is_open(), open, "{target}");
        }
    }
}
