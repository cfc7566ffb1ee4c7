//! Any bytes on an open WebSocket connection, cut anywhere: the connection ends, no message is larger than allowed or
//! longer than what was sent, and how the bytes are cut changes neither the messages nor the end.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::rc::Rc;

use sbc_ws::{CloseReason, Handler, Refused, Settings, Ticket, fuzzing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The largest message that is let in.
const MAX_MESSAGE: usize = 300;
/// More than what is thrown, so that no write waits.
const PIPE: usize = 64 * 1024;
/// Pings, an answer for each that came, a close: never much more than was received.
const SAID_BESIDE: usize = 512;

/// The first bytes say how the rest is cut and whether it is framed; a frame is its first byte and its payload.
pub fn run(bytes: &[u8]) {
    let Some((cuts, rest)) = bytes.split_first_chunk::<8>() else { return };
    let wire = if cuts[0] & 1 == 0 { framed(rest) } else { rest.to_vec() };
    let wire = wire.get(..PIPE / 2).unwrap_or(&wire);
    let whole = session(wire, &[]);
    let cut = session(wire, cuts);
    assert_eq!(whole, cut, "cut differently, read differently");
    let heard: usize = whole.0.iter().map(Vec::len).sum();
    assert!(whole.0.iter().all(|message| message.len() <= MAX_MESSAGE));
    assert!(heard <= wire.len());
}

/// What a client would send: each piece with the header of a masked frame, the mask being zero.
fn framed(mut script: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    while let [first, length, rest @ ..] = script {
        let (payload, after) = rest.split_at(usize::from(*length).min(rest.len()));
        wire.push(*first);
        match u8::try_from(payload.len()) {
            Ok(length @ 0..126) => wire.push(0x80 | length),
            _ => {
                wire.push(0x80 | 126);
                wire.extend_from_slice(&(payload.len() as u16).to_be_bytes());
            }
        }
        wire.extend_from_slice(&[0; 4]);
        wire.extend_from_slice(payload);
        script = after;
    }
    wire
}

/// The messages that were received, and why the connection ended.
fn session(wire: &[u8], cuts: &[u8]) -> (Vec<Vec<u8>>, CloseReason) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let settings = Settings { max_message: MAX_MESSAGE, ..Settings::default() };
    let heard = Rc::new(Heard::default());
    let reason = runtime.block_on(async {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let (early, late) = wire.split_at(cuts.first().map_or(0, |cut| usize::from(*cut)).min(wire.len()));
        let session = fuzzing::session(ours, early.to_vec(), &settings, Rc::clone(&heard) as Rc<dyn Handler>);
        let (reason, ()) = tokio::join!(session, client(theirs, late, cuts));
        reason
    });
    (heard.0.take(), reason)
}

/// Sends everything in pieces, takes what comes, and leaves.
async fn client(mut stream: tokio::io::DuplexStream, mut wire: &[u8], cuts: &[u8]) {
    for cut in cuts {
        let (piece, rest) = wire.split_at(usize::from(*cut).min(wire.len()));
        // The other side may have gone.
        let _ = stream.write_all(piece).await;
        tokio::task::yield_now().await;
        wire = rest;
    }
    let _ = stream.write_all(wire).await;
    let _ = stream.shutdown().await;
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said).await;
    assert!(said.len() <= PIPE / 2 + SAID_BESIDE, "{} bytes were said", said.len());
}

#[derive(Default)]
struct Heard(RefCell<Vec<Vec<u8>>>);

impl Handler for Heard {
    fn admits(&self, _: SocketAddr) -> bool {
        true
    }

    fn is_unlimited(&self, _: SocketAddr) -> bool {
        false
    }
    fn opened(&self, _: NonZeroU64, _: SocketAddr, _: SocketAddr, _: Option<Ticket>) {}
    fn received(&self, _: NonZeroU64, _: SocketAddr, _: SocketAddr, message: &[u8]) {
        self.0.borrow_mut().push(message.to_vec());
    }
    fn closed(&self, _: NonZeroU64, _: SocketAddr, _: CloseReason) {}
    fn refused(&self, _: Option<SocketAddr>, _: Refused) {}
}
