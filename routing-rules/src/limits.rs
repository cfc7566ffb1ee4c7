//! Every limit of this crate, by name.

/// The largest routes file that is read, in bytes. It also bounds every list in it.
pub const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;

/// The most rules in one file.
pub const MAX_RULES: usize = 20_000;

/// The longest user part, escapes undone, that is compared, in bytes. A longer one matches no rule, so that neither a
/// regex nor a rule that refuses a prefix can be worn out or evaded by length.
pub const MAX_USER_BYTES: usize = 512;

/// The most bytes of all values of one header that are compared. With more of them no rule matches, for the same reason.
pub const MAX_HEADER_BYTES: usize = 4096;

/// The largest file of prefixes, in bytes.
pub const MAX_PREFIX_FILE_BYTES: usize = 64 * 1024 * 1024;

/// The most entries of one file of prefixes.
pub const MAX_PREFIXES: usize = 1_000_000;

/// The most files of prefixes that one routes file names: each has one bit in a word that remembers what held.
pub(crate) const MAX_PREFIX_FILES: usize = 64;

/// As many time zones whose clock is read once for a request; of further ones it is read by each rule.
pub(crate) const REMEMBERED_ZONES: usize = 8;

/// The longest rule name or reason phrase, in characters: both are shown on one line.
pub(crate) const MAX_PHRASE_CHARS: usize = 128;

/// The longest tag, region or media profile, in characters.
pub(crate) const MAX_LABEL_CHARS: usize = 64;

/// The longest domain name, in bytes (RFC 1035 §2.3.4).
pub(crate) const MAX_DOMAIN_BYTES: usize = 253;

/// The largest compiled regex, in bytes.
pub(crate) const MAX_REGEX_BYTES: usize = 256 * 1024;

/// The largest set of all regexes over one text, compiled, in bytes.
pub(crate) const MAX_REGEX_SET_BYTES: usize = 16 * 1024 * 1024;

/// As many regexes over one text become one automaton, at most.
pub(crate) const REGEXES_OF_AUTOMATON: usize = 64;

/// The largest automaton that is worked out beforehand, in bytes, and the most memory that working it out takes.
pub(crate) const MAX_AUTOMATON_BYTES: usize = 256 * 1024;

/// After as many automata that grew too large, no more are worked out beforehand for the regexes over one text: it bounds
/// the time to load.
pub(crate) const MAX_AUTOMATON_FAILURES: usize = 12;

/// The memory in which one thread remembers how far a set of regexes has come, in bytes.
pub(crate) const REGEX_CACHE_BYTES: usize = 8 * 1024 * 1024;

/// The most different regexes in one file.
pub(crate) const MAX_REGEXES: usize = 1024;

/// The most beginnings that a regex is filed under.
pub(crate) const MAX_REGEX_STARTS: usize = 16;

/// The most regexes over one text that are filed under one beginning; where there are more, they are asked of every
/// text.
pub(crate) const MAX_SHARED_START: usize = 4;

/// How large an automaton may grow, in bytes, when it is asked whether a regex can match at all. One that would grow
/// larger is taken for one that can.
pub(crate) const MAX_PROOF_BYTES: usize = 256 * 1024;

/// The most headers that the rules of one file look at: each is read for each request.
pub(crate) const MAX_HEADER_NAMES: usize = 32;

/// The most items of all lists of one file, a set counted wherever it is used.
pub(crate) const MAX_ITEMS: usize = 1_000_000;

/// The most tags of one file: each is a counter.
pub(crate) const MAX_TAGS: usize = 256;

/// The most rules of one file that change a request and go on: each costs a second look at what follows.
pub(crate) const MAX_CHANGING_RULES: usize = 64;

/// The most pools that a route falls back on, and the most Contacts of a redirect.
pub(crate) const MAX_TARGETS: usize = 8;

/// The most headers that one rule sets or removes.
pub(crate) const MAX_HEADER_CHANGES: usize = 32;

/// The longest text that a rule writes into a message, in bytes. What captures make longer is cut.
pub(crate) const MAX_WRITTEN_BYTES: usize = 1024;

/// The longest Retry-After that a rule may ask for, in seconds: a day.
pub(crate) const MAX_RETRY_AFTER_SECONDS: u32 = 86_400;

/// The most calls that a limit may allow at one time.
pub(crate) const MAX_CALLS: u32 = 1_000_000;

/// The most errors reported for one file; the rest is counted.
pub(crate) const MAX_ERRORS: usize = 100;

/// How much of a found text an error shows, in characters.
pub(crate) const MAX_FOUND_CHARS: usize = 80;
