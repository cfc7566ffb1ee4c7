//! Streams over real sockets, hostile ones among them: each is closed in time and for a counted reason.

mod common;

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use common::{OPTIONS, Server, Told, play, server};
use sbc_tcp::{CloseReason, Dialer, EgressLimits, Handler, Refused, Settings, Unreached};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn hasty() -> Settings {
    let short = Duration::from_millis(100);
    Settings { first_message: short, message: short, max_message: 1000, ..Settings::default() }
}

#[test]
fn one_byte_at_a_time_is_one_message() {
    play(async || {
        let mut server = server(Settings::default())?;
        let mut peer = TcpStream::connect(server.address).await?;
        peer.set_nodelay(true)?;
        for byte in OPTIONS {
            peer.write_all(&[*byte]).await?;
        }
        assert_eq!(server.told.recv().await, Some(Told::Message(OPTIONS.to_vec())));
        let mut echoed = vec![0; OPTIONS.len()];
        peer.read_exact(&mut echoed).await?;
        assert_eq!(echoed, OPTIONS);
        drop(peer);
        assert_eq!(server.told.recv().await, Some(Told::Closed(CloseReason::Peer)));
        Ok(())
    });
}

#[test]
fn hostile_streams_are_closed_for_their_reason() {
    play(async || {
        for (stream, why) in [
            (&b""[..], CloseReason::Silent),
            (b"OPTIONS sip:a SIP/2.0\r\nVia", CloseReason::Unfinished),
            (b"GET / HTTP/1.1\r\n\r\n", CloseReason::NotSip),
            (b"BYE sip:a SIP/2.0\r\nl: 99999999999\r\n\r\n", CloseReason::TooBig),
            (b"BYE sip:a SIP/2.0\r\nVia: x\r\n\r\n", CloseReason::NoLength),
            (b"BYE sip:a SIP/2.0\r\nl: 1\r\nl: 2\r\n\r\n", CloseReason::BadLength),
        ] {
            let mut server = server(hasty())?;
            let mut peer = TcpStream::connect(server.address).await?;
            peer.write_all(stream).await?;
            let closed = loop {
                match server.told.recv().await {
                    Some(Told::Message(_)) => {}
                    other => break other,
                }
            };
            assert_eq!(closed, Some(Told::Closed(why)));
            // The socket is closed, too; what the head was owed came before.
            peer.read_to_end(&mut Vec::new()).await?;
        }
        Ok(())
    });
}

#[test]
fn whoever_is_not_admitted_is_not_listened_to() {
    play(async || {
        let mut server = server(Settings::default())?;
        server.handler.is_shut.set(true);
        let mut peer = TcpStream::connect(server.address).await?;
        assert_eq!(server.told.recv().await, Some(Told::Refused(Refused::Source)));
        // A reset is an end as well.
        let _ = peer.read_to_end(&mut Vec::new()).await;
        assert!(server.handler.connections.is_empty());
        Ok(())
    });
}

/// A peer that has spoken once, and its server.
async fn acquainted(settings: Settings) -> io::Result<(Server, TcpStream)> {
    let mut server = server(settings)?;
    let mut peer = TcpStream::connect(server.address).await?;
    peer.write_all(OPTIONS).await?;
    assert_eq!(server.told.recv().await, Some(Told::Message(OPTIONS.to_vec())));
    Ok((server, peer))
}

#[test]
fn good_connections_end_for_their_reason() {
    play(async || {
        let idle = Settings { idle: Duration::from_millis(100), ..Settings::default() };
        let (mut server, _peer) = acquainted(idle).await?;
        assert_eq!(server.told.recv().await, Some(Told::Closed(CloseReason::Idle)));

        let (mut server, peer) = acquainted(Settings::default()).await?;
        peer.set_zero_linger()?;
        drop(peer);
        assert_eq!(server.told.recv().await, Some(Told::Closed(CloseReason::Lost)));

        let (mut server, mut peer) = acquainted(Settings::default()).await?;
        let last = server.handler.last.get().expect("a connection");
        server.handler.connections.close(last, 0, "enough");
        peer.read_to_end(&mut Vec::new()).await?;
        drop(peer);
        assert_eq!(server.told.recv().await, Some(Told::Closed(CloseReason::Requested)));
        Ok(())
    });
}

#[test]
fn a_peer_that_does_not_read_is_closed_at_the_bound() {
    play(async || {
        let egress = EgressLimits { bytes: 20_000, messages: usize::MAX };
        let (mut server, _peer) = acquainted(Settings { egress, ..Settings::default() }).await?;
        let last = server.handler.last.get().expect("a connection");
        while server.handler.connections.send(last, &[b'x'; 1000]).is_ok() {
            // The task gets its turn after each message, so only the peer is slow.
            tokio::task::yield_now().await;
        }
        assert_eq!(server.told.recv().await, Some(Told::Closed(CloseReason::SlowReader)));
        Ok(())
    });
}

#[test]
fn a_worker_that_ends_reports_its_connections() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    let (mut server, _peer) =
        local.block_on(&runtime, acquainted(Settings::default())).expect("sockets work");
    drop(local);
    assert_eq!(server.told.try_recv(), Ok(Told::Closed(CloseReason::Stopped)));
}

#[test]
fn a_thousand_silent_connections_are_bounded_and_closed() {
    play(async || {
        let settings = Settings { max_connections: 200, ..hasty() };
        let mut server = server(settings)?;
        let mut peers = Vec::new();
        for _ in 0..1000 {
            peers.push(TcpStream::connect(server.address).await?);
        }
        let (mut silent, mut refused) = (0, 0);
        while silent + refused < 1000 {
            match server.told.recv().await {
                Some(Told::Closed(CloseReason::Silent)) => silent += 1,
                Some(Told::Refused(Refused::TooManyConnections)) => refused += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(silent >= 200);
        assert!(server.handler.connections.is_empty());
        Ok(())
    });
}

#[test]
fn one_source_holds_what_the_limit_says_unless_it_is_unlimited() {
    play(async || {
        let mut server = server(Settings { max_per_source: 1, ..Settings::default() })?;
        let mut known = TcpStream::connect(server.address).await?;
        known.write_all(OPTIONS).await?;
        assert_eq!(server.told.recv().await, Some(Told::Message(OPTIONS.to_vec())));
        let _second = TcpStream::connect(server.address).await?;
        assert_eq!(server.told.recv().await, Some(Told::Refused(Refused::TooManyOfSource)));
        server.handler.is_unlimited.set(true);
        let mut third = TcpStream::connect(server.address).await?;
        third.write_all(OPTIONS).await?;
        assert_eq!(server.told.recv().await, Some(Told::Message(OPTIONS.to_vec())));
        Ok(())
    });
}

#[test]
fn a_dialled_connection_is_kept_and_a_refusing_server_is_told_at_once() {
    play(async || {
        let mut server = server(Settings::default())?;
        let dialer = Dialer::new(
            server.address.ip(),
            Arc::clone(&server.listener),
            Rc::clone(&server.handler) as Rc<dyn Handler>,
        );
        let far = TcpListener::bind("127.0.0.1:0").await?;
        let remote = far.local_addr()?;
        dialer.send(remote, OPTIONS).expect("queued");
        dialer.send(remote, OPTIONS).expect("queued");
        let (mut accepted, _) = far.accept().await?;
        let mut both = vec![0; 2 * OPTIONS.len()];
        accepted.read_exact(&mut both).await?;
        assert_eq!(both, [OPTIONS, OPTIONS].concat());
        drop((accepted, far));
        assert_eq!(server.told.recv().await, Some(Told::Closed(CloseReason::Peer)));
        dialer.send(remote, OPTIONS).expect("a new connection is tried");
        assert_eq!(server.told.recv().await, Some(Told::Unreachable(Unreached::Connect)));
        assert!(dialer.send(remote, OPTIONS).is_err(), "nobody waits for it again");
        Ok(())
    });
}
