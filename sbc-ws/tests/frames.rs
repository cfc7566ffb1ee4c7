//! Messages in and out, and what breaks RFC 6455.

mod common;

use common::{Event, Worker, raw_request, run};
use futures_util::{SinkExt, StreamExt};
use sbc_ws::{CloseReason, SendError, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

fn fragment(payload: &[u8], kind: Data, last: bool) -> Message {
    Message::Frame(Frame::message(payload.to_vec(), OpCode::Data(kind), last))
}

async fn close_code(client: &mut WebSocketStream<TcpStream>) -> u16 {
    loop {
        if let Message::Close(frame) = client.next().await.expect("a close frame").unwrap() {
            return frame.unwrap().code.into();
        }
    }
}

#[test]
fn text_and_binary_come_in_alike() {
    run(async {
        let worker = Worker::start(Settings::default());
        let mut client = worker.connect().await;
        client.send(Message::text("echo text")).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text("echo text"));
        client.send(Message::binary(&b"echo binary"[..])).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text("echo binary"));
    });
}

#[test]
fn what_is_not_utf8_leaves_as_binary() {
    run(async {
        let worker = Worker::start(Settings::default());
        let mut client = worker.connect().await;
        client.send(Message::binary(&b"echo \xff"[..])).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Message::binary(&b"echo \xff"[..]));
    });
}

#[test]
fn a_keepalive_is_handed_on_as_it_came() {
    run(async {
        let worker = Worker::start(Settings::default());
        worker.connect().await.send(Message::text("\r\n\r\n")).await.unwrap();
        assert_eq!(worker.received().await, b"\r\n\r\n");
    });
}

#[test]
fn fragments_become_one_message_with_a_ping_between_them() {
    run(async {
        let worker = Worker::start(Settings::default());
        let mut client = worker.connect().await;
        client.send(fragment(b"REGIS", Data::Text, false)).await.unwrap();
        client.send(Message::Ping("between".into())).await.unwrap();
        client.send(fragment(b"TER", Data::Continue, true)).await.unwrap();
        assert_eq!(worker.received().await, b"REGISTER");
        assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong("between".into()));
    });
}

#[test]
fn frames_sent_with_the_request_are_not_lost() {
    run(async {
        let worker = Worker::start(Settings::default());
        let mut stream = TcpStream::connect(worker.address).await.unwrap();
        let mut bytes = raw_request(&[]).into_bytes();
        // A masked text frame with "hi", masked with zeros.
        bytes.extend_from_slice(b"\x81\x82\0\0\0\0hi");
        stream.write_all(&bytes).await.unwrap();
        assert_eq!(worker.received().await, b"hi");
    });
}

#[test]
fn messages_of_many_kilobytes_pass_both_ways() {
    run(async {
        let worker = Worker::start(Settings::default());
        let mut client = worker.connect().await;
        let large = format!("echo {}", "x".repeat(60_000));
        client.send(Message::text(large.clone())).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text(large));
    });
}

#[test]
fn a_message_above_the_limit_is_closed_with_1009() {
    for fragmented in [false, true] {
        run(async {
            let worker = Worker::start(Settings { max_message: 1000, ..Settings::default() });
            let mut client = worker.connect().await;
            if fragmented {
                client.send(fragment(&[b'x'; 600], Data::Text, false)).await.unwrap();
                client.send(fragment(&[b'x'; 600], Data::Continue, true)).await.unwrap();
            } else {
                client.send(Message::text("x".repeat(1001))).await.unwrap();
            }
            assert_eq!(close_code(&mut client).await, 1009);
            drop(client);
            assert_eq!(worker.closed().await, CloseReason::TooBig);
        });
    }
}

#[test]
fn a_frame_that_announces_too_much_is_closed_with_1009_before_it_comes() {
    for length in [64 * 1024 + 1, u64::MAX >> 24, u64::MAX >> 1] {
        run(async {
            let worker = Worker::start(Settings::default());
            let mut stream = worker.upgrade_raw().await;
            let head = [&[0x82, 0xff], &length.to_be_bytes()[..], &[0; 4]].concat();
            stream.write_all(&head).await.unwrap();
            let mut close = [0; 4];
            stream.read_exact(&mut close).await.unwrap();
            assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, 1009), "{length}");
            drop(stream);
            assert_eq!(worker.closed().await, CloseReason::TooBig);
        });
    }
}

#[test]
fn a_client_that_sends_bytes_that_are_no_frames_for_ever_is_closed() {
    run(async {
        let worker = Worker::start(Settings::default());
        let mut stream = worker.upgrade_raw().await;
        // Fragments of nothing: never a message, never an end.
        let fragments = [&b"\x01\x80\0\0\0\0"[..], &b"\x00\x80\0\0\0\0".repeat(10_000)].concat();
        stream.write_all(&fragments).await.unwrap();
        stream.write_all(b"\x81\x80\0\0\0\0").await.unwrap();
        assert_eq!(worker.closed().await, CloseReason::Protocol);
    });
}

#[test]
fn text_that_is_not_utf8_is_closed_with_1007() {
    run(async {
        let worker = Worker::start(Settings::default());
        let mut client = worker.connect().await;
        client.send(fragment(b"\xff\xfe", Data::Text, true)).await.unwrap();
        assert_eq!(close_code(&mut client).await, 1007);
        drop(client);
        assert_eq!(worker.closed().await, CloseReason::NotUtf8);
    });
}

#[test]
fn frames_that_break_the_protocol_are_closed_with_1002() {
    let masked = |head: &[u8], payload: &[u8]| [head, &[0; 4], payload].concat();
    for (what, frame) in [
        ("no mask", b"\x81\x02hi".to_vec()),
        ("a reserved bit, as of compression", masked(b"\xc1\x82", b"hi")),
        ("an unknown opcode", masked(b"\x83\x82", b"hi")),
        ("a continuation of nothing", masked(b"\x80\x82", b"hi")),
        ("a fragmented ping", masked(b"\x09\x80", b"")),
        ("a ping of more than 125 bytes", masked(b"\x89\xfe\x00\x7e", &[0; 126])),
        ("a message inside another", [masked(b"\x01\x82", b"hi"), masked(b"\x81\x82", b"hi")].concat()),
        ("a close with half a status", masked(b"\x88\x81", b"\x03")),
    ] {
        run(async {
            let worker = Worker::start(Settings::default());
            let mut stream = worker.upgrade_raw().await;
            stream.write_all(&frame).await.unwrap();
            let mut close = [0; 4];
            stream.read_exact(&mut close).await.unwrap();
            assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, 1002), "{what}");
            drop(stream);
            assert_eq!(worker.closed().await, CloseReason::Protocol, "{what}");
        });
    }
}

#[test]
fn a_goodbye_with_a_status_that_is_none_is_answered_with_1002() {
    run(async {
        let worker = Worker::start(Settings::default());
        let mut stream = worker.upgrade_raw().await;
        stream.write_all(b"\x88\x82\0\0\0\0\x03\xe7").await.unwrap();
        let mut close = [0; 4];
        stream.read_exact(&mut close).await.unwrap();
        assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, 1002));
        assert!(matches!(worker.closed().await, CloseReason::Peer { .. }));
    });
}

#[test]
fn a_client_that_says_goodbye_is_answered_and_reported_once() {
    run(async {
        let worker = Worker::start(Settings::default());
        let mut client = worker.connect().await;
        let goodbye = CloseFrame { code: CloseCode::Away, reason: "page closed".into() };
        client.close(Some(goodbye)).await.unwrap();
        assert_eq!(close_code(&mut client).await, 1001);
        assert!(client.next().await.is_none());
        assert_eq!(worker.closed().await, CloseReason::Peer { code: Some(1001) });
        assert_eq!(worker.closes(), 1);
        assert!(worker.connections.is_empty());
    });
}

#[test]
fn a_client_that_vanishes_is_lost() {
    run(async {
        let worker = Worker::start(Settings::default());
        drop(worker.connect().await);
        assert_eq!(worker.closed().await, CloseReason::Lost);
        let (id, _) = worker.opened().await;
        assert_eq!(worker.connections.send(id, b"late"), Err(SendError::Gone));
    });
}

#[test]
fn a_requested_close_comes_after_what_was_queued() {
    run(async {
        let worker = Worker::start(Settings::default());
        let mut client = worker.connect().await;
        let (id, _) = worker.opened().await;
        worker.connections.send(id, b"last words").unwrap();
        worker.connections.close(id, 1012, "restart");
        assert_eq!(worker.connections.send(id, b"too late"), Err(SendError::Gone));
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text("last words"));
        assert_eq!(close_code(&mut client).await, 1012);
        assert!(client.next().await.is_none());
        assert_eq!(worker.closed().await, CloseReason::Requested);
    });
}

#[test]
fn messages_can_be_sent_from_any_thread() {
    run(async {
        let worker = Worker::start(Settings::default());
        let mut client = worker.connect().await;
        let (id, _) = worker.opened().await;
        let connections = std::sync::Arc::clone(&worker.connections);
        let thread = std::thread::spawn(move || connections.send(id, b"from elsewhere"));
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text("from elsewhere"));
        assert_eq!(thread.join().unwrap(), Ok(()));
    });
}

#[test]
fn a_worker_that_ends_reports_its_connections() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    let (worker, _client) = local.block_on(&runtime, async {
        let worker = Worker::start(Settings::default());
        let client = worker.connect().await;
        worker.opened().await;
        (worker, client)
    });
    drop(local);
    let events = worker.recorder.events.borrow();
    assert!(matches!(events.last(), Some(Event::Closed { why: CloseReason::Stopped, .. })), "{events:?}");
    assert!(worker.connections.is_empty());
}
