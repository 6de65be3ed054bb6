//! The task that exports.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use blockhouse_meter::Spans;
use blockhouse_meter::spans::{DropReason, Record};
use blockhouse_model::Clock;
use opentelemetry_sdk::trace::SpanData;

use super::Config;
use super::assemble::{Assembler, Epoch};
use super::bridge::Bridge;
use super::enrich::{self, Enrich, Wholes};
use crate::otlp::{LAST_PATIENCE, SpanRequests, Story, Taken, Transport};
use crate::{Error, Identity};

/// How often records are looked for. Nobody is woken for one.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Records that become one batch.
const BATCH: usize = 256;
/// Messages of the trace topic that are in one: clients tell of 20 messages in one.
const BODIES: usize = 8;

/// Whose spans these are, and where records come from.
pub struct Parts {
    /// Who exports.
    pub identity: Identity,
    /// The recorder.
    pub spans: Arc<Spans>,
    /// Its records.
    pub records: Receiver<Record>,
    /// Messages of RocketMQ's own trace topic, if they become spans.
    pub bridged: Option<Receiver<String>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The names of response codes.
    pub code_name: fn(i32) -> &'static str,
    /// Who adds to spans.
    pub enrich: Option<Arc<dyn Enrich>>,
}

/// Takes records and sends their spans to a collector.
pub struct TraceExporter {
    to: SpanRequests,
    timeout: Duration,
    assembler: Assembler,
    epoch: Epoch,
    spans: Arc<Spans>,
    records: Receiver<Record>,
    bridged: Option<Receiver<String>>,
    bridge: Bridge,
    clock: Arc<dyn Clock>,
    enrich: Option<Arc<dyn Enrich>>,
    story: Story,
}

impl fmt::Debug for TraceExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceExporter").finish_non_exhaustive()
    }
}

impl TraceExporter {
    /// An exporter to the endpoint of `config`, which is not connected to before there is something to
    /// send. In a runtime.
    ///
    /// # Errors
    /// The endpoint is none.
    pub fn new(config: &Config, transport: &Transport, parts: Parts) -> Result<Self, Error> {
        let Parts { identity, spans, records, bridged, clock, code_name, enrich } = parts;
        Ok(Self {
            to: transport.spans(&config.endpoint, &identity.resource())?,
            timeout: transport.timeout(),
            assembler: Assembler::new(&identity.version, code_name),
            epoch: Epoch::new(),
            spans,
            records,
            bridged,
            bridge: Bridge::new(identity.version),
            clock,
            enrich,
            story: Story::of("spans"),
        })
    }

    /// Exports until `stop`, and what is there then.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let spans = Arc::clone(&self.spans);
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = look.tick() => {}
            }
            let all = self.export_all();
            tokio::pin!(all);
            tokio::select! {
                () = &mut stop => {
                    spans.settle_flushes(Duration::MAX);
                    return last(all).await;
                }
                () = &mut all => {}
            }
        }
        spans.settle_flushes(Duration::MAX);
        last(self.export_all()).await;
    }

    /// Exports batch by batch what is there.
    async fn export_all(&mut self) {
        loop {
            if self.spans.expire(self.clock.monotonic()) {
                tracing::info!("traces are sampled as configured again");
            }
            self.spans.settle_flushes(self.clock.monotonic());
            let (mut batch, wholes) = self.next_batch();
            if batch.is_empty() {
                return;
            }
            let enrich = self.enrich.clone().filter(|enrich| enrich.is_wanted());
            if let Some(enrich) = enrich {
                enrich::ask(enrich, &mut batch, &wholes).await;
            }
            self.export(batch).await;
        }
    }

    fn next_batch(&mut self) -> (Vec<SpanData>, Wholes) {
        let (mut batch, mut wholes) = (Vec::new(), Vec::new());
        let epoch = self.epoch.at(self.clock.now().0, self.clock.monotonic());
        for record in self.records.try_iter().take(BATCH) {
            if let Record::Stages(record) = record {
                wholes.push((batch.len(), record));
            }
            self.assembler.take(&self.spans, record, epoch, &mut batch);
        }
        self.spans.made_room();
        let bodies = self.bridged.iter().flat_map(Receiver::try_iter);
        for body in bodies.take(BODIES) {
            self.bridge.take(&body, &mut batch);
        }
        (batch, wholes)
    }

    async fn export(&mut self, batch: Vec<SpanData>) {
        let count = batch.len() as u64;
        let counts = &self.spans.counts;
        let sent = tokio::time::timeout(self.timeout, self.to.send(batch)).await;
        let sent = sent.unwrap_or_else(|_| Err("it took too long".to_owned()));
        match &sent {
            Ok(Taken { rejected, .. }) => {
                let rejected = count.min(*rejected);
                counts.exported.add(count - rejected);
                counts.drop(DropReason::Rejected, rejected);
            }
            Err(_) => counts.drop(DropReason::Failed, count),
        }
        let sent = sent.and_then(|taken| taken.as_a_whole());
        self.story.goes_on(self.clock.monotonic(), &sent);
    }
}

/// Waits for what is exported last, but not for long.
async fn last(all: impl Future<Output = ()>) {
    if tokio::time::timeout(LAST_PATIENCE, all).await.is_err() {
        tracing::warn!("the last spans did not reach the collector");
    }
}
