//! What the checker asks the machine it runs on. A value, so that a test can be any machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;

/// Documentation addresses (RFC 5737, RFC 3849): the route to them is the default route.
const SOMEWHERE_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
const SOMEWHERE_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// Facts about the machine and the environment.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// The ECS task id, else the host name.
    pub name: String,
    /// Processors that this process may use.
    pub processors: usize,
    /// The local address that packets to the given one leave from.
    pub route: fn(IpAddr) -> Option<IpAddr>,
    /// An environment variable.
    pub variable: fn(&str) -> Option<String>,
    /// Where state goes when the file does not say.
    pub state_dir: PathBuf,
}

impl Machine {
    /// This machine.
    pub(crate) fn this() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        Self {
            name: variable("ECS_CONTAINER_METADATA_URI_V4")
                .and_then(|uri| ecs_task(&uri))
                .unwrap_or_else(host_name),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            route,
            variable,
            state_dir: default_state_dir(variable("XDG_STATE_HOME"), variable("HOME")),
        }
    }

    /// The same machine, which is told as its loopback address where it has no route.
    pub(crate) fn or_loopback(&self) -> Self {
        Self { route: |to| route(to).or(Some(Ipv4Addr::LOCALHOST.into())), ..self.clone() }
    }

    /// The address that peers elsewhere see as ours, if there is a default route.
    pub(super) fn default_address(&self, v6: bool) -> Option<IpAddr> {
        (self.route)(if v6 { SOMEWHERE_V6 } else { SOMEWHERE_V4 })
    }
}

/// Asks the routing table; connecting a datagram socket sends nothing.
fn route(to: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(SocketAddr::new(to, 9)).ok()?;
    let local = socket.local_addr().ok()?.ip();
    (!local.is_unspecified()).then_some(local)
}

/// The metadata URI ends in `/<task id>-<number of the container>`; a task id is 32 hexadecimal digits.
fn ecs_task(uri: &str) -> Option<String> {
    let (task, _) = uri.rsplit_once('/')?.1.split_once('-')?;
    (task.len() == 32 && task.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| task.to_owned())
}

fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "sbc".to_owned())
}

/// XDG base directories: `$XDG_STATE_HOME/sbc`, else `~/.local/state/sbc`; a user without a home has `./run`.
fn default_state_dir(state_home: Option<String>, home: Option<String>) -> PathBuf {
    let absolute = |text: Option<String>| text.map(PathBuf::from).filter(|path| path.is_absolute());
    let state_home = absolute(state_home).or_else(|| absolute(home).map(|home| home.join(".local/state")));
    state_home.map_or_else(|| PathBuf::from("run"), |state_home| state_home.join("sbc"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_of_ecs_names_the_node() {
        let uri = "http://169.254.170.2/v4/cd189a933e5849daa93386466019ab50-2495160603";
        assert_eq!(ecs_task(uri).as_deref(), Some("cd189a933e5849daa93386466019ab50"));
        assert_eq!(ecs_task("http://169.254.170.2/v4/short-1"), None);
        assert_eq!(ecs_task(""), None);
    }

    #[test]
    fn state_goes_to_the_home_of_the_user_or_beside() {
        let dir = |state: Option<&str>, home: Option<&str>| {
            default_state_dir(state.map(str::to_owned), home.map(str::to_owned))
        };
        assert_eq!(dir(Some("/s"), Some("/h")), PathBuf::from("/s/sbc"));
        assert_eq!(dir(Some("relative"), Some("/h")), PathBuf::from("/h/.local/state/sbc"));
        assert_eq!(dir(None, None), PathBuf::from("run"));
    }
}
