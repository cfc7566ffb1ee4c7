//! A table with the face of the program's, under one lock that the model checker schedules.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

use loom::sync::{Mutex, MutexGuard};

use crate::hash::Digest;

/// A table by digest.
pub struct DigestMap<V>(Mutex<HashMap<Digest, V>>);

/// A table with room for so many values.
pub fn with_room<V>(_: usize) -> DigestMap<V> {
    DigestMap::default()
}

/// The keys of up to `most` values of a kind.
pub fn keys_where<V>(table: &DigestMap<V>, most: usize, is: impl Fn(&V) -> bool) -> Vec<Digest> {
    table.lock().iter().filter(|(_, value)| is(value)).map(|(key, _)| *key).take(most).collect()
}

impl<V> Default for DigestMap<V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<V> DigestMap<V> {
    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, V>> {
        self.0.lock().expect("no panic under the lock")
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Whether this one is there.
    pub fn contains_key(&self, key: &Digest) -> bool {
        self.lock().contains_key(key)
    }

    /// Look at one.
    pub fn get(&self, key: &Digest) -> Option<Guard<'_, V>> {
        let table = self.lock();
        table.contains_key(key).then_some(Guard { table, key: *key })
    }

    /// Change one.
    pub fn get_mut(&self, key: &Digest) -> Option<Guard<'_, V>> {
        self.get(key)
    }

    /// Put one in.
    pub fn insert(&self, key: Digest, value: V) -> Option<V> {
        self.lock().insert(key, value)
    }

    /// Take one out.
    pub fn remove(&self, key: &Digest) -> Option<(Digest, V)> {
        self.lock().remove(key).map(|value| (*key, value))
    }

    /// Take one out if it is of that kind.
    pub fn remove_if(&self, key: &Digest, is: impl FnOnce(&Digest, &V) -> bool) -> Option<(Digest, V)> {
        let mut table = self.lock();
        if table.get(key).is_some_and(|value| is(key, value)) {
            return table.remove(key).map(|value| (*key, value));
        }
        None
    }

    /// Keep those of that kind.
    pub fn retain(&self, keep: impl FnMut(&Digest, &mut V) -> bool) {
        self.lock().retain(keep);
    }

    /// The place of one.
    pub fn entry(&self, key: Digest) -> Entry<'_, V> {
        let table = self.lock();
        let is_there = table.contains_key(&key);
        let place = Place { table, key };
        if is_there { Entry::Occupied(place) } else { Entry::Vacant(place) }
    }

    /// All of them, one after the other.
    pub fn iter(&self) -> impl Iterator<Item = Guard<'_, V>> {
        let keys: Vec<Digest> = self.lock().keys().copied().collect();
        keys.into_iter().filter_map(|key| self.get(&key))
    }
}

/// A value, its table locked.
pub struct Guard<'a, V> {
    table: MutexGuard<'a, HashMap<Digest, V>>,
    key: Digest,
}

impl<V> Deref for Guard<'_, V> {
    type Target = V;
    fn deref(&self) -> &V {
        &self.table[&self.key]
    }
}

impl<V> DerefMut for Guard<'_, V> {
    fn deref_mut(&mut self) -> &mut V {
        self.table.get_mut(&self.key).expect("it was there when the table was locked")
    }
}

/// A place that has a value, or has none.
pub enum Entry<'a, V> {
    /// It has one.
    Occupied(Place<'a, V>),
    /// It has none.
    Vacant(Place<'a, V>),
}

/// A place, its table locked.
pub struct Place<'a, V> {
    table: MutexGuard<'a, HashMap<Digest, V>>,
    key: Digest,
}

impl<'a, V> Place<'a, V> {
    /// The value that is there.
    pub fn into_ref(self) -> Guard<'a, V> {
        Guard { table: self.table, key: self.key }
    }

    /// Put a value there.
    pub fn insert(mut self, value: V) -> Guard<'a, V> {
        self.table.insert(self.key, value);
        self.into_ref()
    }
}

impl<'a, V> Entry<'a, V> {
    /// The value that is there, or the one made.
    pub fn or_insert_with(self, value: impl FnOnce() -> V) -> Guard<'a, V> {
        match self {
            Self::Occupied(place) => place.into_ref(),
            Self::Vacant(place) => place.insert(value()),
        }
    }

    /// The value that is there, or this one.
    pub fn or_insert(self, value: V) -> Guard<'a, V> {
        self.or_insert_with(|| value)
    }

    /// The value that is there, or an empty one.
    pub fn or_default(self) -> Guard<'a, V>
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }
}
