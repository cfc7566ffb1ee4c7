//! wss: handshakes, their deadline, and certificates that change or are wrong.

mod common;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::{PATIENCE, Worker, run, self_signed, wss, wss_for};
use futures_util::{SinkExt, StreamExt};
use sbc_tls::{CertificateError, CertificateFiles, Certificates};
use sbc_ws::Refused;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;

#[test]
fn a_call_for_wss_is_answered_over_tls() {
    run(async {
        let certificates = self_signed();
        let pin = certificates.fingerprint();
        let worker = Worker::start(wss(&certificates));
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
        let worker = Worker::start(wss(&certificates));
        let old = common::client_config_of(&[&rustls::version::TLS12], &pin);
        let stream = TcpStream::connect(worker.address).await.unwrap();
        let stream = TlsConnector::from(old).connect("localhost".try_into().unwrap(), stream).await;
        assert_eq!(stream.unwrap().get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_2));
    });
}

#[test]
fn a_silent_tls_client_is_dropped_at_the_deadline() {
    run(async {
        let worker = Worker::start(wss_for(&self_signed(), Vec::new(), Duration::from_millis(30)));
        let mut silent = TcpStream::connect(worker.address).await.unwrap();
        assert_eq!(common::read_to_end(&mut silent).await, "");
        assert_eq!(worker.refused().await.1, Refused::TlsTimeout);
    });
}

#[test]
fn plain_http_on_a_tls_port_fails_the_handshake() {
    run(async {
        let worker = Worker::start(wss(&self_signed()));
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
        let worker = Worker::start(wss(&certificates));
        let mut client = worker.connect_tls(&old_pin).await;

        let new = self_signed();
        worker.listener.replace(wss(&new));
        let new_pin = new.fingerprint();
        assert_ne!(old_pin, new_pin);
        assert!(worker.handshake(&old_pin).await.is_err());
        worker.connect_tls(&new_pin).await;

        client.send(Message::text("echo")).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text("echo"));
    });
}

#[test]
fn a_name_that_is_not_listed_is_told_so_and_costs_no_signature() {
    run(async {
        let certificates = self_signed();
        let pin = certificates.fingerprint();
        let names = vec!["sip.example.com".parse().unwrap(), "*.voice.example.com".parse().unwrap()];
        let worker = Worker::start(wss_for(&certificates, names, PATIENCE));
        let _exact = worker.handshake_for("sip.example.com", &pin).await.unwrap();
        let _wildcard = worker.handshake_for("eu.voice.example.com", &pin).await.unwrap();
        let error = worker.handshake_for("other.example.com", &pin).await.unwrap_err();
        assert!(error.to_string().contains("UnrecognisedName"), "{error}");
        assert_eq!(worker.refused().await.1, Refused::ServerName);
        worker.handshake_for("127.0.0.1", &pin).await.unwrap_err();
    });
}

#[test]
fn each_name_is_shown_its_own_certificate_also_after_an_exchange() {
    let directory = Directory::new("names");
    let files = |name: &str, turn: u8| {
        let (certificate, key) = pem_pair_for(name);
        CertificateFiles {
            certificate: directory.write(&format!("{name}-{turn}.pem"), &certificate),
            key: directory.write(&format!("{name}-{turn}.key"), &key),
        }
    };
    let pin_of = |files: &CertificateFiles| {
        Certificates::from_files(std::slice::from_ref(files)).unwrap().fingerprint()
    };
    let old = [files("a.example.com", 1), files("b.example.com", 1)];
    let new = [files("a.example.com", 2), files("b.example.com", 2)];
    run(async {
        let certificates = Arc::new(Certificates::from_files(&old).unwrap());
        let worker = Worker::start(wss(&certificates));
        for shown in [&old, &new] {
            let [a, b] = [pin_of(&shown[0]), pin_of(&shown[1])];
            worker.handshake_for("a.example.com", &a).await.unwrap();
            worker.handshake_for("b.example.com", &b).await.unwrap();
            // The first one is for whoever asks for another name, or for none.
            worker.handshake_for("c.example.com", &a).await.unwrap();
            worker.handshake_for("127.0.0.1", &a).await.unwrap();
            worker.listener.replace(wss(&Arc::new(Certificates::from_files(&new).unwrap())));
        }
    });
}

/// A hello that offers nothing newer than TLS 1.1 with CBC, as `openssl s_client -tls1_1` sends it.
const TLS_1_1_HELLO: &[u8] = &[
    0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
    20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 0, 0, 2, 0xc0, 0x13, 1, 0,
];

#[test]
fn older_versions_are_refused() {
    run(async {
        let worker = Worker::start(wss(&self_signed()));
        let mut stream = TcpStream::connect(worker.address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, TLS_1_1_HELLO).await.unwrap();
        let mut answer = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await.unwrap();
        // Nothing but a fatal alert.
        assert_eq!((answer.len(), answer.first(), answer.get(5)), (7, Some(&21), Some(&2)));
        assert_eq!(worker.refused().await.1, Refused::TlsFailed);
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
    pem_pair_for("localhost")
}

fn pem_pair_for(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn read(certificate: PathBuf, key: PathBuf) -> Result<Certificates, CertificateError> {
    Certificates::from_files(&[CertificateFiles { certificate, key }])
}

#[test]
fn certificate_and_key_are_read_from_files() {
    let directory = Directory::new("files");
    let (certificate, key) = pem_pair();
    let certificates = read(directory.write("cert", &certificate), directory.write("key", &key)).unwrap();
    let pin = certificates.fingerprint();
    run(async {
        let worker = Worker::start(wss(&Arc::new(certificates)));
        worker.connect_tls(&pin).await;
    });
}
