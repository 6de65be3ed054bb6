//! What instances are told beside their calls: settings, the process, their end.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Fit, Loaded, Plugin};
use crate::Failure;
use crate::contract::exported::lifecycle::ProcessEvent;
use crate::guest::Guest;
use crate::interface::Interface;

impl Plugin {
    /// An instance is gone.
    pub(crate) fn lost_one(&self) {
        if let Some(loaded) = &self.loaded {
            loaded.live.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Tries other settings with `init`, in an instance that no request sees.
    pub(crate) fn try_settings(&self, config: &str) -> Result<Fit, Failure> {
        let loaded = self.loaded.as_ref().ok_or(Failure::NotLoaded)?;
        let shared = Arc::clone(&loaded.blueprint.shared);
        let blueprint = loaded.blueprint.with(config, shared);
        let (mut probe, wants) = Guest::make(&blueprint, self.clock.monotonic())?;
        probe.drain()?;
        Ok(if wants == loaded.wants { Fit::Same } else { Fit::Other })
    }

    /// Tells other settings to one ready instance; one that refuses them keeps its former ones. The
    /// instance comes with the answer: it goes back with [`Self::set_settings`], or with
    /// [`Self::settle`], which tells it the former ones again.
    pub(crate) fn tell_first(
        self: &Arc<Self>,
        config: &str,
    ) -> Result<Option<Box<Guest>>, Failure> {
        let loaded = self.loaded.as_ref().ok_or(Failure::NotLoaded)?;
        let Some(mut guest) = loaded.pool.take() else { return Ok(None) };
        let told = guest.config_changed(config);
        if told.is_ok() {
            return Ok(Some(guest));
        }
        let keeps = matches!(told, Err(Failure::Refused(_)));
        if !keeps || self.put(loaded, guest).is_some() {
            self.lost_one();
            self.refill();
        }
        told.map(|()| None)
    }

    /// Puts other settings in force, and tells them to all instances: to those at work when they
    /// are done.
    pub(crate) fn set_settings(self: &Arc<Self>, config: &str, told: Option<Box<Guest>>) {
        let Some(loaded) = &self.loaded else { return };
        let number = loaded.blueprint.settings.set(config);
        let others = loaded.pool.empty();
        if let Some(mut guest) = told {
            guest.settings = number;
            if self.put(loaded, guest).is_some() {
                self.lost_one();
            }
        }
        others.into_iter().for_each(|guest| self.settle(guest));
        self.refill();
    }

    /// Tells an instance of the settings in force and puts it back; one that does not take them is
    /// replaced.
    pub(crate) fn settle(self: &Arc<Self>, mut guest: Box<Guest>) {
        let Some(loaded) = &self.loaded else { return };
        let (number, config) = loaded.blueprint.settings.read();
        match guest.config_changed(&config) {
            Ok(()) => {
                guest.settings = number;
                if self.put(loaded, guest).is_some() {
                    self.lost_one();
                }
            }
            Err(failure) => {
                tracing::warn!("plugin {}: config-changed: {failure}", self.binding.name);
                self.lost_one();
                drop(guest);
                self.refill();
            }
        }
    }

    /// Asks a ready instance of each core how it is. One that is not well, or does not say, is
    /// replaced.
    pub(crate) fn ask_health(self: &Arc<Self>) {
        let Some(loaded) = &self.loaded else { return };
        for shelf in 0..loaded.pool.shelves() {
            let Some(mut guest) = loaded.pool.take_oldest(shelf) else { continue };
            let Err(failure) = guest.health() else {
                if let Some(mut spare) = self.put_on(loaded, Some(shelf), guest) {
                    // Others were made while it was asked. What it says to that changes nothing.
                    let _last = spare.drain();
                    self.lost_one();
                }
                continue;
            };
            self.unhealthy.fetch_add(1, Ordering::Relaxed);
            let text = format!("health: {failure}");
            tracing::warn!("plugin {}: {text}. The instance is replaced", self.binding.name);
            loaded.blueprint.shared.lines.note(self.clock.as_ref(), &text);
            drop(guest);
            self.lost_one();
            self.refill();
            if failure == Failure::Deadline {
                // That took its time, and others wait for this thread.
                return;
            }
        }
    }

    /// Says whether it was in force and is not any more; it may come back.
    pub(crate) fn set_retired(&self, is_retired: bool) {
        self.retired.store(is_retired, Ordering::Release);
    }

    /// Whether it was in force and is not any more.
    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Counts audit events that it did not take and is not offered again, and says so in the log and in
    /// its lines: a version that was replaced has no counters that anybody sees.
    pub(crate) fn lose_audits(&self, lost: usize) {
        self.counts(Interface::AuditSink).lost.fetch_add(lost as u64, Ordering::Relaxed);
        let text = format!("{lost} audit events were not taken and are lost");
        tracing::warn!("plugin {}: {text}", self.binding.name);
        if let Some(loaded) = &self.loaded {
            loaded.blueprint.shared.lines.note(self.clock.as_ref(), &text);
        }
    }

    /// Lets all ready instances go, once no call can come.
    pub(crate) fn let_go(&self) {
        self.dismiss("drain", Duration::MAX, Guest::drain);
    }

    /// Lets all ready instances go, each with a last word. One that does not come to an end speaks for
    /// all others of the plugin, and from `until` on nobody is told any more: a stop must not take
    /// a deadline for each of them.
    fn dismiss(
        &self,
        what: &str,
        until: Duration,
        tell: impl Fn(&mut Guest) -> Result<(), Failure>,
    ) {
        let Some(loaded) = &self.loaded else { return };
        let mut is_deaf = false;
        for mut guest in loaded.pool.empty() {
            if !is_deaf
                && self.clock.monotonic() < until
                && let Err(failure) = tell(&mut guest)
            {
                self.complain(loaded, what, &failure);
                is_deaf = failure == Failure::Deadline;
            }
            self.lost_one();
        }
    }

    /// Writes into the log, and into the plugin's lines, that an instance failed at what it was told.
    fn complain(&self, loaded: &Loaded, what: &str, failure: &Failure) {
        let text = format!("{what}: {failure}");
        tracing::warn!("plugin {}: {text}", self.binding.name);
        loaded.blueprint.shared.lines.note(self.clock.as_ref(), &text);
    }

    /// Tells all instances that the process serves requests, as [`Self::greet`] does. Those that are at work,
    /// or just being made, are told when they are put back.
    pub(crate) fn process_started(self: &Arc<Self>, until: Duration) -> bool {
        self.started.swap(true, Ordering::AcqRel) || self.greet(until)
    }

    /// Tells those ready instances that the process serves requests that do not know it; gives whether all
    /// were told. One that does not come to an end speaks for all others of the plugin, and from `until` on
    /// nobody is told any more: those are let go, and the keeper makes others, which it tells.
    pub(crate) fn greet(self: &Arc<Self>, until: Duration) -> bool {
        let Some(loaded) = &self.loaded else { return true };
        // Who finds a greeting queued put its instance back before this: it is among those taken now.
        self.greeting.swap(false, Ordering::AcqRel);
        let (mut is_deaf, mut lacks) = (false, false);
        for mut guest in loaded.pool.take_all(|guest| !guest.knows_start) {
            if is_deaf || self.clock.monotonic() >= until {
                lacks = true;
                self.lost_one();
                continue;
            }
            match self.tell_of_start(&mut guest) {
                Ok(()) if loaded.pool.put(guest).is_none() => continue,
                // Others were made in the meantime.
                Ok(()) => {}
                Err(failure) => {
                    lacks = true;
                    is_deaf = failure == Failure::Deadline;
                    self.complain(loaded, "started", &failure);
                }
            }
            self.lost_one();
        }
        if lacks {
            self.keeper.refill(self);
        }
        !lacks
    }

    /// Whether the process serves requests, and does not stop.
    fn serves(&self) -> bool {
        self.started.load(Ordering::Acquire) && !self.stopping.load(Ordering::Acquire)
    }

    /// Tells an instance that the process serves requests, if it does and the instance does not know.
    pub(super) fn tell_of_start(&self, guest: &mut Guest) -> Result<(), Failure> {
        if !guest.knows_start && self.serves() {
            guest.process_changed(ProcessEvent::Started)?;
            guest.knows_start = true;
        }
        Ok(())
    }

    /// Makes an instance ready; gives it back if there is no room.
    pub(super) fn put(self: &Arc<Self>, loaded: &Loaded, guest: Box<Guest>) -> Option<Box<Guest>> {
        self.put_on(loaded, None, guest)
    }

    /// The same, on this shelf if it can be.
    fn put_on(
        self: &Arc<Self>,
        loaded: &Loaded,
        shelf: Option<usize>,
        guest: Box<Guest>,
    ) -> Option<Box<Guest>> {
        let knows = guest.knows_start;
        let spare = match shelf {
            Some(shelf) => loaded.pool.put_on(shelf, guest),
            None => loaded.pool.put(guest),
        };
        // Whoever told the others has either met it on its shelf, or said before that he would.
        if !knows && self.serves() {
            self.ask_for_greeting();
        }
        spare
    }

    /// Has the keeper greet, unless it will anyway: instances may be put back much faster than one is told,
    /// and the queue is that of all plugins.
    fn ask_for_greeting(self: &Arc<Self>) {
        if !self.greeting.swap(true, Ordering::AcqRel) && !self.keeper.greet(self) {
            self.greeting.store(false, Ordering::Release);
        }
    }

    /// Tells all ready instances that the process stops, and lets them go. Those that are at work are not
    /// told of a start any more.
    pub(crate) fn process_stopping(&self, until: Duration) {
        self.stopping.store(true, Ordering::Release);
        self.dismiss("stopping", until, |guest| {
            guest.process_changed(ProcessEvent::Stopping).and_then(|()| guest.drain())
        });
    }
}
