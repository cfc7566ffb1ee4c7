//! Certificates and authorities from files: wrong ones are told by their name and their fault.

use std::fs;
use std::path::PathBuf;

use sbc_tls::{Authorities, CertificateError, CertificateFiles, Certificates};

/// A directory that goes away with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sbc-tls-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn pem_pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn read(certificate: PathBuf, key: PathBuf) -> Result<Certificates, CertificateError> {
    Certificates::from_files(&[CertificateFiles { certificate, key }])
}

#[test]
fn wrong_files_are_errors_that_name_the_file_and_the_fault() {
    let directory = Directory::new("wrong");
    let (certificate, key) = pem_pair();
    let good = (directory.write("cert", &certificate), directory.write("key", &key));
    let other_key = directory.write("other-key", &pem_pair().1);
    let empty = directory.write("empty", "");
    let damaged = directory.write("damaged", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    let hollow = directory.write("hollow", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let absent = directory.0.join("absent");

    let fault = |certificate: &PathBuf, key: &PathBuf, named: &str| {
        let error = read(certificate.clone(), key.clone()).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
        error
    };
    assert!(matches!(fault(&absent, &good.1, "absent"), CertificateError::Read { .. }));
    assert!(matches!(fault(&good.0, &absent, "absent"), CertificateError::Read { .. }));
    assert!(matches!(fault(&empty, &good.1, "empty"), CertificateError::NoCertificate { .. }));
    assert!(matches!(fault(&good.1, &good.1, "key"), CertificateError::NoCertificate { .. }));
    assert!(matches!(fault(&damaged, &good.1, "damaged"), CertificateError::Pem { .. }));
    assert!(matches!(fault(&hollow, &good.1, "hollow"), CertificateError::BadCertificate { .. }));
    assert!(matches!(fault(&good.0, &good.0, "cert"), CertificateError::NoKey { .. }));
    assert!(matches!(fault(&good.0, &other_key, "other-key"), CertificateError::Mismatch { .. }));
}

#[test]
fn a_name_that_cannot_be_certified_is_an_error() {
    let error = Certificates::self_signed(&["gr\u{fc}n.example.com".to_owned()]).unwrap_err();
    assert!(matches!(error, CertificateError::SelfSigned { .. }), "{error}");
}

#[test]
fn nobody_to_trust_is_an_error_that_names_the_file() {
    let directory = Directory::new("authorities");
    let sound = directory.write("ca", &pem_pair().0);
    Authorities::from_file(&sound).unwrap();
    let fault = |path: PathBuf, named: &str| {
        let error = Authorities::from_file(&path).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
        error
    };
    let empty = directory.write("empty", &pem_pair().1);
    assert!(matches!(fault(empty, "empty"), CertificateError::NoAuthority { .. }));
    let hollow = directory.write("hollow", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert!(matches!(fault(hollow, "hollow"), CertificateError::BadCertificate { .. }));
    assert!(matches!(fault(directory.0.join("absent"), "absent"), CertificateError::Read { .. }));
}

#[test]
fn a_listener_without_any_certificate_is_an_error() {
    assert!(matches!(Certificates::from_files(&[]), Err(CertificateError::None)));
}
