//! What an instance may take, and what it has taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

/// Elements of a table.
const ELEMENTS_MAX: usize = 10_000;
/// Python is linked of modules for each of its libraries.
const MODULES_MAX: usize = 128;
const TABLES_MAX: usize = 32;
const MEMORIES_MAX: usize = 4;

/// Bounds of one instance. Its linear memories have theirs together.
pub(crate) struct Allowance {
    max: usize,
    taken: usize,
    /// What it was given last, which may be found not to be there.
    last: usize,
    /// Bytes of all instances of the plugin.
    all: Arc<AtomicU64>,
}

impl Allowance {
    /// `max` bytes of linear memory; what is taken is counted in `all`.
    pub(crate) const fn new(max: usize, all: Arc<AtomicU64>) -> Self {
        Self { max, taken: 0, last: 0, all }
    }

    /// Bytes of linear memory.
    pub(crate) const fn taken(&self) -> usize {
        self.taken
    }

    fn give_back(&mut self, bytes: usize) {
        self.taken -= bytes;
        self.all.fetch_sub(bytes as u64, Ordering::Relaxed);
    }
}

impl ResourceLimiter for Allowance {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        self.last = 0;
        let is_fine = more <= self.max.saturating_sub(self.taken);
        if !is_fine || maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        (self.last, self.taken) = (more, self.taken + more);
        self.all.fetch_add(more as u64, Ordering::Relaxed);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        let last = std::mem::take(&mut self.last);
        self.give_back(last);
        Ok(())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= ELEMENTS_MAX && maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn instances(&self) -> usize {
        MODULES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        self.give_back(self.taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_of_an_instance_are_bounded_together() {
        let all = Arc::new(AtomicU64::new(0));
        let mut one = Allowance::new(100, Arc::clone(&all));
        let mut other = Allowance::new(100, Arc::clone(&all));
        assert!(one.memory_growing(0, 60, None).unwrap());
        assert!(other.memory_growing(0, 60, None).unwrap());
        assert!(!one.memory_growing(0, 41, None).unwrap(), "a second memory");
        assert!(one.memory_growing(60, 100, None).unwrap());
        assert!(!one.memory_growing(100, 101, None).unwrap());
        assert_eq!((one.taken(), all.load(Ordering::Relaxed)), (100, 160));
        drop(one);
        assert_eq!(all.load(Ordering::Relaxed), 60);
    }

    #[test]
    fn what_could_not_be_had_is_not_taken() {
        let all = Arc::new(AtomicU64::new(0));
        let mut one = Allowance::new(100, Arc::clone(&all));
        let failed = || wasmtime::Error::msg("no memory");
        assert!(one.memory_growing(0, 40, None).unwrap());
        assert!(one.memory_growing(40, 80, None).unwrap());
        one.memory_grow_failed(failed()).unwrap();
        one.memory_grow_failed(failed()).unwrap();
        assert!(!one.memory_growing(40, 90, Some(80)).unwrap());
        one.memory_grow_failed(failed()).unwrap();
        assert_eq!((one.taken(), all.load(Ordering::Relaxed)), (40, 40));
    }
}
