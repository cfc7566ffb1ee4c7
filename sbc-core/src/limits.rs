//! Every bound of the core by name. What passes one is refused, counted, and never costs more.

use std::time::Duration;

/// Bindings that one address of record may have through this node.
pub const BINDINGS_PER_AOR: usize = 32;
/// Bindings that one connection or UDP address may have registered.
pub const BINDINGS_PER_FLOW: usize = 64;
/// Bindings known to this node.
pub const BINDINGS: usize = 1_000_000;
/// Connections known to this node.
pub const CONNECTIONS: usize = 500_000;
/// Dialog records. Further dialogs work from their tokens alone.
pub const DIALOGS: usize = 500_000;
/// Server transactions in progress.
pub const TRANSACTIONS: usize = 500_000;
/// Server transactions that the tables have room for from the start, so that they seldom grow.
pub const TRANSACTIONS_AT_ONCE: usize = 4096;
/// Requests waiting for one binding or dialog to come back.
pub const WAITING_PER_PEER: usize = 8;
/// Requests waiting for a binding or dialog to come back.
pub const WAITING: usize = 50_000;
/// Members of one pool.
pub const MEMBERS_PER_POOL: usize = 64;
/// Members that a change of the configuration took out and whose calls may go on; the newest are kept.
pub const FORMER_MEMBERS: usize = 256;
/// Requests remembered per member, for the ICMP error that may concern them.
pub const IN_FLIGHT_PER_MEMBER: usize = 1024;
/// Branches that one request may have, all attempts counted.
pub const BRANCHES: usize = 16;
/// Contacts of one REGISTER, and of one answer to it.
pub const CONTACTS: usize = 64;
/// Bytes of the branch of a top Via. Ours, which seal the hidden Vias of the pool, are the longest around.
pub const BRANCH_BYTES: usize = 2048;
/// Recycled buffers kept by one worker.
pub const SPARE_BUFFERS: usize = 256;
/// Recycled entries of requests kept by one worker.
pub const SPARE_ENTRIES: usize = 256;
/// A buffer that grew beyond this is not kept.
pub const SPARE_BUFFER_BYTES: usize = 16 * 1024;

/// How long after a challenge a request with credentials counts as the answer to it.
pub const CHALLENGE_ANSWER: Duration = Duration::from_secs(32);
/// How long a request for a dead flow waits for its binding to come back.
pub const FLOW_RETURN: Duration = Duration::from_secs(12);
/// For so long after the start, a binding nobody has heard of may still be on its way back.
pub const RELEARNING: Duration = Duration::from_secs(60);
/// 100 Trying goes out after this at the latest.
pub const TRYING_AFTER: Duration = Duration::from_millis(200);
/// How long a dialog record lives without any message of its dialog.
pub const DIALOG_IDLE: Duration = Duration::from_secs(12 * 3600);
/// 100 Trying to a request other than INVITE goes out after this: when its repetitions have slowed down
/// to T2 (RFC 4320 §4.1).
pub const TRYING_AFTER_OTHER: Duration = Duration::from_millis(3500);
/// A binding that says nothing for so long is not waited for alone.
pub const BINDING_PATIENCE: Duration = Duration::from_secs(2);
/// How often a member that is slow with a request other than INVITE is looked at.
pub const LOOK_AT_MEMBER: Duration = Duration::from_secs(1);
/// A retry is asked for after this, where no member takes a request, in seconds.
pub const RETRY_AFTER_SECONDS: u32 = 5;
