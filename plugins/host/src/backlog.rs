//! What waits for the queued hooks of one binding, and the thread that calls them: a plugin that is
//! slow holds up nobody but itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::hook::Event;
use crate::plugin::Plugin;

/// Calls that may wait.
const CALLS_MAX: usize = 8_192;
/// Bytes of what they tell.
const BYTES_MAX: usize = 16 << 20;
/// After an error audit events are offered again after this time.
const OFFER_AGAIN: Duration = Duration::from_secs(1);

/// Bounded in calls and bytes.
#[derive(Default)]
pub(crate) struct Backlog {
    waiting: Mutex<Waiting>,
    news: Condvar,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<(Arc<Plugin>, Event)>,
    bytes: usize,
    /// Versions of the plugin that are to be told what was decided; each is there once at most.
    offers: Vec<Offer>,
    /// Nothing is taken any more; what waits is still told.
    is_closed: bool,
    /// Its thread has left.
    has_ended: bool,
}

struct Offer {
    plugin: Arc<Plugin>,
    /// When, by its clock, it is made again to a plugin that did not take it.
    again: Option<Duration>,
}

enum Next {
    Tell(Arc<Plugin>, Event),
    Offer(Offer),
    End,
}

impl Waiting {
    const fn has_room(&self, events: usize, size: usize) -> bool {
        // One that is larger than all of it together is told alone.
        events == 0 || (events < CALLS_MAX && self.bytes + size <= BYTES_MAX)
    }

    fn next(&mut self) -> Option<Next> {
        let is_due = |offer: &Offer| {
            self.is_closed || offer.again.is_none_or(|again| again <= offer.plugin.now())
        };
        if let Some(due) = self.offers.iter().position(is_due) {
            return Some(Next::Offer(self.offers.remove(due)));
        }
        if let Some((plugin, event)) = self.events.pop_front() {
            self.bytes -= event.size();
            return Some(Next::Tell(plugin, event));
        }
        self.has_ended = self.is_closed;
        self.is_closed.then_some(Next::End)
    }
}

impl Backlog {
    /// Has the plugin told; counts the loss if there is no room.
    pub(crate) fn push(&self, plugin: &Arc<Plugin>, event: Event) {
        let size = event.size();
        let mut waiting = self.waiting.lock();
        if waiting.is_closed || !waiting.has_room(waiting.events.len(), size) {
            drop(waiting);
            return lose(plugin, &event);
        }
        waiting.bytes += size;
        waiting.events.push_back((Arc::clone(plugin), event));
        drop(waiting);
        self.news.notify_one();
    }

    /// Has the plugin offered what was decided. Gives whether it will be.
    pub(crate) fn offer(&self, plugin: &Arc<Plugin>) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.has_ended {
            return false;
        }
        waiting.offers.push(Offer { plugin: Arc::clone(plugin), again: None });
        drop(waiting);
        self.news.notify_one();
        true
    }

    /// Takes nothing more. Its thread ends when it has told what waits.
    pub(crate) fn close(&self) {
        self.waiting.lock().is_closed = true;
        self.news.notify_one();
    }

    /// Calls the plugin until the backlog is closed and empty. Once there is `hurry`, what waits is
    /// lost.
    pub(crate) fn serve(&self, hurry: &AtomicBool) {
        loop {
            match self.wait() {
                Next::Tell(plugin, event) if hurry.load(Ordering::Acquire) => lose(&plugin, &event),
                Next::Tell(plugin, event) => event.tell(&plugin),
                Next::Offer(offer) => self.make(offer),
                Next::End => return,
            }
        }
    }

    fn wait(&self) -> Next {
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(next) = waiting.next() {
                return next;
            }
            if waiting.offers.is_empty() {
                self.news.wait(&mut waiting);
            } else {
                self.news.wait_for(&mut waiting, OFFER_AGAIN);
            }
        }
    }

    fn make(&self, offer: Offer) {
        let Offer { plugin, again } = offer;
        if plugin.audits.offer(&plugin) {
            return;
        }
        let mut waiting = self.waiting.lock();
        // A version that was replaced or disabled is held by its offers: without an end of them it would
        // never go.
        let is_last = waiting.is_closed || plugin.is_retired();
        if is_last && again.is_some() {
            drop(waiting);
            return plugin.audits.give_up(&plugin);
        }
        let again = Some(plugin.now() + OFFER_AGAIN);
        waiting.offers.push(Offer { plugin, again });
    }
}

fn lose(plugin: &Plugin, event: &Event) {
    let lost = &plugin.counts(event.interface()).lost;
    lost.fetch_add(event.messages() as u64, Ordering::Relaxed);
}

/// The end of who puts something into a backlog: with the last plugin of a binding its thread goes.
pub(crate) struct Line(pub(crate) Arc<Backlog>);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_bytes_are_bounded() {
        let with = |bytes| Waiting { bytes, ..Waiting::default() };
        assert!(with(0).has_room(CALLS_MAX - 1, 1) && !with(0).has_room(CALLS_MAX, 1));
        assert!(with(BYTES_MAX - 1).has_room(1, 1) && !with(BYTES_MAX).has_room(1, 1));
        assert!(with(0).has_room(0, BYTES_MAX + 1), "a larger one is alone");
    }

    #[test]
    fn a_thread_ends_with_the_last_who_holds_the_line() {
        let backlog = Arc::new(Backlog::default());
        let line = Line(Arc::clone(&backlog));
        let thread = std::thread::spawn(move || backlog.serve(&AtomicBool::new(false)));
        drop(line);
        thread.join().unwrap();
    }
}
