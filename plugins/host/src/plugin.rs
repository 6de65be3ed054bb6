//! A bound plugin. Every call goes through [`Plugin::call`]: breaker, instance, deadline, counting.

mod lifecycle;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use blockhouse_hook::{Outcome, PluginEvent};
use blockhouse_model::Clock;

use crate::binding::{Binding, Mode, OnFailure, StoreMode};
use crate::blueprint::Blueprint;
use crate::breaker::Breaker;
use crate::guest::{Guest, Wants};
use crate::hook::Audits;
use crate::interface::Interface;
use crate::keeper::Keeper;
use crate::pool::Pool;
use crate::said::Said;
use crate::scope::Scope;
use crate::trace::Moment;
use crate::{Error, Failure};

/// What is counted of one hook of a plugin.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) calls: AtomicU64,
    pub(crate) messages: AtomicU64,
    pub(crate) nanoseconds: AtomicU64,
    /// Answers that were not "go on".
    pub(crate) verdicts: [AtomicU64; Said::ALL.len()],
    /// What a shadow would have done to messages that went on.
    pub(crate) disagreements: AtomicU64,
    pub(crate) failures: [AtomicU64; Failure::KINDS.len()],
    /// Events for which the queue had no room.
    pub(crate) lost: AtomicU64,
}

/// What is there of a plugin that could be loaded.
pub(crate) struct Loaded {
    pub(crate) blueprint: Blueprint,
    pub(crate) pool: Pool,
    pub(crate) wants: Wants,
    /// Instances in the world, ready and at work.
    live: AtomicU64,
}

/// How other settings fit a plugin that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// Its instances can be told.
    Same,
    /// It wants to be called otherwise with them.
    Other,
}

/// The time of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    /// When it began, on the monotonic clock.
    pub(crate) begun: Duration,
    pub(crate) time: Duration,
}

/// A binding and its plugin.
pub(crate) struct Plugin {
    pub(crate) binding: Binding,
    pub(crate) scope: Scope,
    pub(crate) counts: [Counts; Interface::ALL.len()],
    pub(crate) breaker: Breaker,
    /// `None` if it could not be loaded; then each call fails.
    pub(crate) loaded: Option<Loaded>,
    pub(crate) keeper: Keeper,
    /// Instances that were not well when they were asked.
    pub(crate) unhealthy: AtomicU64,
    /// What waits to be told to its audit sink.
    pub(crate) audits: Audits,
    clock: Arc<dyn Clock>,
    /// Whether the process serves requests.
    started: AtomicBool,
    /// Whether the process stops.
    stopping: AtomicBool,
    /// Whether the keeper was asked to tell instances so, and has not begun to.
    greeting: AtomicBool,
    /// Whether it was in force and is not any more.
    retired: AtomicBool,
}

impl Plugin {
    /// Brings up the first instance; the others are made beside.
    pub(crate) fn start(
        binding: &Binding,
        blueprint: Blueprint,
        cores: usize,
        keeper: Keeper,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let (first, wants) = Guest::make(&blueprint, clock.monotonic())
            .map_err(|failure| blueprint.start_error(failure))?;
        if wants.keeps_state && binding.store == StoreMode::Fresh {
            let problem =
                "it keeps state between calls, so it cannot be bound with store = \"fresh\"";
            return Err(Error::Binding { name: binding.name.clone(), problem: problem.to_owned() });
        }
        // One more than is asked for: the spare that takes over from an instance that failed.
        let pool = Pool::new(cores, binding.instances as usize + 1);
        // It has room: nothing is in it yet.
        let full = pool.put(first);
        debug_assert!(full.is_none(), "a new pool has room");
        let loaded = Loaded { blueprint, pool, wants, live: AtomicU64::new(1) };
        Ok(Self::with(binding, Some(loaded), keeper, clock))
    }

    /// A plugin that is not there: its hooks fail.
    pub(crate) fn missing(binding: &Binding, keeper: Keeper, clock: Arc<dyn Clock>) -> Self {
        Self::with(binding, None, keeper, clock)
    }

    fn with(
        binding: &Binding,
        loaded: Option<Loaded>,
        keeper: Keeper,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            scope: Scope::of(binding),
            binding: binding.clone(),
            counts: Default::default(),
            breaker: Breaker::default(),
            loaded,
            keeper,
            unhealthy: AtomicU64::new(0),
            audits: Audits::default(),
            clock,
            started: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            greeting: AtomicBool::new(false),
            retired: AtomicBool::new(false),
        }
    }

    /// The hooks that are called.
    pub(crate) fn hooks(&self) -> Vec<Interface> {
        match &self.loaded {
            Some(loaded) => loaded.blueprint.indices.hooks(),
            None => self.binding.hooks.clone(),
        }
    }

    pub(crate) fn is_shadow(&self) -> bool {
        self.binding.mode == Mode::Shadow
    }

    pub(crate) fn wants(&self) -> Wants {
        self.loaded.as_ref().map(|loaded| loaded.wants).unwrap_or_default()
    }

    pub(crate) fn deadline_ms(&self, interface: Interface) -> u32 {
        self.binding.deadline_ms_at(interface)
    }

    /// Whether a failure at this hook refuses the request.
    pub(crate) fn fails_closed(&self, interface: Interface) -> bool {
        !self.is_shadow() && self.binding.on_failure_at(interface) == OnFailure::Closed
    }

    /// Counts answers that were not "go on".
    pub(crate) fn said(&self, interface: Interface, said: Said, count: usize) {
        if count == 0 {
            return;
        }
        let (counts, count) = (self.counts(interface), count as u64);
        counts.verdicts[said as usize].fetch_add(count, Ordering::Relaxed);
        if self.is_shadow() {
            counts.disagreements.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Counts a failure that would have refused so many messages if the plugin did not only watch.
    pub(crate) fn would_refuse(&self, interface: Interface, count: usize) {
        if self.is_shadow() && self.binding.on_failure_at(interface) == OnFailure::Closed {
            self.counts(interface).disagreements.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    pub(crate) fn counts(&self, interface: Interface) -> &Counts {
        &self.counts[interface as usize]
    }

    /// Calls the guest. An instance whose call fails is never used again.
    pub(crate) fn call<T>(
        self: &Arc<Self>,
        interface: Interface,
        messages: usize,
        work: impl FnOnce(&mut Guest, u32) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.timed(interface, messages, work).0
    }

    /// The same, with the time that it took.
    pub(crate) fn timed<T>(
        self: &Arc<Self>,
        interface: Interface,
        messages: usize,
        work: impl FnOnce(&mut Guest, u32) -> Result<T, Failure>,
    ) -> (Result<T, Failure>, Took) {
        let begun = self.clock.monotonic();
        let counts = self.counts(interface);
        let result = self.attempt(interface, begun, work);
        counts.calls.fetch_add(1, Ordering::Relaxed);
        counts.messages.fetch_add(messages as u64, Ordering::Relaxed);
        let time = self.clock.monotonic().saturating_sub(begun);
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        counts.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        if let Err(failure) = &result {
            counts.failures[failure.kind()].fetch_add(1, Ordering::Relaxed);
        }
        (result, Took { begun, time })
    }

    fn attempt<T>(
        self: &Arc<Self>,
        interface: Interface,
        now: Duration,
        work: impl FnOnce(&mut Guest, u32) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let loaded = self.loaded.as_ref().ok_or(Failure::NotLoaded)?;
        let Some(pass) = self.breaker.admits(now) else { return Err(Failure::Open) };
        let mut guest = match self.take(loaded, now) {
            Ok(guest) => guest,
            // No fault of the plugin's: many callers at once must not shut it off.
            Err(Failure::Busy) => return Err(Failure::Busy),
            Err(failure) => return Err(self.failed(interface, now, failure)),
        };
        let deadline = self.deadline_ms(interface);
        guest.arm(deadline, now);
        let result = work(&mut guest, deadline);
        match result {
            Ok(answer) => {
                self.breaker.succeeded(pass);
                self.give_back(loaded, guest, now);
                Ok(answer)
            }
            Err(failure) => {
                loaded.live.fetch_sub(1, Ordering::Relaxed);
                self.keeper.bury(self, guest, false);
                Err(self.failed(interface, now, failure))
            }
        }
    }

    fn take(self: &Arc<Self>, loaded: &Loaded, now: Duration) -> Result<Box<Guest>, Failure> {
        let number = loaded.blueprint.settings.number();
        while self.binding.store == StoreMode::Warm
            && let Some(guest) = loaded.pool.take()
        {
            if guest.settings == number {
                return Ok(guest);
            }
            // It was put back while the settings changed.
            self.keeper.settle(self, guest);
        }
        // More callers than instances, or each call has its own.
        if loaded.live.load(Ordering::Relaxed) >= 4 * loaded.pool.size() as u64 {
            return Err(Failure::Busy);
        }
        self.make(loaded, now)
    }

    fn make(&self, loaded: &Loaded, now: Duration) -> Result<Box<Guest>, Failure> {
        let (mut guest, _) = Guest::make(&loaded.blueprint, now)?;
        self.tell_of_start(&mut guest)?;
        loaded.live.fetch_add(1, Ordering::Relaxed);
        Ok(guest)
    }

    fn give_back(self: &Arc<Self>, loaded: &Loaded, mut guest: Box<Guest>, now: Duration) {
        guest.calls += 1;
        if guest.settings != loaded.blueprint.settings.number() {
            return self.keeper.settle(self, guest);
        }
        let spare = if guest.is_old(now) || self.binding.store == StoreMode::Fresh {
            Some(guest)
        } else {
            self.put(loaded, guest)
        };
        if let Some(guest) = spare {
            loaded.live.fetch_sub(1, Ordering::Relaxed);
            self.keeper.bury(self, guest, true);
        }
    }

    fn failed(&self, interface: Interface, now: Duration, failure: Failure) -> Failure {
        let name = &self.binding.name;
        tracing::debug!("plugin {name}: {interface}: {failure}");
        if let Some(loaded) = &self.loaded {
            let lines = &loaded.blueprint.shared.lines;
            lines.note(self.clock.as_ref(), &format!("{interface}: {failure}"));
        }
        if self.breaker.failed(now) {
            tracing::warn!(
                "plugin {name}: {interface}: {failure}. It failed too often and is left alone for a while"
            );
            // A sink's own failure would be told to sinks, which may fail of it.
            if interface != Interface::AuditSink
                && let Some(auditor) = self.keeper.auditor()
            {
                let (action, reason) = ("breaker-open", format!("{interface}: {failure}"));
                let outcome = Outcome::Failed;
                let event = PluginEvent { name, action, outcome, reason: &reason, caller: None };
                auditor.plugin(&event);
            }
        }
        failure
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment { monotonic: self.clock.monotonic(), at_ms: self.clock.now().0 }
    }

    /// Time since some moment of this process.
    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Makes instances until the pool is full. Called beside the data path.
    pub(crate) fn refill(self: &Arc<Self>) {
        let Some(loaded) = &self.loaded else { return };
        if self.binding.store == StoreMode::Fresh {
            return;
        }
        // Those at work come back: a pool that was filled in the meantime would have no room for them.
        while loaded.live.load(Ordering::Relaxed) < loaded.pool.size() as u64 {
            match self.make(loaded, self.clock.monotonic()) {
                Ok(guest) => {
                    if self.put(loaded, guest).is_some() {
                        loaded.live.fetch_sub(1, Ordering::Relaxed);
                        return;
                    }
                }
                Err(failure) => {
                    tracing::warn!("plugin {}: a new instance: {failure}", self.binding.name);
                    return;
                }
            }
        }
    }

    /// Bytes of linear memory of all its instances.
    pub(crate) fn memory(&self) -> u64 {
        let loaded = self.loaded.as_ref();
        loaded.map_or(0, |loaded| loaded.blueprint.shared.memory.load(Ordering::Relaxed))
    }

    /// Instances in the world.
    pub(crate) fn live(&self) -> u64 {
        self.loaded.as_ref().map_or(0, |loaded| loaded.live.load(Ordering::Relaxed))
    }
}
