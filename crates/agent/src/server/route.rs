//! Which resource a request is about: one function of its method and path.

use http::Method;
use podbay_protocol::ProcessId;
use podbay_protocol::agent::path::{self, ProcessPart};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Alive,
    ServerInfo,
    Proof,
    Figures,
    Hold,
    ListProcesses,
    StartProcess(ProcessId),
    ShowProcess(ProcessId),
    ForgetProcess(ProcessId),
    Output(ProcessId),
    Acknowledge(ProcessId),
    WriteStdin(ProcessId),
    CloseStdin(ProcessId),
    Signal(ProcessId),
    Resize(ProcessId),
    Terminal(ProcessId),
    ReadFile,
    WriteFile,
    Stat,
    List,
    MakeDirectory,
    Remove,
    Move,
    ShowTransfer,
    AbandonTransfer,
    PackTree,
    UnpackTree,
    ExecuteAction,
    UploadFile,
    DownloadFiles,
    ListFiles,
    VscodeToken,
    UpdateMcpServers,
}

/// Why there is nothing to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoRoute {
    /// The path is none of the API's.
    Unknown,
    /// The path has these methods, and not the one that was used.
    Method(&'static str),
    /// A part of the path is no id of a process.
    Id(String),
}

impl Route {
    /// Finds what a request is about. The path is taken as it is: nothing is decoded, `.` and `//` mean nothing.
    pub(super) fn find(method: &Method, path: &str) -> Result<Self, NoRoute> {
        let get = |route| on(method, "GET, HEAD", &[(&Method::GET, route)]);
        let post = |route| on(method, "POST", &[(&Method::POST, route)]);
        match path {
            path::ALIVE => get(Self::Alive),
            path::SERVER_INFO => get(Self::ServerInfo),
            path::PROOF => post(Self::Proof),
            path::FIGURES => get(Self::Figures),
            path::HOLD => on(method, "PUT", &[(&Method::PUT, Self::Hold)]),
            path::PROCESSES => get(Self::ListProcesses),
            path::FILES => on(
                method,
                "GET, HEAD, PUT",
                &[(&Method::GET, Self::ReadFile), (&Method::PUT, Self::WriteFile)],
            ),
            path::STAT => get(Self::Stat),
            path::LIST => get(Self::List),
            path::MAKE_DIRECTORY => post(Self::MakeDirectory),
            path::REMOVE => post(Self::Remove),
            path::MOVE => post(Self::Move),
            path::TRANSFER => on(
                method,
                "GET, HEAD, DELETE",
                &[
                    (&Method::GET, Self::ShowTransfer),
                    (&Method::DELETE, Self::AbandonTransfer),
                ],
            ),
            path::TREES => on(
                method,
                "GET, HEAD, PUT",
                &[(&Method::GET, Self::PackTree), (&Method::PUT, Self::UnpackTree)],
            ),
            path::EXECUTE_ACTION => post(Self::ExecuteAction),
            action_path::UPLOAD => post(Self::UploadFile),
            action_path::DOWNLOAD => get(Self::DownloadFiles),
            action_path::LIST => post(Self::ListFiles),
            action_path::VSCODE_TOKEN => get(Self::VscodeToken),
            action_path::UPDATE_MCP => post(Self::UpdateMcpServers),
            _ => Self::find_process(method, path),
        }
    }

    fn find_process(method: &Method, path: &str) -> Result<Self, NoRoute> {
        let below = path
            .strip_prefix(path::PROCESSES)
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or(NoRoute::Unknown)?;
        let (id, part) = match below.split_once('/') {
            None => (below, None),
            Some((id, segment)) => {
                let part = ProcessPart::ALL
                    .into_iter()
                    .find(|part| part.segment() == segment);
                (id, Some(part.ok_or(NoRoute::Unknown)?))
            }
        };
        let id: ProcessId = id
            .parse()
            .map_err(|error: podbay_protocol::process::InvalidProcessId| NoRoute::Id(error.to_string()))?;
        match part {
            None => on(
                method,
                "GET, HEAD, PUT, DELETE",
                &[
                    (&Method::GET, Self::ShowProcess(id.clone())),
                    (&Method::PUT, Self::StartProcess(id.clone())),
                    (&Method::DELETE, Self::ForgetProcess(id)),
                ],
            ),
            Some(ProcessPart::Output) => on(method, "GET, HEAD", &[(&Method::GET, Self::Output(id))]),
            Some(ProcessPart::Acknowledged) => on(method, "POST", &[(&Method::POST, Self::Acknowledge(id))]),
            Some(ProcessPart::Stdin) => on(
                method,
                "POST, DELETE",
                &[
                    (&Method::POST, Self::WriteStdin(id.clone())),
                    (&Method::DELETE, Self::CloseStdin(id)),
                ],
            ),
            Some(ProcessPart::Signal) => on(method, "POST", &[(&Method::POST, Self::Signal(id))]),
            Some(ProcessPart::Size) => on(method, "POST", &[(&Method::POST, Self::Resize(id))]),
            // There is no head of it without the rest.
            Some(ProcessPart::Terminal) if method == Method::GET => Ok(Self::Terminal(id)),
            Some(ProcessPart::Terminal) => Err(NoRoute::Method("GET")),
        }
    }

    /// Whether it is answered to those without the key.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self, Self::Alive | Self::ServerInfo | Self::Proof)
    }

    /// Whether who asks this uses the sandbox, and does not only look whether it is used.
    pub(super) const fn is_use(&self) -> bool {
        !self.is_open() && !matches!(self, Self::Figures | Self::Hold)
    }

    /// Whether it is of OpenHands' own, whose clients read errors in another form.
    pub(super) const fn is_action(&self) -> bool {
        matches!(
            self,
            Self::ExecuteAction
                | Self::UploadFile
                | Self::DownloadFiles
                | Self::ListFiles
                | Self::VscodeToken
                | Self::UpdateMcpServers
        )
    }
}

/// Where OpenHands' clients look for what else its server of actions has.
mod action_path {
    pub(super) const UPLOAD: &str = "/upload_file";
    pub(super) const DOWNLOAD: &str = "/download_files";
    pub(super) const LIST: &str = "/list_files";
    pub(super) const VSCODE_TOKEN: &str = "/vscode/connection_token";
    pub(super) const UPDATE_MCP: &str = "/update_mcp_server";
}

/// The route of a method; `HEAD` is asked what `GET` is (RFC 9110, 9.3.2).
fn on(method: &Method, allowed: &'static str, routes: &[(&Method, Route)]) -> Result<Route, NoRoute> {
    let method = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let found = routes.iter().find(|(one, _)| *one == method);
    found
        .map(|(_, route)| route.clone())
        .ok_or(NoRoute::Method(allowed))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn find(method: &str, path: &str) -> Result<Route, NoRoute> {
        Route::find(&method.parse().unwrap(), path)
    }

    /// Each method and path, and what it is about.
    fn routes() -> Vec<(&'static str, &'static str, Route)> {
        let id: ProcessId = "p-1".parse().unwrap();
        vec![
            ("GET", "/alive", Route::Alive),
            ("HEAD", "/alive", Route::Alive),
            ("GET", "/server_info", Route::ServerInfo),
            ("POST", "/podbay/v1/proof", Route::Proof),
            ("GET", "/podbay/v1/figures", Route::Figures),
            ("PUT", "/podbay/v1/hold", Route::Hold),
            ("GET", "/podbay/v1/processes", Route::ListProcesses),
            ("PUT", "/podbay/v1/processes/p-1", Route::StartProcess(id.clone())),
            ("GET", "/podbay/v1/processes/p-1", Route::ShowProcess(id.clone())),
            (
                "DELETE",
                "/podbay/v1/processes/p-1",
                Route::ForgetProcess(id.clone()),
            ),
            (
                "GET",
                "/podbay/v1/processes/p-1/output",
                Route::Output(id.clone()),
            ),
            (
                "POST",
                "/podbay/v1/processes/p-1/acknowledged",
                Route::Acknowledge(id.clone()),
            ),
            (
                "POST",
                "/podbay/v1/processes/p-1/stdin",
                Route::WriteStdin(id.clone()),
            ),
            (
                "DELETE",
                "/podbay/v1/processes/p-1/stdin",
                Route::CloseStdin(id.clone()),
            ),
            (
                "POST",
                "/podbay/v1/processes/p-1/signal",
                Route::Signal(id.clone()),
            ),
            ("POST", "/podbay/v1/processes/p-1/size", Route::Resize(id.clone())),
            ("GET", "/podbay/v1/processes/p-1/terminal", Route::Terminal(id)),
            ("GET", "/podbay/v1/files", Route::ReadFile),
            ("PUT", "/podbay/v1/files", Route::WriteFile),
            ("GET", "/podbay/v1/files/stat", Route::Stat),
            ("GET", "/podbay/v1/files/list", Route::List),
            ("POST", "/podbay/v1/files/mkdir", Route::MakeDirectory),
            ("POST", "/podbay/v1/files/remove", Route::Remove),
            ("POST", "/podbay/v1/files/move", Route::Move),
            ("GET", "/podbay/v1/files/transfer", Route::ShowTransfer),
            ("DELETE", "/podbay/v1/files/transfer", Route::AbandonTransfer),
            ("GET", "/podbay/v1/trees", Route::PackTree),
            ("PUT", "/podbay/v1/trees", Route::UnpackTree),
            ("POST", "/execute_action", Route::ExecuteAction),
            ("POST", "/upload_file", Route::UploadFile),
            ("GET", "/download_files", Route::DownloadFiles),
            ("POST", "/list_files", Route::ListFiles),
            ("GET", "/vscode/connection_token", Route::VscodeToken),
            ("POST", "/update_mcp_server", Route::UpdateMcpServers),
        ]
    }

    #[test]
    fn each_resource_has_its_path() {
        for (method, path, route) in routes() {
            let found = find(method, path);
            let open = ["/alive", "/server_info", "/podbay/v1/proof"].contains(&path);
            assert_eq!(found.as_ref().map(Route::is_open), Ok(open), "{path}");
            assert_eq!(found, Ok(route), "{method} {path}");
        }
    }

    /// `openapi.json` is generated from the protocol's types, beside which the operations are listed by hand.
    #[test]
    fn the_description_in_openapi_has_these_routes_and_no_others() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let document: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let mut described = 0;
        for (path, methods) in document["paths"].as_object().unwrap() {
            let concrete = path.replace("{id}", "p-1");
            let methods = methods.as_object().unwrap();
            let mut allowed = Vec::new();
            for (method, operation) in methods.iter().filter(|(method, _)| *method != "parameters") {
                let method = method.to_uppercase();
                let route = find(&method, &concrete).unwrap();
                let is_open = operation["security"] == serde_json::json!([]);
                assert_eq!(route.is_open(), is_open, "{method} {path}");
                described += 1;
                allowed.push(method);
            }
            // What else the path answers is HEAD.
            let Err(NoRoute::Method(answered)) = find("PATCH", &concrete) else {
                panic!("{path} answers PATCH")
            };
            let mut answered: Vec<&str> = answered.split(", ").filter(|method| *method != "HEAD").collect();
            answered.sort_unstable();
            allowed.sort_unstable();
            assert_eq!(answered, allowed, "{path}");
        }
        let is_native =
            |path: &str| path.starts_with("/podbay/") || ["/alive", "/server_info"].contains(&path);
        let native = routes()
            .into_iter()
            .filter(|(method, path, _)| *method != "HEAD" && is_native(path));
        assert_eq!(described, native.count());
    }

    #[test]
    fn all_else_is_nothing() {
        for path in [
            "/",
            "",
            "*",
            "/alive/",
            "//alive",
            "/podbay/v1/processes/",
            "/podbay/v1/processes/a/b",
            "/podbay/v1/processes/a/output/",
            "/podbay/v1/files/../proof",
            "/podbay/v2/files",
            "/podbay/v1/processesx",
        ] {
            let found = find("GET", path);
            assert!(
                matches!(found, Err(NoRoute::Unknown | NoRoute::Id(_))),
                "{path}: {found:?}"
            );
        }
        assert_eq!(find("POST", "/alive"), Err(NoRoute::Method("GET, HEAD")));
        assert!(matches!(
            find("PATCH", "/podbay/v1/processes/a"),
            Err(NoRoute::Method(_))
        ));
        for id in ["a%2Fb", "..", "é", &"x".repeat(65)] {
            let path = format!("/podbay/v1/processes/{id}/output");
            assert!(matches!(find("GET", &path), Err(NoRoute::Id(_))), "{id}");
        }
    }

    proptest! {
        #[test]
        fn only_three_paths_are_open(method in "(GET|POST|PUT|HEAD|DELETE|X)", path in "(/alive|/server_info|/podbay/v1/proof|/podbay/v1/[a-z]{0,9}|/[ -~]{0,20}){1,2}") {
            let open = matches!(find(&method, &path), Ok(route) if route.is_open());
            let named = ["/alive", "/server_info", "/podbay/v1/proof"].contains(&path.as_str());
            prop_assert!(!open || named);
        }
    }
}
