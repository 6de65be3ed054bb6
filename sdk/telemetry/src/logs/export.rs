//! The task that exports.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use blockhouse_meter::LogCounts;
use blockhouse_meter::spans::DropReason;
use blockhouse_model::Clock;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::{Config, LogEvent};
use crate::otlp::{LAST_PATIENCE, Requests, Story, Taken, Transport};
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
    to: Requests,
    timeout: Duration,
    resource: Resource,
    scope: InstrumentationScope,
    events: Receiver<LogEvent>,
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
        let resource = Resource::from(&identity.resource());
        let scope = InstrumentationScope {
            name: "blockhouse".to_owned(),
            version: identity.version,
            ..InstrumentationScope::default()
        };
        let (to, timeout) = (transport.requests(&config.endpoint)?, transport.timeout());
        let story = Story::of("events of the log");
        Ok(Self { to, timeout, resource, scope, events, counts, clock, story })
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
            tokio::select! {
                () = &mut stop => break,
                () = self.export_all() => {}
            }
        }
        // Whoever reads stderr is told; nobody else could be.
        if tokio::time::timeout(LAST_PATIENCE, self.export_all()).await.is_err() {
            tracing::warn!("the last events of the log did not reach the collector");
        }
    }

    async fn export_all(&mut self) {
        loop {
            let events: Vec<LogEvent> = self.events.try_iter().take(BATCH).collect();
            if events.is_empty() {
                return;
            }
            let count = events.len() as u64;
            let request = self.request(events);
            let sent = tokio::time::timeout(self.timeout, self.to.send(request)).await;
            let sent = sent.unwrap_or_else(|_| Err("it took too long".to_owned()));
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

    fn request(&self, events: Vec<LogEvent>) -> ExportLogsServiceRequest {
        let scope_logs = vec![ScopeLogs {
            scope: Some(self.scope.clone()),
            log_records: events.into_iter().map(record).collect(),
            schema_url: String::new(),
        }];
        let resource = Some(self.resource.clone());
        let schema_url = String::new();
        let resource_logs = vec![ResourceLogs { resource, scope_logs, schema_url }];
        ExportLogsServiceRequest { resource_logs }
    }
}

fn record(event: LogEvent) -> LogRecord {
    let at = u64::try_from(event.at_ms).unwrap_or(0).saturating_mul(1_000_000);
    let id = |name: &str| event.fields.iter().find(|(field, _)| *field == name);
    let trace_id = id("trace_id").and_then(|(_, text)| u128::from_str_radix(text, 16).ok());
    let span_id = id("span_id").and_then(|(_, text)| u64::from_str_radix(text, 16).ok());
    let (number, text) = severity(event.level);
    let mut attributes = vec![attribute("code.namespace", event.target.to_owned())];
    let of_trace = ["trace_id", "span_id"];
    let fields = event.fields.into_iter().filter(|(name, _)| !of_trace.contains(name));
    attributes.extend(fields.map(|(name, value)| attribute(name, value)));
    LogRecord {
        time_unix_nano: at,
        observed_time_unix_nano: at,
        severity_number: number.into(),
        severity_text: text.to_owned(),
        body: Some(AnyValue { value: Some(Value::StringValue(event.text)) }),
        attributes,
        trace_id: trace_id.map(|id| id.to_be_bytes().to_vec()).unwrap_or_default(),
        span_id: span_id.map(|id| id.to_be_bytes().to_vec()).unwrap_or_default(),
        ..LogRecord::default()
    }
}

fn attribute(name: &str, value: String) -> KeyValue {
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue(value)) }),
        ..KeyValue::default()
    }
}

const fn severity(level: tracing::Level) -> (SeverityNumber, &'static str) {
    match level {
        tracing::Level::ERROR => (SeverityNumber::Error, "ERROR"),
        tracing::Level::WARN => (SeverityNumber::Warn, "WARN"),
        tracing::Level::INFO => (SeverityNumber::Info, "INFO"),
        tracing::Level::DEBUG => (SeverityNumber::Debug, "DEBUG"),
        tracing::Level::TRACE => (SeverityNumber::Trace, "TRACE"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_trace_are_fields_of_a_record_and_not_attributes() {
        let event = |trace_id: &str| LogEvent {
            at_ms: 1_700_000_000_123,
            level: tracing::Level::WARN,
            target: "blockhouse_core::send",
            text: "slow".to_owned(),
            fields: vec![("trace_id", trace_id.to_owned()), ("topic", "a\"b".to_owned())],
        };
        let made = record(event("0af7651916cd43dd8448eb211c80319c"));
        assert_eq!(made.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes());
        assert_eq!((made.span_id.len(), made.time_unix_nano), (0, 1_700_000_000_123_000_000));
        assert_eq!((made.severity_number, &*made.severity_text), (13, "WARN"));
        let names: Vec<&str> = made.attributes.iter().map(|a| a.key.as_str()).collect();
        assert_eq!(names, ["code.namespace", "topic"]);
        assert!(record(event("no id")).trace_id.is_empty());
    }
}
