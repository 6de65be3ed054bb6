//! The task that exports.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, SystemTime};

use blockhouse_meter::LogCounts;
use blockhouse_meter::spans::DropReason;
use blockhouse_model::Clock;
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::{InstrumentationScope, SpanId, TraceId};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};

use super::{Config, LogEvent};
use crate::otlp::{LAST_PATIENCE, LogRequests, Story, Taken, Transport};
use crate::{Error, Identity};

/// How often events are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Events of one request.
const BATCH: usize = 256;

/// Whose events these are, and where they come from.
pub struct Parts {
    /// Who exports.
    pub identity: Identity,
    /// The events.
    pub events: Receiver<LogEvent>,
    /// What becomes of them.
    pub counts: Arc<LogCounts>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Sends events to a collector.
pub struct LogExporter {
    to: LogRequests,
    timeout: Duration,
    records: SdkLogger,
    scope: InstrumentationScope,
    events: Receiver<LogEvent>,
    /// Those that the request under way has.
    sending: u64,
    counts: Arc<LogCounts>,
    clock: Arc<dyn Clock>,
    story: Story,
}

impl fmt::Debug for LogExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogExporter").finish_non_exhaustive()
    }
}

impl LogExporter {
    /// An exporter to the endpoint of `config`. In a runtime.
    ///
    /// # Errors
    /// The endpoint is none.
    pub fn new(config: &Config, transport: &Transport, parts: Parts) -> Result<Self, Error> {
        let Parts { identity, events, counts, clock } = parts;
        let scope =
            InstrumentationScope::builder("blockhouse").with_version(identity.version.clone());
        let to = transport.events(&config.endpoint, &identity.resource())?;
        let (timeout, records, scope) = (transport.timeout(), empty_records(), scope.build());
        let story = Story::of("events of the log");
        Ok(Self { to, timeout, records, scope, events, sending: 0, counts, clock, story })
    }

    /// Exports until `stop`, and what is there then.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = look.tick() => {}
            }
            let last = {
                let all = self.export_all();
                tokio::pin!(all);
                tokio::select! {
                    // What is under way goes on: its events are in no queue any more.
                    () = &mut stop => Some(tokio::time::timeout(LAST_PATIENCE, all).await),
                    () = &mut all => None,
                }
            };
            if let Some(last) = last {
                return self.end(last.is_ok());
            }
        }
        let last = tokio::time::timeout(LAST_PATIENCE, self.export_all()).await;
        self.end(last.is_ok());
    }

    /// Counts what did not reach the collector in time.
    fn end(&self, is_all: bool) {
        if is_all {
            return;
        }
        let lost = self.sending + self.events.try_iter().count() as u64;
        self.counts.lose(DropReason::Failed, lost);
        // Whoever reads stderr is told; nobody else could be.
        tracing::warn!("the last {lost} events of the log did not reach the collector in time");
    }

    async fn export_all(&mut self) {
        loop {
            let events: Vec<LogEvent> = self.events.try_iter().take(BATCH).collect();
            if events.is_empty() {
                return;
            }
            let count = events.len() as u64;
            self.sending = count;
            let records: Vec<SdkLogRecord> =
                events.into_iter().map(|event| record(&self.records, event)).collect();
            let sending = self.to.send(&records, &self.scope);
            let sent = tokio::time::timeout(self.timeout, sending).await;
            let sent = sent.unwrap_or_else(|_| Err("it took too long".to_owned()));
            self.sending = 0;
            match &sent {
                Ok(Taken { rejected, .. }) => {
                    let rejected = count.min(*rejected);
                    self.counts.exported(count - rejected);
                    self.counts.lose(DropReason::Rejected, rejected);
                }
                Err(_) => self.counts.lose(DropReason::Failed, count),
            }
            let sent = sent.and_then(|taken| taken.as_a_whole());
            self.story.goes_on(self.clock.monotonic(), &sent);
        }
    }
}

/// Where records come from: nothing goes through it, since events have a queue of their own.
fn empty_records() -> SdkLogger {
    SdkLoggerProvider::builder().build().logger("blockhouse")
}

fn record(empty: &SdkLogger, event: LogEvent) -> SdkLogRecord {
    let at =
        SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(event.at_ms).unwrap_or(0));
    let id = |name: &str| event.fields.iter().find(|(field, _)| *field == name);
    let trace_id = id("trace_id").and_then(|(_, text)| TraceId::from_hex(text).ok());
    let span_id = id("span_id").and_then(|(_, text)| SpanId::from_hex(text).ok());
    let (number, text) = severity(event.level);
    let mut record = empty.create_log_record();
    record.set_timestamp(at);
    record.set_observed_timestamp(at);
    record.set_severity_number(number);
    record.set_severity_text(text);
    record.set_body(event.text.into());
    if let Some(trace_id) = trace_id {
        // Without a span, OTLP's id of none.
        record.set_trace_context(trace_id, span_id.unwrap_or(SpanId::INVALID), None);
    }
    record.add_attribute("code.namespace", event.target);
    let of_trace = ["trace_id", "span_id"];
    let fields = event.fields.into_iter().filter(|(name, _)| !of_trace.contains(name));
    record.add_attributes(fields.map(|(name, value)| (name, AnyValue::from(value))));
    record
}

const fn severity(level: tracing::Level) -> (Severity, &'static str) {
    match level {
        tracing::Level::ERROR => (Severity::Error, "ERROR"),
        tracing::Level::WARN => (Severity::Warn, "WARN"),
        tracing::Level::INFO => (Severity::Info, "INFO"),
        tracing::Level::DEBUG => (Severity::Debug, "DEBUG"),
        tracing::Level::TRACE => (Severity::Trace, "TRACE"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::logs::v1::LogRecord;

    #[test]
    fn ids_of_a_trace_are_fields_of_a_record_and_not_attributes() {
        let event = |trace_id: &str| LogEvent {
            at_ms: 1_700_000_000_123,
            level: tracing::Level::WARN,
            target: "blockhouse_core::send",
            text: "slow".to_owned(),
            fields: vec![("trace_id", trace_id.to_owned()), ("topic", "a\"b".to_owned())],
        };
        let empty = empty_records();
        let made = |trace_id: &str| LogRecord::from(&record(&empty, event(trace_id)));
        let first = made("0af7651916cd43dd8448eb211c80319c");
        assert_eq!(first.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes());
        assert_eq!(
            (&*first.span_id, first.time_unix_nano),
            (&[0; 8][..], 1_700_000_000_123_000_000)
        );
        assert_eq!((first.severity_number, &*first.severity_text), (13, "WARN"));
        let names: Vec<&str> = first.attributes.iter().map(|a| a.key.as_str()).collect();
        assert_eq!(names, ["code.namespace", "topic"]);
        assert!(made("no id").trace_id.is_empty());
    }
}
