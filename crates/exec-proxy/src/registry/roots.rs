//! The authorities that this machine trusts.

use std::path::PathBuf;

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

/// The variable that names another file, as OpenSSL and others have it.
const VARIABLE: &str = "SSL_CERT_FILE";
/// Where systems keep them in one file: Debian and Alpine, Fedora, openSUSE.
const FILES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];

/// Those of the first file that has any. None is no failure: what speaks TLS can't be asked then, and says so.
pub(super) fn roots() -> RootCertStore {
    let named = std::env::var_os(VARIABLE).filter(|file| !file.is_empty());
    let files = match named {
        Some(file) => vec![PathBuf::from(file)],
        None => FILES.map(PathBuf::from).to_vec(),
    };
    let store = of(&files);
    if store.is_empty() {
        tracing::debug!(
            ?files,
            "no authority is trusted: registries that speak TLS can't be asked"
        );
    }
    store
}

fn of(files: &[PathBuf]) -> RootCertStore {
    let mut store = RootCertStore::empty();
    for file in files {
        let Ok(read) = CertificateDer::pem_file_iter(file) else {
            continue;
        };
        // Old ones that can't be read are passed over.
        store.add_parsable_certificates(read.filter_map(Result::ok));
        if !store.is_empty() {
            break;
        }
    }
    store
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_file_with_certificates_counts() {
        let directory = tempfile::tempdir().unwrap();
        let [none, empty, full] = ["none", "empty", "full"].map(|name| directory.path().join(name));
        std::fs::write(&empty, "# nothing\n").unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["ca.example".to_owned()]).unwrap();
        std::fs::write(&full, made.cert.pem()).unwrap();
        assert_eq!(of(&[none.clone(), empty, full.clone()]).len(), 1);
        assert!(of(&[none]).is_empty());
    }
}
