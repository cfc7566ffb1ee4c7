//! SIP over TLS: who gets a connection, who does not and why, and certificates that change meanwhile.

mod common;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use common::{OPTIONS, Server, Told, play, server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sbc_tcp::{CloseReason, Dialer, Handler, Refused, Settings, Tls, Unreached};
use sbc_tls::{
    Authorities, CertificateFiles, Certificates, Client, Failed, ServerName, ServerSettings, TlsStream,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// No test waits longer for what must happen; none passes because this time is over.
const PATIENCE: Duration = Duration::from_secs(20);
const HASTE: Duration = Duration::from_millis(100);

/// Signs certificates, in a directory that goes away with it.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let directory = std::env::temp_dir().join(format!("sbc-tcp-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        Self { issuer, directory }
    }

    fn trust(&self) -> Authorities {
        Authorities::from_file(&self.write("ca.pem", &self.issuer.pem())).expect("sound")
    }

    fn sign(&self, name: &str) -> Arc<Certificates> {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let signed = params.signed_by(&key, &self.issuer).expect("signed");
        let certificate = self.write("leaf.pem", &signed.pem());
        let key = self.write("leaf.key", &key.serialize_pem());
        Arc::new(Certificates::from_files(&[CertificateFiles { certificate, key }]).expect("sound"))
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.join(name);
        fs::write(&path, text).expect("written");
        path
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn tls_server(
    certificates: &Arc<Certificates>,
    clients: Option<Authorities>,
    deadline: Duration,
) -> sbc_tls::Server {
    let certificates = Arc::clone(certificates);
    let settings = ServerSettings { certificates, protocol: b"sip/2", names: Vec::new(), clients, deadline };
    sbc_tls::Server::new(settings).expect("sound")
}

fn tls(server: sbc_tls::Server) -> Settings {
    Settings { tls: Some(Tls { server, client: None, names: Vec::new() }), ..Settings::default() }
}

async fn connect(
    address: SocketAddr,
    trust: &Authorities,
    own: Option<&Certificates>,
    name: &'static str,
) -> Result<TlsStream<TcpStream>, Failed> {
    let stream = TcpStream::connect(address).await.expect("accepted");
    let client = Client::new(trust, own, PATIENCE).expect("sound");
    client.connect(stream, ServerName::try_from(name).expect("a name")).await
}

async fn echoes(server: &mut Server, stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
    stream.write_all(OPTIONS).await?;
    stream.flush().await?;
    assert_eq!(server.told.recv().await, Some(Told::Message(OPTIONS.to_vec())));
    let mut echoed = vec![0; OPTIONS.len()];
    stream.read_exact(&mut echoed).await?;
    assert_eq!(echoed, OPTIONS);
    Ok(())
}

#[test]
fn messages_pass_with_a_server_name_and_without() {
    play(async || {
        let authority = Authority::new("names");
        for name in ["localhost", "127.0.0.1"] {
            let mut server = server(tls(tls_server(&authority.sign(name), None, PATIENCE)))?;
            let connected = connect(server.address, &authority.trust(), None, name).await;
            let mut stream = connected.expect("a handshake");
            echoes(&mut server, &mut stream).await?;
            stream.shutdown().await?;
            assert_eq!(server.told.recv().await, Some(Told::Closed(CloseReason::Peer)));
        }
        Ok(())
    });
}

/// A hello that offers nothing newer than TLS 1.1 with CBC, as `openssl s_client -tls1_1` sends it.
const TLS_1_1_HELLO: &[u8] = &[
    0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
    20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 0, 0, 2, 0xc0, 0x13, 1, 0,
];

#[test]
fn what_is_no_handshake_ends_in_time_and_for_its_reason() {
    play(async || {
        let authority = Authority::new("handshakes");
        let certificates = authority.sign("localhost");
        for (bytes, why) in [
            (&b""[..], Refused::TlsTimeout),
            (&TLS_1_1_HELLO[..20], Refused::TlsTimeout),
            (TLS_1_1_HELLO, Refused::TlsFailed),
            (OPTIONS, Refused::TlsFailed),
        ] {
            let mut server = server(tls(tls_server(&certificates, None, HASTE)))?;
            let mut peer = TcpStream::connect(server.address).await?;
            peer.write_all(bytes).await?;
            assert_eq!(server.told.recv().await, Some(Told::Refused(why)));
            // The socket is closed, too; a reset is an end as well.
            let _ = peer.read_to_end(&mut Vec::new()).await;
            assert!(server.handler.connections.is_empty());
        }
        Ok(())
    });
}

#[test]
fn a_client_without_the_right_certificate_gets_no_connection() {
    play(async || {
        let (authority, stranger) = (Authority::new("ours"), Authority::new("strange"));
        let trust = authority.trust();
        let own = tls_server(&authority.sign("localhost"), Some(trust.clone()), PATIENCE);
        let mut server = server(tls(own))?;
        let (good, foreign) = (authority.sign("phone"), stranger.sign("phone"));
        for (shown, why) in [(None, Refused::NoCertificate), (Some(&*foreign), Refused::BadCertificate)] {
            // With TLS 1.3 the client learns of it only when it reads.
            if let Ok(mut stream) = connect(server.address, &trust, shown, "localhost").await {
                stream.read_to_end(&mut Vec::new()).await.expect_err("an alert");
            }
            assert_eq!(server.told.recv().await, Some(Told::Refused(why)));
        }
        let mut stream = connect(server.address, &trust, Some(&*good), "localhost").await.expect("good");
        echoes(&mut server, &mut stream).await
    });
}

#[test]
fn a_client_that_asks_for_a_name_that_is_not_listed_gets_no_connection() {
    play(async || {
        let authority = Authority::new("listed");
        let certificates = authority.sign("sip.example.com");
        let names = vec!["sip.example.com".parse().expect("a name")];
        let settings =
            ServerSettings { certificates, protocol: b"sip/2", names, clients: None, deadline: PATIENCE };
        let mut server = server(tls(sbc_tls::Server::new(settings).expect("sound")))?;
        let trust = authority.trust();
        let refused = connect(server.address, &trust, None, "other.example.com").await;
        assert!(refused.is_err());
        assert_eq!(server.told.recv().await, Some(Told::Refused(Refused::ServerName)));
        let mut stream = connect(server.address, &trust, None, "sip.example.com").await.expect("listed");
        echoes(&mut server, &mut stream).await
    });
}

#[test]
fn a_server_that_speaks_no_tls_or_nothing_at_all_is_not_there() {
    play(async || {
        let authority = Authority::new("mute");
        let own = authority.sign("sbc.example.com");
        for (says, why) in [(&b""[..], Unreached::Timeout), (OPTIONS, Unreached::TlsFailed)] {
            let far = TcpListener::bind("127.0.0.1:0").await?;
            let remote = far.local_addr()?;
            tokio::task::spawn_local(async move {
                let (mut stream, _) = far.accept().await?;
                stream.write_all(says).await?;
                stream.read_to_end(&mut Vec::new()).await
            });
            let client = Some(Client::new(&authority.trust(), Some(&own), HASTE).expect("sound"));
            let accepting = tls_server(&own, None, PATIENCE);
            let tls = Some(Tls { server: accepting, client, names: Vec::new() });
            let mut server = server(Settings { tls, connect: HASTE, ..Settings::default() })?;
            let handler = Rc::clone(&server.handler) as Rc<dyn Handler>;
            let dialer = Dialer::new(server.address.ip(), Arc::clone(&server.listener), handler);
            dialer.send(remote, OPTIONS).expect("queued");
            assert_eq!(server.told.recv().await, Some(Told::Unreachable(why)));
        }
        Ok(())
    });
}

#[test]
fn another_certificate_is_shown_without_dropping_anyone() {
    play(async || {
        let (before, after) = (Authority::new("before"), Authority::new("after"));
        let mut server = server(tls(tls_server(&before.sign("localhost"), None, PATIENCE)))?;
        let mut old = connect(server.address, &before.trust(), None, "localhost").await.expect("old");
        echoes(&mut server, &mut old).await?;
        server.listener.replace(tls(tls_server(&after.sign("localhost"), None, PATIENCE)));
        let refused = connect(server.address, &before.trust(), None, "localhost").await;
        assert_eq!(refused.err(), Some(Failed::BadCertificate));
        assert_eq!(server.told.recv().await, Some(Told::Refused(Refused::TlsFailed)));
        let mut new = connect(server.address, &after.trust(), None, "localhost").await.expect("new");
        echoes(&mut server, &mut new).await?;
        echoes(&mut server, &mut old).await
    });
}

/// A server that wants certificates of `authority`, and the listener that dials it with `dialling`.
async fn dialled(server_is: &Authority, name: &str, dialling: Settings) -> (Server, Told) {
    let far = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let remote = far.local_addr().expect("an address");
    let accepting = tls_server(&server_is.sign(name), Some(server_is.trust()), PATIENCE);
    tokio::task::spawn_local(async move {
        let (stream, _) = far.accept().await.expect("a connection");
        let mut stream = accepting.accept(stream).await?;
        let mut message = vec![0; OPTIONS.len()];
        let _ = stream.read_exact(&mut message).await;
        let _ = stream.write_all(&message).await;
        let _ = stream.read_exact(&mut message).await;
        Ok::<_, Failed>(())
    });
    let mut server = server(dialling).expect("a listener");
    let handler = Rc::clone(&server.handler) as Rc<dyn Handler>;
    let dialer = Dialer::new(server.address.ip(), Arc::clone(&server.listener), handler);
    dialer.send(remote, OPTIONS).expect("queued");
    let told = server.told.recv().await.expect("an outcome");
    (server, told)
}

#[test]
fn a_server_is_believed_by_its_authority_and_name_and_shown_our_certificate() {
    play(async || {
        let (authority, stranger) = (Authority::new("dialled"), Authority::new("impostor"));
        let own = authority.sign("sbc.example.com");
        let dialling = |trust: Option<&Authority>, name: Option<&'static str>| {
            let client = trust.map(|trust| Client::new(&trust.trust(), Some(&own), PATIENCE).expect("sound"));
            let at = SocketAddr::from(([127, 0, 0, 1], 9));
            let names = name.map(|name| (at, ServerName::try_from(name).expect("a name")));
            let server = tls_server(&own, None, PATIENCE);
            let names = names.into_iter().collect();
            Settings { tls: Some(Tls { server, client, names }), ..Settings::default() }
        };
        let (ours, named) = (Some(&authority), Some("fs.example.com"));
        let message = Told::Message(OPTIONS.to_vec());
        let bad = Told::Unreachable(Unreached::BadCertificate);
        for (name, dialling, expected) in [
            ("127.0.0.1", dialling(ours, None), &message),
            ("fs.example.com", dialling(ours, named), &message),
            ("fs.example.com", dialling(ours, None), &bad),
            ("127.0.0.1", dialling(ours, named), &bad),
            ("127.0.0.1", dialling(Some(&stranger), None), &bad),
            ("127.0.0.1", dialling(None, None), &Told::Unreachable(Unreached::NoAuthority)),
        ] {
            let (_, told) = dialled(&authority, name, dialling).await;
            assert_eq!(told, *expected, "{name}");
        }
        Ok(())
    });
}

#[test]
fn a_proxy_names_its_client_before_tls() {
    play(async || {
        let authority = Authority::new("proxied");
        let settings = tls(tls_server(&authority.sign("localhost"), None, PATIENCE));
        let proxies = vec!["127.0.0.0/8".parse().expect("a network")];
        let mut server = server(Settings { proxies, max_per_source: 1, ..settings })?;
        let mut held = Vec::new();
        for (last, is_first) in [(1, true), (2, true), (1, false)] {
            let mut stream = TcpStream::connect(server.address).await?;
            let addresses = [192, 0, 2, last, 10, 0, 0, 5, 0x12, 0x67, 0x13, 0xc5];
            let head = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &addresses].concat();
            stream.write_all(&head).await?;
            let client = Client::new(&authority.trust(), None, PATIENCE).expect("sound");
            let stream = client.connect(stream, ServerName::try_from("localhost").expect("a name")).await;
            match stream {
                Ok(mut stream) => {
                    echoes(&mut server, &mut stream).await?;
                    held.push(stream);
                }
                Err(_) => {
                    assert_eq!(server.told.recv().await, Some(Told::Refused(Refused::TooManyOfSource)));
                }
            }
            assert_eq!(held.len(), if is_first { usize::from(last) } else { 2 });
        }
        let mut silent = TcpStream::connect(server.address).await?;
        silent.write_all(OPTIONS).await?;
        assert_eq!(server.told.recv().await, Some(Told::Refused(Refused::ProxyHeader)));
        Ok(())
    });
}
