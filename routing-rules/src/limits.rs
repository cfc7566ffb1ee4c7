//! Every limit of this crate, by name.

/// The largest routes file that is read, in bytes. It also bounds every list in it.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// The most rules in one file: they are tried one after the other, for each request.
pub const MAX_RULES: usize = 1000;

/// The longest user part, escapes undone, that is compared, in bytes. A longer one matches no rule, so that neither a
/// regex nor a rule that refuses a prefix can be worn out or evaded by length.
pub const MAX_USER_BYTES: usize = 512;

/// The longest rule name or reason phrase, in characters: both are shown on one line.
pub(crate) const MAX_PHRASE_CHARS: usize = 128;

/// The longest domain name, in bytes (RFC 1035 §2.3.4).
pub(crate) const MAX_DOMAIN_BYTES: usize = 253;

/// The largest compiled regex, in bytes.
pub(crate) const MAX_REGEX_BYTES: usize = 256 * 1024;

/// The most regexes in one file: for an unlucky request all of them are tried, each over the whole user part.
pub(crate) const MAX_REGEXES: usize = 256;

/// The longest Retry-After that a rule may ask for, in seconds: a day.
pub(crate) const MAX_RETRY_AFTER_SECONDS: u32 = 86_400;

/// The most errors reported for one file; the rest is counted.
pub(crate) const MAX_ERRORS: usize = 100;

/// How much of a found text an error shows, in characters.
pub(crate) const MAX_FOUND_CHARS: usize = 80;
