//! Bytes on the stack: the plain text of a token on its way in, a token that stands in two pieces.

/// Up to `N` bytes. What does not fit is remembered as too long, and gives no bytes at all.
pub(super) struct StackBytes<const N: usize> {
    bytes: [u8; N],
    length: usize,
    is_too_long: bool,
}

impl<const N: usize> StackBytes<N> {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; N], length: 0, is_too_long: false }
    }

    /// Append one byte.
    pub(super) fn push(&mut self, byte: u8) {
        self.extend_from_slice(&[byte]);
    }

    /// Append bytes.
    pub(super) fn extend_from_slice(&mut self, more: &[u8]) {
        let end = self.length.saturating_add(more.len());
        match self.bytes.get_mut(self.length..end) {
            Some(room) => {
                room.copy_from_slice(more);
                self.length = end;
            }
            None => self.is_too_long = true,
        }
    }

    /// What was appended; `None` where it did not fit.
    pub(super) fn get(&self) -> Option<&[u8]> {
        if self.is_too_long { None } else { self.bytes.get(..self.length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_kept_and_what_does_not_gives_nothing() {
        let mut bytes = StackBytes::<4>::new();
        bytes.extend_from_slice(b"abc");
        bytes.push(b'd');
        assert_eq!(bytes.get(), Some(&b"abcd"[..]));
        bytes.extend_from_slice(b"");
        assert_eq!(bytes.get(), Some(&b"abcd"[..]));
        bytes.push(b'e');
        assert_eq!(bytes.get(), None);
        bytes.extend_from_slice(b"");
        assert_eq!(bytes.get(), None);
    }
}
