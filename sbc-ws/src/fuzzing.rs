//! An open connection on a stream in memory, for those who throw bytes at it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::rc::Rc;
use std::sync::Arc;

use tokio::io::DuplexStream;

use crate::egress::Egress;
use crate::handler::Handler;
use crate::reason::CloseReason;
use crate::session::{Peer, Session, Stream};
use crate::settings::Settings;

impl Stream for DuplexStream {
    fn reset_on_drop(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a connection whose upgrade is answered to its end, goodbye included; `rest` came after the request.
pub async fn session(
    stream: DuplexStream,
    rest: Vec<u8>,
    settings: &Settings,
    handler: Rc<dyn Handler>,
) -> CloseReason {
    let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let peer = Peer { id: NonZeroU64::MIN, remote, source: remote };
    let egress = Arc::new(Egress::new(settings.egress));
    let mut session = Session::new(stream, rest, peer, egress, settings, handler).await;
    let end = session.run().await;
    let reason = end.reason();
    session.part(end).await;
    reason
}
