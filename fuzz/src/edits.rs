//! A message that could be read, edited as a proxy edits it, can be read again: untouched bytes are the same, what
//! was put in is there, and a second reading finds the same headers.

use sbc_core::wire::{Edits, Framing, Header, HeaderName, Index, Limits, Message};

/// Most edits of one message.
const EDITS: usize = 16;
const VALUE: &[u8] = b"put in";

/// The first bytes choose what is edited, the rest is the message.
pub fn run(bytes: &[u8]) {
    let Some((choices, bytes)) = bytes.split_first_chunk::<EDITS>() else { return };
    let mut index = Index::new();
    if index.parse(bytes, Framing::Datagram, &Limits::default()).is_err() {
        return;
    }
    let message = Message::new(bytes, &index);
    let mut edits = Edits::new();
    let mut fates = vec![Fate::Stays; message.headers().count()];
    edit(&message, choices, &mut edits, &mut fates);
    let mut out = Vec::new();
    edits.apply(message.bytes(), &mut out);

    let mut again = Index::new();
    let verdict = again.parse(&out, Framing::Datagram, &Limits { headers: usize::MAX, ..Limits::default() });
    assert_eq!(verdict, Ok(()), "{}", String::from_utf8_lossy(&out));
    let edited = Message::new(&out, &again);
    assert_eq!(edited.body(), message.body());
    assert_eq!(
        edited.bytes().get(edited.start_line_range()),
        message.bytes().get(message.start_line_range())
    );
    compare(&message, &edited, &fates);
}

/// What becomes of one header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    IsReplaced,
    IsDeleted,
}

fn edit(message: &Message<'_>, choices: &[u8], edits: &mut Edits, fates: &mut [Fate]) {
    for pair in choices.chunks_exact(2) {
        let [what, which] = pair else { continue };
        let Some(at) = usize::from(*which).checked_rem(fates.len()) else { return };
        let (Some(header), Some(fate)) = (message.headers().nth(at), fates.get_mut(at)) else { continue };
        // Content-Length decides what the message is; no proxy edits it.
        if *fate != Fate::Stays || header.name == HeaderName::ContentLength {
            continue;
        }
        match what % 3 {
            0 => *fate = Fate::IsDeleted,
            1 => *fate = Fate::IsReplaced,
            _ => continue,
        }
        match fate {
            Fate::IsDeleted => edits.delete(header.line()),
            _ => edits.replace(header.value_range(), VALUE),
        }
    }
}

fn compare(before: &Message<'_>, after: &Message<'_>, fates: &[Fate]) {
    let mut left = after.headers();
    for (header, fate) in before.headers().zip(fates).filter(|(_, fate)| **fate != Fate::IsDeleted) {
        let found = left.next().expect("a header that was not deleted");
        assert_eq!(found.name, header.name);
        match fate {
            Fate::IsReplaced => assert_eq!(found.value, VALUE),
            _ => assert_eq!(line(after, &found), line(before, &header)),
        }
    }
    assert!(left.next().is_none(), "a header out of nothing");
}

fn line<'a>(message: &Message<'a>, header: &Header<'_>) -> Option<&'a [u8]> {
    message.bytes().get(header.line())
}
