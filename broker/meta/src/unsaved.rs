//! Names that a file does not hold yet.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use blockhouse_model::Topic;
use parking_lot::Mutex;

/// Topics that came since their file was last written. Looking costs one atomic load while there
/// are none.
#[derive(Debug, Default)]
pub(crate) struct Unsaved {
    names: Mutex<HashSet<Topic>>,
    count: AtomicUsize,
}

impl Unsaved {
    pub(crate) fn add(&self, topic: Topic) {
        self.change(|names| names.insert(topic));
    }

    /// All there are, to be taken out with [`Unsaved::saved`] once they are in the file.
    pub(crate) fn all(&self) -> HashSet<Topic> {
        self.names.lock().clone()
    }

    pub(crate) fn saved(&self, topics: &HashSet<Topic>) {
        if !topics.is_empty() {
            self.change(|names| names.retain(|topic| !topics.contains(topic)));
        }
    }

    pub(crate) fn contains(&self, topic: &str) -> bool {
        self.count.load(Ordering::Acquire) > 0 && self.names.lock().contains(topic)
    }

    fn change<T>(&self, edit: impl FnOnce(&mut HashSet<Topic>) -> T) {
        let mut names = self.names.lock();
        edit(&mut names);
        self.count.store(names.len(), Ordering::Release);
    }
}
