//! Header names that the program knows, with their compact forms.
//!
//! A name is looked up once per header line, so the table is hashed at compile time.

use super::text::eq_ignore_case;

macro_rules! header_names {
    ($($id:ident = $canonical:literal,)*) => {
        /// A header by name. Compact forms (RFC 3261 §7.3.3 and the IANA registry) are folded into the long ones.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum HeaderName {
            $(
                #[doc = concat!("`", $canonical, "`")]
                $id,
            )*
            /// Any header that is not in this list.
            Other,
        }

        impl HeaderName {
            /// How many names there are, `Other` among them.
            pub(super) const COUNT: usize = Self::Other as usize + 1;

            const KNOWN: [Self; Self::COUNT - 1] = [$(Self::$id),*];

            /// The long form as the RFCs write it; empty for `Other`.
            pub const fn canonical(self) -> &'static str {
                match self {
                    $(Self::$id => $canonical,)*
                    Self::Other => "",
                }
            }
        }
    };
}

header_names! {
    Via = "Via",
    From = "From",
    To = "To",
    CallId = "Call-ID",
    CSeq = "CSeq",
    Contact = "Contact",
    MaxForwards = "Max-Forwards",
    Route = "Route",
    RecordRoute = "Record-Route",
    Path = "Path",
    ContentLength = "Content-Length",
    ContentType = "Content-Type",
    ContentEncoding = "Content-Encoding",
    ContentDisposition = "Content-Disposition",
    ContentLanguage = "Content-Language",
    ContentId = "Content-ID",
    Expires = "Expires",
    Authorization = "Authorization",
    ProxyAuthorization = "Proxy-Authorization",
    WwwAuthenticate = "WWW-Authenticate",
    ProxyAuthenticate = "Proxy-Authenticate",
    AuthenticationInfo = "Authentication-Info",
    ProxyAuthenticationInfo = "Proxy-Authentication-Info",
    Require = "Require",
    ProxyRequire = "Proxy-Require",
    Supported = "Supported",
    Unsupported = "Unsupported",
    Allow = "Allow",
    AllowEvents = "Allow-Events",
    Event = "Event",
    SubscriptionState = "Subscription-State",
    ReferTo = "Refer-To",
    ReferredBy = "Referred-By",
    ReferSub = "Refer-Sub",
    Replaces = "Replaces",
    Join = "Join",
    TargetDialog = "Target-Dialog",
    UserAgent = "User-Agent",
    Server = "Server",
    Reason = "Reason",
    RetryAfter = "Retry-After",
    MinExpires = "Min-Expires",
    MinSe = "Min-SE",
    SessionExpires = "Session-Expires",
    RSeq = "RSeq",
    RAck = "RAck",
    Date = "Date",
    Warning = "Warning",
    Subject = "Subject",
    ServiceRoute = "Service-Route",
    RemotePartyId = "Remote-Party-ID",
    PAssertedIdentity = "P-Asserted-Identity",
    PPreferredIdentity = "P-Preferred-Identity",
    PAssociatedUri = "P-Associated-URI",
    PCalledPartyId = "P-Called-Party-ID",
    PAccessNetworkInfo = "P-Access-Network-Info",
    PVisitedNetworkId = "P-Visited-Network-ID",
    PChargingVector = "P-Charging-Vector",
    PChargingFunctionAddresses = "P-Charging-Function-Addresses",
    PEarlyMedia = "P-Early-Media",
    Privacy = "Privacy",
    HistoryInfo = "History-Info",
    Diversion = "Diversion",
    Identity = "Identity",
    IdentityInfo = "Identity-Info",
    CallInfo = "Call-Info",
    AlertInfo = "Alert-Info",
    ErrorInfo = "Error-Info",
    ReplyTo = "Reply-To",
    Organization = "Organization",
    InReplyTo = "In-Reply-To",
    MaxBreadth = "Max-Breadth",
    FeatureCaps = "Feature-Caps",
    SessionId = "Session-ID",
    Accept = "Accept",
    AcceptEncoding = "Accept-Encoding",
    AcceptLanguage = "Accept-Language",
    AcceptContact = "Accept-Contact",
    RejectContact = "Reject-Contact",
    RequestDisposition = "Request-Disposition",
    MimeVersion = "MIME-Version",
    Priority = "Priority",
    ResourcePriority = "Resource-Priority",
    Timestamp = "Timestamp",
    FlowTimer = "Flow-Timer",
    SipEtag = "SIP-ETag",
    SipIfMatch = "SIP-If-Match",
    SecurityClient = "Security-Client",
    SecurityServer = "Security-Server",
    SecurityVerify = "Security-Verify",
    UserToUser = "User-to-User",
    Geolocation = "Geolocation",
    RecvInfo = "Recv-Info",
    InfoPackage = "Info-Package",
}

/// Slots of the table: a power of two, several times the number of names, so that most names sit in their own slot.
const SLOTS: usize = 512;

/// Open addressing; `Other` marks a free slot.
static TABLE: [HeaderName; SLOTS] = table();

const fn table() -> [HeaderName; SLOTS] {
    let mut table = [HeaderName::Other; SLOTS];
    let mut next = 0;
    while next < HeaderName::KNOWN.len() {
        let id = HeaderName::KNOWN[next];
        let name = id.canonical().as_bytes();
        let mut at = slot(name[0], name[name.len() - 1], name.len());
        while !matches!(table[at], HeaderName::Other) {
            at = (at + 1) % SLOTS;
        }
        table[at] = id;
        next += 1;
    }
    table
}

/// Where the search for a name begins. Letters differ from their other case in bit 0x20 alone.
const fn slot(first: u8, last: u8, len: usize) -> usize {
    ((first | 0x20) as usize * 37 + (last | 0x20) as usize * 11 + len * 101) % SLOTS
}

impl HeaderName {
    /// The header that `name` is, in any case, long or compact.
    pub fn of(name: &[u8]) -> Self {
        match name {
            [] => Self::Other,
            [letter] => Self::of_compact(*letter),
            [first, .., last] => Self::of_long(name, slot(*first, *last, name.len())),
        }
    }

    fn of_long(name: &[u8], start: usize) -> Self {
        let probes = TABLE.iter().skip(start).chain(TABLE.iter().take(start));
        for &id in probes.take_while(|&&id| id != Self::Other) {
            let canonical = id.canonical().as_bytes();
            // Nearly every sender writes the canonical form, and comparing that is cheaper.
            if canonical == name || eq_ignore_case(canonical, name) {
                return id;
            }
        }
        Self::Other
    }

    const fn of_compact(letter: u8) -> Self {
        match letter.to_ascii_lowercase() {
            b'a' => Self::AcceptContact,
            b'b' => Self::ReferredBy,
            b'c' => Self::ContentType,
            b'd' => Self::RequestDisposition,
            b'e' => Self::ContentEncoding,
            b'f' => Self::From,
            b'i' => Self::CallId,
            b'j' => Self::RejectContact,
            b'k' => Self::Supported,
            b'l' => Self::ContentLength,
            b'm' => Self::Contact,
            b'n' => Self::IdentityInfo,
            b'o' => Self::Event,
            b'r' => Self::ReferTo,
            b's' => Self::Subject,
            b't' => Self::To,
            b'u' => Self::AllowEvents,
            b'v' => Self::Via,
            b'x' => Self::SessionExpires,
            b'y' => Self::Identity,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for id in HeaderName::KNOWN {
            let name = id.canonical();
            assert_eq!(HeaderName::of(name.as_bytes()), id);
            assert_eq!(HeaderName::of(name.to_uppercase().as_bytes()), id);
            assert_eq!(HeaderName::of(name.to_lowercase().as_bytes()), id);
        }
    }

    #[test]
    fn compact_forms_are_the_long_ones() {
        let letters = b"abcdefijklmnorstuvxy";
        assert!(letters.iter().all(|letter| HeaderName::of(&[*letter]) != HeaderName::Other));
        assert_eq!(HeaderName::of(b"v"), HeaderName::Via);
        assert_eq!(HeaderName::of(b"M"), HeaderName::Contact);
        assert_eq!(HeaderName::of(b"u"), HeaderName::AllowEvents);
        assert!(b"ghpqwz-0".iter().all(|letter| HeaderName::of(&[*letter]) == HeaderName::Other));
    }

    #[test]
    fn near_misses_are_other() {
        for name in [&b""[..], b"Vib", b"Vi", b"Viaa", b"Call_ID", b"C%6Fntact", b"Max-Forward", b"\xff\xfe"]
        {
            assert_eq!(HeaderName::of(name), HeaderName::Other);
        }
    }

    #[test]
    fn every_slot_search_ends_soon() {
        let longest = TABLE.split(|id| *id == HeaderName::Other).map(<[_]>::len).max();
        assert!(longest.is_some_and(|run| run <= 8), "{longest:?}");
        assert_eq!(TABLE[SLOTS - 1], HeaderName::Other);
    }
}
