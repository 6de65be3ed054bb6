//! A count per pair of request code and result, without locks and of fixed size.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cell::{own_shard, shard_count};

/// Pairs per shard: some 150 request codes exist, most with two or three results.
const SLOTS: usize = CODE_PAIRS_MAX;
/// Pairs that a shard of threads tells apart.
pub const CODE_PAIRS_MAX: usize = 512;
/// What pairs are counted as when all slots are taken: no code is this low.
const OTHER: (i32, i32) = (i32::MIN, i32::MIN);
const EMPTY: u64 = 0;

/// Counts per (request code, response code). The first 512 pairs of a thread's shard are told
/// apart, later ones are counted together.
#[derive(Debug)]
pub struct CodeCounts {
    shards: Box<[Box<[Slot]>]>,
}

#[derive(Debug)]
struct Slot {
    /// The pair, each half with its sign bit flipped so that no real pair is [`EMPTY`] = OTHER.
    pair: AtomicU64,
    count: AtomicU64,
}

impl Default for CodeCounts {
    fn default() -> Self {
        let slot = |_| Slot { pair: AtomicU64::new(EMPTY), count: AtomicU64::new(0) };
        // One more slot at the end, for OTHER.
        let table = |_| (0..=SLOTS).map(slot).collect();
        Self { shards: (0..shard_count()).map(table).collect() }
    }
}

impl CodeCounts {
    /// Counts `amount` requests of `code` that ended in `result`.
    pub fn add(&self, code: i32, result: i32, amount: u64) {
        if amount == 0 {
            return;
        }
        let Some(table) = self.shards.get(own_shard()) else { return };
        let pair = pack((code, result));
        let start = start_of(pair);
        let slot = (0..SLOTS)
            .map(|step| &table[(start + step) % SLOTS])
            .find(|slot| slot.take(pair))
            .unwrap_or(&table[SLOTS]);
        slot.count.fetch_add(amount, Ordering::Relaxed);
    }

    /// All pairs that were counted, with their counts; `None` stands for those not told apart.
    #[must_use]
    pub fn read(&self) -> BTreeMap<Option<(i32, i32)>, u64> {
        let mut sums = BTreeMap::new();
        for slot in self.shards.iter().flatten() {
            let count = slot.count.load(Ordering::Relaxed);
            if count != 0 {
                let pair = unpack(slot.pair.load(Ordering::Relaxed));
                *sums.entry((pair != OTHER).then_some(pair)).or_default() += count;
            }
        }
        sums
    }
}

impl Slot {
    /// Whether the slot is that of `pair`, which it becomes if it was nobody's.
    fn take(&self, pair: u64) -> bool {
        let held = self.pair.load(Ordering::Relaxed);
        if held != EMPTY {
            return held == pair;
        }
        match self.pair.compare_exchange(EMPTY, pair, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => true,
            Err(now_held) => now_held == pair,
        }
    }
}

fn pack((code, result): (i32, i32)) -> u64 {
    let half = |v: i32| u64::from(v.cast_unsigned() ^ 0x8000_0000);
    (half(code) << 32) | half(result)
}

fn unpack(pair: u64) -> (i32, i32) {
    let [a, b, c, d, e, f, g, h] = pair.to_be_bytes();
    let half = |bytes| (u32::from_be_bytes(bytes) ^ 0x8000_0000).cast_signed();
    (half([a, b, c, d]), half([e, f, g, h]))
}

/// Where the search for a pair starts: the top bits of a multiplicative hash.
fn start_of(pair: u64) -> usize {
    usize::try_from(pair.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 55).unwrap_or(0) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_counted_apart_from_all_threads() {
        let counts = CodeCounts::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for code in [10, 11, 310, -1] {
                        counts.add(code, 0, 1);
                        counts.add(code, 14, 2);
                    }
                });
            }
        });
        let read = counts.read();
        assert_eq!(read.len(), 8);
        assert_eq!(read[&Some((310, 14))], 8);
        assert_eq!(read[&Some((-1, 0))], 4);
    }

    #[test]
    fn pairs_past_the_last_slot_are_counted_together() {
        let counts = CodeCounts::default();
        (0..600).for_each(|code| counts.add(code, 0, 1));
        let read = counts.read();
        assert_eq!(read.len(), SLOTS + 1);
        assert_eq!(read[&None], 600 - SLOTS as u64);
        assert_eq!(read.values().sum::<u64>(), 600);
    }
}
