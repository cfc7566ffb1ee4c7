//! What of a socket's datagrams the kernel drops before anybody has read them.
//!
//! A worker that is far behind has no time to read what it would only refuse. It says by the first bytes which datagrams
//! it means and what share of them shall pass; the kernel draws lots. This is a classic BPF program at the socket
//! (`SO_ATTACH_FILTER`), which needs no privilege and ends with the socket.

use std::io;
use std::sync::atomic::Ordering;

use nix::errno::Errno;
use nix::libc;
use socket2::SockFilter;

use crate::socket::Socket;

/// All of the datagrams that a [`Rule`] speaks of; its shares are parts of this.
pub const WHOLE: u32 = 1 << 16;

/// Datagrams that begin alike, and the share of them that passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Their first bytes.
    pub begins: Vec<u8>,
    /// Those that go on with one of these pass all the same.
    pub except: Vec<Vec<u8>>,
    /// How many pass, of [`WHOLE`].
    pub passes: u32,
}

impl Socket {
    /// Let the kernel drop what the rules do not let pass, from now on and in place of earlier rules. What no rule
    /// speaks of passes, and so does what is shorter than the longest text of a rule; without any rule everything does.
    /// What is in the socket already stays there.
    ///
    /// # Errors
    /// What the kernel said: the program is too long for it, or this process may not have one. Earlier rules stay.
    pub fn sift(&self, rules: &[Rule]) -> io::Result<()> {
        if rules.iter().any(|rule| rule.passes < WHOLE) {
            let program = program(rules);
            if program.len() > libc::BPF_MAXINSNS as usize {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the rules are too long for the kernel",
                ));
            }
            self.inner().attach_filter(&program)?;
            self.tally.sifted.store(true, Ordering::Relaxed);
        } else if self.tally.sifted.swap(false, Ordering::Relaxed) {
            match self.inner().detach_filter() {
                Err(error) if error.raw_os_error() != Some(Errno::ENOENT as i32) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The program sees a datagram from its UDP header on.
const HEADER_BYTES: u32 = 8;
/// What a program returns: how many bytes may stay.
const DROP: u32 = 0;
const PASS: u32 = u32::MAX;

/// Reading beyond the end would drop a datagram, so that the length is looked at first.
fn program(rules: &[Rule]) -> Vec<SockFilter> {
    let longest = rules.iter().map(Rule::length).max().unwrap_or(0);
    let rest: Vec<SockFilter> = rules.iter().flat_map(Rule::program).collect();
    let mut program = vec![
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_LEN, 0),
        jump(libc::BPF_JGE, HEADER_BYTES + longest, 1, 0),
        end(PASS),
    ];
    program.extend(rest);
    program.push(end(PASS));
    program
}

impl Rule {
    /// How far it looks.
    fn length(&self) -> u32 {
        let longest = self.except.iter().map(Vec::len).max().unwrap_or(0);
        u32::try_from(self.begins.len() + longest).unwrap_or(u32::MAX)
    }

    fn program(&self) -> Vec<SockFilter> {
        if self.passes >= WHOLE {
            return Vec::new();
        }
        let behind = HEADER_BYTES + u32::try_from(self.begins.len()).unwrap_or(u32::MAX);
        let mut chosen: Vec<SockFilter> =
            self.except.iter().flat_map(|except| guard(behind, except, vec![end(PASS)])).collect();
        let chance = libc::SKF_AD_OFF.wrapping_add(libc::SKF_AD_RANDOM) as u32;
        chosen.extend([
            step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, chance),
            jump(libc::BPF_JGE, self.passes << 16, 0, 1),
            end(DROP),
            end(PASS),
        ]);
        guard(HEADER_BYTES, &self.begins, chosen)
    }
}

/// Does `then` where these bytes stand at `at`, else goes on behind it.
fn guard(at: u32, bytes: &[u8], then: Vec<SockFilter>) -> Vec<SockFilter> {
    let mut words = Vec::new();
    let mut place = at;
    let mut rest = bytes;
    while let Some(word) = Word::first(rest) {
        words.push((place, word));
        place += word.length;
        rest = rest.get(word.length as usize..).unwrap_or_default();
    }
    words.into_iter().rev().fold(then, |then, (place, word)| {
        // A conditional jump reaches 255 steps, a plain one all of them.
        let behind = u32::try_from(then.len()).unwrap_or(u32::MAX);
        let mut guarded = vec![
            step(libc::BPF_LD | word.size | libc::BPF_ABS, place),
            jump(libc::BPF_JEQ, word.value, 1, 0),
            step(libc::BPF_JMP | libc::BPF_JA, behind),
        ];
        guarded.extend(then);
        guarded
    })
}

/// What is compared at once.
#[derive(Clone, Copy)]
struct Word {
    size: u32,
    length: u32,
    value: u32,
}

impl Word {
    fn first(bytes: &[u8]) -> Option<Self> {
        Some(match *bytes {
            [one, two, three, four, ..] => {
                Self { size: libc::BPF_W, length: 4, value: u32::from_be_bytes([one, two, three, four]) }
            }
            [one, two, ..] => {
                Self { size: libc::BPF_H, length: 2, value: u32::from_be_bytes([0, 0, one, two]) }
            }
            [one] => Self { size: libc::BPF_B, length: 1, value: one.into() },
            [] => return None,
        })
    }
}

const fn step(code: u32, value: u32) -> SockFilter {
    SockFilter::new(code as u16, 0, 0, value)
}

/// Compares with `value`, and leaves out so many steps.
const fn jump(how: u32, value: u32, if_so: u8, if_not: u8) -> SockFilter {
    SockFilter::new((libc::BPF_JMP | how | libc::BPF_K) as u16, if_so, if_not, value)
}

const fn end(bytes: u32) -> SockFilter {
    step(libc::BPF_RET | libc::BPF_K, bytes)
}
