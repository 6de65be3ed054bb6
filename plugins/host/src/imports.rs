//! What guests may import, one interface per grant. Only `http` and `publish` wait for anything, and
//! never for longer than the call has.

mod http;
mod kv;
mod log;
mod metrics;
mod publish;
mod under_way;
mod wasi;

use wasmtime::component::{HasSelf, Linker, Resource};

pub(crate) use http::Http;
pub(crate) use kv::Kv;
pub(crate) use log::Lines;
pub(crate) use metrics::Metrics;
pub(crate) use publish::Publish;
pub use publish::{Outgoing, PublishError, Publisher};
pub(crate) use wasi::refuse as refuse_wasi;

use crate::binding::Grants;
use crate::contract::imported::{clock, kv as kv_interface, log as log_interface};
use crate::contract::imported::{http as http_interface, publish as publish_interface};
use crate::contract::imported::{message_bodies, metrics as metrics_interface, types};
use crate::state::{LentBodies, State};

/// Links what is granted; a component that imports more cannot be instantiated.
pub(crate) fn link(linker: &mut Linker<State>, grants: &Grants) -> wasmtime::Result<()> {
    types::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    // Hooks that could be lent bodies import it by their types alone; the grant decides what is shown.
    message_bodies::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    if grants.log {
        log_interface::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    }
    if grants.metrics {
        metrics_interface::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    }
    if grants.clock {
        clock::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    }
    if grants.kv {
        kv_interface::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    }
    if !grants.http.is_empty() {
        http_interface::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    }
    if !grants.publish.is_empty() {
        publish_interface::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    }
    Ok(())
}

impl types::Host for State {}

impl clock::Host for State {
    fn now_ms(&mut self) -> u64 {
        u64::try_from(self.shared.clock.now().0).unwrap_or(0)
    }

    fn monotonic_ns(&mut self) -> u64 {
        u64::try_from(self.shared.clock.monotonic().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl message_bodies::Host for State {}

impl message_bodies::HostLentBodies for State {
    fn size(&mut self, _handle: Resource<LentBodies>, message: u32) -> u32 {
        u32::try_from(self.lent.body(message).len()).unwrap_or(u32::MAX)
    }

    fn read(
        &mut self,
        _handle: Resource<LentBodies>,
        message: u32,
        offset: u32,
        length_max: u32,
    ) -> Vec<u8> {
        let body = self.lent.body(message);
        let rest = body.get(offset as usize..).unwrap_or(&[]);
        rest[..rest.len().min(length_max as usize)].to_vec()
    }

    fn drop(&mut self, _handle: Resource<LentBodies>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl log_interface::Host for State {
    fn enabled(&mut self, level: log_interface::Level) -> bool {
        log::enabled(level)
    }

    fn write(
        &mut self,
        level: log_interface::Level,
        line: String,
        fields: Vec<log_interface::Field>,
    ) {
        if log::enabled(level) {
            let clock = self.shared.clock.as_ref();
            self.shared.lines.write(&self.shared.name, clock, level, &line, &fields);
        }
    }
}

impl kv_interface::Host for State {
    fn get(&mut self, key: String) -> Option<Vec<u8>> {
        self.shared.kv.get(&key, self.shared.clock.monotonic())
    }

    fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_ms: u64,
    ) -> Result<(), kv_interface::Refusal> {
        self.shared.kv.set(key, value, ttl_ms, self.shared.clock.monotonic())
    }

    fn add(&mut self, key: String, amount: i64, ttl_ms: u64) -> Result<i64, kv_interface::Refusal> {
        self.shared.kv.add(key, amount, ttl_ms, self.shared.clock.monotonic())
    }

    fn delete(&mut self, key: String) {
        self.shared.kv.delete(&key);
    }
}

impl metrics_interface::Host for State {
    fn register(
        &mut self,
        name: String,
        kind: metrics_interface::Kind,
        help: String,
    ) -> Result<u32, String> {
        self.shared.metrics.register(&name, kind, &help)
    }

    fn add(&mut self, metric: u32, amount: u64) {
        self.shared.metrics.add(metric, amount);
    }

    fn set(&mut self, metric: u32, value: f64) {
        self.shared.metrics.set(metric, value);
    }

    fn observe(&mut self, metric: u32, value: f64) {
        self.shared.metrics.observe(metric, value);
    }
}
