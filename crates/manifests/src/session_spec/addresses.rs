//! Where a session is reached.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::SessionSpec;

impl SessionSpec {
    /// Where VS Code of this session opens in a browser, if it was asked for. Without an Ingress or a route it is
    /// an address inside the cluster. `token` is the connection token that the session's server gives out.
    pub fn vscode_url(&self, token: Option<&str>) -> Option<String> {
        let exposure = self.exposure.as_ref()?;
        let server = self.server.as_ref().filter(|server| server.vscode)?;
        let names = self.names();
        let base = match &exposure.public {
            Some(public) => format!("{}://{}", public.scheme(), public.code_host(&names)),
            None => self.in_cluster(
                &names.code_service(),
                server.vscode_port,
                exposure.cluster_domain.as_str(),
            ),
        };
        let folder = percent_encoded(self.workspace_mount_path().as_str());
        let token = token
            .map(|token| format!("tkn={}&", percent_encoded(token)))
            .unwrap_or_default();
        Some(format!("{base}/?{token}folder={folder}"))
    }

    /// The addresses of the session's ports, that of its server only where it was asked for. Without an Ingress or a
    /// route they are addresses inside the cluster.
    pub fn web_hosts(&self) -> BTreeMap<String, u16> {
        let Some(exposure) = &self.exposure else {
            return BTreeMap::new();
        };
        let names = self.names();
        let url = |port: u16| match &exposure.public {
            Some(public) => format!("{}://{}", public.scheme(), public.port_host(&names, port)),
            None => self.in_cluster(&names.service(), port, exposure.cluster_domain.as_str()),
        };
        exposure.hosted().map(|port| (url(port), port)).collect()
    }

    /// Where the session's server is reached in the cluster: the address of its Service. `None` for a session without a
    /// server, and for one that was opened when a server alone had no Service.
    pub fn server_url(&self) -> Option<String> {
        let server = self.server.as_ref()?;
        let domain = self.exposure.as_ref()?.cluster_domain.as_str();
        Some(self.in_cluster(&self.names().service(), server.port, domain))
    }

    fn in_cluster(&self, service: &str, port: u16, cluster_domain: &str) -> String {
        format!(
            "http://{service}.{}.svc.{cluster_domain}:{port}",
            self.namespace()
        )
    }
}

/// RFC 3986, as a value in a query. A slash may stand there, and does in OpenHands' addresses.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a `String` can't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_value_is_encoded() {
        assert_eq!(percent_encoded("/workspace/a_b-1.~"), "/workspace/a_b-1.~");
        assert_eq!(percent_encoded("a b&c=d#ä"), "a%20b%26c%3Dd%23%C3%A4");
    }
}
