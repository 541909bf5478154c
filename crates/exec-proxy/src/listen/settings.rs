//! What the settings say of listeners.

use std::sync::Arc;
use std::time::Duration;

use podbay_config::ServeConfig;

use super::{Limits, Listening, Tls, TlsError, TlsFiles};

impl Limits {
    /// As the settings have them.
    pub fn of(config: &ServeConfig) -> Self {
        let (usual, grace) = (Self::default(), Duration::from_secs(config.drain_seconds));
        Self {
            connections: usize::try_from(config.max_connections).unwrap_or(usize::MAX),
            header_time: Duration::from_secs(config.header_timeout_seconds),
            grace,
            linger: usual.linger.min(grace / 2),
            ..usual
        }
    }
}

impl TlsFiles {
    /// Those that the settings name: both, or none.
    pub fn of(config: &ServeConfig) -> Option<Self> {
        Some(Self {
            certificate: config.tls_cert_file.clone()?,
            key: config.tls_private_key_file.clone()?,
        })
    }
}

impl Listening {
    /// As the settings have it. Reads the certificate, where there is one. Within a tokio runtime.
    pub async fn of(config: &ServeConfig) -> Result<Self, TlsError> {
        let tls: Option<Arc<Tls>> = match TlsFiles::of(config) {
            Some(files) => Some(Tls::load(files).await?),
            None => None,
        };
        Ok(Self {
            behind_proxy: config.behind_proxy,
            tls,
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_those_of_the_settings() {
        let usual = Limits::of(&ServeConfig::default());
        let (built_in, config) = (Limits::default(), ServeConfig::default());
        assert_eq!(usual.connections, built_in.connections);
        assert_eq!(usual.header_time, built_in.header_time);
        assert_eq!(usual.grace, built_in.grace);
        let limits = Limits::of(&ServeConfig {
            max_connections: 7,
            header_timeout_seconds: 8,
            drain_seconds: 9,
            ..config
        });
        assert_eq!(limits.connections, 7);
        assert_eq!(limits.header_time, Duration::from_secs(8));
        assert_eq!(limits.grace, Duration::from_secs(9));
    }

    #[tokio::test]
    async fn a_certificate_and_a_proxy_are_those_of_the_settings() {
        let plain = Listening::of(&ServeConfig::default()).await.unwrap();
        assert!(plain.tls.is_none() && !plain.behind_proxy && plain.target.is_none());
        let directory = tempfile::tempdir().unwrap();
        let config = ServeConfig {
            tls_cert_file: Some(directory.path().join("tls.crt")),
            tls_private_key_file: Some(directory.path().join("tls.key")),
            behind_proxy: true,
            ..ServeConfig::default()
        };
        let missing = Listening::of(&config).await.unwrap_err();
        assert!(matches!(missing, TlsError::Read { .. }), "{missing}");
        let made = rcgen::generate_simple_self_signed(["run.example".to_owned()]).unwrap();
        std::fs::write(directory.path().join("tls.crt"), made.cert.pem()).unwrap();
        std::fs::write(directory.path().join("tls.key"), made.signing_key.serialize_pem()).unwrap();
        let listening = Listening::of(&config).await.unwrap();
        assert!(listening.tls.is_some() && listening.behind_proxy);
    }
}
