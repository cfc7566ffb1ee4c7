//! A FreeSWITCH-like pool member as a process, so that tests can kill it.
#![forbid(unsafe_code)]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use clap::Parser;
use sbc_tests::member::Member;
use sbc_tests::member::config::{Config, Gateway};
use sbc_tests::member::status::Status;
use sbc_tests::shell::Shell;

/// How long the BYEs of a shutdown may take, resent ones included.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(2);

/// A SIP endpoint that behaves as FreeSWITCH was seen to behave.
#[derive(Debug, Parser)]
struct Arguments {
    /// SIP address (UDP).
    #[arg(long)]
    sip: SocketAddr,
    /// A name for people.
    #[arg(long, default_value = "member")]
    name: String,
    /// Domain of the users, and realm.
    #[arg(long, default_value = "example.test")]
    domain: String,
    /// First and last user.
    #[arg(long, default_value = "1000-1019", value_parser = users)]
    users: RangeInclusive<u32>,
    /// Password of every user.
    #[arg(long, default_value = "secret")]
    password: String,
    /// max-sessions: N lets N-1 inbound calls through.
    #[arg(long, default_value_t = 1000)]
    max_calls: usize,
    /// Ask no caller for credentials.
    #[arg(long)]
    open: bool,
    /// Addresses that need no credentials; compared with X-AUTH-IP where there is one.
    #[arg(long)]
    inbound_acl: Vec<IpAddr>,
    /// A header that stands for credentials when it is not empty.
    #[arg(long)]
    token_header: Option<String>,
    /// Other members, who need no credentials.
    #[arg(long)]
    peer: Vec<SocketAddr>,
    /// Make 183 with SDP reliable for callers who support it.
    #[arg(long)]
    enable_100rel: bool,
    /// Seconds of session-timeout; 0 switches session timers off.
    #[arg(long, default_value_t = 1800)]
    session_timeout: u64,
    /// A trunk: NAME,PROXY-IP:PORT,REALM,USER,PASSWORD. The member registers there.
    #[arg(long, value_parser = gateway)]
    gateway: Option<Gateway>,
    /// Serve the status as JSON at /status here.
    #[arg(long)]
    http: Option<SocketAddr>,
    /// Seed of tags, nonces and Call-IDs; without it one from the clock.
    #[arg(long)]
    seed: Option<u64>,
}

fn users(text: &str) -> Result<RangeInclusive<u32>, String> {
    let read = |text: &str| text.parse::<u32>().map_err(|error| format!("{text}: {error}"));
    let (first, last) = text.split_once('-').ok_or("want FIRST-LAST, as in 1000-1019")?;
    Ok(read(first)?..=read(last)?)
}

fn gateway(text: &str) -> Result<Gateway, String> {
    let [name, proxy, realm, user, password] = text.split(',').collect::<Vec<_>>()[..] else {
        return Err("want NAME,PROXY-IP:PORT,REALM,USER,PASSWORD".into());
    };
    Ok(Gateway {
        name: name.into(),
        proxy: proxy.parse().map_err(|error| format!("{proxy}: {error}"))?,
        realm: realm.into(),
        user: user.into(),
        password: password.into(),
        register: true,
        expires: 3600,
        extension: "9196".into(),
    })
}

fn config(arguments: Arguments) -> Config {
    // Nonces of a process that was started again must be unknown to it.
    let clock = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    Config {
        users: arguments.users,
        auth_calls: !arguments.open,
        inbound_acl: arguments.inbound_acl,
        token_header: arguments.token_header,
        peers: arguments.peer,
        max_sessions: arguments.max_calls,
        enable_100rel: arguments.enable_100rel,
        session_timeout: arguments.session_timeout,
        gateway: arguments.gateway,
        seed: arguments.seed.unwrap_or(clock as u64 ^ u64::from(arguments.sip.port())),
        ..Config::new(&arguments.name, arguments.sip, &arguments.domain, &arguments.password)
    }
}

async fn status(State(shell): State<Arc<Shell<Member>>>) -> Json<Status> {
    Json(shell.act(|member, now| member.status(now)))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let (sip, http) = (arguments.sip, arguments.http);
    let shell = Arc::new(Shell::bind(sip, Member::new(config(arguments))).await?);
    if let Some(address) = http {
        let listener = tokio::net::TcpListener::bind(address).await?;
        let router = axum::Router::new().route("/status", get(status)).with_state(Arc::clone(&shell));
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        () = shell.run() => {}
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    shell.act(Member::shutdown);
    let _ = tokio::time::timeout(SHUTDOWN_WAIT, shell.run()).await;
    Ok(())
}
