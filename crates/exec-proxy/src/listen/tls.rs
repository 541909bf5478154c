//! TLS with a certificate of one's own, which may be replaced while the service runs.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{Error as RustlsError, ServerConfig};

/// How often the files are looked at: certificates are replaced days before they expire.
const LOOK: Duration = Duration::from_secs(30);

/// The files with a certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those that lead from it to an authority, in this order.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why the files can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file can't be read.
    #[error("{} can't be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        #[source]
        source: io::Error,
    },
    /// There is no certificate in the file.
    #[error("{} holds no certificate in PEM", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no private key in the file.
    #[error("{} holds no private key in PEM", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The two don't belong together, or are of a kind that is not supported.
    #[error("the certificate in {} can't be used with its key", path.display())]
    Unusable {
        /// The file with the certificate.
        path: PathBuf,
        /// What was met.
        #[source]
        source: RustlsError,
    },
}

/// A certificate, and the newest there is.
pub struct Tls {
    files: TlsFiles,
    current: Mutex<Loaded>,
}

struct Loaded {
    /// What the files held.
    texts: [Vec<u8>; 2],
    config: Arc<ServerConfig>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files, and looks at them again now and then. Within a tokio runtime.
    pub async fn load(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let texts = read(&files).await?;
        let config = configure(&files, &texts)?;
        let tls = Arc::new(Self {
            files,
            current: Mutex::new(Loaded { texts, config }),
        });
        tokio::spawn(keep_new(Arc::downgrade(&tls)));
        Ok(tls)
    }

    /// Takes what the files hold now, for connections that come from now on. Says whether that differs. What can't be used leaves
    /// things as they are: while files are being replaced they may not fit together.
    pub async fn reload(&self) -> Result<bool, TlsError> {
        let texts = read(&self.files).await?;
        if self.lock().texts == texts {
            return Ok(false);
        }
        let config = configure(&self.files, &texts)?;
        *self.lock() = Loaded { texts, config };
        Ok(true)
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.lock().config))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Loaded> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn keep_new(tls: Weak<Tls>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(tls) = tls.upgrade() else { return };
        match tls.reload().await {
            Ok(true) => {
                let certificate = tls.files.certificate.display();
                tracing::info!(%certificate, "the certificate was replaced");
            }
            Ok(false) => {}
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, source, "the new certificate can't be used; the last one stays");
            }
        }
    }
}

async fn read(files: &TlsFiles) -> Result<[Vec<u8>; 2], TlsError> {
    let files = files.clone();
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| TlsError::Read {
            path: path.to_owned(),
            source,
        })
    };
    let certificate = files.certificate.clone();
    let both = tokio::task::spawn_blocking(move || Ok([read(&files.certificate)?, read(&files.key)?])).await;
    both.unwrap_or_else(|error| {
        Err(TlsError::Read {
            path: certificate,
            source: io::Error::other(error),
        })
    })
}

fn configure(files: &TlsFiles, [certificate, key]: &[Vec<u8>; 2]) -> Result<Arc<ServerConfig>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| TlsError::NoCertificate {
        path: files.certificate.clone(),
    })?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::NoKey {
        path: files.key.clone(),
    })?;
    let made = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = made.map_err(|source| TlsError::Unusable {
        path: files.certificate.clone(),
        source,
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
