//! The plugins in force: one value that is swapped whole.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use blockhouse_hook::{Hook, HookChain, Outcome};
use parking_lot::{Mutex, MutexGuard};

use crate::Error;
use crate::binding::{Binding, Config};
use crate::changing::Cause;
use crate::guard::{self, Deeds};
use crate::keeper::Watched;
use crate::lasting::Lasting;
use crate::load::{Loader, Member};
use crate::record::{Record, Rejected};
use crate::ring::Ring;

/// How long a change waits for another one.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long plugins, all together, are told that the process serves requests.
pub(crate) const FIRST_WORDS: Duration = Duration::from_secs(1);
/// How long a stop waits for the change that is being made. It is whole on disk, or not at all.
const STOP_PATIENCE: Duration = Duration::from_millis(500);
/// Between two looks at new plugins, and at old ones that have calls left.
const PAUSE: Duration = Duration::from_millis(200);
/// Between two questions to the same plugin how it is.
const HEALTH_PAUSE: Duration = Duration::from_secs(10);

/// What a process runs, and what it ran.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) record: Record,
    /// By the name of the binding; those that are disabled are not here.
    pub(crate) members: BTreeMap<String, Arc<Member>>,
    guards: Vec<Guard>,
    retired: Vec<Retired>,
    lasting: BTreeMap<String, Lasting>,
}

/// A new version, compared with the one before.
struct Guard {
    /// The change that it came with.
    generation: u64,
    name: String,
    ends: Duration,
    old: Arc<Member>,
    /// What the old one had done when it was replaced.
    was: Deeds,
    new: Arc<Member>,
}

/// Not in force any more.
struct Retired {
    member: Arc<Member>,
    /// Whether its last call has ended and its instances are gone.
    drained: bool,
}

impl State {
    /// Those in force, in their order.
    pub(crate) fn ordered(&self) -> Vec<&Arc<Member>> {
        let mut members: Vec<_> = self.members.values().collect();
        let key = |member: &Arc<Member>| (member.binding.order, member.binding.name.clone());
        members.sort_by_key(|member| key(member));
        members
    }

    pub(crate) fn hooks(&self) -> Vec<Arc<dyn Hook>> {
        self.ordered().into_iter().map(|member| Arc::clone(&member.hook)).collect()
    }

    /// What all versions of this binding share.
    pub(crate) fn lasting(&mut self, name: &str) -> Lasting {
        self.lasting.entry(name.to_owned()).or_default().clone()
    }

    pub(crate) fn ring(&mut self, name: &str) -> Arc<Ring> {
        self.lasting(name).ring
    }

    pub(crate) fn lines_of(&self, name: &str) -> Option<&Arc<Ring>> {
        self.lasting.get(name).map(|lasting| &lasting.ring)
    }

    pub(crate) fn is_watched(&self, name: &str) -> bool {
        self.guards.iter().any(|guard| guard.name == name)
    }

    /// One that was in force with this binding, still compiled.
    pub(crate) fn retired(&self, binding: &Binding) -> Option<Arc<Member>> {
        let found = self.retired.iter().find(|retired| retired.member.binding == *binding);
        found.map(|retired| Arc::clone(&retired.member))
    }

    /// Whether a change could bring it back.
    fn may_return(&self, base: &[Binding], member: &Member) -> bool {
        let name = &member.binding.name;
        let entry = self.record.plugins.get(name);
        self.record.binding(base, name) == Some(&member.binding)
            || entry.is_some_and(|e| e.previous.iter().any(|k| k.binding == member.binding))
    }

    fn retire(&mut self, member: Arc<Member>) {
        member.plugin.set_retired(true);
        self.retired.push(Retired { member, drained: false });
    }
}

/// What a change puts in force.
pub(crate) struct Change {
    pub(crate) record: Record,
    pub(crate) put: Vec<Arc<Member>>,
    pub(crate) taken: Vec<String>,
    /// Whether what is new is compared with what was.
    pub(crate) watch: bool,
}

/// What became of changes.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    pub(crate) done: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) reverted: AtomicU64,
}

/// All plugins of a process, and what changes them.
pub(crate) struct Set {
    pub(crate) config: Config,
    pub(crate) loader: Loader,
    pub(crate) state: Mutex<State>,
    pub(crate) outcomes: Outcomes,
    /// Held by who makes a change.
    change: Mutex<()>,
    /// Whether the process serves requests.
    pub(crate) started: AtomicBool,
    stopped: AtomicBool,
    /// When plugins are asked how they are, by the monotonic clock.
    health: Mutex<Duration>,
    me: Weak<Self>,
}

impl Set {
    pub(crate) fn new(config: Config, loader: Loader, record: Record) -> Arc<Self> {
        let state = Mutex::new(State { record, ..State::default() });
        let health = Mutex::new(loader.parts.clock.monotonic().saturating_add(HEALTH_PAUSE));
        Arc::new_cyclic(|me| Self {
            config,
            loader,
            state,
            outcomes: Outcomes::default(),
            change: Mutex::default(),
            started: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            health,
            me: me.clone(),
        })
    }

    /// Lets nobody else change anything.
    pub(crate) fn begin(&self) -> Result<MutexGuard<'_, ()>, Error> {
        let change = self.change.try_lock_for(PATIENCE).ok_or(Error::Busy)?;
        if self.stopped.load(Ordering::SeqCst) { Err(Error::Stopping) } else { Ok(change) }
    }

    /// Ends all changes, and waits for the one that is being made.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _late = self.change.try_lock_for(STOP_PATIENCE);
        let mut state = self.state.lock();
        state.guards.clear();
        for retired in state.retired.iter_mut().filter(|retired| !retired.drained) {
            retired.member.plugin.let_go();
            retired.drained = true;
        }
    }

    /// Until when plugins may be told from now on that the process serves requests.
    pub(crate) fn first_words(&self) -> Duration {
        self.loader.parts.clock.monotonic().saturating_add(FIRST_WORDS)
    }

    /// Tells all plugins that the process serves requests; those that come later are told so as well.
    pub(crate) fn process_started(&self) {
        self.started.store(true, Ordering::SeqCst);
        let members: Vec<_> = self.state.lock().ordered().into_iter().cloned().collect();
        let until = self.first_words();
        for member in members {
            // The keeper sees to those that could not be told.
            let _told = member.plugin.process_started(until);
        }
    }

    /// Makes a plugin ready to be called at once, where it can be told until then that the process serves
    /// requests. Else the keeper makes its instances.
    pub(crate) fn warm_up(&self, member: &Member, until: Duration) {
        if !self.started.load(Ordering::SeqCst) || member.plugin.process_started(until) {
            member.plugin.refill();
        }
    }

    /// Puts a change in force: what begins from now on sees all of it. It is on disk already.
    pub(crate) fn put_in_force(&self, change: Change) {
        let mut state = self.state.lock();
        let now = self.loader.parts.clock.monotonic();
        let generation = change.record.generation;
        self.tell(&mut state, &change);
        let changed: Vec<&String> =
            change.taken.iter().chain(change.put.iter().map(|m| &m.binding.name)).collect();
        state.guards.retain(|guard| !changed.contains(&&guard.name));
        let gone: Vec<_> = change.taken.iter().filter_map(|n| state.members.remove(n)).collect();
        gone.into_iter().for_each(|member| state.retire(member));
        let mut guards = Vec::new();
        let put: Vec<_> = change.put.iter().map(|new| Arc::clone(&new.plugin)).collect();
        for new in change.put {
            let name = new.binding.name.clone();
            new.plugin.set_retired(false);
            state.retired.retain(|retired| !Arc::ptr_eq(&retired.member.plugin, &new.plugin));
            let old = state.members.insert(name.clone(), Arc::clone(&new));
            let Some(old) = old.filter(|old| !Arc::ptr_eq(&old.plugin, &new.plugin)) else {
                continue;
            };
            state.retire(Arc::clone(&old));
            let was = guard::deeds(&old.plugin);
            let ends = now + Duration::from_secs(self.config.guard_seconds.into());
            guards.push(Guard { generation, name, ends, old, was, new });
        }
        state.record = change.record;
        self.swap(&state);
        if change.watch && self.config.guard_seconds > 0 {
            state.guards.extend(guards);
        }
        drop(state);
        if self.started.load(Ordering::SeqCst) {
            // The process may serve requests since they were made ready. Who was told then is not told again.
            let until = self.first_words();
            for plugin in put {
                let _told = plugin.process_started(until);
            }
        }
        self.ask_to_look();
    }

    /// Has the keeper look after it.
    pub(crate) fn ask_to_look(&self) {
        let me: Weak<dyn Watched> = self.me.clone();
        self.loader.keeper.look(me);
    }

    /// Asks plugins how they are, if that was not done lately. Who makes a change waits for one of
    /// them at most.
    pub(crate) fn look_at_health(&self) {
        let now = self.loader.parts.clock.monotonic();
        {
            let mut health = self.health.lock();
            if now < *health {
                return;
            }
            *health = now.saturating_add(HEALTH_PAUSE);
        }
        let members: Vec<_> = self.state.lock().members.values().cloned().collect();
        for member in members {
            let Some(_change) = self.change.try_lock() else { return };
            if self.stopped.load(Ordering::SeqCst) {
                return;
            }
            member.plugin.ask_health();
        }
    }

    /// Writes into the lines of each plugin what becomes of it.
    fn tell(&self, state: &mut State, change: &Change) {
        let (at, generation) = (self.loader.parts.clock.now().0, change.record.generation);
        for new in &change.put {
            let text = match new.version() {
                Some(version) => format!("generation {generation}: version {version} is in force"),
                None => format!("generation {generation}: {} is in force", new.binding.digest),
            };
            state.ring(&new.binding.name).push(at, "host", text);
        }
        for name in &change.taken {
            let text = format!("generation {generation}: it is no longer in force");
            state.ring(name).push(at, "host", text);
        }
    }

    /// Makes these plugins, after the native hooks, the chain in force.
    pub(crate) fn swap(&self, state: &State) {
        let mut hooks = self.loader.parts.native.clone();
        hooks.extend(state.hooks());
        self.loader.parts.hooks.swap(HookChain::new(&hooks));
        self.loader.parts.hooks.ask_again();
    }

    /// Compares what is new with what was, and takes leave of what is old. Nobody else changes
    /// anything meanwhile. Gives when to look again.
    pub(crate) fn look_now(&self) -> Option<Duration> {
        while let Some((bad, together, reason)) = self.find_bad() {
            self.go_back(&bad, &together, &reason);
        }
        self.drain();
        let state = self.state.lock();
        let busy = !state.guards.is_empty() || state.retired.iter().any(|r| !r.drained);
        busy.then_some(PAUSE)
    }

    /// A new version that does worse, with all that came with it.
    fn find_bad(&self) -> Option<(String, Vec<Guard>, String)> {
        let mut state = self.state.lock();
        let now = self.loader.parts.clock.monotonic();
        let slowdown = self.config.guard_slowdown;
        let bad = state.guards.iter().find_map(|guard| {
            let reason = guard::judge(&guard.was, &guard::deeds(&guard.new.plugin), slowdown)?;
            Some((guard.name.clone(), guard.generation, reason))
        });
        let Some((name, generation, reason)) = bad else {
            state.guards.retain(|guard| now < guard.ends);
            return None;
        };
        let all = std::mem::take(&mut state.guards);
        let (together, others) = all.into_iter().partition(|g| g.generation == generation);
        state.guards = others;
        Some((name, together, reason))
    }

    /// Puts the versions before in force again, and rejects the one that did worse.
    fn go_back(&self, bad: &str, together: &[Guard], reason: &str) {
        let mut record = self.state.lock().record.clone();
        record.generation += 1;
        let generation = record.generation;
        let text = format!("generation {generation}: the version before is back: {bad}: {reason}");
        let until = self.first_words();
        for guard in together {
            let entry = record.plugins.entry(guard.name.clone()).or_default();
            if !entry.previous.is_empty() {
                entry.current = Some(entry.previous.remove(0));
            }
            if guard.name == bad {
                let (digest, version) = (guard.new.binding.digest.clone(), guard.new.version());
                entry.reject(Rejected { digest, version, reason: reason.to_owned() });
            }
            self.warm_up(&guard.old, until);
            tracing::error!("plugin {}: {text}", guard.name);
            let ring = self.state.lock().ring(&guard.name);
            ring.push(self.loader.parts.clock.now().0, "host", text.clone());
        }
        if let Err(error) = self.write(&record) {
            tracing::error!("{error}: after a restart the rejected version would be in force");
        }
        let put = together.iter().map(|guard| Arc::clone(&guard.old)).collect();
        self.put_in_force(Change { record, put, taken: Vec::new(), watch: false });
        for guard in together {
            let cause = Cause::own("automatic-rollback");
            self.audit(cause, &guard.name, Outcome::Failed, &text);
        }
        self.outcomes.reverted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn write(&self, record: &Record) -> Result<(), Error> {
        let parts = &self.loader.parts;
        record.write(parts.disk.as_ref(), &parts.dir, parts.node.role)
    }

    /// Lets go of instances whose plugin no chain and no queue holds any more: their last call has
    /// ended.
    fn drain(&self) {
        let mut state = self.state.lock();
        let idle = |retired: &Retired| {
            let member = &retired.member;
            // Its own, and the hook's.
            Arc::strong_count(&member.hook) == 1 && Arc::strong_count(&member.plugin) == 2
        };
        let mut done = Vec::new();
        for retired in state.retired.iter_mut().filter(|r| !r.drained && idle(r)) {
            retired.drained = true;
            done.push(Arc::clone(&retired.member));
        }
        let retired = std::mem::take(&mut state.retired);
        let base = &self.config.binding;
        state.retired = retired
            .into_iter()
            .filter(|r| !r.drained || state.may_return(base, &r.member))
            .collect();
        drop(state);
        done.iter().for_each(|member| member.plugin.let_go());
    }
}

impl Watched for Set {
    fn look(&self) -> Option<Duration> {
        self.look_at_health();
        // Who makes a change must not be held up, nor hold the keeper up.
        let Some(_change) = self.change.try_lock() else { return Some(PAUSE) };
        if self.stopped.load(Ordering::SeqCst) {
            return None;
        }
        Some(self.look_now().unwrap_or(HEALTH_PAUSE))
    }
}
