//! What a `[[listener]]` says about TLS: its certificates, and the names it answers to.

use std::path::Path;
use std::sync::Arc;

use sbc_tls::{Authorities, CertificateFiles, Certificates, ServerNamePattern};

use super::document::{Keys, Section, Value};
use super::listener::{MOST_ITEMS, file};

/// Most certificates of one listener.
const MOST_CERTIFICATES: usize = 64;
const PAIR_KEYS: Keys = Keys { known: &["certificate", "private_key"], later: &[] };

/// TLS of one listener.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    /// Read from the files; `None`: self-signed, made at start with a warning.
    pub certificates: Option<Arc<Certificates>>,
    /// Names that clients may ask for; empty: any.
    pub server_names: Vec<ServerNamePattern>,
    /// Who signs the certificates that all clients must show; `None`: they need none.
    pub client_ca: Option<Authorities>,
    /// Who signs the certificates of the servers that we connect to.
    pub ca: Option<Authorities>,
}

/// Reads the keys of TLS, where there are none too.
pub(super) fn read(section: &Section<'_, '_>, directory: &Path) -> Option<Tls> {
    let single = pair(section, directory);
    let several = section.or("certificates", Vec::new(), |value| pairs(value, directory));
    let server_names = section.or("server_names", Vec::new(), |value| {
        value.list_of(MOST_ITEMS, "a list of names as [\"sip.example.com\", \"*.example.com\"]", server_name)
    });
    let client_ca = section.maybe("client_ca", |value| authorities(value, directory));
    let ca = section.maybe("ca", |value| authorities(value, directory));
    let (single, several) = (single?, several?);
    let files: Vec<_> = single.into_iter().chain(several).collect();
    let certificates = if files.is_empty() { None } else { Some(certificates(section, &files)?) };
    Some(Tls {
        certificates,
        server_names: server_names?,
        client_ca: client_ca?.map(|at| at.value),
        ca: ca?.map(|at| at.value),
    })
}

/// `certificate` and `private_key`, which need each other; the inner `None`: neither is there.
fn pair(section: &Section<'_, '_>, directory: &Path) -> Option<Option<CertificateFiles>> {
    let certificate = section.maybe("certificate", |value| file(value, directory));
    let private_key = section.maybe("private_key", |value| file(value, directory));
    match (certificate?, private_key?) {
        (None, None) => Some(None),
        (Some(certificate), Some(key)) => {
            Some(Some(CertificateFiles { certificate: certificate.value, key: key.value }))
        }
        (Some(certificate), None) => {
            section.document().report(certificate.place, "a certificate alone", "its private_key beside it");
            None
        }
        (None, Some(key)) => {
            section.document().report(key.place, "a private key alone", "its certificate beside it");
            None
        }
    }
}

fn pairs(value: &Value<'_, '_>, directory: &Path) -> Option<Vec<CertificateFiles>> {
    let expected = "a list as [{ certificate = \"a.pem\", private_key = \"a.key\" }]";
    value.list_of(MOST_CERTIFICATES, expected, |item| match pair(&item.section(PAIR_KEYS)?, directory)? {
        Some(files) => Some(files),
        None => item.wrong("a certificate with its private_key"),
    })
}

fn certificates(section: &Section<'_, '_>, files: &[CertificateFiles]) -> Option<Arc<Certificates>> {
    match Certificates::from_files(files) {
        Ok(certificates) => Some(Arc::new(certificates)),
        Err(error) => {
            let key = if section.get("certificate").is_some() { "certificate" } else { "certificates" };
            let place = section.get(key).map_or_else(|| section.place(key), |value| value.place());
            let expected = format!("a certificate chain and its key as PEM; {error}");
            section.document().report(place, "files that cannot be used", expected);
            None
        }
    }
}

fn authorities(value: &Value<'_, '_>, directory: &Path) -> Option<Authorities> {
    match Authorities::from_file(&file(value, directory)?) {
        Ok(authorities) => Some(authorities),
        Err(error) => value.wrong(format!("a file with certificates of authorities as PEM; {error}")),
    }
}

fn server_name(value: &Value<'_, '_>) -> Option<ServerNamePattern> {
    value.parsed("a DNS name as \"sip.example.com\" or \"*.example.com\"", |text| text.parse().ok())
}
