//! A script: choices taken one after the other from bytes; where they end, every choice is the first.

/// What is left of it.
pub(super) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// One of several.
    pub(super) fn pick<T: Copy>(&mut self, several: &[T]) -> Option<T> {
        let at = usize::from(self.byte()).checked_rem(several.len())?;
        several.get(at).copied()
    }

    /// A piece of up to 511 bytes.
    pub(super) fn text(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()) + 256 * usize::from(self.byte() & 1);
        let (text, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        text
    }
}
