//! How long requests took, by code, result and way, without locks and of fixed size.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cell::{own_shard, shard_count};
use crate::fine::{Fine, FineCounts};
use crate::histogram::{Counted, in_micros};

/// The bounds, in milliseconds: those of RocketMQ.
pub const LATENCY_BOUNDS_MS: [u64; 9] = [1, 3, 5, 7, 10, 100, 1_000, 2_000, 3_000];
pub(crate) const BOUNDS: [u64; 9] = in_micros(LATENCY_BOUNDS_MS);
const CELLS: usize = BOUNDS.len() + 2;
/// Kinds per shard: some 80 request codes are served, most with two or three results.
const SLOTS: usize = 256;
/// Kinds that a shard of threads tells apart.
pub const RPC_KINDS_MAX: usize = SLOTS;
/// Of an empty slot, and of the one for all kinds that have none of their own.
const NONE: u64 = 0;

/// Requests that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RpcKind {
    /// What was asked.
    pub request: i32,
    /// What was answered.
    pub response: i32,
    /// It waited for messages to arrive.
    pub is_held: bool,
    /// No answer was wanted.
    pub is_one_way: bool,
}

/// Times of requests. The first 256 kinds of a thread's shard are told apart, later ones are counted
/// together.
#[derive(Debug)]
pub struct Latencies {
    shards: Box<[Box<[Slot]>]>,
}

#[derive(Debug)]
struct Slot {
    kind: AtomicU64,
    cells: [AtomicU64; CELLS],
    fine: Fine,
}

/// Times of requests that are alike, in thousandths of a millisecond.
pub type RpcTimes = Counted<CELLS>;

impl Default for Latencies {
    fn default() -> Self {
        let slot = |_| Slot {
            kind: AtomicU64::new(NONE),
            cells: std::array::from_fn(|_| AtomicU64::new(0)),
            fine: Fine::default(),
        };
        // One more slot at the end, for all others.
        let table = |_| (0..=SLOTS).map(slot).collect();
        Self { shards: (0..shard_count()).map(table).collect() }
    }
}

impl Latencies {
    /// Counts requests that took `micros` each; `None` are those whose codes a client made up.
    pub fn add(&self, kind: Option<RpcKind>, micros: u64, requests: u64) {
        let Some(table) = self.shards.get(own_shard()) else { return };
        let key = kind.map_or(NONE, pack);
        let own = if key == NONE { None } else { find(table, key) };
        let slot = own.unwrap_or(&table[SLOTS]);
        let mut counted = RpcTimes::default();
        counted.add(&BOUNDS, micros, requests);
        for (cell, amount) in slot.cells.iter().zip(counted.cells()) {
            if amount != 0 {
                cell.fetch_add(amount, Ordering::Relaxed);
            }
        }
        slot.fine.add(micros, requests);
    }

    /// All kinds that were counted; `None` stands for those not told apart.
    #[must_use]
    pub fn read(&self) -> BTreeMap<Option<RpcKind>, RpcTimes> {
        let mut sums: BTreeMap<_, [u64; CELLS]> = BTreeMap::new();
        for slot in self.shards.iter().flatten() {
            let cells = slot.cells.each_ref().map(|cell| cell.load(Ordering::Relaxed));
            if cells != [0; CELLS] {
                let sum = sums.entry(unpack(slot.kind.load(Ordering::Relaxed))).or_default();
                sum.iter_mut().zip(cells).for_each(|(sum, cell)| *sum += cell);
            }
        }
        sums.into_iter().map(|(kind, cells)| (kind, Counted::from_cells(cells))).collect()
    }

    /// The same by exponential buckets.
    #[must_use]
    pub fn read_fine(&self) -> BTreeMap<Option<RpcKind>, FineCounts> {
        let mut sums: BTreeMap<_, FineCounts> = BTreeMap::new();
        for slot in self.shards.iter().flatten().filter(|slot| slot.fine.is_used()) {
            let kind = unpack(slot.kind.load(Ordering::Relaxed));
            slot.fine.add_to(sums.entry(kind).or_default());
        }
        sums
    }
}

/// The slot of a kind, which takes one if it has none; `None` if all are taken.
fn find(table: &[Slot], key: u64) -> Option<&Slot> {
    let start = usize::try_from(key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56).unwrap_or(0);
    (0..SLOTS).map(|step| &table[(start + step) % SLOTS]).find(|slot| slot.take(key))
}

impl Slot {
    /// Whether the slot is that of `key`, which it becomes if it was nobody's.
    fn take(&self, key: u64) -> bool {
        let held = self.kind.load(Ordering::Relaxed);
        if held != NONE {
            return held == key;
        }
        match self.kind.compare_exchange(NONE, key, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => true,
            Err(now_held) => now_held == key,
        }
    }
}

/// A number that is not [`NONE`], or that for codes that nobody has.
fn pack(kind: RpcKind) -> u64 {
    let half = |code: i32| i16::try_from(code).ok().map(|code| u64::from(code.cast_unsigned()));
    let (Some(request), Some(response)) = (half(kind.request), half(kind.response)) else {
        return NONE;
    };
    let flags = 4 | u64::from(kind.is_held) << 1 | u64::from(kind.is_one_way);
    flags << 32 | request << 16 | response
}

fn unpack(key: u64) -> Option<RpcKind> {
    if key == NONE {
        return None;
    }
    let [_, _, _, flags, a, b, c, d] = key.to_be_bytes();
    Some(RpcKind {
        request: i16::from_be_bytes([a, b]).into(),
        response: i16::from_be_bytes([c, d]).into(),
        is_held: flags & 2 != 0,
        is_one_way: flags & 1 != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn kind(request: i32) -> RpcKind {
        RpcKind { request, response: 0, is_held: false, is_one_way: false }
    }

    #[test]
    fn kinds_are_counted_apart_from_all_threads() {
        let latencies = Latencies::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    latencies.add(Some(kind(11)), 1_000, 3);
                    latencies.add(Some(RpcKind { is_held: true, ..kind(11) }), 15_000_000, 1);
                    latencies.add(Some(RpcKind { is_one_way: true, ..kind(15) }), 1_001, 1);
                    latencies.add(Some(RpcKind { response: -1, ..kind(-7) }), 0, 1);
                });
            }
        });
        let read = latencies.read();
        assert_eq!(read.len(), 4);
        let of = |kind: RpcKind| read[&Some(kind)];
        assert_eq!((of(kind(11)).counts()[0], of(kind(11)).sum()), (12, 12_000));
        assert_eq!(
            of(RpcKind { is_held: true, ..kind(11) }).counts(),
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 4]
        );
        assert_eq!(of(RpcKind { is_one_way: true, ..kind(15) }).counts()[..2], [0, 4]);
        assert_eq!(of(RpcKind { response: -1, ..kind(-7) }).count(), 4);
        let fine = latencies.read_fine();
        assert_eq!(fine.keys().collect::<Vec<_>>(), read.keys().collect::<Vec<_>>());
        for (kind, counts) in &fine {
            assert_eq!(counts.count(), read[kind].count(), "{kind:?}");
        }
        assert_eq!(fine[&Some(RpcKind { response: -1, ..kind(-7) })].zeros(), 4);
    }

    #[test]
    fn beyond_the_budget_and_for_codes_made_up_the_sums_are_exact() {
        let latencies = Latencies::default();
        (0..300).for_each(|code| latencies.add(Some(kind(code)), 10, 1));
        latencies.add(Some(kind(1 << 20)), 10, 1);
        latencies.add(None, 10, 5);
        let read = latencies.read();
        assert_eq!(read.len(), SLOTS + 1);
        assert_eq!(read[&None].count(), 300 - SLOTS as u64 + 6);
        assert_eq!(read.values().map(RpcTimes::count).sum::<u64>(), 306);
        assert_eq!(read.values().map(RpcTimes::sum).sum::<u64>(), 3_060);
    }
}
