//! Real sockets on the loopback addresses.

use sbc_udp::{
    Cause, MAX_BATCH, Options, ReceiveBatch, Receiver, SendBatch, SendError, Socket, Unreachable, probe_free,
};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

const LOOPBACKS: [&str; 2] = ["127.0.0.1:0", "[::1]:0"];
/// Nothing on loopback takes so long.
const PATIENCE: Duration = Duration::from_secs(30);

fn socket(address: &str) -> Arc<Socket> {
    Arc::new(Socket::bind(address.parse().unwrap(), &Options::default()).unwrap())
}

/// An address where nobody listens.
fn closed(address: &str) -> SocketAddr {
    UdpSocket::bind(address).unwrap().local_addr().unwrap()
}

/// Receive what comes next: datagrams or errors.
async fn something(receiver: &Receiver, batch: &mut ReceiveBatch) {
    tokio::time::timeout(PATIENCE, receiver.recv(batch)).await.expect("something comes").unwrap();
}

/// Receive until `count` datagrams are there.
async fn collect(receiver: &Receiver, batch: &mut ReceiveBatch, count: usize) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut all = Vec::new();
    while all.len() < count {
        something(receiver, batch).await;
        all.extend(batch.datagrams().map(|datagram| {
            assert!(!datagram.truncated);
            (datagram.source, datagram.bytes.to_vec())
        }));
    }
    all
}

#[tokio::test]
async fn a_hundred_datagrams_arrive_in_order_with_their_source() {
    for address in LOOPBACKS {
        let (from, to) = (socket(address), socket(address));
        let texts: Vec<String> = (0..100).map(|number| format!("datagram {number}")).collect();
        let outgoing = texts.iter().map(|text| (to.local_addr(), text.as_bytes()));
        let report =
            from.send_batch(&mut SendBatch::new(), outgoing, |remote, error| panic!("{remote}: {error}"));
        assert_eq!((report.sent, report.dropped, report.failed), (100, 0, 0));

        let receiver = Receiver::new(to.clone()).unwrap();
        let mut batch = ReceiveBatch::new();
        something(&receiver, &mut batch).await;
        assert!(batch.is_full());
        let mut received: Vec<_> = batch.datagrams().map(|d| (d.source, d.bytes.to_vec())).collect();
        received.extend(collect(&receiver, &mut batch, 100 - MAX_BATCH).await);
        let expected: Vec<_> =
            texts.iter().map(|text| (from.local_addr(), text.clone().into_bytes())).collect();
        assert_eq!(received, expected);
        assert_eq!((from.counters().sent, to.counters().received), (100, 100));
    }
}

#[tokio::test]
async fn one_batch_serves_sockets_of_both_families_in_turn() {
    let mut batch = ReceiveBatch::new();
    let [v4, v6] = LOOPBACKS.map(socket);
    let receivers = [Receiver::new(v4).unwrap(), Receiver::new(v6).unwrap()];
    for _ in 0..3 {
        for receiver in &receivers {
            let to = receiver.socket();
            to.send_to(to.local_addr(), b"to myself").unwrap();
            let received = collect(receiver, &mut batch, 1).await;
            assert_eq!(received, [(to.local_addr(), b"to myself".to_vec())]);
        }
    }
}

#[tokio::test]
async fn the_largest_datagram_passes_both_ways_and_a_larger_one_is_refused() {
    for (address, largest) in LOOPBACKS.into_iter().zip([65_507, 65_527]) {
        let (here, there) = (socket(address), socket(address));
        let bytes: Vec<u8> = (0..=largest).map(|number| number as u8).collect();
        for (from, to) in [(&here, &there), (&there, &here)] {
            from.send_to(to.local_addr(), &bytes[..largest]).unwrap();
            let receiver = Receiver::new(to.clone()).unwrap();
            let received = collect(&receiver, &mut ReceiveBatch::new(), 1).await;
            assert_eq!(received, [(from.local_addr(), bytes[..largest].to_vec())]);
        }
        assert_eq!(here.send_to(there.local_addr(), &bytes), Err(SendError::TooLarge));
        assert_eq!(here.counters().send_failed, 1);
    }
}

#[tokio::test]
async fn a_closed_port_is_reported_with_its_address_on_a_socket_that_serves_others_too() {
    for address in LOOPBACKS {
        let (here, open) = (socket(address), socket(address));
        let closed = closed(address);
        let receiver = Receiver::new(here.clone()).unwrap();
        let mut batch = ReceiveBatch::new();
        here.send_to(closed, b"anybody there?").unwrap();
        something(&receiver, &mut batch).await;
        assert_eq!(batch.unreachable(), [Unreachable { remote: closed, cause: Cause::PortClosed }]);
        assert!(batch.is_empty());
        assert_eq!(here.counters().unreachable, 1);

        open.send_to(here.local_addr(), b"I am").unwrap();
        something(&receiver, &mut batch).await;
        assert_eq!(batch.len(), 1);
        assert_eq!(batch.unreachable(), []);
    }
}

#[tokio::test]
async fn errors_of_one_peer_cost_the_others_no_datagram() {
    for address in LOOPBACKS {
        let (here, open) = (socket(address), socket(address));
        let closed = closed(address);
        // Each datagram to the closed port leaves an error that the kernel reports on the next call.
        let outgoing =
            (0..200).map(|number| (if number % 2 == 0 { closed } else { open.local_addr() }, &b"x"[..]));
        let report =
            here.send_batch(&mut SendBatch::new(), outgoing, |remote, error| panic!("{remote}: {error}"));
        assert_eq!(report.sent, 200);
        let receiver = Receiver::new(open).unwrap();
        assert_eq!(collect(&receiver, &mut ReceiveBatch::new(), 100).await.len(), 100);

        let receiver = Receiver::new(here.clone()).unwrap();
        let mut batch = ReceiveBatch::new();
        let mut notices = Vec::new();
        // The kernel limits how many ICMP errors it makes in a second; one is always made.
        something(&receiver, &mut batch).await;
        notices.extend_from_slice(batch.unreachable());
        assert!(!notices.is_empty());
        assert!(notices.iter().all(|notice| notice.remote == closed));
    }
}

#[tokio::test]
async fn a_peer_of_the_other_family_fails_alone() {
    let [v4, v6] = LOOPBACKS.map(socket);
    for (from, other) in [(&v4, &v6), (&v6, &v4)] {
        let remotes = [from.local_addr(), other.local_addr(), from.local_addr()];
        let outgoing = remotes.iter().map(|remote| (*remote, &b"x"[..]));
        let mut failures = Vec::new();
        let report =
            from.send_batch(&mut SendBatch::new(), outgoing, |remote, error| failures.push((remote, error)));
        assert_eq!((report.sent, report.failed), (2, 1));
        assert_eq!(failures, [(other.local_addr(), SendError::WrongFamily)]);
    }
}

#[test]
fn a_port_in_use_is_refused_although_its_holder_shares_it() {
    for address in LOOPBACKS {
        let shared = Options { reuse_port: true, ..Options::default() };
        let first = Socket::bind(address.parse().unwrap(), &shared).unwrap();
        let error = probe_free(first.local_addr()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&first.local_addr().to_string()), "{error}");

        let worker = Socket::bind(first.local_addr(), &shared).unwrap();
        assert_eq!(worker.local_addr(), first.local_addr());
        assert!(Socket::bind(first.local_addr(), &Options::default()).is_err());
        drop((first, worker));
    }
    probe_free(closed("127.0.0.1:0")).unwrap();
}

#[test]
fn an_empty_socket_says_so_at_once_and_an_empty_datagram_is_one() {
    let here = socket("127.0.0.1:0");
    let mut batch = ReceiveBatch::new();
    assert_eq!(here.recv_batch(&mut batch).unwrap_err().kind(), ErrorKind::WouldBlock);
    here.send_to(here.local_addr(), b"").unwrap();
    assert_eq!(here.recv_batch(&mut batch).unwrap(), 1);
    assert_eq!(batch.datagrams().next().unwrap().bytes, b"");
}

#[test]
fn a_large_receive_buffer_is_asked_for() {
    let small = Socket::bind(
        LOOPBACKS[0].parse().unwrap(),
        &Options { receive_buffer: 1 << 16, ..Options::default() },
    );
    let large = socket(LOOPBACKS[0]);
    assert!(large.receive_buffer().unwrap() > small.unwrap().receive_buffer().unwrap());
}

/// How long the first of two datagrams has waited when both are read.
async fn wait_in(receiver: &Receiver, from: &Socket, batch: &mut ReceiveBatch) -> Duration {
    let to = receiver.socket().local_addr();
    from.send_to(to, b"first").unwrap();
    tokio::time::sleep(WAIT).await;
    from.send_to(to, b"second").unwrap();
    something(receiver, batch).await;
    assert_eq!(batch.len(), 2);
    batch.waited()
}

const WAIT: Duration = Duration::from_millis(20);

#[tokio::test]
async fn a_datagram_that_waited_says_how_long() {
    assert_eq!(ReceiveBatch::new().waited(), Duration::ZERO);
    for address in LOOPBACKS {
        let (from, to) = (socket(address), socket(address));
        let receiver = Receiver::new(to).unwrap();
        let mut batch = ReceiveBatch::new();
        // The kernel begins to note times a moment after the first socket has asked for them.
        let mut tries = 0;
        while wait_in(&receiver, &from, &mut batch).await < WAIT {
            tries += 1;
            assert!(tries < 100, "no times of arrival");
        }
        // What one read leaves behind does not hide the time from the next.
        for _ in 0..3 {
            let waited = wait_in(&receiver, &from, &mut batch).await;
            assert!(waited >= WAIT, "{waited:?}");
        }
    }
}
