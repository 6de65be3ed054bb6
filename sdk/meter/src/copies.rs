//! Counts that are kept elsewhere, by topic or group, and copied before each read.

use std::collections::BTreeMap;
use std::iter::zip;

use parking_lot::Mutex;

use crate::family::LABEL_SETS_MAX;

/// Copies of counts by label values `L`, bounded in number: the first to come have series of their own,
/// all others are summed in one more. That one never falls, as a counter must not, also when what was
/// counted in it goes.
#[derive(Debug)]
pub struct Copies<L, const N: usize> {
    kept: Mutex<Kept<L, N>>,
    sets_max: usize,
}

#[derive(Debug)]
struct Kept<L, const N: usize> {
    own: BTreeMap<L, [u64; N]>,
    /// What those without series of their own had at the last copy.
    others: BTreeMap<L, [u64; N]>,
    /// Everything that they ever brought; nothing until there is one.
    rest: Option<[u64; N]>,
    /// How many label sets came to be among them.
    overflowed: u64,
    /// What was not told apart where it is counted, and how often.
    untold: Untold<N>,
}

/// Counts that are not told apart where they are kept, and how often something was counted so.
pub type Untold<const N: usize> = ([u64; N], u64);

impl<L, const N: usize> Default for Copies<L, N> {
    fn default() -> Self {
        Self::bounded(LABEL_SETS_MAX)
    }
}

impl<L, const N: usize> Copies<L, N> {
    /// Copies of which so many are told apart.
    #[must_use]
    pub const fn bounded(sets_max: usize) -> Self {
        let kept = Kept {
            own: BTreeMap::new(),
            others: BTreeMap::new(),
            rest: None,
            overflowed: 0,
            untold: ([0; N], 0),
        };
        Self { kept: Mutex::new(kept), sets_max }
    }
}

impl<L: Ord + Clone, const N: usize> Copies<L, N> {
    /// Takes over all counts that there are, and the sum of those that are not told apart where they are counted.
    /// What is not among them any more goes, with its series.
    pub fn take(&self, counts: impl IntoIterator<Item = (L, [u64; N])>, untold: Untold<N>) {
        let mut kept = self.kept.lock();
        kept.untold = untold;
        let Kept { own, others, rest, overflowed, .. } = &mut *kept;
        let (before, before_others) = (std::mem::take(own), std::mem::take(others));
        let mut new = Vec::new();
        for (labels, counts) in counts {
            if before.contains_key(&labels) {
                own.insert(labels, counts);
            } else {
                new.push((labels, counts));
            }
        }
        for (labels, counts) in new {
            let was = before_others.get(&labels);
            if was.is_none() && own.len() < self.sets_max {
                own.insert(labels, counts);
                continue;
            }
            *overflowed += u64::from(was.is_none());
            let was = was.copied().unwrap_or([0; N]);
            let sums = rest.get_or_insert([0; N]);
            for ((sum, now), was) in zip(zip(sums, counts), was) {
                // One that went and came again begins anew.
                *sum += if now < was { now } else { now - was };
            }
            others.insert(labels, counts);
        }
    }

    /// How often there was no room for a label set: here once for each, where it is counted each time.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        let kept = self.kept.lock();
        kept.overflowed + kept.untold.1
    }

    /// All of them, sorted; `None` are those not told apart.
    #[must_use]
    pub fn read(&self) -> Vec<(Option<L>, [u64; N])> {
        let kept = self.kept.lock();
        let is_any = kept.rest.is_some() || kept.untold.1 > 0;
        let mut sums = kept.rest.unwrap_or([0; N]);
        zip(&mut sums, kept.untold.0).for_each(|(sum, untold)| *sum += untold);
        let rest = is_any.then_some((None, sums));
        let own = kept.own.iter().map(|(labels, counts)| (Some(labels.clone()), *counts));
        rest.into_iter().chain(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(copies: &Copies<&'static str, 1>) -> Vec<(&'static str, u64)> {
        copies.read().into_iter().map(|(l, [n])| (l.unwrap_or("(other)"), n)).collect()
    }

    #[test]
    fn what_is_gone_has_no_series() {
        let copies = Copies::<&str, 1>::default();
        copies.take([("a", [1]), ("b", [2])], ([0], 0));
        copies.take([("b", [3])], ([0], 0));
        assert_eq!(read(&copies), [("b", 3)]);
    }

    #[test]
    fn beyond_the_budget_the_sum_is_exact_and_never_falls() {
        let copies = Copies::<&str, 1>::bounded(2);
        copies.take([("a", [1]), ("b", [2]), ("c", [10]), ("d", [20])], ([0], 0));
        assert_eq!(read(&copies), [("(other)", 30), ("a", 1), ("b", 2)]);
        copies.take([("c", [11]), ("d", [25]), ("a", [5]), ("b", [2])], ([0], 0));
        assert_eq!(read(&copies), [("(other)", 36), ("a", 5), ("b", 2)]);
        // One with series of its own goes, and one of the others: nothing is counted twice.
        copies.take([("b", [2]), ("c", [12])], ([0], 0));
        assert_eq!(read(&copies), [("(other)", 37), ("b", 2)]);
        // There is room, for one that was never counted among the others.
        copies.take([("b", [2]), ("c", [12]), ("e", [7])], ([0], 0));
        assert_eq!(read(&copies), [("(other)", 37), ("b", 2), ("e", 7)]);
        // The one that went comes again.
        copies.take([("b", [2]), ("c", [3]), ("d", [4]), ("e", [7])], ([0], 0));
        assert_eq!(read(&copies), [("(other)", 44), ("b", 2), ("e", 7)]);
        assert_eq!(copies.overflowed(), 3, "c and d, and d again");
    }

    #[test]
    fn what_is_counted_of_nobody_in_particular_is_among_the_others() {
        let copies = Copies::<&str, 1>::bounded(1);
        copies.take([("a", [1])], ([0], 0));
        assert_eq!(read(&copies), [("a", 1)]);
        copies.take([("a", [1]), ("b", [2])], ([5], 1));
        copies.take([("a", [1]), ("b", [3])], ([6], 2));
        assert_eq!(read(&copies), [("(other)", 9), ("a", 1)]);
        assert_eq!(copies.overflowed(), 3);
    }
}
