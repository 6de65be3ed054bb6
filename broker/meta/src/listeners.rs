//! Who wants to hear of changes.

use parking_lot::RwLock;

type Listener<T> = Box<dyn Fn(&T) + Send + Sync>;

pub(crate) struct Listeners<T>(RwLock<Vec<Listener<T>>>);

impl<T> Default for Listeners<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T> Listeners<T> {
    pub(crate) fn add(&self, listener: impl Fn(&T) + Send + Sync + 'static) {
        self.0.write().push(Box::new(listener));
    }

    /// Tells all. Called without any lock of the table, so that listeners may look at it.
    pub(crate) fn tell(&self, change: &T) {
        for listener in self.0.read().iter() {
            listener(change);
        }
    }
}
