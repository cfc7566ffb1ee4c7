//! Every bound of the core by name. What passes one is refused, counted, and never costs more.

use std::time::Duration;

/// Bindings that one address of record may have through this node.
pub const BINDINGS_PER_AOR: usize = 32;
/// Bindings that one connection or UDP address may have registered.
pub const BINDINGS_PER_FLOW: usize = 64;
/// Bindings known to this node.
pub const BINDINGS: usize = 1_000_000;
/// Bindings whose end is remembered until no older REGISTER can be answered any more.
pub const BINDINGS_LEFT: usize = 100_000;
/// Connections known to this node.
pub const CONNECTIONS: usize = 500_000;
/// Dialog records. Further dialogs work from their tokens alone.
pub const DIALOGS: usize = 500_000;
/// Shards of the table of dialog records, each with a lock of its own.
pub const DIALOG_SHARDS: usize = 256;
/// Ends of dialogs that one shard remembers: with 256 shards 500 a second for [`ENDED_KEPT`], in 256 KiB.
pub const ENDED_PER_SHARD: usize = 64;
/// So long a dialog that ended is not made anew by an answer that comes late: 64*T1.
pub const ENDED_KEPT: Duration = Duration::from_secs(32);
/// Timers that one input lets go off; further ones that are due wait for the next, so that messages are read meanwhile.
pub const TIMERS_AT_ONCE: usize = 256;
/// Server transactions in progress.
pub const TRANSACTIONS: usize = 500_000;
/// Bytes of the requests in progress, as they came. What left for each of them and its answer are kept beside it, so the
/// memory is a small multiple.
pub const TRANSACTION_BYTES: u32 = 256 << 20;
/// Server transactions that the tables have room for from the start, so that they seldom grow.
pub const TRANSACTIONS_AT_ONCE: usize = 4096;
/// Requests waiting for one binding or dialog to come back.
pub const WAITING_PER_PEER: usize = 8;
/// Requests waiting for a binding or dialog to come back.
pub const WAITING: usize = 50_000;
/// Rules with a limit whose calls and rates are remembered, those of rules that are no more included.
pub const GATES: usize = 40_000;
/// Users and sources whose calls and rates are counted apart, in about 50 MiB; those beyond share one allowance.
pub const CALLERS: usize = 500_000;
/// Where there are as many, those that owe nothing any more are looked for so often.
pub const CALLERS_LOOK: Duration = Duration::from_secs(1);
/// Tags that are counted, those of rules that are no more included.
pub const TAGS: usize = 1024;
/// Members of one pool.
pub const MEMBERS_PER_POOL: usize = 64;
/// Members that a change of the configuration took out and whose calls may go on; the newest are kept.
pub const FORMER_MEMBERS: usize = 256;
/// A member that says it is full and not for how long is left alone for so long.
pub const PAUSE: Duration = Duration::from_secs(5);
/// Longer than this no member is believed to be full.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Failures in a row by which a member speaks of itself, until it is left alone for [`PAUSE`].
pub const OWN_FAILURES: u8 = 5;
/// A member without probes that requests found dead is left alone for so long.
pub const EJECTION: Duration = Duration::from_secs(30);
/// The call that tries a member which is back is waited for so long before the next one does.
pub const TRIAL: Duration = Duration::from_secs(2);
/// Requests remembered per member, for the ICMP error that may concern them.
pub const IN_FLIGHT_PER_MEMBER: usize = 1024;
/// The same for each UDP address that somebody is registered at.
pub const IN_FLIGHT_PER_FLOW: usize = 16;
/// The same per connection, and per server that is no member: the newest requests that have no answer.
pub const UNANSWERED_PER_FLOW: usize = 1024;
/// Servers that are no members whose requests are remembered; what is sent to more of them waits for its timers.
pub const SERVERS: usize = 4096;
/// Servers that keep their list while they owe nothing.
pub const SERVERS_AT_REST: usize = 1024;
/// Whoever owes more answers than these when its connection closes does not read: what was outside a dialog has failed,
/// and its sender may ask again.
pub const OWED_BY_READERS: usize = 16;
/// A request outside a dialog follows only up to this size, as it came: what nobody may ever read is not kept.
pub const FOLLOWING_BYTES: usize = 4096;
/// A request follows a party that loses its connection to so many next ones.
pub const SENT_AGAIN: u8 = 3;
/// Branches that one request may have, all attempts counted.
pub const BRANCHES: usize = 16;
/// Answers of one branch that nobody waited for, and that we end ourselves. Further ones are only acknowledged.
pub const UNWANTED_ANSWERS: usize = 8;
/// Via values that are searched for a branch of ours; a request that made more hops has no Max-Forwards left.
pub const VIAS_READ: usize = 72;
/// Contacts of one REGISTER, and of one answer to it.
pub const CONTACTS: usize = 64;
/// The largest request that leaves as one datagram where the path's MTU is not known (RFC 3261 §18.1.1), in bytes.
pub const DATAGRAM: usize = 1300;
/// Bytes of the branch of a top Via. Ours, which seal the hidden Vias of the pool, are the longest around.
pub const BRANCH_BYTES: usize = 2048;
/// Bytes of all headers of a message together.
pub const HEAD_BYTES: usize = 32 * 1024;
/// Parameters and list values in all headers of a message together.
pub const PARAMETERS: usize = 1024;
/// Bytes of a tag.
pub const TAG_BYTES: usize = 512;
/// Bytes of a Call-ID.
pub const CALL_ID_BYTES: usize = 256;
/// Credentials of one request, one for every realm on its way.
pub const CREDENTIALS: usize = 8;
/// Bytes of the value of one header of credentials.
pub const CREDENTIALS_BYTES: usize = 4096;
/// Delimiter lines of a multipart body, those of parts inside parts counted.
pub const MULTIPART_DELIMITERS: usize = 64;
/// Lines of a session description.
pub const SDP_LINES: usize = 4096;
/// Media of a session description.
pub const SDP_MEDIA: usize = 64;
/// Recycled buffers kept by one worker.
pub const SPARE_BUFFERS: usize = 256;
/// Recycled entries of requests kept by one worker.
pub const SPARE_ENTRIES: usize = 256;
/// A buffer that grew beyond this is not kept.
pub const SPARE_BUFFER_BYTES: usize = 16 * 1024;

/// Shards of the table of sources.
pub const SOURCE_SHARDS: usize = 1024;
/// Sources that one shard knows apart; 917,504 in all, in about 110 MiB, and twice that at most where many came and went.
pub const SOURCES_PER_SHARD: usize = 896;
/// Sources looked at to find a stranger who makes room.
pub const EVICTION_LOOK: usize = 64;
/// What one request of a scanner weighs as evidence.
pub const SCANNER_EVIDENCE: u8 = 5;
/// What a forged token weighs as evidence.
pub const FORGERY_EVIDENCE: u8 = 3;
/// What an attempt to use us as a relay weighs as evidence.
pub const RELAY_EVIDENCE: u8 = 2;
/// Sources banned at once.
pub const BANS: usize = 100_000;

/// Bans that are over are forgotten so often at most, where there are too many.
pub const FORGET_BANS_EVERY: Duration = Duration::from_secs(1);
/// How long a source is remembered after its last message.
pub const SOURCE_KEPT: Duration = Duration::from_secs(120);
/// One shard of the table of sources, and one of that of dialogs, is swept so often: all of them in 102 s, and in 26 s.
pub const SWEEP_EVERY: Duration = Duration::from_millis(100);
/// How long a source counts as good after the pool accepted something from it.
pub const GOOD_FOR: Duration = Duration::from_secs(3600);
/// How long after a challenge a request with credentials counts as the answer to it.
pub const CHALLENGE_ANSWER: Duration = Duration::from_secs(32);
/// How long a request for a dead flow waits for its binding to come back.
pub const FLOW_RETURN: Duration = Duration::from_secs(12);
/// For so long after the start, a binding nobody has heard of may still be on its way back.
pub const RELEARNING: Duration = Duration::from_secs(60);
/// A transaction looks at its timers so often at least: what has ended leaves nothing in the timer wheel for longer.
pub const LONGEST_NAP: Duration = Duration::from_secs(32);
/// 100 Trying goes out after this at the latest.
pub const TRYING_AFTER: Duration = Duration::from_millis(200);
/// Calls of dead members that are ended in one [`RELEASE_EVERY`]: 500 a second, so that the death of a member with
/// 10,000 calls makes no storm.
pub const RELEASED_AT_ONCE: usize = 50;
/// How often some calls of a dead member are ended.
pub const RELEASE_EVERY: Duration = Duration::from_millis(100);
/// Shards of the table of dialogs that are looked through for such calls in one [`RELEASE_EVERY`]: all in 1.6 s.
pub const RELEASE_SHARDS: usize = 16;
/// A call that another member asks for (`sofia recover`) is left alone for so long: 64*T1, until the outside party has
/// answered or will not.
pub const TAKING_OVER: Duration = Duration::from_secs(32);
/// 100 Trying to a request other than INVITE goes out after this: when its repetitions have slowed down
/// to T2 (RFC 4320 §4.1).
pub const TRYING_AFTER_OTHER: Duration = Duration::from_millis(3500);
/// A binding that says nothing for so long is not waited for alone.
pub const BINDING_PATIENCE: Duration = Duration::from_secs(2);
/// How long the 6xx of one of several targets waits for the others, which were cancelled.
pub const DECLINED_FORK: Duration = Duration::from_secs(2);
/// For so long large requests go by UDP to a member that did not accept a connection.
pub const WITHOUT_CONNECTION: Duration = Duration::from_secs(600);
/// How often a member that is slow with a request other than INVITE is looked at.
pub const LOOK_AT_MEMBER: Duration = Duration::from_secs(1);
/// How long an INVITE or BYE inside a dialog waits for a member that does not answer its probes: until three
/// copies of it could have been answered, whatever the network lost.
pub const DEAD_MEMBER: Duration = Duration::from_secs(4);
/// The same for other requests, which FreeSWITCH may be slow with.
pub const DEAD_MEMBER_OTHER: Duration = Duration::from_secs(12);
/// Queues of one worker that its waits are told of; further ones count as the last.
pub const QUEUES: usize = 16;
/// What begins a call and has waited for longer is refused: whoever heard nothing for so long, no `100 Trying` either,
/// has given up or asked elsewhere.
pub const CALLER_PATIENCE: Duration = Duration::from_secs(4);
/// Where a worker is behind, a retry is asked for after [`RETRY_AFTER_SECONDS`] and up to so many more, by lot: those
/// who were turned away together shall not come back together.
pub const RETRY_JITTER_SECONDS: u32 = 10;
/// A retry is asked for after this, where no member takes a request, in seconds.
pub const RETRY_AFTER_SECONDS: u32 = 5;
