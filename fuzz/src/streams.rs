//! Any bytes of a TCP connection, cut anywhere: framing ends, gives no more than came in, keeps to the largest message,
//! and how the bytes are cut changes neither the messages nor whether the stream is given up.

use sbc_tcp::{Frame, Framer};

/// The largest message that is let in.
const MAX_MESSAGE: usize = 300;
/// Most bytes of one run.
const MOST: usize = 16 * 1024;

/// The first bytes say how the rest is cut and whether its bodies get their Content-Length.
pub fn run(bytes: &[u8]) {
    let Some((cuts, rest)) = bytes.split_first_chunk::<8>() else { return };
    let stream = if cuts[0] & 1 == 0 { messages(rest) } else { rest.to_vec() };
    let stream = stream.get(..MOST).unwrap_or(&stream);
    let whole = framed(stream, &[]);
    assert_eq!(whole, framed(stream, cuts), "cut differently, read differently");
    let (frames, _) = whole;
    assert!(frames.iter().map(Vec::len).sum::<usize>() <= stream.len());
    assert!(frames.iter().all(|frame| frame.len() <= MAX_MESSAGE));
}

/// What a peer would send: each piece as the body of a message that announces it.
fn messages(mut script: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    while let [length, rest @ ..] = script {
        let (body, after) = rest.split_at(usize::from(*length).min(rest.len()));
        stream.extend_from_slice(format!("BYE sip:a SIP/2.0\r\nl: {}\r\n\r\n", body.len()).as_bytes());
        stream.extend_from_slice(body);
        script = after;
    }
    stream
}

/// The messages, and whether the stream was given up. Why is told by what was read so far: a head that is too long
/// may also be wrong.
fn framed(stream: &[u8], cuts: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let mut framer = Framer::new(MAX_MESSAGE);
    let mut frames = Vec::new();
    let mut cuts = cuts.iter().cycle();
    let mut rest = stream;
    while !rest.is_empty() {
        let length = cuts.next().map_or(rest.len(), |cut| usize::from(*cut) + 1).min(rest.len());
        let (now, later) = rest.split_at(length);
        framer.buffer().extend_from_slice(now);
        rest = later;
        loop {
            match framer.next_frame() {
                Frame::Message(range) => frames.push(framer.bytes(&range).to_vec()),
                Frame::Partial => break,
                Frame::Lost(_, head) => {
                    // A head that is owed an answer may be as long as whatever came with it.
                    assert!(head.is_none_or(|head| head.len() <= stream.len()));
                    return (frames, true);
                }
            }
        }
    }
    (frames, false)
}
