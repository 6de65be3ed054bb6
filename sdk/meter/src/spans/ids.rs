//! Ids of traces and spans: unlike each other, not secret.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// The odd number that splitmix64 steps by.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Numbers that look random: splitmix64, from a seed that differs by process.
#[derive(Debug)]
pub(super) struct Ids(AtomicU64);

impl Default for Ids {
    fn default() -> Self {
        Self(AtomicU64::new(RandomState::new().hash_one(STEP)))
    }
}

impl Ids {
    /// Of a span: never 0.
    pub(super) fn span(&self) -> u64 {
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).max(1)
    }

    /// Of a trace: never 0.
    pub(super) fn trace(&self) -> u128 {
        u128::from(self.span()) << 64 | u128::from(self.span())
    }
}
