//! A listener on loopback that echoes what it hears and tells the test of everything.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::rc::Rc;
use std::sync::Arc;

use sbc_tcp::{CloseReason, Connections, Handler, Link, Listener, Refused, Settings, Unreached, bind, serve};
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};

/// The smallest message.
pub(crate) const OPTIONS: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nl: 0\r\n\r\n";

#[derive(Debug, PartialEq)]
pub(crate) enum Told {
    Message(Vec<u8>),
    Closed(CloseReason),
    Refused(Refused),
    Unreachable(Unreached),
}

/// Echoes every message, and tells the test of everything.
pub(crate) struct Echo {
    pub(crate) connections: Arc<Connections>,
    told: RefCell<mpsc::UnboundedSender<Told>>,
    /// Everybody may hold as many connections as he likes.
    pub(crate) is_unlimited: Cell<bool>,
    /// Nobody may connect.
    pub(crate) is_shut: Cell<bool>,
    /// The connection that was opened last.
    pub(crate) last: Cell<Option<NonZeroU64>>,
}

impl Echo {
    fn tell(&self, told: Told) {
        let _ = self.told.borrow().send(told);
    }
}

impl Handler for Echo {
    fn admits(&self, _remote: SocketAddr) -> bool {
        !self.is_shut.get()
    }

    fn is_unlimited(&self, _remote: SocketAddr) -> bool {
        self.is_unlimited.get()
    }

    fn opened(&self, link: &Link) {
        self.last.set(Some(link.id));
    }

    fn received(&self, link: &Link, message: &[u8]) {
        let _ = self.connections.send(link.id, message);
        self.tell(Told::Message(message.to_vec()));
    }

    fn closed(&self, _link: &Link, why: CloseReason) {
        self.tell(Told::Closed(why));
    }

    fn refused(&self, _remote: SocketAddr, why: Refused) {
        self.tell(Told::Refused(why));
    }

    fn unreachable(&self, _remote: SocketAddr, why: Unreached) {
        self.tell(Told::Unreachable(why));
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) told: mpsc::UnboundedReceiver<Told>,
    pub(crate) handler: Rc<Echo>,
    pub(crate) listener: Arc<Listener>,
}

pub(crate) fn server(settings: Settings) -> io::Result<Server> {
    let socket = bind("127.0.0.1:0".parse().expect("an address"), false)?;
    let (address, connections) = (socket.local_addr()?, Connections::new());
    let listener = Listener::new(settings, Arc::clone(&connections));
    let (tell, told) = mpsc::unbounded_channel();
    let told_by = RefCell::new(tell);
    let handler = Rc::new(Echo {
        connections,
        told: told_by,
        is_unlimited: Cell::default(),
        is_shut: Cell::default(),
        last: Cell::default(),
    });
    spawn_local(serve(socket, Arc::clone(&listener), Rc::clone(&handler) as Rc<dyn Handler>));
    Ok(Server { address, told, handler, listener })
}

pub(crate) fn play(test: impl AsyncFnOnce() -> io::Result<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, test()).expect("sockets work");
}
