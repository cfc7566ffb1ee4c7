//! What one member is told to be.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use sbc_core::flow::Transport;

use crate::ua::registrar::Multiple;

/// A trunk that the member calls out through, and may register at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Its name: the user part of its Contact is `gw+NAME`.
    pub name: String,
    /// Where its requests go; host and port of Request-URI and To.
    pub proxy: SocketAddr,
    /// Realm and domain of the registration.
    pub realm: String,
    /// User there.
    pub user: String,
    /// Its secret.
    pub password: String,
    /// Register at start and refresh at half of the granted time.
    pub register: bool,
    /// Seconds asked for.
    pub expires: u64,
    /// Who is called when the trunk calls.
    pub extension: String,
}

/// One member.
#[derive(Debug, Clone)]
pub struct Config {
    /// A name for people.
    pub name: String,
    /// Its SIP address: in Via and Contact of all it sends.
    pub sip: SocketAddr,
    /// What it calls by; it listens to UDP and TCP, and to TLS where it calls by that.
    pub transport: Transport,
    /// The domain of its users, and its realm.
    pub domain: String,
    /// Its users.
    pub users: RangeInclusive<u32>,
    /// The password of each of them.
    pub password: String,
    /// Challenge INVITE, MESSAGE and SUBSCRIBE from outside a dialog.
    pub auth_calls: bool,
    /// Addresses that need no credentials (`apply-inbound-acl`); compared with `X-AUTH-IP` where there is one.
    pub inbound_acl: Vec<IpAddr>,
    /// A header that stands for credentials when it is not empty (`apply-proxy-acl-x-token`).
    pub token_header: Option<String>,
    /// Other members, who need no credentials.
    pub peers: Vec<SocketAddr>,
    /// `max-sessions`: as seen, N lets N-1 inbound calls through; the B leg of a bridge counts as one too.
    pub max_sessions: usize,
    /// `fsctl pause`: everything from outside dialogs gets 503.
    pub paused: bool,
    /// Where users are dialled who are not registered here (`fs_path`): the edge knows their bindings.
    pub edge: Option<SocketAddr>,
    /// Dial every user through the edge, which knows all flows of his: what it does with them is its own affair.
    pub all_by_edge: bool,
    /// `multiple-registrations`.
    pub multiple: Multiple,
    /// `enable-100rel`.
    pub enable_100rel: bool,
    /// Show ringing to a caller as 183 with SDP, as the stock dialplan does.
    pub ring_as_183: bool,
    /// How long a call may ring (`call_timeout`); without it, for ever.
    pub ring_timeout: Option<Duration>,
    /// `session-timeout` in seconds; 0 switches session timers off.
    pub session_timeout: u64,
    /// `minimum-session-expires` in seconds.
    pub minimum_session: u64,
    /// The trunk for numbers that begin with `+`.
    pub gateway: Option<Gateway>,
    /// Seed of all its identifiers.
    pub seed: u64,
}

impl Config {
    /// A member with the stock behaviour: users 1000 to 1019, calls challenged, session timers on.
    pub fn new(name: &str, sip: SocketAddr, domain: &str, password: &str) -> Self {
        Self {
            name: name.into(),
            sip,
            transport: Transport::Udp,
            domain: domain.into(),
            users: 1000..=1019,
            password: password.into(),
            auth_calls: true,
            inbound_acl: Vec::new(),
            token_header: None,
            peers: Vec::new(),
            max_sessions: 1000,
            paused: false,
            edge: None,
            all_by_edge: false,
            multiple: Multiple::Contact,
            enable_100rel: false,
            ring_as_183: true,
            ring_timeout: None,
            session_timeout: 1800,
            minimum_session: 90,
            gateway: None,
            seed: u64::from(sip.port()),
        }
    }

    /// What it writes behind its address in answers.
    pub const fn answering(&self) -> &'static str {
        match self.transport {
            Transport::Tcp => ";transport=tcp",
            Transport::Tls => ";transport=tls",
            _ => ";transport=udp",
        }
    }

    /// The same in requests, where UDP goes without saying.
    pub const fn asking(&self) -> &'static str {
        match self.transport {
            Transport::Udp => "",
            _ => self.answering(),
        }
    }

    /// True for the number of a user.
    pub fn is_user(&self, number: &str) -> bool {
        number.parse().is_ok_and(|number: u32| self.users.contains(&number))
    }

    /// The password of a user.
    pub fn password_of(&self, user: &str) -> Option<String> {
        self.is_user(user).then(|| self.password.clone())
    }
}
