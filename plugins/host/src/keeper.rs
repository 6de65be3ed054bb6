//! The threads beside the data path: one makes and buries instances, and each binding with queued
//! hooks has one that calls them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use blockhouse_hook::Auditor;
use parking_lot::Mutex;

use crate::Error;
use crate::backlog::{Backlog, Line};
use crate::binding::Binding;
use crate::guest::Guest;
use crate::hook::Event;
use crate::interface::Interface;
use crate::plugin::Plugin;
use crate::set::FIRST_WORDS;
use crate::trace::Trace;

/// Instances and plugins that may wait for the keeper.
pub(crate) const CHORES_MAX: usize = 256;
/// How long queued hooks that wait for others may go on when the host stops.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the others may.
const PATIENCE_INSIDE: Duration = Duration::from_secs(5);

enum Chore {
    Refill(Arc<Plugin>),
    /// An instance that is done with, and whether it is told.
    Bury(Arc<Plugin>, Box<Guest>, bool),
    /// An instance that was at work when the settings changed.
    Settle(Arc<Plugin>, Box<Guest>),
    /// Instances came when the others had been told that the process serves requests.
    Greet(Arc<Plugin>),
    /// Has this looked after, and again as often as it wants.
    Look(Weak<dyn Watched>),
    Stop,
}

/// What wants to be looked after from time to time.
pub(crate) trait Watched: Send + Sync {
    /// Looks; gives when it wants that again, if it does.
    fn look(&self) -> Option<Duration>;
}

/// A handle on the threads.
#[derive(Clone)]
pub(crate) struct Keeper {
    chores: SyncSender<Chore>,
    /// What waits for queued hooks; `None` for a plugin that has none.
    line: Option<Arc<Line>>,
    /// `None` where no decision is told.
    auditor: Option<Arc<Auditor>>,
    trace: Arc<Trace>,
}

/// The threads.
pub(crate) struct Threads {
    keeper: Keeper,
    /// The lines of bindings with queued hooks, by whether they may wait for others: what a binding
    /// is granted may change from one version to the next.
    lines: Mutex<HashMap<(String, bool), Weak<Line>>>,
    /// Those that may wait for others.
    outside: Mutex<Crew>,
    inside: Mutex<Crew>,
    joins: Mutex<Vec<JoinHandle<()>>>,
}

/// Threads that are waited for together.
struct Crew {
    /// Each of them has the sender: all have ended when it is gone.
    alive: Option<SyncSender<()>>,
    ended: Receiver<()>,
    /// What is left in their backlogs is not told any more.
    hurry: Arc<AtomicBool>,
}

impl Crew {
    fn new() -> Mutex<Self> {
        let (alive, ended) = sync_channel(0);
        Mutex::new(Self { alive: Some(alive), ended, hurry: Arc::default() })
    }

    /// Waits until all have ended, but not for longer than `patience`: then they are to hurry.
    fn end(&mut self, patience: Duration) {
        self.alive = None;
        // Nothing is ever sent: this is the end of all, or of the patience.
        let _ended = self.ended.recv_timeout(patience);
        self.hurry.store(true, Ordering::Release);
    }
}

impl Threads {
    pub(crate) fn start(auditor: Option<Arc<Auditor>>) -> Result<Self, Error> {
        let (chores, chore_list) = sync_channel(CHORES_MAX);
        let threads = Self {
            keeper: Keeper { chores, line: None, auditor, trace: Arc::default() },
            lines: Mutex::default(),
            outside: Crew::new(),
            inside: Crew::new(),
            joins: Mutex::default(),
        };
        threads.run("plugin-keeper", move || keep(&chore_list))?;
        Ok(threads)
    }

    fn run(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
        let mut joins = self.joins.lock();
        joins.push(thread.map_err(|e| Error::Engine(e.to_string()))?);
        // Bindings come and go.
        joins.extract_if(.., |join| join.is_finished()).for_each(join);
        Ok(())
    }

    pub(crate) fn keeper(&self) -> Keeper {
        self.keeper.clone()
    }

    /// The handle of a plugin that is bound so and has these hooks. All versions of a binding have
    /// one backlog and one thread, which ends with the last of them.
    pub(crate) fn keeper_of(
        &self,
        binding: &Binding,
        hooks: &[Interface],
    ) -> Result<Keeper, Error> {
        if !hooks.iter().any(|hook| hook.has_backlog()) {
            return Ok(self.keeper());
        }
        let waits = binding.grants.waits().is_some();
        let key = (binding.name.clone(), waits);
        let mut lines = self.lines.lock();
        if let Some(line) = lines.get(&key).and_then(Weak::upgrade) {
            return Ok(Keeper { line: Some(line), ..self.keeper() });
        }
        let backlog = Arc::new(Backlog::default());
        let (alive, hurry) = {
            let crew = if waits { &self.outside } else { &self.inside }.lock();
            (crew.alive.clone(), Arc::clone(&crew.hurry))
        };
        let served = Arc::clone(&backlog);
        self.run("plugin-queue", move || {
            served.serve(&hurry);
            drop(alive);
        })?;
        let line = Arc::new(Line(backlog));
        lines.retain(|_, line| line.strong_count() > 0);
        lines.insert(key, Arc::downgrade(&line));
        Ok(Keeper { line: Some(line), ..self.keeper() })
    }

    /// Lets the threads finish what waits, and end. Those that wait for others have a second; then
    /// `give_up` ends what they wait for, and the rest is lost. What they tell others of comes before
    /// the others' end.
    pub(crate) fn stop(&self, give_up: impl FnOnce()) {
        let joins = std::mem::take(&mut *self.joins.lock());
        if joins.is_empty() {
            return;
        }
        self.close(true);
        self.outside.lock().end(PATIENCE);
        give_up();
        self.close(false);
        self.inside.lock().end(PATIENCE_INSIDE);
        // The thread may be gone already.
        let _gone = self.keeper.chores.send(Chore::Stop);
        joins.into_iter().for_each(join);
    }

    /// Closes the backlogs of those that may wait for others, or of the rest.
    fn close(&self, waits: bool) {
        let lines = self.lines.lock();
        let some = lines.iter().filter(|((_, waited), _)| *waited == waits);
        some.filter_map(|(_, line)| line.upgrade()).for_each(|line| line.0.close());
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread of the plugin host ended by a panic");
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

    /// Has those instances told that the process serves requests that do not know it. Gives whether it will:
    /// where the keeper is behind, the next one that is put back asks, or the next look at its health.
    pub(crate) fn greet(&self, plugin: &Arc<Plugin>) -> bool {
        self.chores.try_send(Chore::Greet(Arc::clone(plugin))).is_ok()
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
        self.line.as_ref().is_some_and(|line| line.0.offer(plugin))
    }

    /// Has a queued hook called; counts the loss if there is no room.
    pub(crate) fn queue(&self, plugin: &Arc<Plugin>, event: Event) {
        if let Some(line) = &self.line {
            line.0.push(plugin, event);
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
        // What could not be told is made anew: that is the next chore.
        Chore::Greet(plugin) => _ = plugin.greet(plugin.now().saturating_add(FIRST_WORDS)),
        Chore::Look(_) | Chore::Stop => {}
    }
}
