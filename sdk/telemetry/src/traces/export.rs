//! The task that exports.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use blockhouse_meter::Spans;
use blockhouse_meter::spans::{DropReason, Record};
use blockhouse_model::Clock;

use super::Config;
use super::assemble::{Assembler, Epoch};
use super::bridge::Bridge;
use super::enrich::{self, Added, Enrich};
use crate::otlp::{Batch, LAST_PATIENCE, Sender, SpanRequests, Story, Taken, Transport};
use crate::{Error, Identity};

/// How often records are looked for. Nobody is woken for one.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Records that become one batch, and bytes of spans beyond which no more do: collectors take requests of 4 MiB.
const BATCH: usize = 1_024;
const BATCH_BYTES: usize = 512 << 10;
/// Records of a batch that others add to.
const ENRICHED: usize = 256;
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
        let sender = Sender::new(&identity.resource(), &identity.version);
        Ok(Self {
            to: transport.spans(&config.endpoint, sender)?,
            timeout: transport.timeout(),
            assembler: Assembler::new(code_name),
            epoch: Epoch::new(),
            spans,
            records,
            bridged,
            bridge: Bridge::default(),
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
            let enrich = self.enrich.clone().filter(|enrich| enrich.is_wanted());
            let mut batch = match enrich {
                Some(enrich) => self.enriched(enrich).await,
                None => self.plain(),
            };
            let bodies = self.bridged.iter().flat_map(Receiver::try_iter);
            for body in bodies.take(BODIES) {
                self.bridge.take(&body, &mut batch);
            }
            if batch.count() == 0 {
                return;
            }
            self.export(batch).await;
        }
    }

    fn epoch(&mut self) -> u64 {
        self.epoch.at(self.clock.now().0, self.clock.monotonic())
    }

    fn plain(&mut self) -> Batch {
        let (mut batch, none, epoch) = (Batch::default(), Added::new(), self.epoch());
        for record in self.records.try_iter().take(BATCH) {
            self.assembler.take(&self.spans, (&record, &none), epoch, &mut batch);
            if batch.size() >= BATCH_BYTES {
                break;
            }
        }
        self.spans.made_room();
        batch
    }

    /// Spans with what others add to them.
    async fn enriched(&mut self, enrich: Arc<dyn Enrich>) -> Batch {
        let (records, epoch): (Vec<_>, _) =
            (self.records.try_iter().take(ENRICHED).collect(), self.epoch());
        self.spans.made_room();
        let mut wholes = Vec::new();
        for record in &records {
            if let Record::Stages(record) = record {
                wholes.push(self.assembler.ended(&self.spans, record, epoch));
            }
        }
        let added = if wholes.is_empty() { Vec::new() } else { enrich::ask(enrich, wholes).await };
        let mut added = added.into_iter();
        let mut batch = Batch::default();
        for record in &records {
            let is_whole = matches!(record, Record::Stages(_));
            let added = if is_whole { added.next() } else { None }.unwrap_or_default();
            self.assembler.take(&self.spans, (record, &added), epoch, &mut batch);
        }
        batch
    }

    async fn export(&mut self, batch: Batch) {
        let count = batch.count();
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
