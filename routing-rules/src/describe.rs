//! A decision in one line, as `LANGUAGE.md` writes answers, and as operators write what they expect.

use crate::query::{Action, Decision, HeaderChange, Identity, Limit, ToPool};
use crate::rules::Rules;

impl Rules {
    /// A decision of these rules in one line: what is done, then what changes, tags, media and limits, each after `; `.
    /// `pools` are the names of the pools.
    pub fn describe(&self, decision: &Decision<'_>, pools: &[&str]) -> String {
        let changes = decision.changes;
        let mut parts = vec![describe_action(&decision.action, pools)];
        parts.extend(changes.user.as_ref().map(|user| format!("user {user}")));
        parts.extend(changes.host.as_ref().map(|host| format!("host {host}")));
        parts.extend(changes.headers.iter().map(describe_header));
        parts.extend(changes.identity.as_ref().map(describe_identity));
        let tags: Vec<&str> = decision.held.iter().flat_map(|id| self.tags(*id)).collect();
        parts.extend((!tags.is_empty()).then(|| format!("tags {}", tags.join(" "))));
        parts.extend(decision.media.map(|media| format!("media {media}")));
        parts.extend(decision.held.iter().filter_map(|id| self.limit(*id)).map(describe_limit));
        parts.join("; ")
    }
}

fn describe_action(action: &Action<'_>, pools: &[&str]) -> String {
    match action {
        Action::Pool(to) => describe_pools(to, pools),
        Action::Bindings { fork: false } => "bindings".to_owned(),
        Action::Bindings { fork: true } => "bindings at once".to_owned(),
        Action::Reject { status, reason, retry_after: None } => format!("{status} {reason}"),
        Action::Reject { status, reason, retry_after: Some(seconds) } => {
            format!("{status} {reason}, retry after {seconds}")
        }
        Action::Redirect { status, contacts } => format!("{status} to {}", contacts.join(" ")),
        Action::NoMatch => "no rule".to_owned(),
    }
}

fn describe_pools(to: &ToPool<'_>, pools: &[&str]) -> String {
    let name = |pool: usize| pools.get(pool).copied().unwrap_or("?");
    let balance = to.balance.map(|balance| format!(" by {balance}")).unwrap_or_default();
    let tag = to.tag.map(|tag| format!(" with {tag}")).unwrap_or_default();
    let near = to.region.map(|region| format!(" near {region}")).unwrap_or_default();
    let then: String = to.fallback.iter().map(|pool| format!(" then {}", name(*pool))).collect();
    format!("pool {}{tag}{near}{balance}{then}", name(to.pool))
}

fn describe_header(change: &HeaderChange) -> String {
    match &change.value {
        Some(value) => format!("{}: {value}", change.name),
        None => format!("without {}", change.name),
    }
}

fn describe_identity(identity: &Identity) -> String {
    let name = identity.name.as_ref().map(|name| format!("\"{name}\" ")).unwrap_or_default();
    let host = identity.host.as_ref().map(|host| format!("@{host}")).unwrap_or_default();
    let private = if identity.private { " private" } else { "" };
    format!("identity {name}{}{host}{private}", identity.user)
}

fn describe_limit(limit: &Limit) -> String {
    let calls = limit.calls.map(|calls| format!("{calls} calls"));
    let rate = limit.rate.map(|rate| format!("{} in {} s, {} at once", rate.count, rate.seconds, rate.burst));
    let retry = limit.retry_after.map(|seconds| format!(" retry after {seconds}")).unwrap_or_default();
    let parts: Vec<String> = calls.into_iter().chain(rate).collect();
    format!("limit {}, else {}{retry}", parts.join(", "), limit.status)
}
