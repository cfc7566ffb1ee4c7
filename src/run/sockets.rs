//! All sockets of the program, bound before anything runs: if one cannot be had, none is kept.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use sbc_core::flow::{ListenerId, Transport};
use sbc_udp::{Options, Socket, probe_free};

use crate::config::{ListenerSettings, Place, Problem, Problems, Settings};

/// Bytes of receive buffer, as the kernel counts them, that hold a burst of a few hundred large INVITEs.
const ENOUGH_BUFFER: usize = 2 << 20;

/// The sockets of the program.
pub(crate) struct Sockets {
    /// One for each worker.
    pub workers: Vec<WorkerSockets>,
    /// The admin API.
    pub admin: TcpListener,
}

/// What one worker reads and sends by.
pub(crate) struct WorkerSockets {
    /// UDP listeners.
    pub udp: Vec<UdpSockets>,
    /// Accepting sockets of WebSocket and TCP listeners.
    pub tcp: Vec<(ListenerId, TcpListener)>,
}

/// One UDP listener as one worker has it.
#[derive(Debug, Clone)]
pub(crate) struct UdpSockets {
    pub listener: ListenerId,
    /// Bound to the listener's address, shared by port reuse: read by this worker alone.
    pub own: Arc<Socket>,
    /// Bound to the worker ports: the n-th is read by worker n, and all send by any of them.
    pub fixed: Arc<[Arc<Socket>]>,
    /// The worker's number in `fixed`.
    pub mine: usize,
    /// One peer may send the traffic of many: hand messages on by Call-ID under load.
    pub hand_over: bool,
}

/// Binds everything.
///
/// # Errors
/// Each address that cannot be had, with its place in the configuration.
pub(crate) fn bind(settings: &Settings) -> Result<Sockets, Problems> {
    let mut problems = Vec::new();
    let mut workers: Vec<WorkerSockets> =
        (0..settings.workers).map(|_| WorkerSockets { udp: Vec::new(), tcp: Vec::new() }).collect();
    for (id, listener) in (0_u16..).map(ListenerId).zip(&settings.listeners) {
        let bound = match listener.core.transport {
            Transport::Udp => udp(id, listener, &mut workers),
            _ => tcp(id, listener, &mut workers),
        };
        problems.extend(bound.err());
    }
    let admin = settings.admin.value;
    let admin = listen(admin, false).map_err(|error| taken(&settings.admin.place, admin, "tcp", &error));
    match admin {
        Ok(admin) if problems.is_empty() => Ok(Sockets { workers, admin }),
        Ok(_) => Err(Problems::all(problems)),
        Err(problem) => {
            problems.push(problem);
            Err(Problems::all(problems))
        }
    }
}

fn tcp(id: ListenerId, listener: &ListenerSettings, workers: &mut [WorkerSockets]) -> Result<(), Problem> {
    let address = listener.core.bind;
    let wrong = |error: io::Error| taken(&listener.bind_place, address, "tcp", &error);
    // With SO_REUSEPORT a second program would share the port silently, so one plain socket asks first.
    drop(listen(address, false).map_err(wrong)?);
    for worker in workers {
        worker.tcp.push((id, listen(address, true).map_err(wrong)?));
    }
    Ok(())
}

fn listen(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    sbc_tcp::bind(address, reuse_port)
}

fn udp(id: ListenerId, listener: &ListenerSettings, workers: &mut [WorkerSockets]) -> Result<(), Problem> {
    let address = listener.core.bind;
    let wrong = |error: io::Error| taken(&listener.bind_place, address, "udp", &error);
    probe_free(address).map_err(wrong)?;
    let fixed = worker_ports(listener)?;
    let shared = Options { reuse_port: true, ..Options::default() };
    let hand_over = listener.core.zone != sbc_core::flow::Zone::Public;
    for (mine, worker) in workers.iter_mut().enumerate() {
        let own = Arc::new(Socket::bind(address, &shared).map_err(wrong)?);
        if mine == 0 {
            warn_of_small_buffer(listener, &own);
        }
        worker.udp.push(UdpSockets { listener: id, own, fixed: Arc::clone(&fixed), mine, hand_over });
    }
    Ok(())
}

/// A small buffer loses messages in bursts: worth a word, no reason not to start.
fn warn_of_small_buffer(listener: &ListenerSettings, socket: &Socket) {
    let granted = socket.receive_buffer().unwrap_or(0);
    if granted < ENOUGH_BUFFER {
        let listener = &*listener.core.name;
        tracing::warn!(listener, granted, "bursts may be lost: raise net.core.rmem_max to 4194304");
    }
}

/// Bound plainly: nobody else, in this program or outside, may have them.
fn worker_ports(listener: &ListenerSettings) -> Result<Arc<[Arc<Socket>]>, Problem> {
    let Some(ports) = &listener.worker_ports else {
        return Ok(Arc::new([]));
    };
    let bind = |address: &SocketAddr| {
        let socket = Socket::bind(*address, &Options::default());
        socket.map(Arc::new).map_err(|error| taken(&ports.place, *address, "udp", &error))
    };
    ports.value.iter().map(bind).collect()
}

/// Why an address could not be bound.
pub(super) fn taken(place: &Place, address: SocketAddr, protocol: &str, error: &io::Error) -> Problem {
    let option = if protocol == "udp" { 'u' } else { 't' };
    let (found, expected) = match error.kind() {
        io::ErrorKind::AddrInUse => (
            format!("{protocol} {address}, a port in use"),
            format!("a free one (`ss -ln{option}p sport = :{}` shows who has it)", address.port()),
        ),
        io::ErrorKind::AddrNotAvailable => (
            format!("{protocol} {address}, which this machine does not have"),
            "an address of this machine".to_owned(),
        ),
        io::ErrorKind::PermissionDenied => (
            format!("{protocol} {address}, which this user may not bind"),
            "a port from 1024 on, or the capability CAP_NET_BIND_SERVICE".to_owned(),
        ),
        _ => (format!("{protocol} {address}: {error}"), "an address that can be bound".to_owned()),
    };
    Problem::Key { place: place.clone(), found, expected }
}
