//! The certificates a listener shows, one for each name, and their exchange while connections are up.
//!
//! TLS 1.2 and 1.3 only, authenticated encryption and ephemeral keys only (RFC 9325 §4.2). Nothing is kept for session resumption: no cache that grows, no ticket key to guard. A
//! reconnecting browser pays one signature, and an idle one costs no byte for it.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs as provider;
use rustls::server::{ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedCipherSuite};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};

/// The only application protocol we speak over TLS (RFC 7301); a client that insists on HTTP/2 is told so.
const ALPN: &[u8] = b"http/1.1";
/// All that we speak, best first. Written out, so that a later version of the library cannot add to it.
const CIPHER_SUITES: [SupportedCipherSuite; 9] = [
    provider::cipher_suite::TLS13_AES_256_GCM_SHA384,
    provider::cipher_suite::TLS13_AES_128_GCM_SHA256,
    provider::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    provider::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    provider::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    provider::cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    provider::cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    provider::cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    provider::cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

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

/// Certificates with their keys, in use by any number of listeners.
pub struct Certificates {
    shown: Arc<Shown>,
    config: Arc<ServerConfig>,
}

/// What the next handshake shows: the first certificate for the name that the client asks for, else the first of all.
struct Shown(ArcSwap<Vec<Arc<CertifiedKey>>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let all = self.0.load();
        let name = match (all.as_slice(), hello.server_name()) {
            ([_, _, ..], Some(name)) => ServerName::try_from(name).ok(),
            _ => None,
        };
        let named = name.and_then(|name| all.iter().find(|one| is_for(one, &name)));
        named.or_else(|| all.first()).map(Arc::clone)
    }
}

fn is_for(certified: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let leaf = certified.cert.first().and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
    leaf.is_some_and(|leaf| verify_server_name(&leaf, name).is_ok())
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
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
        let key = provider::sign::any_supported_type(&key).map_err(|reason| error(reason.to_string()))?;
        Self::showing(vec![Arc::new(CertifiedKey::new(vec![made.cert.der().clone()], key))])
    }

    /// Shows `newer`'s certificates from the next handshake on. Open connections do not notice.
    pub fn replace(&self, newer: &Self) {
        self.shown.0.store(newer.shown.0.load_full());
    }

    /// The TLS settings to accept connections with; they follow every [`Certificates::replace`].
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// SHA-256 of the first certificate shown now, as operators compare it: upper case hex, colons between bytes.
    pub fn fingerprint(&self) -> String {
        let shown = self.shown.0.load();
        let leaf = shown.first().and_then(|first| first.cert.first()).map_or(&[][..], |leaf| leaf.as_ref());
        let bytes: Vec<_> = digest(&SHA256, leaf).as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        bytes.join(":")
    }

    fn showing(certified: Vec<Arc<CertifiedKey>>) -> Result<Self, CertificateError> {
        if certified.is_empty() {
            return Err(CertificateError::None);
        }
        let shown = Arc::new(Shown(ArcSwap::from_pointee(certified)));
        let config = Arc::new(server_config(Arc::clone(&shown)).map_err(CertificateError::Setup)?);
        Ok(Self { shown, config })
    }
}

fn server_config(shown: Arc<Shown>) -> Result<ServerConfig, rustls::Error> {
    let provider = CryptoProvider { cipher_suites: CIPHER_SUITES.to_vec(), ..provider::default_provider() };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(shown);
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn certified(files: &CertificateFiles) -> Result<Arc<CertifiedKey>, CertificateError> {
    let CertificateFiles { certificate, key } = files;
    let chain = read_chain(certificate)?;
    let signing_key = provider::sign::any_supported_type(&read_key(key)?)
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

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| CertificateError::Pem { path: path.to_owned(), source })?;
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
