//! `sbc pool`

use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use super::client::Client;
use crate::admin::{MemberOrder, MemberRequest, Problems, Status};
use crate::cli::{Pool, PoolAction};

/// How often a draining member is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Gives the order, and where a member drains, waits for its last call to end.
pub(super) fn pool(arguments: &Pool) -> anyhow::Result<ExitCode> {
    let client = Client::new(&arguments.admin);
    let (member, order, waits) = match &arguments.action {
        PoolAction::Drain { member, no_wait } => (member, MemberOrder::Draining, !no_wait),
        PoolAction::Disable { member } => (member, MemberOrder::Disabled, false),
        PoolAction::Enable { member } => (member, MemberOrder::Enabled, false),
    };
    let request = MemberRequest { member: member.clone(), order };
    let answer = client.post("/api/v1/pool/member", &request)?;
    if answer.status != 200 {
        let Problems { problems } = client.read(&answer)?;
        problems.iter().for_each(|problem| println!("{problem}"));
        return Ok(ExitCode::FAILURE);
    }
    match order {
        MemberOrder::Draining => println!("{member} drains"),
        MemberOrder::Disabled => println!("{member} is disabled"),
        MemberOrder::Enabled => println!("{member} is enabled"),
    }
    if waits { until_drained(&client, member) } else { Ok(ExitCode::SUCCESS) }
}

fn until_drained(client: &Client, member: &str) -> anyhow::Result<ExitCode> {
    let mut told = None;
    loop {
        let status: Status = client.read(&client.get("/api/v1/status")?)?;
        let mut members = status.core.pools.iter().flat_map(|pool| &pool.members);
        let Some(one) = members.find(|one| one.name == *member || one.address == *member) else {
            println!("{member} is no member any more");
            return Ok(ExitCode::FAILURE);
        };
        if one.state != "draining" {
            println!("{member} drains no more: it is {}", one.state);
            return Ok(ExitCode::FAILURE);
        }
        if one.calls == 0 {
            println!("{member} is drained: its last call has ended");
            return Ok(ExitCode::SUCCESS);
        }
        if told != Some(one.calls) {
            println!("{} calls", one.calls);
            told = Some(one.calls);
        }
        sleep(LOOK);
    }
}
