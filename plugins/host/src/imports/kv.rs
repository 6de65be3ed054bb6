//! A small store in memory that all instances of a binding share.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::contract::imported::kv::Refusal;

const KEY_MAX: usize = 256;
const KEYS_MAX: usize = 10_000;
const BYTES_MAX: usize = 1 << 20;

struct Entry {
    value: Value,
    /// When it is gone, by the monotonic clock.
    ends: Option<Duration>,
}

enum Value {
    Bytes(Vec<u8>),
    Number(i64),
}

impl Value {
    const fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Number(_) => 8,
        }
    }
}

#[derive(Default)]
struct Entries {
    by_key: HashMap<String, Entry>,
    bytes: usize,
}

/// Keys and values, bounded in number and bytes.
#[derive(Default)]
pub(crate) struct Kv(Mutex<Entries>);

impl Entries {
    fn live(&mut self, key: &str, now: Duration) -> Option<&mut Entry> {
        if self.by_key.get(key)?.ends.is_some_and(|ends| ends <= now) {
            self.remove(key);
        }
        self.by_key.get_mut(key)
    }

    fn remove(&mut self, key: &str) {
        if let Some(gone) = self.by_key.remove(key) {
            self.bytes -= key.len() + gone.value.len();
        }
    }

    fn put(&mut self, key: String, entry: Entry, now: Duration) -> Result<(), Refusal> {
        let size = key.len() + entry.value.len();
        if key.len() > KEY_MAX || size > BYTES_MAX {
            return Err(Refusal::TooLong);
        }
        self.remove(&key);
        if self.is_full(size) {
            self.sweep(now);
        }
        if self.is_full(size) {
            return Err(Refusal::Full);
        }
        self.bytes += size;
        self.by_key.insert(key, entry);
        Ok(())
    }

    fn is_full(&self, size: usize) -> bool {
        self.by_key.len() >= KEYS_MAX || self.bytes + size > BYTES_MAX
    }

    /// Takes out what has ended.
    fn sweep(&mut self, now: Duration) {
        let bytes = &mut self.bytes;
        self.by_key.retain(|key, entry| {
            let keep = entry.ends.is_none_or(|ends| ends > now);
            if !keep {
                *bytes -= key.len() + entry.value.len();
            }
            keep
        });
    }
}

fn ends(ttl_ms: u64, now: Duration) -> Option<Duration> {
    (ttl_ms > 0).then(|| now.saturating_add(Duration::from_millis(ttl_ms)))
}

impl Kv {
    pub(crate) fn get(&self, key: &str, now: Duration) -> Option<Vec<u8>> {
        match &self.0.lock().live(key, now)?.value {
            Value::Bytes(bytes) => Some(bytes.clone()),
            Value::Number(number) => Some(number.to_string().into_bytes()),
        }
    }

    pub(crate) fn set(
        &self,
        key: String,
        value: Vec<u8>,
        ttl_ms: u64,
        now: Duration,
    ) -> Result<(), Refusal> {
        let entry = Entry { value: Value::Bytes(value), ends: ends(ttl_ms, now) };
        self.0.lock().put(key, entry, now)
    }

    pub(crate) fn add(
        &self,
        key: String,
        amount: i64,
        ttl_ms: u64,
        now: Duration,
    ) -> Result<i64, Refusal> {
        let mut entries = self.0.lock();
        match entries.live(&key, now) {
            Some(Entry { value: Value::Number(number), .. }) => {
                *number = number.saturating_add(amount);
                Ok(*number)
            }
            Some(_) => Err(Refusal::NotANumber),
            None => {
                let entry = Entry { value: Value::Number(amount), ends: ends(ttl_ms, now) };
                entries.put(key, entry, now).map(|()| amount)
            }
        }
    }

    pub(crate) fn delete(&self, key: &str) {
        self.0.lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_has_ended_is_gone() {
        let kv = Kv::default();
        kv.set("a".to_owned(), b"1".to_vec(), 10, at(0)).unwrap();
        assert_eq!(kv.get("a", at(9)).unwrap(), b"1");
        assert_eq!(kv.get("a", at(10)), None);
        assert_eq!(kv.0.lock().bytes, 0);
    }

    #[test]
    fn numbers_add_up_until_they_end() {
        let kv = Kv::default();
        assert_eq!(kv.add("n".to_owned(), 2, 10, at(0)), Ok(2));
        assert_eq!(kv.add("n".to_owned(), 3, 10, at(9)), Ok(5));
        assert_eq!(kv.add("n".to_owned(), 1, 10, at(10)), Ok(1), "later calls do not prolong it");
        kv.set("b".to_owned(), vec![], 0, at(0)).unwrap();
        assert_eq!(kv.add("b".to_owned(), 1, 0, at(0)), Err(Refusal::NotANumber));
        kv.delete("b");
        assert_eq!(kv.add("b".to_owned(), i64::MAX, 0, at(0)), Ok(i64::MAX));
        assert_eq!(kv.add("b".to_owned(), 1, 0, at(0)), Ok(i64::MAX));
    }

    #[test]
    fn it_is_bounded_and_makes_room_of_what_has_ended() {
        let kv = Kv::default();
        assert_eq!(kv.set("k".repeat(257), vec![], 0, at(0)), Err(Refusal::TooLong));
        assert_eq!(kv.set("k".to_owned(), vec![0; BYTES_MAX], 0, at(0)), Err(Refusal::TooLong));
        for i in 0..KEYS_MAX {
            kv.set(i.to_string(), vec![], 10, at(0)).unwrap();
        }
        assert_eq!(kv.set("one more".to_owned(), vec![], 0, at(9)), Err(Refusal::Full));
        kv.set("one more".to_owned(), vec![], 0, at(10)).unwrap();
        kv.set("big".to_owned(), vec![0; BYTES_MAX - 100], 0, at(10)).unwrap();
        assert_eq!(kv.set("bigger".to_owned(), vec![0; 100], 0, at(10)), Err(Refusal::Full));
        kv.set("big".to_owned(), vec![], 0, at(10)).unwrap();
        kv.set("bigger".to_owned(), vec![0; 100], 0, at(10)).unwrap();
    }
}
