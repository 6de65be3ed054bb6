//! Names whose proof counts no more.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// Names that accounts had, as the very texts that principals carry: an account that is disabled, deleted or
/// given another secret goes on, if at all, with a new text of the same letters. What was proved before is told
/// apart from what is proved afterwards by that, and nothing has to be kept for requests that are answered at
/// once.
#[derive(Default)]
pub(crate) struct Revoked(Mutex<Vec<Weak<str>>>);

impl Revoked {
    /// Adds names, and forgets those that nobody has any more.
    pub(crate) fn add(&self, names: &[Arc<str>]) {
        let mut revoked = self.0.lock();
        revoked.retain(|name| name.strong_count() > 0);
        revoked.extend(names.iter().map(Arc::downgrade));
    }

    pub(crate) fn has(&self, name: &Arc<str>) -> bool {
        let name = Arc::downgrade(name);
        self.0.lock().iter().any(|revoked| revoked.ptr_eq(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_counts_and_not_its_letters() {
        let revoked = Revoked::default();
        let (old, new): (Arc<str>, Arc<str>) = ("u".into(), "u".into());
        revoked.add(&[Arc::clone(&old)]);
        assert!(revoked.has(&old) && !revoked.has(&new));
        drop(old);
        revoked.add(&[]);
        assert!(revoked.0.lock().is_empty(), "nobody has it any more");
    }
}
