//! The threads beside the data path: one makes and buries instances, one calls queued hooks.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;

use crate::Error;
use crate::guest::Guest;
use crate::hook::Event;
use crate::plugin::Plugin;

/// Instances and plugins that may wait for the keeper.
const CHORES_MAX: usize = 256;
/// Events that may wait for their plugins.
const EVENTS_MAX: usize = 8_192;

enum Chore {
    Refill(Arc<Plugin>),
    /// An instance that is done with, and whether it is told.
    Bury(Arc<Plugin>, Box<Guest>, bool),
    /// An instance that was at work when the settings changed.
    Settle(Arc<Plugin>, Box<Guest>),
    /// Has this looked after, and again as often as it wants.
    Look(Weak<dyn Watched>),
    Stop,
}

/// What wants to be looked after from time to time.
pub(crate) trait Watched: Send + Sync {
    /// Looks; gives when it wants that again, if it does.
    fn look(&self) -> Option<Duration>;
}

enum Queued {
    Event(Arc<Plugin>, Event),
    Stop,
}

/// A handle on the threads.
#[derive(Clone)]
pub(crate) struct Keeper {
    chores: SyncSender<Chore>,
    events: SyncSender<Queued>,
}

/// The threads.
pub(crate) struct Threads {
    keeper: Keeper,
    joins: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    pub(crate) fn start() -> Result<Self, Error> {
        let (chores, chore_list) = sync_channel(CHORES_MAX);
        let (events, event_list) = sync_channel(EVENTS_MAX);
        let threads = Self { keeper: Keeper { chores, events }, joins: Mutex::default() };
        threads.run("plugin-keeper", move || keep(&chore_list))?;
        threads.run("plugin-queue", move || tell(&event_list))?;
        Ok(threads)
    }

    fn run(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
        self.joins.lock().push(thread.map_err(|e| Error::Engine(e.to_string()))?);
        Ok(())
    }

    pub(crate) fn keeper(&self) -> Keeper {
        self.keeper.clone()
    }

    /// Lets the threads finish what waits, and end.
    pub(crate) fn stop(&self) {
        let joins = std::mem::take(&mut *self.joins.lock());
        if joins.is_empty() {
            return;
        }
        // A thread that is gone already takes no message.
        let _gone = self.keeper.chores.send(Chore::Stop);
        let _gone = self.keeper.events.send(Queued::Stop);
        for join in joins {
            if join.join().is_err() {
                tracing::error!("a thread of the plugin host ended by a panic");
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Keeper {
    /// Has an instance let go of, and others made in its place.
    pub(crate) fn bury(&self, plugin: &Arc<Plugin>, guest: Guest, tell: bool) {
        let chore = Chore::Bury(Arc::clone(plugin), Box::new(guest), tell);
        // Where the keeper is behind, the instance is dropped here.
        if let Err(TrySendError::Full(chore) | TrySendError::Disconnected(chore)) =
            self.chores.try_send(chore)
        {
            drop(chore);
        }
    }

    /// Has an instance told of the settings, and put back.
    pub(crate) fn settle(&self, plugin: &Arc<Plugin>, guest: Guest) {
        let chore = Chore::Settle(Arc::clone(plugin), Box::new(guest));
        // Where the keeper is behind, the next one that is made has them.
        if self.chores.try_send(chore).is_err() {
            plugin.lost_one();
        }
    }

    /// Has this looked after soon.
    pub(crate) fn look(&self, watched: Weak<dyn Watched>) {
        // Where the keeper is behind, it looks after each chore already, or the next change asks.
        let _full = self.chores.try_send(Chore::Look(watched));
    }

    /// Has the plugin's pool filled.
    pub(crate) fn refill(&self, plugin: &Arc<Plugin>) {
        // Where the keeper is behind, the next burial refills.
        let _full = self.chores.try_send(Chore::Refill(Arc::clone(plugin)));
    }

    /// Has a queued hook called; counts the loss if there is no room.
    pub(crate) fn queue(&self, plugin: &Arc<Plugin>, event: Event) {
        let interface = event.interface();
        if self.events.try_send(Queued::Event(Arc::clone(plugin), event)).is_err() {
            plugin.counts(interface).lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn keep(chores: &Receiver<Chore>) {
    let mut watched: Option<Weak<dyn Watched>> = None;
    let mut pause: Option<Duration> = None;
    loop {
        let next = match pause {
            None => chores.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(pause) => chores.recv_timeout(pause),
        };
        match next {
            Ok(Chore::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Chore::Look(new)) => watched = Some(new),
            Ok(chore) => {
                work(chore);
                // A plugin that fails makes chores without end: what looks after it must not wait.
                if pause.is_none() {
                    continue;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        pause = watched.as_ref().and_then(Weak::upgrade).and_then(|watched| watched.look());
    }
}

fn work(chore: Chore) {
    match chore {
        Chore::Refill(plugin) => plugin.refill(),
        Chore::Bury(plugin, mut guest, tell) => {
            if tell && let Err(failure) = guest.drain() {
                tracing::warn!("plugin {}: drain: {failure}", plugin.binding.name);
            }
            drop(guest);
            if !plugin.breaker.is_open() {
                plugin.refill();
            }
        }
        Chore::Settle(plugin, guest) => plugin.settle(*guest),
        Chore::Look(_) | Chore::Stop => {}
    }
}

fn tell(events: &Receiver<Queued>) {
    while let Ok(queued) = events.recv() {
        match queued {
            Queued::Event(plugin, event) => event.tell(&plugin),
            Queued::Stop => return,
        }
    }
}
