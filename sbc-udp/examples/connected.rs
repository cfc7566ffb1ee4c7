//! What would connected sockets towards the pool save? CPU time of this process per datagram sent and
//! received again, with one unconnected socket for all members and with one connected socket for each.
//!
//! `cargo run --release -p sbc-udp --example connected`

use std::error::Error;
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
use nix::sys::time::TimeValLike;

const BATCH: usize = 32;
const MESSAGE_BYTES: usize = 800;
const DATAGRAMS: usize = 200_000;
const RUNS: usize = 5;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// One of our sockets and the members that it serves.
struct Side {
    ours: UdpSocket,
    back: SockaddrIn,
    members: Vec<UdpSocket>,
    addresses: Vec<Option<SockaddrIn>>,
}

/// The kernel's headers for both directions, reused.
struct Scratch {
    send: MultiHeaders<SockaddrIn>,
    receive: MultiHeaders<SockaddrIn>,
    slab: Vec<u8>,
}

fn main() -> Outcome<()> {
    println!(
        "CPU ns per datagram sent to a member and echoed by it ({MESSAGE_BYTES} bytes, median of {RUNS} runs)"
    );
    println!("{:>8} {:>6} {:>12} {:>10} {:>7}", "members", "batch", "unconnected", "connected", "saved");
    for members in [1, 4] {
        for batch in [1, 8, BATCH] {
            let (mut plain, mut connected) = (Vec::new(), Vec::new());
            for _ in 0..RUNS {
                plain.push(measure(members, batch, false)?);
                connected.push(measure(members, batch, true)?);
            }
            let (plain, connected) = (median(plain), median(connected));
            let saved = 100.0 * (1.0 - connected / plain);
            println!("{members:>8} {batch:>6} {plain:>12.0} {connected:>10.0} {saved:>6.1}%");
        }
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn measure(members: usize, batch: usize, connected: bool) -> Outcome<f64> {
    let sides = sides(members, connected)?;
    let mut scratch = Scratch {
        send: MultiHeaders::preallocate(BATCH, None),
        receive: MultiHeaders::preallocate(BATCH, None),
        slab: vec![0; BATCH * 2048],
    };
    let rounds = DATAGRAMS / batch;
    let before = cpu_nanoseconds()?;
    for round in 0..rounds {
        // A batch of one goes to the members in turn; a larger one is divided between them.
        if batch < members {
            let turn = round % members;
            let (side, member) = if connected { (&sides[turn], 0) } else { (&sides[0], turn) };
            exchange(side, &[member], &mut scratch)?;
        } else {
            for side in &sides {
                let shares: Vec<usize> = (0..batch / sides.len()).map(|n| n % side.members.len()).collect();
                exchange(side, &shares, &mut scratch)?;
            }
        }
    }
    Ok((cpu_nanoseconds()? - before) as f64 / (rounds * batch) as f64)
}

/// One side with all members, or one connected side for each member, all on one local port.
fn sides(members: usize, connected: bool) -> Outcome<Vec<Side>> {
    let count = if connected { members } else { 1 };
    let mut local = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).into();
    let mut sides = Vec::new();
    for _ in 0..count {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::into(local))?;
        let ours = UdpSocket::from(socket);
        local = ours.local_addr()?;
        let members =
            (0..members / count).map(|_| UdpSocket::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
        let addresses = if connected {
            ours.connect(members[0].local_addr()?)?;
            vec![None]
        } else {
            members.iter().map(|member| address(member).map(Some)).collect::<Outcome<Vec<_>>>()?
        };
        sides.push(Side { back: address(&ours)?, ours, members, addresses });
    }
    Ok(sides)
}

/// Send one datagram for each entry of `shares` (a member's number) and receive the echoes.
fn exchange(side: &Side, shares: &[usize], scratch: &mut Scratch) -> Outcome<()> {
    let mut remotes = [None; BATCH];
    for (remote, share) in remotes.iter_mut().zip(shares) {
        *remote = side.addresses[*share];
    }
    send(&side.ours, &remotes[..shares.len()], scratch)?;
    for (number, member) in side.members.iter().enumerate() {
        let count = shares.iter().filter(|share| **share == number).count();
        if count > 0 {
            receive(member, count, scratch)?;
            send(member, &[Some(side.back); BATCH][..count], scratch)?;
        }
    }
    receive(&side.ours, shares.len(), scratch)
}

fn send(from: &UdpSocket, remotes: &[Option<SockaddrIn>], scratch: &mut Scratch) -> Outcome<()> {
    const NO_CONTROL: [ControlMessage<'static>; 0] = [];
    let message = [b'x'; MESSAGE_BYTES];
    let buffers = [[IoSlice::new(&message)]; BATCH];
    let buffers = &buffers[..remotes.len()];
    let sent =
        sendmmsg(from.as_raw_fd(), &mut scratch.send, buffers, remotes, NO_CONTROL, MsgFlags::empty())?
            .count();
    assert_eq!(sent, remotes.len());
    Ok(())
}

/// Loopback delivers before the sender's call returns, so one non-blocking call finds all.
fn receive(at: &UdpSocket, count: usize, scratch: &mut Scratch) -> Outcome<()> {
    let mut slots = scratch.slab.chunks_exact_mut(2048);
    let mut buffers: [_; BATCH] =
        std::array::from_fn(|_| [IoSliceMut::new(slots.next().unwrap_or_default())]);
    let received =
        recvmmsg(at.as_raw_fd(), &mut scratch.receive, &mut buffers, MsgFlags::MSG_DONTWAIT, None)?.count();
    assert_eq!(received, count);
    Ok(())
}

fn address(socket: &UdpSocket) -> Outcome<SockaddrIn> {
    match socket.local_addr()? {
        SocketAddr::V4(address) => Ok(address.into()),
        SocketAddr::V6(address) => Err(format!("{address} is not of IPv4").into()),
    }
}

fn cpu_nanoseconds() -> Outcome<i64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    Ok((usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) * 1000)
}
