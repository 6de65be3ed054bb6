//! How many calls of a binding wait for others at the same time.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The most of one grant of a binding.
const MAX: usize = 8;

/// A count with an end.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(AtomicUsize);

/// One of them; gives its place back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a>(&'a AtomicUsize);

impl UnderWay {
    /// A place, if there is one left.
    pub(crate) fn enter(&self) -> Option<Place<'_>> {
        let more = |count| (count < MAX).then_some(count + 1);
        let entered = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        entered.is_ok().then(|| Place(&self.0))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let under_way = UnderWay::default();
        let mut all: Vec<_> = (0..MAX).map(|_| under_way.enter().unwrap()).collect();
        assert!(under_way.enter().is_none());
        all.pop();
        assert!(under_way.enter().is_some());
    }
}
