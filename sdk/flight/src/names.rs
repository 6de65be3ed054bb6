//! Names as numbers. A number stands for its name as long as not too many others were given since; by
//! then it is given anew.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use blockhouse_disk::Window;
use blockhouse_meter::shard_count;
use parking_lot::Mutex;

use crate::file::{NAME_MAX, NAMES, encode_name, name_at};

/// A number is used until so many others were given: what is recorded with it keeps its name for at
/// least as many more.
const FRESH: u32 = NAMES / 2;
/// Names that a shard of threads finds without a lock.
const CACHED: usize = 1_024;

/// All names of a file.
#[derive(Debug)]
pub(crate) struct Names {
    key: [u64; 2],
    /// The next number to be given; the first is 1.
    next: AtomicU32,
    known: Mutex<HashMap<Arc<str>, u32>>,
    shards: Box<[Box<[Cached]>]>,
}

/// A number, and the hash of its name with the number mixed in: halves of two writers do not fit.
#[derive(Debug, Default)]
struct Cached {
    mark: AtomicU64,
    number: AtomicU64,
}

impl Default for Names {
    fn default() -> Self {
        // Clients make names up: none of them knows which ones hash alike.
        let random = RandomState::new();
        let shard = |_| (0..CACHED).map(|_| Cached::default()).collect();
        Self {
            key: [random.hash_one(0_u8), random.hash_one(1_u8) | 1],
            next: AtomicU32::new(1),
            known: Mutex::default(),
            shards: (0..shard_count()).map(shard).collect(),
        }
    }
}

impl Names {
    /// The number of a name, which is written into `window` if it is new; 0 for the empty one.
    pub(crate) fn number(&self, text: &str, shard: usize, window: &Window) -> u32 {
        // Clients decide how long they are, and nobody is shown more of them than a file has.
        let text = text.get(..text.floor_char_boundary(NAME_MAX)).unwrap_or_default();
        if text.is_empty() {
            return 0;
        }
        let hash = hash(self.key, text.as_bytes());
        let at = usize::try_from(hash).unwrap_or(0) % CACHED;
        let Some(cached) = self.shards.get(shard).and_then(|shard| shard.get(at)) else { return 0 };
        let number = cached.number.load(Ordering::Relaxed);
        if number != 0
            && cached.mark.load(Ordering::Relaxed) ^ number == hash
            && let Ok(number) = u32::try_from(number)
            && self.is_fresh(number)
        {
            return number;
        }
        let number = self.find(text, window);
        cached.number.store(number.into(), Ordering::Relaxed);
        cached.mark.store(hash ^ u64::from(number), Ordering::Relaxed);
        number
    }

    fn is_fresh(&self, number: u32) -> bool {
        self.next.load(Ordering::Relaxed).wrapping_sub(number) <= FRESH
    }

    fn find(&self, text: &str, window: &Window) -> u32 {
        let mut known = self.known.lock();
        if let Some(number) = known.get(text).copied().filter(|number| self.is_fresh(*number)) {
            return number;
        }
        if known.len() >= NAMES as usize {
            known.retain(|_, number| self.is_fresh(*number));
        }
        let number = self.next.load(Ordering::Relaxed);
        // 0 is no name.
        self.next.store(number.wrapping_add(1).max(1), Ordering::Relaxed);
        known.insert(text.into(), number);
        // A name that the disk does not take is missing in the records, and that is all.
        let _written = window.write(name_at(number), &encode_name(number, text));
        number
    }
}

/// Keyed, and a few nanoseconds for names as they are.
fn hash(key: [u64; 2], bytes: &[u8]) -> u64 {
    let mut sum = key[0] ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks();
    for word in words {
        sum = fold(sum ^ u64::from_le_bytes(*word), key[1]);
    }
    let rest = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    fold(sum ^ rest, key[1])
}

#[expect(clippy::cast_possible_truncation, reason = "both halves are meant")]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use blockhouse_disk::{Disk as _, MemDisk};

    use super::*;
    use crate::file::{HEAD, NAME, decode_name};

    fn window() -> Window {
        let file = MemDisk::new().create(Path::new("/f")).unwrap();
        let len = (HEAD + NAMES as usize * NAME) as u64;
        file.allocate(len).unwrap();
        file.window(len).unwrap()
    }

    fn text(window: &Window, number: u32) -> Option<String> {
        let mut bytes = [0; NAME];
        window.read(name_at(number), &mut bytes).unwrap();
        let (found, text) = decode_name(&bytes)?;
        (found == number).then(|| text.to_owned())
    }

    #[test]
    fn a_name_has_one_number_in_all_shards_and_the_table_has_the_name() {
        let (names, window) = (Names::default(), window());
        let orders = names.number("orders", 0, &window);
        assert_eq!(names.number("", 0, &window), 0);
        assert_ne!(names.number("bills", 0, &window), orders);
        for shard in 0..shard_count() {
            assert_eq!(names.number("orders", shard, &window), orders);
        }
        assert_eq!(text(&window, orders).as_deref(), Some("orders"));
    }

    #[test]
    fn names_by_the_thousand_push_out_none_that_is_used() {
        let (names, window) = (Names::default(), window());
        let first = names.number("orders", 0, &window);
        for n in 0..NAMES * 2 {
            names.number(&format!("made up {n}"), 0, &window);
            let orders = names.number("orders", 0, &window);
            if n % 512 == 0 {
                assert_eq!(text(&window, orders).as_deref(), Some("orders"), "{n}");
            }
        }
        assert_ne!(text(&window, first).as_deref(), Some("orders"), "an old number is another's");
        assert!(names.known.lock().len() <= NAMES as usize);
    }

    #[test]
    fn threads_agree() {
        let (names, window) = (Names::default(), window());
        let ask = || -> Vec<u32> {
            (0..2_000)
                .map(|n| names.number(&(n % 500).to_string(), n % shard_count(), &window))
                .collect()
        };
        let all = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(all.iter().all(|numbers| *numbers == all[0]));
        let texts = all[0].iter().map(|number| text(&window, *number).unwrap());
        assert!(texts.zip(0..).all(|(text, n)| text == (n % 500).to_string()));
    }
}
