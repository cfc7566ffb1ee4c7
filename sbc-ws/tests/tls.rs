//! wss: handshakes, their deadline, and certificates that change or are wrong.

mod common;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::{Worker, run, self_signed};
use futures_util::{SinkExt, StreamExt};
use sbc_ws::{CertificateError, Certificates, Refused, Settings};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;

#[test]
fn a_call_for_wss_is_answered_over_tls() {
    run(async {
        let certificates = self_signed();
        let pin = certificates.fingerprint();
        let worker = Worker::start(Settings { tls: Some(certificates), ..Settings::default() });
        let mut client = worker.connect_tls(&pin).await;
        assert_eq!(client.get_ref().get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let large = format!("echo {}", "x".repeat(60_000));
        client.send(Message::text(large.clone())).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text(large));
    });
}

#[test]
fn tls_1_2_is_spoken_too() {
    run(async {
        let certificates = self_signed();
        let pin = certificates.fingerprint();
        let worker = Worker::start(Settings { tls: Some(certificates), ..Settings::default() });
        let old = common::client_config_of(&[&rustls::version::TLS12], &pin);
        let stream = TcpStream::connect(worker.address).await.unwrap();
        let stream = TlsConnector::from(old).connect("localhost".try_into().unwrap(), stream).await;
        assert_eq!(stream.unwrap().get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_2));
    });
}

#[test]
fn a_silent_tls_client_is_dropped_at_the_deadline() {
    run(async {
        let settings = Settings {
            tls: Some(self_signed()),
            tls_deadline: Duration::from_millis(30),
            ..Settings::default()
        };
        let worker = Worker::start(settings);
        let mut silent = TcpStream::connect(worker.address).await.unwrap();
        assert_eq!(common::read_to_end(&mut silent).await, "");
        assert_eq!(worker.refused().await.1, Refused::TlsTimeout);
    });
}

#[test]
fn plain_http_on_a_tls_port_fails_the_handshake() {
    run(async {
        let worker = Worker::start(Settings { tls: Some(self_signed()), ..Settings::default() });
        let mut stream = TcpStream::connect(worker.address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, common::raw_request(&[]).as_bytes()).await.unwrap();
        assert_eq!(worker.refused().await.1, Refused::TlsFailed);
    });
}

#[test]
fn a_new_certificate_is_shown_without_dropping_anyone() {
    run(async {
        let certificates = self_signed();
        let old_pin = certificates.fingerprint();
        let worker = Worker::start(Settings { tls: Some(Arc::clone(&certificates)), ..Settings::default() });
        let mut client = worker.connect_tls(&old_pin).await;

        certificates.replace(&self_signed());
        let new_pin = certificates.fingerprint();
        assert_ne!(old_pin, new_pin);
        assert!(worker.handshake(&old_pin).await.is_err());
        worker.connect_tls(&new_pin).await;

        client.send(Message::text("echo")).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text("echo"));
    });
}

/// A directory that goes away with the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sbc-ws-{name}-{}", std::process::id()));
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

#[test]
fn certificate_and_key_are_read_from_files() {
    let directory = Directory::new("files");
    let (certificate, key) = pem_pair();
    let certificates =
        Certificates::from_files(&directory.write("cert", &certificate), &directory.write("key", &key))
            .unwrap();
    let pin = certificates.fingerprint();
    run(async {
        let worker = Worker::start(Settings { tls: Some(Arc::new(certificates)), ..Settings::default() });
        worker.connect_tls(&pin).await;
    });
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
        let error = Certificates::from_files(certificate, key).unwrap_err();
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
