//! One instance of a plugin in a store of its own, one call at a time.

use std::time::Duration;

use wasmtime::{Store, UpdateDeadline};

use crate::Failure;
use crate::blueprint::{Blueprint, Exports};
use crate::contract::exported::lifecycle::{self, Bodies};
use crate::deadline::processor_time;
use crate::host::Role;
use crate::life::Life;
use crate::state::State;

/// Milliseconds for `init` and `config-changed`.
const INIT_MS: u32 = 1_000;
/// Milliseconds for other calls of `lifecycle`.
const LIFECYCLE_MS: u32 = 100;
/// Bytes that may be copied for host calls of one call.
const HOSTCALL_BYTES: usize = 4 << 20;
/// Bytes of a column that an instance keeps between calls.
const COLUMN_KEPT: usize = 1 << 20;

/// How bodies are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shown {
    #[default]
    None,
    Flat,
    Lent,
}

/// What the plugin asked for in `init`, within what it is granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    pub(crate) before_send: Shown,
    pub(crate) before_deliver: Shown,
    /// Whether enrich-span is lent bodies.
    pub(crate) enrich_span: bool,
    /// Whether it sees clients' ids.
    pub(crate) client_id: bool,
    /// Messages of one call.
    pub(crate) batch_max: usize,
    pub(crate) keeps_state: bool,
}

/// The columns of a batch, kept so that a warm call allocates nothing.
#[derive(Default)]
pub(crate) struct Columns {
    pub(crate) queues: Vec<i32>,
    pub(crate) numbers: Vec<u64>,
    pub(crate) ends: Vec<u32>,
    pub(crate) properties: Vec<u8>,
    pub(crate) bodies: Vec<u8>,
}

impl Columns {
    pub(crate) fn clear(&mut self) {
        self.queues.clear();
        self.numbers.clear();
        self.numbers.clear();
        self.ends.clear();
        self.properties.clear();
        self.properties.shrink_to(COLUMN_KEPT);
        self.bodies.clear();
        self.bodies.shrink_to(COLUMN_KEPT);
    }
}

/// An instance. It is handed around in a box: it is a kilobyte, and each call takes it off its shelf.
pub(crate) struct Guest {
    pub(crate) store: Store<State>,
    pub(crate) exports: Exports,
    pub(crate) columns: Columns,
    pub(crate) calls: u64,
    /// When another one takes its place.
    pub(crate) life: Life,
    /// The number of the settings that it has.
    pub(crate) settings: u64,
    /// Whether it was told that the process serves requests.
    pub(crate) knows_start: bool,
}

impl Guest {
    /// Makes an instance and brings it up.
    pub(crate) fn make(
        blueprint: &Blueprint,
        now: Duration,
    ) -> Result<(Box<Self>, Wants), Failure> {
        let shared = std::sync::Arc::clone(&blueprint.shared);
        let granted = shared.grants.message_bodies;
        let pace = std::sync::Arc::clone(&blueprint.engine.pace);
        let state = State::new(shared, pace, blueprint.memory);
        let mut store = Store::new(&blueprint.engine.wasm, state);
        store.limiter(|state| &mut state.allowance);
        store.epoch_deadline_callback(|mut store| {
            if store.data_mut().meet_tick(processor_time) {
                return Err(wasmtime::Trap::Interrupt.into());
            }
            Ok(UpdateDeadline::Continue(1))
        });
        begin(&mut store, INIT_MS, now);
        let made = blueprint.pre.instantiate(&mut store);
        let instance = made.map_err(|e| Failure::of(&e))?;
        let exports = blueprint.indices.load(&mut store, &instance);
        let exports = exports.map_err(|e| Failure::Answer(format!("{e:#}")))?;
        let (settings, config) = blueprint.settings.read();
        let columns = Columns::default();
        let life = Life::begin(now, 0, blueprint.memory);
        let (calls, knows_start) = (0, false);
        let guest = Self { store, exports, columns, calls, life, settings, knows_start };
        let mut guest = Box::new(guest);
        let wants = guest.init(blueprint, &config)?;
        guest.health()?;
        guest.life = Life::begin(now, guest.memory(), blueprint.memory);
        Ok((guest, Wants::of(&wants, granted)))
    }

    fn init(&mut self, blueprint: &Blueprint, config: &str) -> Result<lifecycle::Wants, Failure> {
        self.arm_now(INIT_MS);
        let about = &blueprint.node;
        let node = lifecycle::Node {
            role: match about.role {
                Role::Broker => lifecycle::Role::Broker,
                Role::NameServer => lifecycle::Role::NameServer,
            },
            name: &about.name,
            cluster: &about.cluster,
            address: &about.address,
            version: &about.version,
            binding: &blueprint.shared.name,
        };
        let lifecycle = self.exports.lifecycle.clone();
        let answer = lifecycle.call_init(&mut self.store, node, config);
        answer.map_err(|e| Failure::of(&e))?.map_err(Failure::Refused)
    }

    /// Bytes of its linear memory.
    pub(crate) fn memory(&self) -> usize {
        self.store.data().allowance.taken()
    }

    /// Whether another one is to take its place.
    pub(crate) fn is_old(&self, now: Duration) -> bool {
        self.life.is_over(self.calls, now, self.memory())
    }

    /// Asks the plugin how it is.
    pub(crate) fn health(&mut self) -> Result<(), Failure> {
        self.arm_now(LIFECYCLE_MS);
        let lifecycle = self.exports.lifecycle.clone();
        let answer = lifecycle.call_health(&mut self.store);
        answer.map_err(|e| Failure::of(&e))?.map_err(Failure::Refused)
    }

    /// Tells it that its binding's `config` is another one now.
    pub(crate) fn config_changed(&mut self, config: &str) -> Result<(), Failure> {
        self.arm_now(INIT_MS);
        let lifecycle = self.exports.lifecycle.clone();
        let answer = lifecycle.call_config_changed(&mut self.store, config);
        answer.map_err(|e| Failure::of(&e))?.map_err(Failure::Refused)
    }

    /// Tells it of the process.
    pub(crate) fn process_changed(
        &mut self,
        event: lifecycle::ProcessEvent,
    ) -> Result<(), Failure> {
        self.arm_now(LIFECYCLE_MS);
        let lifecycle = self.exports.lifecycle.clone();
        lifecycle.call_process_changed(&mut self.store, event).map_err(|e| Failure::of(&e))
    }

    /// Tells it that no call follows.
    pub(crate) fn drain(&mut self) -> Result<(), Failure> {
        self.arm_now(LIFECYCLE_MS);
        let lifecycle = self.exports.lifecycle.clone();
        lifecycle.call_drain(&mut self.store).map_err(|e| Failure::of(&e))
    }

    /// Gives the next call its time and its bytes.
    pub(crate) fn arm(&mut self, deadline_ms: u32, now: Duration) {
        begin(&mut self.store, deadline_ms, now);
        self.store.set_hostcall_fuel(HOSTCALL_BYTES);
    }

    /// The same for a call beside the data path.
    fn arm_now(&mut self, deadline_ms: u32) {
        let now = self.store.data().shared.clock.monotonic();
        self.arm(deadline_ms, now);
    }
}

/// A call begins: each tick that meets it looks at its deadline.
fn begin(store: &mut Store<State>, deadline_ms: u32, now: Duration) {
    store.set_epoch_deadline(1);
    store.data_mut().arm(deadline_ms, now);
}

impl Wants {
    /// Messages of one call where the plugin does not say, and the most that it may say.
    const BATCH: usize = 32;
    const BATCH_MAX: usize = 1_024;

    fn of(wants: &lifecycle::Wants, granted: bool) -> Self {
        let shown = |bodies| match bodies {
            Bodies::Flat if granted => Shown::Flat,
            Bodies::Lent if granted => Shown::Lent,
            _ => Shown::None,
        };
        Self {
            before_send: shown(wants.before_send_bodies),
            before_deliver: shown(wants.before_deliver_bodies),
            enrich_span: wants.enrich_span_bodies && granted,
            client_id: wants.client_id,
            batch_max: match wants.batch_max {
                0 => Self::BATCH,
                asked => (asked as usize).min(Self::BATCH_MAX),
            },
            keeps_state: wants.keeps_state,
        }
    }
}
