//! Secret keys: 32 bytes, written as base64 or hexadecimal digits, made by the system's generator.
//!
//! No message and no log line ever contains one.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use sbc_core::config::Key;

/// A key file is a line; anything longer is the wrong file.
const MAX_KEY_FILE: u64 = 4096;

/// Makes a key.
///
/// # Errors
/// When the system has no randomness to give.
pub(crate) fn generate() -> io::Result<Key> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(Key(bytes))
}

/// Reads a key: 64 hexadecimal digits, or base64 of 32 bytes, blanks around it ignored.
pub(crate) fn parse(text: &str) -> Option<Key> {
    let text = text.trim();
    if let Some(key) = hexadecimal(text) {
        return Some(key);
    }
    let alphabets = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
    let bytes = alphabets.iter().find_map(|alphabet| alphabet.decode(text).ok())?;
    Some(Key(bytes.try_into().ok()?))
}

fn hexadecimal(text: &str) -> Option<Key> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = [0; 32];
    for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(Key(key))
}

/// The text of a key file.
///
/// # Errors
/// When it cannot be read, or is too long to be a key.
pub(crate) fn read_file(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(MAX_KEY_FILE + 1).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read > MAX_KEY_FILE) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too long for a key"));
    }
    Ok(text)
}

/// A key as a line of text.
pub(crate) fn show(key: &Key) -> String {
    STANDARD.encode(key.0)
}

/// Writes a key to a new file that only its owner may read.
///
/// # Errors
/// When the file exists (a key in use must not be lost) or cannot be written.
pub(crate) fn write_new(path: &Path, key: &Key) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{}", show(key))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_as_it_is_written() {
        let key = generate().expect("randomness");
        let hex: String = key.0.iter().map(|byte| format!("{byte:02x}")).collect();
        for text in [
            show(&key),
            format!(" {}\n", show(&key)),
            hex.clone(),
            hex.to_uppercase(),
            URL_SAFE_NO_PAD.encode(key.0),
        ] {
            assert_eq!(parse(&text), Some(Key(key.0)), "{text:?}");
        }
    }

    #[test]
    fn other_lengths_are_no_keys() {
        for text in
            ["", "00", &"0".repeat(63), &"0".repeat(66), &"g".repeat(64), &STANDARD.encode([0; 31]), "ä"]
        {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
