//! Name server and broker on real sockets, with real files, and a client of ours.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use blockhouse_broker::{Broker, Parts, QuotaConfig, Running, Settings};
use blockhouse_client::{Client, Options};
use blockhouse_disk::RealDisk;
use blockhouse_hook::{Hook, HookChain, Hooks};
use blockhouse_meter::{Meter, Spans};
use blockhouse_model::Clock;
use blockhouse_namesrv::NameServer;
use blockhouse_protocol::codes::response_code;
use blockhouse_service::{SystemClock, Tasks};
use blockhouse_store::Flush;
use blockhouse_telemetry::Identity;
use blockhouse_telemetry::otlp::{Config as Otlp, Transport};
use blockhouse_telemetry::traces::{Config, Ended, Enrich, Parts as TraceParts, TraceExporter};

pub(crate) struct Rig {
    pub(crate) client: Client,
    pub(crate) spans: Option<Arc<Spans>>,
    pub(crate) meter: Arc<Meter>,
    broker: Running,
    namesrv: blockhouse_namesrv::Running,
    tasks: Tasks,
    dir: tempfile::TempDir,
}

impl Rig {
    pub(crate) async fn start(traces: &Config, hooks: &[Arc<dyn Hook>]) -> Self {
        Self::start_at(traces, |_| hooks.to_vec()).await
    }

    /// The same, with another way to the collector.
    pub(crate) async fn start_over(otlp: &Otlp, traces: &Config, hooks: &[Arc<dyn Hook>]) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        Self::start_in(tempfile::tempdir().unwrap(), clock, (otlp, traces, Flush::Async), hooks)
            .await
    }

    /// The same, with sends that wait for the disk.
    pub(crate) async fn start_synced(traces: &Config) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let over = (&Otlp::default(), traces, Flush::Sync);
        Self::start_in(tempfile::tempdir().unwrap(), clock, over, &[]).await
    }

    /// The same, with hooks that read the same clock.
    pub(crate) async fn start_at(
        traces: &Config,
        hooks: impl FnOnce(Arc<dyn Clock>) -> Vec<Arc<dyn Hook>>,
    ) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let hooks = hooks(Arc::clone(&clock));
        let over = (&Otlp::default(), traces, Flush::Async);
        Self::start_in(tempfile::tempdir().unwrap(), clock, over, &hooks).await
    }

    async fn start_in(
        dir: tempfile::TempDir,
        clock: Arc<dyn Clock>,
        (otlp, traces, flush): (&Otlp, &Config, Flush),
        hooks: &[Arc<dyn Hook>],
    ) -> Self {
        let tasks = Tasks::new("test");
        let meter: Arc<Meter> = Arc::default();
        let spans = traces.is_on().then(|| export((otlp, traces), &clock, &meter, &tasks));
        let hooks = Arc::new(Hooks::new(HookChain::new(hooks)));
        let namesrv = name_server(dir.path(), &clock, &tasks).await;
        let mut settings = settings(dir.path(), &namesrv.local_addr().to_string());
        settings.store.flush = flush;
        let parts = Parts {
            clock: Arc::clone(&clock),
            hooks,
            disk: Arc::new(RealDisk),
            meter: Arc::clone(&meter),
            tasks: tasks.clone(),
            budget: None,
            tls: blockhouse_broker::Tls::default(),
            users: None,
            acls: None,
            signer: None,
        };
        let broker = Broker::start(settings, parts).await.unwrap();
        let options = Options::new(&namesrv.local_addr().to_string());
        let client = Client::new(options, clock).unwrap();
        Self { client, spans, meter, broker, namesrv, tasks, dir }
    }

    pub(crate) fn broker_addr(&self) -> std::net::SocketAddr {
        self.broker.local_addr()
    }

    pub(crate) async fn stop(self) {
        drop(self.end().await);
    }

    /// Stops and starts with the same files. Nothing that was in memory is left.
    pub(crate) async fn restart(self, traces: &Config) -> Self {
        let clock = Arc::new(SystemClock::new());
        let over = (&Otlp::default(), traces, Flush::Async);
        Self::start_in(self.end().await, clock, over, &[]).await
    }

    async fn end(self) -> tempfile::TempDir {
        self.client.close().await;
        self.broker.stop().await.unwrap();
        self.namesrv.stop().await;
        let late = self.tasks.stop(Duration::from_secs(5)).await;
        assert_eq!(late, Vec::<String>::new(), "the exporter ends by itself");
        self.dir
    }
}

/// Adds to every span what it is called.
struct Tagger;

impl Enrich for Tagger {
    fn is_wanted(&self) -> bool {
        true
    }

    fn enrich(&self, spans: &mut [Ended]) {
        for span in spans {
            assert!(span.start_ns > 0 && !span.attributes.is_empty());
            span.added.push(("test.name".to_owned(), span.name.clone()));
        }
    }
}

fn export(
    (otlp, traces): (&Otlp, &Config),
    clock: &Arc<dyn Clock>,
    meter: &Arc<Meter>,
    tasks: &Tasks,
) -> Arc<Spans> {
    let (spans, records) = Spans::new(traces.rules(), traces.queue_max);
    let spans = Arc::new(spans.sampling(traces.ratios(), traces.per_second_max));
    meter.record_spans(Arc::clone(&spans));
    let identity = Identity {
        cluster: "c".to_owned(),
        node_type: "broker".to_owned(),
        node_id: "broker-a".to_owned(),
        version: "1.2.3".to_owned(),
    };
    let parts = TraceParts {
        identity,
        spans: Arc::clone(&spans),
        records,
        bridged: None,
        clock: Arc::clone(clock),
        code_name: response_code::name,
        enrich: Some(Arc::new(Tagger)),
    };
    let exporter = TraceExporter::new(traces, &Transport::new(otlp, None), parts).unwrap();
    let group = tasks.child("traces");
    let mut stop = group.shutdown();
    group.spawn("traces", exporter.run(async move { stop.requested().await }));
    spans
}

async fn name_server(
    dir: &Path,
    clock: &Arc<dyn Clock>,
    tasks: &Tasks,
) -> blockhouse_namesrv::Running {
    let config = blockhouse_namesrv::Config {
        listen: "127.0.0.1:0".to_owned(),
        ..blockhouse_namesrv::Config::default()
    };
    let parts = blockhouse_namesrv::Parts {
        clock: Arc::clone(clock),
        hooks: Arc::new(Hooks::none()),
        disk: Arc::new(RealDisk),
        data_dir: dir.join("namesrv"),
        tasks: tasks.clone(),
        budget: None,
        meter: Arc::default(),
        tls: None,
        users: None,
        acls: None,
    };
    NameServer::start(config, parts).await.unwrap()
}

fn settings(dir: &Path, name_server: &str) -> Settings {
    Settings {
        cluster: "c".to_owned(),
        name: "broker-a".to_owned(),
        broker_id: 0,
        data: dir.join("broker"),
        listen: ([127, 0, 0, 1], 0).into(),
        vip_port: false,
        advertise: None,
        name_servers: vec![name_server.to_owned()],
        core: blockhouse_core::Config { default_topic_queues: 1, ..Default::default() },
        store: blockhouse_store::Config {
            segment_size: 64 << 20,
            index_slots: 1_000,
            index_entries: 4_000,
            ..blockhouse_store::Config::default()
        },
        limits: blockhouse_transport::Limits::default(),
        quota: QuotaConfig::default(),
        registrar: blockhouse_registrar::Config::default(),
        properties: String::new(),
    }
}
