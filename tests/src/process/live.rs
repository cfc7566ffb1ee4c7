//! Agents of the test's own behind real sockets, told what to do from synchronous tests.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::stream::Stream;
use super::websocket::{self, WebSocket};
use super::{PublicView, Site, until, until_or};
use crate::agent::{Agent, LegId, Registered, Settings, State};
use crate::shell::Shell;
use sbc_core::flow::Transport;
use sbc_core::time::Time;

/// The sockets of all agents of a test program live here.
pub(super) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().expect("a runtime")
    })
}

#[derive(Debug)]
enum Line {
    Udp(Arc<Shell<Agent>>),
    WebSocket(Arc<WebSocket<Agent>>),
    Stream(Arc<Stream<Agent>>),
}

/// An agent that is served until the value is dropped.
#[derive(Debug)]
pub struct Live {
    socket: Line,
    serving: JoinHandle<()>,
}

impl Live {
    /// A phone over UDP, as `user` of example.test.
    ///
    /// # Panics
    /// When its port is taken.
    pub fn phone(site: &Site, user: &str) -> Self {
        Self::phone_at(site, user, site.udp)
    }

    /// The same, sending to another address than sbc's own.
    ///
    /// # Panics
    /// When its port is taken.
    pub fn phone_at(site: &Site, user: &str, edge: SocketAddr) -> Self {
        let own = site.outside();
        let settings = settings(user, own, edge);
        let shell = runtime().block_on(Shell::bind(own, Agent::phone(settings))).expect("a free port");
        let shell = Arc::new(shell);
        let served = Arc::clone(&shell);
        let serving = runtime().spawn(async move { served.run().await });
        Self { socket: Line::Udp(shell), serving }
    }

    /// A phone over TCP, as `user` of example.test. It connects again whenever its connection has closed.
    ///
    /// # Panics
    /// Where the site has no streams.
    pub fn phone_by_tcp(site: &Site, user: &str) -> Self {
        Self::phone_by(Transport::Tcp, site, user)
    }

    /// The same over TLS, whoever the server says it is.
    ///
    /// # Panics
    /// Where the site has no streams.
    pub fn phone_by_tls(site: &Site, user: &str) -> Self {
        Self::phone_by(Transport::Tls, site, user)
    }

    fn phone_by(transport: Transport, site: &Site, user: &str) -> Self {
        let streams = site.streams.as_ref().expect("a site with streams");
        let is_tls = transport == Transport::Tls;
        let edge = if is_tls { streams.tls } else { streams.tcp };
        let agent = Agent::phone_by(transport, settings(user, site.outside_tcp(), edge));
        let socket = Arc::new(Stream::new(edge, is_tls, agent));
        let served = Arc::clone(&socket);
        let serving = runtime().spawn(async move { served.run().await });
        Self { socket: Line::Stream(socket), serving }
    }

    /// A browser's habits over plain WebSocket, connected, as `user` of example.test.
    ///
    /// # Panics
    /// When the connection is refused.
    pub fn browser(site: &Site, user: &str) -> Self {
        let (own, edge) = (site.outside(), site.ws);
        let (socket, stream) = runtime()
            .block_on(websocket::connect(edge, Agent::browser(settings(user, own, edge))))
            .expect("a WebSocket");
        let socket = Arc::new(socket);
        let served = Arc::clone(&socket);
        let serving = runtime().spawn(async move { served.run(stream).await });
        Self { socket: Line::WebSocket(socket), serving }
    }

    /// A browser's habits over WebSocket with TLS, connected to this address.
    ///
    /// # Panics
    /// When the connection is refused.
    pub fn browser_at(site: &Site, user: &str, edge: SocketAddr) -> Self {
        let agent = Agent::browser(settings(user, site.outside(), edge));
        let (socket, stream) =
            runtime().block_on(websocket::connect_tls(edge, agent)).expect("a WebSocket with TLS");
        let socket = Arc::new(socket);
        let served = Arc::clone(&socket);
        let serving = runtime().spawn(async move { served.run(stream).await });
        Self { socket: Line::WebSocket(socket), serving }
    }

    /// Asks the agent something, or lets it do something.
    pub fn act<T>(&self, verb: impl FnOnce(&mut Agent, Time) -> T) -> T {
        match &self.socket {
            Line::Udp(shell) => shell.act(verb),
            Line::WebSocket(socket) => socket.act(verb),
            Line::Stream(socket) => socket.act(verb),
        }
    }

    /// Starts to register.
    pub fn register(&self) {
        self.act(|agent, now| {
            agent.keep_registered(true);
            agent.register(now, 300);
        });
    }

    /// Waits until it is registered.
    ///
    /// # Panics
    /// When that does not come.
    #[track_caller]
    pub fn wait_until_registered(&self) {
        let state = || self.act(|agent, _| agent.registered());
        until_or(|| matches!(state(), Registered::Yes(_)), || format!("registered, but {:?}", state()));
    }

    /// Calls a number at example.test.
    pub fn call(&self, number: &str) -> LegId {
        self.act(|agent, now| agent.call(now, &format!("sip:{number}@example.test")))
    }

    /// How far a call is.
    pub fn state(&self, leg: LegId) -> State {
        self.act(|agent, _| agent.state(leg))
    }

    /// Waits until a call is so far.
    ///
    /// # Panics
    /// When it does not get there.
    #[track_caller]
    pub fn wait_for(&self, leg: LegId, state: State) {
        let is_so = || self.state(leg) == state;
        until_or(is_so, || format!("{state:?}, but {:?}", self.state(leg)));
    }

    /// Waits until a call is over.
    ///
    /// # Panics
    /// When it goes on.
    #[track_caller]
    pub fn wait_for_end(&self, leg: LegId) {
        until("the call is over", || matches!(self.state(leg), State::Ended { .. }));
    }

    /// Waits for the reply to a request of ours inside a call.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn wait_for_reply(&self, leg: LegId, method: &str) -> u16 {
        let reply = || self.act(|agent, _| agent.call_of(leg).and_then(|call| call.reply(method)));
        until(&format!("a reply to {method}"), || reply().is_some());
        reply().unwrap_or_default()
    }

    /// Waits for a request of the other side inside a call.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn wait_for_request(&self, leg: LegId, method: &str) {
        let came = |agent: &mut Agent, _| {
            agent.call_of(leg).is_some_and(|call| call.requests.iter().any(|own| own == method))
        };
        until(&format!("a {method} from the other side"), || self.act(came));
    }

    /// Waits for a call that comes in.
    ///
    /// # Panics
    /// When nobody calls.
    #[track_caller]
    pub fn wait_for_call(&self) -> LegId {
        until("a call comes in", || self.act(|agent, _| agent.incoming()).is_some());
        self.act(|agent, _| agent.incoming()).expect("seen just now")
    }

    /// Shows every message that the agent has received to the judge.
    pub fn show_to(&self, view: &mut PublicView) {
        let received = |agent: &mut Agent, _| {
            let received = agent.trace().iter().filter(|traced| !traced.sent);
            received.map(|traced| traced.message.to_bytes()).collect::<Vec<_>>()
        };
        view.judge_all(self.act(received));
    }

    /// What was done to the agent that must not be.
    pub fn violations(&self) -> Vec<String> {
        self.act(|agent, _| agent.violations())
    }

    /// Says that nobody did to the agent what must not be done.
    ///
    /// # Panics
    /// When somebody did.
    #[track_caller]
    pub fn assert_no_violations(&self) {
        let violations = self.violations();
        assert!(violations.is_empty(), "{violations:#?}");
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

pub(crate) fn settings(user: &str, own: SocketAddr, edge: SocketAddr) -> Settings {
    // Two agents with one seed would give their transactions the same branches.
    static AGENTS: AtomicU64 = AtomicU64::new(0);
    let agent = AGENTS.fetch_add(1, Ordering::Relaxed);
    Settings {
        address: own,
        edge,
        user: user.into(),
        domain: "example.test".into(),
        password: Some("secret".into()),
        seed: u64::from(own.port()) << 32 | agent,
    }
}
