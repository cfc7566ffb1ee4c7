//! `GET /api/v1/bans` and `POST /api/v1/bans/lift`: which sources are not heard, why, and until when.

use std::fmt;
use std::net::IpAddr;

use sbc_core::admission::Ban;
use sbc_core::time::Time;
use serde::{Deserialize, Serialize};

/// All bans in force, the longest ones first.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Bans {
    pub bans: Vec<BanReport>,
}

/// One source that is not heard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct BanReport {
    /// An address, or the /64 of an IPv6 one.
    pub source: String,
    /// The evidence that was one too many, as the metrics name it.
    pub reason: String,
    /// Since when, in seconds.
    pub age_seconds: u64,
    /// For how long yet, in seconds.
    pub left_seconds: u64,
}

/// The ban that is to end.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Lift {
    /// Any address that is under it.
    pub source: IpAddr,
}

impl Bans {
    /// As they are now.
    pub(crate) fn of(bans: &[Ban], now: Time) -> Self {
        let report = |ban: &Ban| BanReport {
            source: match ban.network.prefix_len() {
                32 => ban.network.addr().to_string(),
                _ => ban.network.to_string(),
            },
            reason: ban.reason.reason().to_owned(),
            age_seconds: now.since(ban.since).as_secs(),
            left_seconds: ban.until.since(now).as_secs(),
        };
        Self { bans: bans.iter().map(report).collect() }
    }
}

/// For people.
impl fmt::Display for Bans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bans.is_empty() {
            return writeln!(f, "no source is banned");
        }
        for BanReport { source, reason, age_seconds, left_seconds } in &self.bans {
            writeln!(f, "{source}  {reason}  banned {age_seconds} s ago, for {left_seconds} s more")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sbc_core::admission::network_of;
    use sbc_core::count::Count;

    use super::*;

    #[test]
    fn a_ban_says_who_why_and_until_when() {
        let ban = |source: &str| Ban {
            network: network_of(source.parse().unwrap()),
            reason: Count::AuthenticationFailed,
            since: Time::from_millis(10_000),
            until: Time::from_millis(70_000),
        };
        let bans = Bans::of(&[ban("192.0.2.1"), ban("2001:db8::1")], Time::from_millis(30_000));
        assert_eq!(
            bans.to_string(),
            "192.0.2.1  authentication_failed  banned 20 s ago, for 40 s more\n\
             2001:db8::/64  authentication_failed  banned 20 s ago, for 40 s more\n"
        );
        assert_eq!(Bans::of(&[], Time::ZERO).to_string(), "no source is banned\n");
    }
}
