//! What happened, counted: every refusal and drop has a name here.
//!
//! Names are `sbc_<room>_<what>_total`; labels are few and fixed. Never a user, a Call-ID or an address.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $variant:ident = $metric:literal, $reason:literal;)+) => {
        /// One thing that is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Count {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Count {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The metric's name.
            pub const fn metric(self) -> &'static str {
                match self { $(Self::$variant => $metric,)+ }
            }

            /// The value of its `reason` label; empty: it has none.
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$variant => $reason,)+ }
            }

            /// What it counts.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+),)+ }
            }
        }
    };
}

counters! {
    /// Requests received.
    Requests = "sbc_proxy_requests_total", "";
    /// Responses received.
    Responses = "sbc_proxy_responses_total", "";
    /// Requests forwarded, each branch once.
    Forwarded = "sbc_proxy_forwarded_total", "";
    /// Keepalives answered or swallowed.
    Keepalives = "sbc_proxy_keepalives_total", "";
    /// Requests received again and ended here.
    Retransmissions = "sbc_transaction_retransmissions_total", "";
    /// Requests repeated by a timer.
    Repeated = "sbc_transaction_repeated_total", "";
    /// INVITEs that a member had to be given up for.
    Failovers = "sbc_pool_failovers_total", "";
    /// Probes that a member did not answer.
    ProbesMissed = "sbc_pool_probes_missed_total", "";
    /// Requests that waited for a flow to return, and could go on.
    FlowReturned = "sbc_registration_flow_returned_total", "";
    /// Requests whose flow was dead and did not return.
    FlowDead = "sbc_registration_flow_dead_total", "";
    /// Registrations accepted by the pool.
    Registered = "sbc_registration_accepted_total", "";
    /// Requests inside a dialog whose member is gone, answered by us.
    DeadMember = "sbc_dialog_dead_member_total", "";
    /// Calls that were up at a dead member, ended by us with BYE.
    Released = "sbc_dialog_released_total", "dead_member";
    /// Calls that rang to or from a dead member, ended by us.
    ReleasedRinging = "sbc_dialog_released_total", "ringing";
    /// Calls that their member knew nothing of any more, ended by us with BYE.
    ReleasedLost = "sbc_dialog_released_total", "lost_by_member";
    /// Answers of a member that had been given up, ended by us with ACK and BYE.
    LateAnswers = "sbc_dialog_late_answers_total", "";
    /// Messages that are no SIP at all.
    NotSip = "sbc_admission_dropped_total", "not_sip";
    /// Messages whose start line breaks the grammar.
    BadStartLine = "sbc_admission_refused_total", "start_line";
    /// Messages of another version than SIP/2.0.
    BadVersion = "sbc_admission_refused_total", "version";
    /// Requests with a method over the limit.
    MethodTooLong = "sbc_admission_refused_total", "method_length";
    /// Requests with a Request-URI over the limit.
    UriTooLong = "sbc_admission_refused_total", "uri_length";
    /// Messages with a header over the limit.
    HeaderTooLong = "sbc_admission_refused_total", "header_length";
    /// Messages with more headers than the limit.
    TooManyHeaders = "sbc_admission_refused_total", "header_count";
    /// Messages with more Via values than the limit.
    TooManyVias = "sbc_admission_refused_total", "via_count";
    /// Messages with a line that is no header.
    BadHeaderName = "sbc_admission_refused_total", "header_name";
    /// Messages with a control character among their headers.
    BareControl = "sbc_admission_refused_total", "control";
    /// Messages with a Content-Length that is no number, or several that differ.
    BadContentLength = "sbc_admission_refused_total", "content_length";
    /// Messages without a Content-Length where only that says how long they are.
    NoContentLength = "sbc_admission_refused_total", "no_content_length";
    /// Messages shorter than their Content-Length says.
    BodyShort = "sbc_admission_refused_total", "body_short";
    /// Messages whose headers never end.
    NoEnd = "sbc_admission_refused_total", "no_end";
    /// Messages over the size limit.
    TooLarge = "sbc_admission_refused_total", "too_large";
    /// Requests whose top Via cannot be answered.
    BadVia = "sbc_admission_dropped_total", "via";
    /// Messages whose top Via has parameters that break the grammar.
    ViaParams = "sbc_admission_refused_total", "via_params";
    /// Requests whose top Via has no RFC 3261 branch.
    BadBranch = "sbc_admission_refused_total", "branch";
    /// Requests with a branch over the limit.
    BranchTooLong = "sbc_admission_refused_total", "branch_length";
    /// Requests without a mandatory header.
    MissingHeader = "sbc_admission_refused_total", "missing_header";
    /// Requests with a header twice that may stand there once.
    RepeatedHeader = "sbc_admission_refused_total", "repeated_header";
    /// Requests with an address in a header that breaks the grammar.
    BadAddress = "sbc_admission_refused_total", "address";
    /// Requests whose CSeq breaks the grammar.
    BadCSeq = "sbc_admission_refused_total", "cseq";
    /// Requests whose CSeq names another method.
    CSeqMethod = "sbc_admission_refused_total", "cseq_method";
    /// Requests with a Request-URI that is no SIP URI.
    BadScheme = "sbc_admission_refused_total", "scheme";
    /// Requests with a Request-URI that breaks the grammar.
    BadUri = "sbc_admission_refused_total", "uri";
    /// Requests that have made too many hops.
    TooManyHops = "sbc_admission_refused_total", "max_forwards";
    /// Requests that came back and would go the same way again.
    Loop = "sbc_proxy_refused_total", "loop";
    /// INVITEs that came a second time by another way while the first is being worked on.
    Merged = "sbc_proxy_refused_total", "merged";
    /// Requests that may not be sent on to anybody (Max-Breadth).
    MaxBreadth = "sbc_proxy_refused_total", "max_breadth";
    /// Requests with an unreadable Max-Forwards.
    BadMaxForwards = "sbc_admission_refused_total", "bad_max_forwards";
    /// Requests that ask the proxy for what it does not know (Proxy-Require).
    ProxyRequire = "sbc_admission_refused_total", "proxy_require";
    /// Requests whose headers together are over the limit.
    HeadTooLarge = "sbc_admission_refused_total", "head_length";
    /// Requests with more parameters and list values than the limit.
    TooManyParameters = "sbc_admission_refused_total", "parameters";
    /// Requests whose top Via names another transport than they came by.
    ViaTransport = "sbc_admission_refused_total", "via_transport";
    /// Requests with two tags in From or To.
    RepeatedTag = "sbc_admission_refused_total", "repeated_tag";
    /// Requests with a tag over the limit.
    TagTooLong = "sbc_admission_refused_total", "tag_length";
    /// Requests without a tag in From.
    MissingFromTag = "sbc_admission_refused_total", "from_tag";
    /// Requests with a Call-ID over the limit.
    CallIdTooLong = "sbc_admission_refused_total", "call_id_length";
    /// Requests with a Call-ID that breaks the grammar.
    BadCallId = "sbc_admission_refused_total", "call_id";
    /// Requests with a method parameter in the Request-URI.
    UriMethod = "sbc_admission_refused_total", "uri_method";
    /// Requests with an escaped NUL in the user of the Request-URI.
    UriNul = "sbc_admission_refused_total", "uri_nul";
    /// Requests with a host in the Request-URI that is no name and no address.
    UriHost = "sbc_admission_refused_total", "uri_host";
    /// Requests with an unreadable Max-Breadth.
    BadMaxBreadth = "sbc_admission_refused_total", "bad_max_breadth";
    /// Requests with a Route to a strict router.
    StrictRoute = "sbc_admission_refused_total", "strict_route";
    /// Requests with `Contact: *` that do not remove all bindings.
    ContactStar = "sbc_admission_refused_total", "contact_star";
    /// Requests without the Contact they need.
    MissingContact = "sbc_admission_refused_total", "missing_contact";
    /// Requests with two Contacts where one belongs.
    ManyContacts = "sbc_admission_refused_total", "many_contacts";
    /// Requests with more Contacts than the limit.
    TooManyContacts = "sbc_admission_refused_total", "contact_count";
    /// Requests with a lifetime that is no number of seconds.
    BadExpires = "sbc_admission_refused_total", "expires";
    /// REGISTERs with a user in the Request-URI.
    RegisterUri = "sbc_admission_refused_total", "register_uri";
    /// REGISTERs for what is no user.
    RegisterTo = "sbc_admission_refused_total", "register_to";
    /// REGISTERs for a user of another domain.
    RegisterDomain = "sbc_admission_refused_total", "register_domain";
    /// SUBSCRIBEs, NOTIFYs and PUBLISHes without an event package.
    MissingEvent = "sbc_admission_refused_total", "event";
    /// REFERs without exactly one Refer-To.
    BadReferTo = "sbc_admission_refused_total", "refer_to";
    /// PRACKs without a readable RAck.
    BadRAck = "sbc_admission_refused_total", "rack";
    /// Requests with more credentials than the limits.
    CredentialsTooLarge = "sbc_admission_refused_total", "credentials_length";
    /// Requests with incomplete credentials.
    BadCredentials = "sbc_admission_refused_total", "credentials";
    /// Requests with a statement for a database or a shell in place of a name.
    Injection = "sbc_admission_refused_total", "injection";
    /// Requests with a body of no type.
    MissingContentType = "sbc_admission_refused_total", "content_type";
    /// Requests with more body parts than the limit.
    TooManyParts = "sbc_admission_refused_total", "body_parts";
    /// Requests with a session description over the limits.
    SdpTooLarge = "sbc_admission_refused_total", "sdp_length";
    /// Requests with a session description that breaks the grammar.
    BadSdp = "sbc_admission_refused_total", "sdp";
    /// Failures without the header that explains them; they pass.
    Unexplained = "sbc_admission_refused_total", "unexplained";
    /// Messages at a trunk or pool listener from an address that is none of its peers.
    NotAPeer = "sbc_admission_dropped_total", "not_a_peer";
    /// Requests as a user that the connection's ticket does not name.
    TicketUser = "sbc_admission_refused_total", "ticket_user";
    /// Requests for a destination that the connection's ticket does not name.
    TicketDestination = "sbc_admission_refused_total", "ticket_destination";
    /// Messages from sources on the deny list.
    Denied = "sbc_admission_dropped_total", "denied";
    /// Messages from banned sources.
    Banned = "sbc_admission_dropped_total", "banned";
    /// Messages over the rate of their source.
    FloodSource = "sbc_admission_dropped_total", "flood_source";
    /// INVITEs over the rate of their source.
    FloodInvite = "sbc_admission_dropped_total", "flood_invite";
    /// REGISTERs over the rate of their source.
    FloodRegister = "sbc_admission_dropped_total", "flood_register";
    /// Requests of strangers over the rate of the user they name.
    FloodUser = "sbc_admission_dropped_total", "flood_user";
    /// Requests of strangers over the rate of all strangers at a listener.
    FloodStrangers = "sbc_admission_dropped_total", "flood_strangers";
    /// Requests that bear the signature of a scanner.
    Scanner = "sbc_admission_dropped_total", "scanner";
    /// Requests whose credentials the pool refused.
    AuthenticationFailed = "sbc_admission_evidence_total", "authentication_failed";
    /// Requests of strangers for users that the pool does not know.
    UnknownUser = "sbc_admission_evidence_total", "unknown_user";
    /// Connections that broke the rules of TLS, of the upgrade or of WebSocket frames.
    BadConnection = "sbc_admission_evidence_total", "connection";
    /// Sources banned.
    Bans = "sbc_admission_bans_total", "";
    /// Sources that would have been banned, were it not a dry run.
    DryBans = "sbc_admission_dry_bans_total", "";
    /// Calls of a user that has as many as it may.
    UserCalls = "sbc_admission_refused_total", "user_calls";
    /// Calls of a source that has as many as it may.
    SourceCalls = "sbc_admission_refused_total", "source_calls";
    /// Calls over the rate of their user.
    UserCallRate = "sbc_admission_refused_total", "user_call_rate";
    /// Calls over the rate of their source.
    SourceCallRate = "sbc_admission_refused_total", "source_call_rate";
    /// Requests for a domain that is not served.
    NotServed = "sbc_admission_refused_total", "not_served";
    /// Requests under somebody else's name.
    CallerIdentity = "sbc_admission_refused_total", "caller_identity";
    /// Requests with a Route that is not ours.
    ForeignRoute = "sbc_admission_refused_total", "foreign_route";
    /// Tokens sealed by us and altered, or moved to another dialog.
    ForgedToken = "sbc_seal_refused_total", "forged";
    /// Tokens sealed with a key we do not have.
    UnknownKey = "sbc_seal_refused_total", "unknown_key";
    /// In-dialog requests without a token.
    NoToken = "sbc_seal_refused_total", "no_token";
    /// Responses whose branch is not ours.
    StrayResponse = "sbc_transaction_dropped_total", "stray_response";
    /// Responses that break the grammar.
    BadResponse = "sbc_transaction_dropped_total", "bad_response";
    /// ACKs without a transaction or a dialog.
    StrayAck = "sbc_transaction_dropped_total", "stray_ack";
    /// CANCELs without a transaction.
    StrayCancel = "sbc_transaction_refused_total", "stray_cancel";
    /// CANCELs of INVITEs that left before a restart, or by another node.
    ForgottenCancel = "sbc_transaction_forgotten_total", "";
    /// Requests refused because a table is full.
    TableFull = "sbc_transaction_refused_total", "table_full";
    /// Requests of strangers turned away since a worker is behind.
    ShedStranger = "sbc_overload_shed_total", "stranger";
    /// New calls turned away since a worker is behind.
    ShedCall = "sbc_overload_shed_total", "call";
    /// Registrations and subscriptions turned away since a worker is behind.
    ShedRegistration = "sbc_overload_shed_total", "registration";
    /// Requests inside a dialog turned away since a worker is far behind.
    ShedDialog = "sbc_overload_shed_total", "dialog";
    /// New calls that had waited longer than any caller does.
    ShedLate = "sbc_overload_shed_total", "late";
    /// Requests refused by a rule.
    RuleReject = "sbc_proxy_refused_total", "rule";
    /// Requests over the limit of a rule.
    RuleLimit = "sbc_proxy_refused_total", "rule_limit";
    /// Requests that a rule sent elsewhere.
    RuleRedirect = "sbc_proxy_redirected_total", "";
    /// Requests that no rule matched.
    NoRule = "sbc_proxy_refused_total", "no_rule";
    /// Requests that no member or binding took.
    NoTarget = "sbc_proxy_refused_total", "no_target";
    /// Responses forwarded from their branch alone, without a transaction.
    Stateless = "sbc_proxy_stateless_total", "";
    /// Requests too large for a datagram that went by a connection.
    LargeByConnection = "sbc_proxy_large_total", "connection";
    /// Messages too large for an unfragmented datagram that left as one.
    LargeByDatagram = "sbc_proxy_large_total", "datagram";
    /// Requests refused since they are too large for a datagram.
    LargeRefused = "sbc_proxy_large_total", "refused";
    /// Requests for a `sips:` address that would have left in the clear.
    SipsRefused = "sbc_proxy_sips_total", "refused";
    /// Those that left in the clear, inside their dialog.
    SipsInClear = "sbc_proxy_sips_total", "in_clear";
    /// Requests that were sent again since the connection they went by closed.
    SentAgain = "sbc_proxy_sent_again_total", "";
    /// Calls answered.
    Answered = "sbc_dialog_answered_total", "";
    /// Calls ended by BYE.
    Ended = "sbc_dialog_ended_total", "";
}

/// The metric of faults that a listener lets pass, by the reason they would have been refused for.
pub const TOLERATED: &str = "sbc_admission_tolerated_total";

/// Counts of this process.
#[derive(Debug)]
pub struct Counters {
    values: Vec<AtomicU64>,
    tolerated: Vec<AtomicU64>,
}

impl Default for Counters {
    fn default() -> Self {
        let zeros = || Count::ALL.iter().map(|_| AtomicU64::new(0)).collect();
        Self { values: zeros(), tolerated: zeros() }
    }
}

impl Counters {
    /// One more.
    pub fn add(&self, count: Count) {
        if let Some(value) = self.values.get(count as usize) {
            value.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One more message with this fault was let pass.
    pub fn tolerate(&self, fault: Count) {
        if let Some(value) = self.tolerated.get(fault as usize) {
            value.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many messages with this fault were let pass so far.
    pub fn tolerated(&self, fault: Count) -> u64 {
        self.tolerated.get(fault as usize).map_or(0, |value| value.load(Ordering::Relaxed))
    }

    /// How many so far.
    pub fn get(&self, count: Count) -> u64 {
        self.values.get(count as usize).map_or(0, |value| value.load(Ordering::Relaxed))
    }
}
