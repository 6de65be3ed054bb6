//! Cells per label values: one set for each topic, or each topic and group.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

/// How many label sets a family tells apart (RocketMQ: `metricsOtelCardinalityLimit`).
pub const LABEL_SETS_MAX: usize = 50_000;

/// Cells by label values `L`. Looking up takes a read lock: whoever records often keeps the `Arc`.
#[derive(Debug)]
pub struct Family<L, C> {
    sets: RwLock<HashMap<L, Arc<C>>>,
    sets_max: usize,
    /// Where everything past `sets_max` is counted.
    rest: Arc<C>,
    /// How often that was given to somebody.
    overflowed: AtomicU64,
}

impl<L, C: Default> Default for Family<L, C> {
    fn default() -> Self {
        Self::bounded(LABEL_SETS_MAX)
    }
}

impl<L, C: Default> Family<L, C> {
    /// A family that tells so many label sets apart.
    #[must_use]
    pub fn bounded(sets_max: usize) -> Self {
        let (sets, rest) = (RwLock::default(), Arc::default());
        Self { sets, sets_max, rest, overflowed: AtomicU64::new(0) }
    }

    /// The cells of what is not told apart.
    pub fn rest(&self) -> Arc<C> {
        self.overflowed.fetch_add(1, Ordering::Relaxed);
        Arc::clone(&self.rest)
    }

    /// How often there was no room for label sets.
    pub fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }
}

impl<L: Eq + Hash + Clone + Ord, C: Default> Family<L, C> {
    /// The cells of `labels`, made if they are new.
    pub fn of<Q>(&self, labels: &Q) -> Arc<C>
    where
        L: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = L> + ?Sized,
    {
        if let Some(cells) = self.sets.read().get(labels) {
            return Arc::clone(cells);
        }
        let mut sets = self.sets.write();
        if sets.len() >= self.sets_max && !sets.contains_key(labels) {
            drop(sets);
            return self.rest();
        }
        Arc::clone(sets.entry(labels.to_owned()).or_default())
    }

    /// Takes label sets out, for example those of a deleted topic.
    pub fn forget(&self, is_gone: impl Fn(&L) -> bool) {
        self.sets.write().retain(|labels, _| !is_gone(labels));
    }

    /// All label sets and their cells, sorted; `None` are those not told apart.
    pub fn read(&self) -> Vec<(Option<L>, Arc<C>)> {
        let sets = self.sets.read();
        let mut all: Vec<_> =
            sets.iter().map(|(labels, cells)| (Some(labels.clone()), Arc::clone(cells))).collect();
        drop(sets);
        // Also when there is room again: what was counted there was counted.
        if self.overflowed() > 0 {
            all.push((None, Arc::clone(&self.rest)));
        }
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Counter;

    #[test]
    fn the_same_labels_are_the_same_cells_until_forgotten() {
        let family = Family::<String, Counter>::default();
        family.of("a").add(1);
        family.of("a").add(1);
        family.of("b").add(5);
        let read = |f: &Family<String, Counter>| {
            f.read().into_iter().map(|(l, c)| (l.unwrap(), c.read())).collect::<Vec<_>>()
        };
        assert_eq!(read(&family), [("a".to_owned(), 2), ("b".to_owned(), 5)]);
        family.forget(|l| l == "a");
        assert_eq!(read(&family), [("b".to_owned(), 5)]);
    }

    #[test]
    fn label_sets_are_bounded() {
        let family = Family::<String, Counter>::default();
        (0..LABEL_SETS_MAX + 3).for_each(|i| family.of(i.to_string().as_str()).add(1));
        let read = family.read();
        assert_eq!(read.len(), LABEL_SETS_MAX + 1);
        let rest = |read: &[(Option<String>, Arc<Counter>)]| {
            read.iter().find(|(l, _)| l.is_none()).map(|(_, count)| count.read())
        };
        assert_eq!((rest(&read), family.overflowed()), (Some(3), 3));
        family.forget(|labels| labels.len() < 5);
        assert_eq!(rest(&family.read()), Some(3), "there is room, and they are not lost");
    }
}
