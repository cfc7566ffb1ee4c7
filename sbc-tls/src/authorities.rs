//! Whom we believe about the certificates of others.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;

use crate::certificates::{CertificateError, read_certificates};

/// Certificate authorities; a certificate that one of them signed is believed.
#[derive(Debug, Clone)]
pub struct Authorities(pub(crate) Arc<RootCertStore>);

impl Authorities {
    /// Reads the authorities' own certificates, such as a carrier's or the system's bundle.
    ///
    /// # Errors
    /// A [`CertificateError`] that names the file and what is wrong with it.
    pub fn from_file(path: &Path) -> Result<Self, CertificateError> {
        let mut store = RootCertStore::empty();
        for certificate in read_certificates(path)? {
            store
                .add(certificate)
                .map_err(|source| CertificateError::BadCertificate { path: path.to_owned(), source })?;
        }
        if store.is_empty() {
            return Err(CertificateError::NoAuthority { path: path.to_owned() });
        }
        Ok(Self(Arc::new(store)))
    }
}
