//! Clients that sleep, vanish or do not read.

mod common;

use std::time::Duration;

use common::{Worker, run};
use futures_util::{SinkExt, StreamExt};
use sbc_ws::{CloseReason, EgressLimits, SendError, Settings};
use tokio::task::yield_now;
use tokio_tungstenite::tungstenite::Message;

const SHORT: Duration = Duration::from_millis(30);

#[test]
fn a_silent_client_that_answers_pings_stays() {
    run(async {
        let settings =
            Settings { ping_interval: SHORT, pong_timeout: Duration::from_secs(10), ..Settings::default() };
        let worker = Worker::start(settings);
        let mut client = worker.connect().await;
        for _ in 0..3 {
            // Reading answers the ping.
            assert_eq!(client.next().await.unwrap().unwrap(), Message::Ping("".into()));
        }
        client.send(Message::text("echo")).await.unwrap();
        while client.next().await.unwrap().unwrap() != Message::text("echo") {}
        assert_eq!(worker.closes(), 0);
    });
}

#[test]
fn a_client_that_does_not_answer_pings_is_closed() {
    run(async {
        let worker =
            Worker::start(Settings { ping_interval: SHORT, pong_timeout: SHORT, ..Settings::default() });
        let _mute = worker.upgrade_raw().await;
        assert_eq!(worker.closed().await, CloseReason::PingTimeout);
        assert!(worker.connections.is_empty());
    });
}

#[test]
fn a_client_without_a_message_is_closed_at_its_deadline_though_it_answers_pings() {
    run(async {
        let settings = Settings { first_message_deadline: Some(SHORT * 2), ..Settings::default() };
        let worker = Worker::start(Settings { ping_interval: SHORT, ..settings });
        let mut mute = worker.connect().await;
        let mut talker = worker.connect().await;
        talker.send(Message::text("echo")).await.unwrap();
        assert_eq!(talker.next().await.unwrap().unwrap(), Message::text("echo"));
        let goodbye = loop {
            match mute.next().await.unwrap().unwrap() {
                Message::Ping(_) => {}
                other => break other,
            }
        };
        assert!(matches!(goodbye, Message::Close(Some(frame)) if u16::from(frame.code) == 1008));
        assert_eq!(worker.closed().await, CloseReason::NoMessage);
        talker.send(Message::text("echo")).await.unwrap();
        while talker.next().await.unwrap().unwrap() != Message::text("echo") {}
        assert_eq!(worker.closes(), 1);
    });
}

#[test]
fn a_client_that_does_not_read_is_closed_at_the_bound_and_another_is_unharmed() {
    for egress in [
        EgressLimits { bytes: 20_000, messages: usize::MAX },
        EgressLimits { bytes: usize::MAX, messages: 20 },
    ] {
        run(async {
            let worker = Worker::start(Settings { egress, ..Settings::default() });
            let _deaf = worker.upgrade_raw().await;
            let (deaf, _) = worker.opened().await;
            let mut other = worker.connect().await;
            let mut sent = 0;
            let refused = loop {
                match worker.connections.send(deaf, &[b'x'; 1000]) {
                    Ok(()) => sent += 1,
                    Err(error) => break error,
                }
                // The task gets its turn after each message, so only the client is slow.
                yield_now().await;
            };
            assert_eq!(refused, SendError::Full);
            assert!(sent >= 20, "closed after {sent} messages");
            assert_eq!(worker.closed().await, CloseReason::SlowReader);
            assert_eq!(worker.connections.send(deaf, b"x"), Err(SendError::Gone));

            other.send(Message::text("echo")).await.unwrap();
            assert_eq!(other.next().await.unwrap().unwrap(), Message::text("echo"));
            assert_eq!((worker.closes(), worker.connections.len()), (1, 1));
        });
    }
}

#[test]
fn a_write_that_makes_no_way_ends_the_connection_below_the_bound_too() {
    run(async {
        let egress = EgressLimits { bytes: 64 << 20, messages: usize::MAX };
        let worker = Worker::start(Settings { egress, pong_timeout: SHORT, ..Settings::default() });
        let _deaf = worker.upgrade_raw().await;
        let (deaf, _) = worker.opened().await;
        worker.connections.send(deaf, &vec![b'x'; 32 << 20]).unwrap();
        assert_eq!(worker.closed().await, CloseReason::SlowReader);
    });
}

#[test]
fn a_flood_of_pings_from_a_client_that_does_not_read_is_bounded() {
    run(async {
        use tokio::io::AsyncWriteExt;
        let egress = EgressLimits { bytes: 4096, messages: 16 };
        let worker = Worker::start(Settings { egress, pong_timeout: SHORT, ..Settings::default() });
        let mut deaf = worker.upgrade_raw().await;
        let (id, _) = worker.opened().await;
        let ping = [b"\x89\xfd\0\0\0\0".as_slice(), &[b'p'; 125]].concat().repeat(100);
        let flood = async { while deaf.write_all(&ping).await.is_ok() {} };
        // Whatever we want to say to it, sooner or later nothing passes.
        let talk = async {
            while worker.connections.send(id, b"anything").is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::join!(flood, talk);
        assert_eq!(worker.closed().await, CloseReason::SlowReader);
    });
}
