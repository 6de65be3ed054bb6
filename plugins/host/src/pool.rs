//! Ready instances: a shelf per core, so that two cores do not wait for one lock.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::guest::Guest;

/// Ready instances of a core. They are large, and go on and off it with every call: pointers move.
type Shelf = Vec<Box<Guest>>;

/// Ready instances.
pub(crate) struct Pool {
    shelves: Box<[Mutex<Shelf>]>,
    /// Instances that a shelf keeps.
    per_shelf: usize,
}

/// The shelf of the thread that asks.
fn shelf(count: usize) -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    MINE.with(|mine| mine % count)
}

impl Pool {
    /// Shelves for `cores` cores.
    pub(crate) fn new(cores: usize, per_shelf: usize) -> Self {
        let shelves = (0..cores.max(1)).map(|_| Mutex::new(Vec::with_capacity(per_shelf)));
        Self { shelves: shelves.collect(), per_shelf }
    }

    /// An instance, from the thread's own shelf if it can be.
    pub(crate) fn take(&self) -> Option<Box<Guest>> {
        let mine = shelf(self.shelves.len());
        let shelves = self.shelves[mine..].iter().chain(&self.shelves[..mine]);
        shelves.map(|shelf| shelf.lock().pop()).find(Option::is_some).flatten()
    }

    /// How many shelves it has.
    pub(crate) fn shelves(&self) -> usize {
        self.shelves.len()
    }

    /// The instance of this shelf that has been there longest.
    pub(crate) fn take_oldest(&self, shelf: usize) -> Option<Box<Guest>> {
        let mut shelf = self.shelves.get(shelf)?.lock();
        (!shelf.is_empty()).then(|| shelf.remove(0))
    }

    /// Puts an instance back; gives it back if there is no room.
    pub(crate) fn put(&self, guest: Box<Guest>) -> Option<Box<Guest>> {
        self.put_on(shelf(self.shelves.len()), guest)
    }

    /// The same, on this shelf if it can be.
    pub(crate) fn put_on(&self, mine: usize, guest: Box<Guest>) -> Option<Box<Guest>> {
        let mut guest = Some(guest);
        for shelf in self.shelves[mine..].iter().chain(&self.shelves[..mine]) {
            let mut shelf = shelf.lock();
            if shelf.len() < self.per_shelf {
                shelf.extend(guest.take());
                return None;
            }
        }
        guest
    }

    /// How many instances it has when it is full.
    pub(crate) fn size(&self) -> usize {
        self.shelves.len() * self.per_shelf
    }

    /// Takes all out.
    pub(crate) fn empty(&self) -> Shelf {
        self.take_all(|_| true)
    }

    /// Takes those out of which this is true.
    pub(crate) fn take_all(&self, is_wanted: impl Fn(&Guest) -> bool) -> Shelf {
        let mut taken = Vec::new();
        for shelf in &self.shelves {
            taken.extend(shelf.lock().extract_if(.., |guest| is_wanted(guest)));
        }
        taken
    }
}
