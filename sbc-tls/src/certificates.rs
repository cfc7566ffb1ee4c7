//! The certificates that we show, one for each name.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};

/// Why a certificate cannot be used. Each names the file that has to be changed.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file could not be read.
    #[error("{path}: cannot be read: {source}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no PEM, or its sections are damaged.
    #[error("{path}: is not sound PEM: {source}", path = path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// The file holds no certificate.
    #[error("{path}: holds no \"-----BEGIN CERTIFICATE-----\" section; the server's certificate must come first, \
             then the intermediates", path = path.display())]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// The first certificate of the file is none.
    #[error("{path}: its first certificate cannot be used: {source}", path = path.display())]
    BadCertificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// The file holds no private key.
    #[error("{path}: holds no private key; right would be an unencrypted \"-----BEGIN PRIVATE KEY-----\" \
             (PKCS #8), \"EC PRIVATE KEY\" or \"RSA PRIVATE KEY\" section", path = path.display())]
    NoKey {
        /// Which file.
        path: PathBuf,
    },
    /// The private key is of a kind or size that TLS cannot use.
    #[error("{path}: its private key cannot be used: {source}", path = path.display())]
    BadKey {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// Key and certificate do not belong together.
    #[error("{key}: is not the private key of the first certificate in {certificate}",
            key = key.display(), certificate = certificate.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// No self-signed certificate can be made for these names.
    #[error("a self-signed certificate for {names:?} cannot be made: {reason}")]
    SelfSigned {
        /// The names asked for.
        names: Vec<String>,
        /// What is wrong with them.
        reason: String,
    },
    /// The file that says whom to trust names nobody.
    #[error("{path}: holds no \"-----BEGIN CERTIFICATE-----\" section of an authority", path = path.display())]
    NoAuthority {
        /// Which file.
        path: PathBuf,
    },
    /// There is no certificate at all.
    #[error("no certificate is named; right would be one chain with its key at least")]
    None,
    /// The TLS library refused its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

/// Where a certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// A PEM chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// Its unencrypted PEM key.
    pub key: PathBuf,
}

/// Certificates with their keys. A handshake shows the first one for the name that the client asks for, else the first
/// of all.
pub struct Certificates(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = match (self.0.as_slice(), hello.server_name()) {
            ([_, _, ..], Some(name)) => ServerName::try_from(name).ok(),
            _ => None,
        };
        let named = name.and_then(|name| self.0.iter().find(|one| is_for(one, &name)).map(Arc::clone));
        named.or_else(|| self.first())
    }
}

fn is_for(certified: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let leaf = certified.cert.first().and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
    leaf.is_some_and(|leaf| verify_server_name(&leaf, name).is_ok())
}

impl fmt::Debug for Certificates {
    /// Shows the fingerprint, never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificates").field(&self.fingerprint()).finish()
    }
}

impl Certificates {
    /// Reads certificates with their keys. The first is shown to clients that ask for a name of none of them.
    ///
    /// # Errors
    /// A [`CertificateError`] that names the file and what is wrong with it. The validity period is not judged: an
    /// expired certificate is better than no service, and every client will say so.
    pub fn from_files(files: &[CertificateFiles]) -> Result<Self, CertificateError> {
        Self::showing(files.iter().map(certified).collect::<Result<_, _>>()?)
    }

    /// Makes a key and a self-signed certificate for DNS names or IP addresses. Load balancers accept it, browsers
    /// do not.
    ///
    /// # Errors
    /// [`CertificateError::SelfSigned`] when a name cannot stand in a certificate.
    pub fn self_signed(names: &[String]) -> Result<Self, CertificateError> {
        let error = |reason: String| CertificateError::SelfSigned { names: names.to_vec(), reason };
        let made = rcgen::generate_simple_self_signed(names).map_err(|reason| error(reason.to_string()))?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let key = any_supported_type(&key).map_err(|reason| error(reason.to_string()))?;
        Self::showing(vec![Arc::new(CertifiedKey::new(vec![made.cert.der().clone()], key))])
    }

    /// SHA-256 of the first certificate, as operators compare it: upper case hex, colons between bytes.
    pub fn fingerprint(&self) -> String {
        let first = self.0.first().and_then(|first| first.cert.first());
        let leaf = first.map_or(&[][..], |leaf| leaf.as_ref());
        let bytes: Vec<_> = digest(&SHA256, leaf).as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        bytes.join(":")
    }

    pub(crate) fn first(&self) -> Option<Arc<CertifiedKey>> {
        self.0.first().map(Arc::clone)
    }

    fn showing(certified: Vec<Arc<CertifiedKey>>) -> Result<Self, CertificateError> {
        if certified.is_empty() { Err(CertificateError::None) } else { Ok(Self(certified)) }
    }
}

fn certified(files: &CertificateFiles) -> Result<Arc<CertifiedKey>, CertificateError> {
    let CertificateFiles { certificate, key } = files;
    let chain = read_chain(certificate)?;
    let signing_key = any_supported_type(&read_key(key)?)
        .map_err(|source| CertificateError::BadKey { path: key.clone(), source })?;
    let certified = CertifiedKey::new(chain, signing_key);
    match certified.keys_match() {
        // A key whose public half is not known to the library cannot be compared; handshakes will tell.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(Arc::new(certified))
        }
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(CertificateError::Mismatch { certificate: certificate.clone(), key: key.clone() })
        }
        Err(source) => Err(CertificateError::BadCertificate { path: certificate.clone(), source }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::Read { path: path.to_owned(), source })
}

/// All certificates of a file.
pub(crate) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let certificates = CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<_, _>>();
    certificates.map_err(|source| CertificateError::Pem { path: path.to_owned(), source })
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain = read_certificates(path)?;
    let leaf = chain.first().ok_or_else(|| CertificateError::NoCertificate { path: path.to_owned() })?;
    ParsedCertificate::try_from(leaf)
        .map_err(|source| CertificateError::BadCertificate { path: path.to_owned(), source })?;
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|source| match source {
        pem::Error::NoItemsFound => CertificateError::NoKey { path: path.to_owned() },
        source => CertificateError::Pem { path: path.to_owned(), source },
    })
}
