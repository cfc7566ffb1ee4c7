//! One question to DNS, and what it leads to: SRV records and the addresses behind them, or addresses alone.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use tokio::task::JoinHandle;

use super::members::{Listed, MOST};
use crate::config::Discovery;

/// How long one server may take to answer one question.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Questions are repeated so often, each time to another server where there are several.
const ATTEMPTS: usize = 2;

/// Why there is nothing new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::run) enum Failure {
    /// DNS lists nobody who could be a member.
    Empty,
    /// No server answered, or none can be asked.
    Unanswered(String),
}

impl Failure {
    /// As metrics call it.
    pub(in crate::run) const fn label(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Unanswered(_) => "failed",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it lists no usable address"),
            Self::Unanswered(why) => f.write_str(why),
        }
    }
}

impl From<NetError> for Failure {
    fn from(error: NetError) -> Self {
        if error.is_no_records_found() { Self::Empty } else { Self::Unanswered(error.to_string()) }
    }
}

/// Who is listed now, and for how long that is true.
pub(super) type Answer = (Vec<Listed>, Duration);

/// Asks for the members of a pool.
///
/// # Errors
/// When nobody is listed, or a part of the answer could not be had: half an answer would take members away.
pub(super) async fn ask(
    discovery: &Discovery,
    resolver: Option<SocketAddr>,
    targets: &mut Targets,
) -> Result<Answer, Failure> {
    let asking = Asking { resolver: build(resolver)?, ipv6: discovery.ipv6 };
    match discovery.source.port {
        Some(port) => {
            let (addresses, ttl) = asking.addresses(name(&discovery.source.name)?).await?;
            let listed = |ip| Listed { priority: 0, weight: 1, address: SocketAddr::new(ip, port) };
            Ok((addresses.into_iter().map(listed).collect(), ttl))
        }
        None => asking.services(name(&discovery.source.name)?, targets).await,
    }
}

/// Made for each question: the system's configuration may be another by now, and nothing is cached, because the next
/// question comes when the answer is old.
fn build(server: Option<SocketAddr>) -> Result<TokioResolver, Failure> {
    let mut builder = match server {
        Some(server) => {
            let mut named = NameServerConfig::udp_and_tcp(server.ip());
            named.connections.iter_mut().for_each(|connection| connection.port = server.port());
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![named]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
        None => TokioResolver::builder_tokio()?,
    };
    let options = builder.options_mut();
    options.timeout = TIMEOUT;
    options.attempts = ATTEMPTS;
    options.cache_size = 0;
    Ok(builder.build()?)
}

/// Complete as it is written: search domains are for people.
fn name(text: &str) -> Result<Name, Failure> {
    let mut name = Name::from_ascii(text).map_err(|error| Failure::Unanswered(error.to_string()))?;
    name.set_fqdn(true);
    Ok(name)
}

/// The addresses of the targets that SRV records listed last.
#[derive(Debug, Default)]
pub(super) struct Targets(Vec<(Name, Vec<IpAddr>)>);

impl Targets {
    /// The addresses of a target now. While it is listed and has none, those it had are kept.
    fn note(&mut self, target: &Name, now: Vec<IpAddr>) -> Vec<IpAddr> {
        let known = self.0.iter_mut().find(|(known, _)| known == target);
        match known {
            Some((_, addresses)) if now.is_empty() => addresses.clone(),
            Some((_, addresses)) => {
                addresses.clone_from(&now);
                now
            }
            None => {
                self.0.push((target.clone(), now.clone()));
                now
            }
        }
    }

    /// Forget those that are listed no more.
    fn keep(&mut self, listed: &[&SRV]) {
        self.0.retain(|(known, _)| listed.iter().any(|service| service.target == *known));
    }
}

#[derive(Clone)]
struct Asking {
    resolver: TokioResolver,
    ipv6: bool,
}

impl Asking {
    async fn addresses(&self, name: Name) -> Result<(Vec<IpAddr>, Duration), Failure> {
        let kind = if self.ipv6 { RecordType::AAAA } else { RecordType::A };
        let found = self.resolver.lookup(name, kind).await?;
        let ip = |data: &RData| match data {
            RData::A(ip) => Some(IpAddr::V4(ip.0)),
            RData::AAAA(ip) => Some(IpAddr::V6(ip.0)),
            _ => None,
        };
        let addresses = found.answers().iter().filter_map(|record| ip(&record.data)).collect();
        let ttl = found.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
        Ok((addresses, Duration::from_secs(ttl.into())))
    }

    /// RFC 2782: every target with its addresses, asked for at once. A target that has none now keeps those it had; one
    /// that nobody knows anything about makes the whole answer fail.
    async fn services(&self, name: Name, targets: &mut Targets) -> Result<Answer, Failure> {
        let found = self.resolver.lookup(name, RecordType::SRV).await?;
        let ttl = found.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
        let mut ttl = Duration::from_secs(ttl.into());
        let mut services: Vec<&SRV> = found
            .answers()
            .iter()
            .filter_map(|record| if let RData::SRV(service) = &record.data { Some(service) } else { None })
            // A target of "." says that the service is not there.
            .filter(|service| !service.target.is_root())
            .collect();
        services.sort_by_key(|service| service.priority);
        services.truncate(MOST);
        targets.keep(&services);
        let asked: Vec<_> = services
            .iter()
            .map(|service| {
                let (asking, target) = (self.clone(), service.target.clone());
                AbortOnDrop(tokio::spawn(async move { asking.addresses(target).await }))
            })
            .collect();
        let mut listed = Vec::new();
        for (service, mut asked) in services.into_iter().zip(asked) {
            let answer = (&mut asked.0).await.map_err(|error| Failure::Unanswered(error.to_string()))?;
            let (addresses, own) = match answer {
                Ok(answer) => answer,
                Err(Failure::Empty) => (Vec::new(), ttl),
                Err(failure) => return Err(failure),
            };
            ttl = ttl.min(own);
            let SRV { priority, weight, port, .. } = *service;
            let one = |ip| Listed { priority, weight, address: SocketAddr::new(ip, port) };
            listed.extend(targets.note(&service.target, addresses).into_iter().map(one));
        }
        Ok((listed, ttl))
    }
}

/// A question that is no longer waited for ends.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(target: &str) -> SRV {
        SRV::new(0, 1, 5080, Name::from_ascii(target).expect("a name"))
    }

    #[test]
    fn a_target_without_addresses_keeps_those_it_had_while_it_is_listed() {
        let (mut targets, service) = (Targets::default(), service("a.test."));
        let (first, second) = (vec![IpAddr::from([10, 0, 2, 10])], vec![IpAddr::from([10, 0, 2, 11])]);
        assert!(targets.note(&service.target, Vec::new()).is_empty(), "nothing was ever known");
        assert_eq!(targets.note(&service.target, first.clone()), first);
        assert_eq!(targets.note(&service.target, Vec::new()), first);
        assert_eq!(targets.note(&service.target, second.clone()), second);
        targets.keep(&[]);
        assert!(targets.note(&service.target, Vec::new()).is_empty(), "it was not listed meanwhile");
    }
}
