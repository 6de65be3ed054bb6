//! A map by name for many readers: the message path looks names up without waiting for each other.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

const SHARDS: usize = 16;

type Shard<K, V> = RwLock<HashMap<K, V>>;

#[derive(Debug)]
pub(crate) struct Table<K, V> {
    hasher: RandomState,
    shards: [Shard<K, V>; SHARDS],
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { hasher: RandomState::new(), shards: std::array::from_fn(|_| RwLock::default()) }
    }
}

impl<K: Eq + Hash + Borrow<str>, V> Table<K, V> {
    fn shard(&self, name: &str) -> &Shard<K, V> {
        let hash = self.hasher.hash_one(name);
        &self.shards[usize::try_from(hash % SHARDS as u64).unwrap_or(0)]
    }

    /// The part of the table where `name` is, if anywhere.
    pub(crate) fn read(&self, name: &str) -> RwLockReadGuard<'_, HashMap<K, V>> {
        self.shard(name).read()
    }

    /// As [`Table::read`], to be changed.
    pub(crate) fn write(&self, name: &str) -> RwLockWriteGuard<'_, HashMap<K, V>> {
        self.shard(name).write()
    }

    /// All parts, one after the other, so that no reader is kept out for long.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Shard<K, V>> {
        self.shards.iter()
    }

    pub(crate) fn insert(&self, key: K, value: V) -> Option<V> {
        self.write(key.borrow()).insert(key, value)
    }

    pub(crate) fn remove(&self, name: &str) -> Option<V> {
        self.write(name).remove(name)
    }

    pub(crate) fn len(&self) -> usize {
        self.parts().map(|part| part.read().len()).sum()
    }
}

impl<K: Eq + Hash + Borrow<str>, V: Clone> Table<K, V> {
    pub(crate) fn find(&self, name: &str) -> Option<V> {
        self.read(name).get(name).cloned()
    }

    pub(crate) fn values(&self) -> Vec<V> {
        self.parts().flat_map(|part| part.read().values().cloned().collect::<Vec<_>>()).collect()
    }
}
