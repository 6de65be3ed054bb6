//! The task that exports.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_meter::{MetricCounts, MetricOutcome};
use blockhouse_model::Clock;
use hyper::body::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prometheus::proto::MetricFamily;
use prost::Message as _;

use super::Config;
use super::convert::{self, Span};
use crate::otlp::{LAST_PATIENCE, Requests, Story, Taken, Transport};
use crate::{Error, Exporter, Identity};

/// Whose metrics these are.
pub struct Parts {
    /// Who exports.
    pub identity: Identity,
    /// What is shown.
    pub exporter: Arc<Exporter>,
    /// What becomes of them.
    pub counts: Arc<MetricCounts>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Sends metrics to a collector.
pub struct MetricExporter {
    to: Requests,
    interval: Duration,
    timeout: Duration,
    resource: Resource,
    scope: InstrumentationScope,
    parts: Parts,
    story: Story,
}

impl fmt::Debug for MetricExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricExporter").finish_non_exhaustive()
    }
}

impl MetricExporter {
    /// An exporter to the endpoint of `config`. In a runtime.
    ///
    /// # Errors
    /// The endpoint is none.
    pub fn new(config: &Config, transport: &Transport, parts: Parts) -> Result<Self, Error> {
        let scope = InstrumentationScope {
            name: "blockhouse".to_owned(),
            version: parts.identity.version.clone(),
            ..InstrumentationScope::default()
        };
        Ok(Self {
            to: transport.requests(&config.endpoint)?,
            interval: Duration::from_millis(config.interval_ms),
            timeout: transport.timeout(),
            resource: Resource::from(&parts.identity.resource()),
            scope,
            parts,
            story: Story::of("metrics"),
        })
    }

    /// Exports until `stop`, and once more then.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut turn = tokio::time::interval(self.interval);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // The first is at once, when there is nothing yet.
        turn.tick().await;
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = turn.tick() => {}
            }
            tokio::select! {
                () = &mut stop => break,
                () = self.export() => {}
            }
        }
        if tokio::time::timeout(LAST_PATIENCE, self.export()).await.is_err() {
            tracing::warn!("the last metrics did not reach the collector");
        }
    }

    async fn export(&mut self) {
        let exporter = Arc::clone(&self.parts.exporter);
        // Lags are read from the log.
        let looked = tokio::task::spawn_blocking(move || exporter.families()).await;
        let families = match looked {
            Ok(families) => families,
            Err(error) => {
                tracing::error!(%error, "metrics are not exported");
                return;
            }
        };
        let sent = tokio::time::timeout(self.timeout, self.send(&families)).await;
        let sent = sent.unwrap_or_else(|_| Err("it took too long".to_owned()));
        self.parts.counts.add(match &sent {
            Ok(taken) if taken.rejected > 0 => MetricOutcome::Rejected,
            Ok(_) => MetricOutcome::Ok,
            Err(_) => MetricOutcome::Failed,
        });
        let sent = sent.and_then(|taken| taken.as_a_whole());
        self.story.goes_on(self.parts.clock.monotonic(), &sent);
    }

    /// What all requests together were answered with.
    async fn send(&self, families: &[MetricFamily]) -> Result<Taken, String> {
        let now = Duration::from_millis(u64::try_from(self.parts.clock.now().0).unwrap_or(0));
        let start = now.saturating_sub(self.parts.exporter.up());
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut all = Taken::default();
        for metrics in convert::requests(families, Span { start: nanos(start), now: nanos(now) }) {
            let request = Bytes::from(self.request(metrics).encode_to_vec());
            let sent = self.to.send::<ExportMetricsServiceRequest>(request).await;
            let Taken { rejected, why } = sent?;
            if rejected > 0 {
                all = Taken { rejected: all.rejected.saturating_add(rejected), why };
            }
        }
        Ok(all)
    }

    fn request(&self, metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
        let scope_metrics = vec![ScopeMetrics {
            scope: Some(self.scope.clone()),
            metrics,
            schema_url: String::new(),
        }];
        let resource = Some(self.resource.clone());
        let schema_url = String::new();
        let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, schema_url }];
        ExportMetricsServiceRequest { resource_metrics }
    }
}
