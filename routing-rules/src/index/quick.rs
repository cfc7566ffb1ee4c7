//! What a rule says in a few bits, close together: among the rules that a request meets, most fail by these, and few
//! have to be looked at as a whole.

use crate::matcher::{Asked, Condition, Matcher};

/// More conditions than this are not told apart.
const MANY: u8 = u8::MAX;

/// The short keys of one rule, and what is left of it. Of a set of bits none means that any will do.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Quick {
    listeners: u64,
    methods: u16,
    zones: u16,
    transports: u16,
    /// Calls whose ten-thousandth is below this; 0: all.
    share: u16,
    /// The lower bit: who is not registered; the higher one: who is.
    registered: u8,
    /// So many conditions, the first ones, are all said here.
    said: u8,
    /// The condition that the rule is filed under, where it holds whenever the rule is found by it.
    filed: u8,
    /// Whether another condition is left.
    more: bool,
}

impl Quick {
    /// Takes from a `match` what it can say. `filed` is the condition that holds whenever the rule is found.
    pub(super) fn new(matcher: &Matcher, filed: Option<usize>) -> Self {
        let conditions = matcher.conditions();
        let mut quick = Self::default();
        let said =
            conditions.iter().take(usize::from(MANY)).take_while(|condition| quick.say(condition)).count();
        quick.said = u8::try_from(said).unwrap_or(MANY);
        quick.filed = filed.and_then(|number| u8::try_from(number).ok()).unwrap_or(MANY);
        quick.more = quick.left(conditions).next().is_some();
        quick
    }

    /// Adds a condition; false where it cannot be said in bits.
    fn say(&mut self, condition: &Condition) -> bool {
        match condition {
            Condition::Registered(registered) => self.registered = 1 << u8::from(*registered),
            Condition::Zone(zones) => self.zones = zones.bits(),
            Condition::Method(methods) => self.methods = methods.bits(),
            Condition::Transport(transports) => self.transports = transports.bits(),
            Condition::Listener(listeners) => match listeners.bits() {
                Some(bits) => self.listeners = bits,
                None => return false,
            },
            Condition::Percentage(share) => self.share = *share,
            _ => return false,
        }
        true
    }

    /// Whether what is said here holds.
    pub(super) fn holds(&self, asked: &Asked) -> bool {
        let any = |own: u64, other: u64| own == 0 || own & other != 0;
        any(self.listeners, asked.listener)
            && any(self.methods.into(), asked.method.into())
            && any(self.zones.into(), asked.zone.into())
            && any(self.transports.into(), asked.transport.into())
            && any(self.registered.into(), asked.registered.into())
            && (self.share == 0 || asked.share < self.share)
    }

    /// Whether there are conditions that are not said here, nor known to hold.
    pub(super) fn has_more(&self) -> bool {
        self.more
    }

    /// Those conditions.
    pub(super) fn left<'m>(
        &self,
        conditions: &'m [Condition],
    ) -> impl Iterator<Item = &'m Condition> + use<'m> {
        let Self { said, filed, .. } = *self;
        let filed = Some(usize::from(filed)).filter(|filed| *filed < usize::from(MANY));
        let left = conditions.iter().enumerate().skip(said.into());
        left.filter(move |(number, _)| Some(*number) != filed).map(|(_, condition)| condition)
    }
}
