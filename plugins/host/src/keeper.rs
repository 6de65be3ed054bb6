//! The threads beside the data path: one makes and buries instances, one calls queued hooks, and one
//! tells audit sinks. A plugin that may wait for others has a queue and a thread of its own, so that
//! the rest does not wait with it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use blockhouse_hook::Auditor;
use parking_lot::Mutex;

use crate::Error;
use crate::binding::Binding;
use crate::guest::Guest;
use crate::hook::Event;
use crate::interface::Interface;
use crate::plugin::Plugin;
use crate::trace::Trace;

/// Instances and plugins that may wait for the keeper.
const CHORES_MAX: usize = 256;
/// Events that may wait for their plugins.
const EVENTS_MAX: usize = 8_192;
/// Plugins that may wait to be told of decisions; each is there once at most.
const SINKS_MAX: usize = 256;
/// After an error events are offered again after this time.
const OFFER_AGAIN: Duration = Duration::from_secs(1);
/// How long the threads that wait for others may go on when the host stops.
const PATIENCE: Duration = Duration::from_secs(1);

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

enum Sink {
    /// Events wait for this plugin.
    Offer(Arc<Plugin>),
    Stop,
}

/// A handle on the threads.
#[derive(Clone)]
pub(crate) struct Keeper {
    chores: SyncSender<Chore>,
    events: SyncSender<Queued>,
    sinks: SyncSender<Sink>,
    /// `None` where no decision is told.
    auditor: Option<Arc<Auditor>>,
    trace: Arc<Trace>,
}

/// The threads.
pub(crate) struct Threads {
    keeper: Keeper,
    /// The queues of plugins that may wait, by binding.
    own: Mutex<HashMap<String, SyncSender<Queued>>>,
    /// Each thread of such a queue has the sender: all have ended when it is gone.
    ended: Mutex<(Option<SyncSender<()>>, Receiver<()>)>,
    /// What is left in such a queue is not told any more.
    hurry: Arc<AtomicBool>,
    joins: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    pub(crate) fn start(auditor: Option<Arc<Auditor>>) -> Result<Self, Error> {
        let (chores, chore_list) = sync_channel(CHORES_MAX);
        let (events, event_list) = sync_channel(EVENTS_MAX);
        let (sinks, sink_list) = sync_channel(SINKS_MAX);
        let (alive, ended) = sync_channel(0);
        let threads = Self {
            keeper: Keeper { chores, events, sinks, auditor, trace: Arc::default() },
            own: Mutex::default(),
            ended: Mutex::new((Some(alive), ended)),
            hurry: Arc::default(),
            joins: Mutex::default(),
        };
        threads.run("plugin-keeper", move || keep(&chore_list))?;
        threads.run("plugin-queue", move || tell(&event_list, &AtomicBool::new(false)))?;
        threads.run("plugin-audit", move || audit(&sink_list))?;
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

    /// The handle of a plugin that is bound so. A binding that comes back gets its queue back.
    pub(crate) fn keeper_of(&self, binding: &Binding) -> Result<Keeper, Error> {
        if binding.grants.waits().is_none() {
            return Ok(self.keeper());
        }
        let mut own = self.own.lock();
        if let Some(events) = own.get(&binding.name) {
            return Ok(Keeper { events: events.clone(), ..self.keeper() });
        }
        let (events, event_list) = sync_channel(EVENTS_MAX);
        let (alive, hurry) = (self.ended.lock().0.clone(), Arc::clone(&self.hurry));
        self.run("plugin-outside", move || {
            tell(&event_list, &hurry);
            drop(alive);
        })?;
        own.insert(binding.name.clone(), events.clone());
        Ok(Keeper { events, ..self.keeper() })
    }

    /// Lets the threads finish what waits, and end. Those that wait for others have a second; then
    /// `give_up` ends what they wait for, and the rest is lost.
    pub(crate) fn stop(&self, give_up: impl FnOnce()) {
        let joins = std::mem::take(&mut *self.joins.lock());
        if joins.is_empty() {
            return;
        }
        let own = std::mem::take(&mut *self.own.lock());
        // Where there is no room, it is told below.
        own.values().for_each(|events| drop(events.try_send(Queued::Stop)));
        let mut ended = self.ended.lock();
        ended.0 = None;
        // Nothing is ever sent: this is the end of all, or of the patience.
        let _ended = ended.1.recv_timeout(PATIENCE);
        self.hurry.store(true, Ordering::Release);
        give_up();
        // A thread that is gone already takes no message.
        own.values().for_each(|events| drop(events.send(Queued::Stop)));
        let _gone = self.keeper.chores.send(Chore::Stop);
        let _gone = self.keeper.events.send(Queued::Stop);
        let _gone = self.keeper.sinks.send(Sink::Stop);
        for join in joins {
            if join.join().is_err() {
                tracing::error!("a thread of the plugin host ended by a panic");
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop(|| {});
    }
}

impl Keeper {
    /// Has an instance let go of, and others made in its place.
    pub(crate) fn bury(&self, plugin: &Arc<Plugin>, guest: Box<Guest>, tell: bool) {
        let chore = Chore::Bury(Arc::clone(plugin), guest, tell);
        // Where the keeper is behind, the instance is dropped here.
        if let Err(TrySendError::Full(chore) | TrySendError::Disconnected(chore)) =
            self.chores.try_send(chore)
        {
            drop(chore);
        }
    }

    /// Has an instance told of the settings, and put back.
    pub(crate) fn settle(&self, plugin: &Arc<Plugin>, guest: Box<Guest>) {
        let chore = Chore::Settle(Arc::clone(plugin), guest);
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

    /// Where calls are recorded while somebody traces.
    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Whom decisions are told.
    pub(crate) fn auditor(&self) -> Option<&Auditor> {
        self.auditor.as_deref()
    }

    /// Has the plugin told of the events that wait for it. Gives whether it will be.
    pub(crate) fn call_for_audit(&self, plugin: &Arc<Plugin>) -> bool {
        self.sinks.try_send(Sink::Offer(Arc::clone(plugin))).is_ok()
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
        Chore::Settle(plugin, guest) => plugin.settle(guest),
        Chore::Look(_) | Chore::Stop => {}
    }
}

fn tell(events: &Receiver<Queued>, hurry: &AtomicBool) {
    while let Ok(queued) = events.recv() {
        match queued {
            Queued::Event(plugin, event) if hurry.load(Ordering::Acquire) => {
                plugin.counts(event.interface()).lost.fetch_add(1, Ordering::Relaxed);
            }
            Queued::Event(plugin, event) => event.tell(&plugin),
            Queued::Stop => return,
        }
    }
}

fn audit(sinks: &Receiver<Sink>) {
    // Plugins that did not take what they were offered, and when they are offered it again.
    let mut waiting: Vec<(Arc<Plugin>, Duration)> = Vec::new();
    loop {
        let next = if waiting.is_empty() {
            sinks.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            sinks.recv_timeout(OFFER_AGAIN)
        };
        match next {
            Ok(Sink::Offer(plugin)) => offer(plugin, &mut waiting),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Sink::Stop) | Err(RecvTimeoutError::Disconnected) => return give_up(waiting),
        }
        for (plugin, at) in std::mem::take(&mut waiting) {
            if plugin.now() < at {
                waiting.push((plugin, at));
            } else {
                offer(plugin, &mut waiting);
            }
        }
    }
}

fn offer(plugin: Arc<Plugin>, waiting: &mut Vec<(Arc<Plugin>, Duration)>) {
    if !plugin.audits.offer(&plugin) {
        let at = plugin.now() + OFFER_AGAIN;
        waiting.push((plugin, at));
    }
}

/// The process stops: one more offer, and what is not taken is lost.
fn give_up(waiting: Vec<(Arc<Plugin>, Duration)>) {
    for (plugin, _) in waiting {
        if !plugin.audits.offer(&plugin) {
            let (lost, name) = (plugin.audits.len() as u64, &plugin.binding.name);
            plugin.counts(Interface::AuditSink).lost.fetch_add(lost, Ordering::Relaxed);
            tracing::warn!("plugin {name}: {lost} audit events were not taken before the stop");
        }
    }
}
