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
        mixed(self.0.fetch_add(STEP, Ordering::Relaxed))
    }

    /// Of a trace and its first span: never 0. All who record meet here, so that it is one step for both.
    pub(super) fn root(&self) -> (u128, u64) {
        let first = self.0.fetch_add(STEP.wrapping_mul(3), Ordering::Relaxed);
        let [high, low, span] = [0, 1, 2].map(|n| mixed(first.wrapping_add(STEP.wrapping_mul(n))));
        (u128::from(high) << 64 | u128::from(low), span)
    }
}

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_of_traces_and_spans_are_unlike_each_other_whoever_draws_them() {
        let (ids, mut seen) = (Ids::default(), HashSet::new());
        for _ in 0..10_000 {
            let (trace, span) = ids.root();
            let halves = [trace >> 64, trace & u128::from(u64::MAX), span.into()];
            seen.extend(halves.into_iter().chain([ids.span().into()]));
        }
        assert_eq!((seen.len(), seen.contains(&0)), (40_000, false));
    }
}
