//! Ten minutes with a collector that is down, hangs, is slow, is busy or refuses, in time that only the tests move: what
//! waits is bounded, what is lost is counted to the last one, and all arrives again when the collector does.
//!
//! Connections are in memory. The kernel's would need real time, which is not waited for here.

use std::io;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll};

use blockhouse_meter::Spans;
use blockhouse_meter::spans::{Operation, Reason, Record, Rules, StageRecord};
use blockhouse_model::Clock;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::*;
use crate::otlp::dial::Io;

const OUTAGE: Duration = Duration::from_mins(10);
/// What comes at a time, and how often: more than there is room for, each time.
const BURST: usize = 20;
const EVERY: Duration = Duration::from_secs(1);
const QUEUE: usize = 16;
/// Two answers that come so late are in time for a stop.
const LATE: Duration = Duration::from_millis(30);

/// The tests' own time goes on by so much: it stands still while anything can run, so that nothing is raced.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Waits until it holds: whoever only yields keeps that time from going on.
async fn until(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never holds");
        pass(Duration::from_millis(10)).await;
    }
}

/// The runtime's time.
#[derive(Debug)]
struct RuntimeClock(Instant);

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000).plus(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// How it goes with the collector.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Working,
    /// Nobody is there.
    Down,
    /// It takes connections, and never reads a byte.
    Silent,
    /// It reads requests, and never answers.
    Hanging,
    /// It answers when nobody waits any more.
    Slow,
    /// It takes its time.
    Late,
    Busy,
    Refusing,
}

const FAILING: [State; 6] =
    [State::Down, State::Silent, State::Hanging, State::Slow, State::Busy, State::Refusing];

/// A collector in memory.
struct Far {
    state: watch::Sender<State>,
    /// Requests that came.
    asked: AtomicU64,
    /// Spans or events that it took.
    taken: AtomicU64,
    /// Connections that the client keeps.
    open: AtomicUsize,
    most_open: AtomicUsize,
    connections: parking_lot::Mutex<JoinSet<()>>,
}

impl Far {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            state: watch::Sender::new(State::Working),
            asked: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            most_open: AtomicUsize::new(0),
            connections: parking_lot::Mutex::default(),
        })
    }

    fn becomes(&self, state: State) {
        self.state.send_replace(state);
    }

    fn connect(self: &Arc<Self>) -> io::Result<Box<dyn Io>> {
        if *self.state.borrow() == State::Down {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (near, far) = tokio::io::duplex(64 << 10);
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_open.fetch_max(open, Ordering::SeqCst);
        self.connections.lock().spawn(Arc::clone(self).hold(far));
        Ok(Box::new(Near(near, Arc::clone(self))))
    }

    /// Serves a connection until its client leaves, or the collector goes from bad to worse.
    async fn hold(self: Arc<Self>, stream: DuplexStream) {
        let mut states = self.state.subscribe();
        let state = *states.borrow_and_update();
        let breaks = async {
            // Whoever is silent or gone comes back with connections of its own.
            let is_broken = |now: &State| {
                *now == State::Down || (state == State::Silent) != (*now == State::Silent)
            };
            let _far_is_there = states.wait_for(is_broken).await;
        };
        let serve = async {
            if state == State::Silent {
                let _kept = stream;
                return std::future::pending().await;
            }
            let service = hyper::service::service_fn(|request| Arc::clone(&self).answer(request));
            let http = Builder::new(TokioExecutor::new());
            let _ended = http.serve_connection(TokioIo::new(stream), service).await;
        };
        tokio::select! {
            () = breaks => {}
            () = serve => {}
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let state = *self.state.borrow();
        let answer = match state {
            State::Hanging => std::future::pending().await,
            State::Busy => Answer::Busy,
            State::Refusing => Answer::Refuses,
            State::Slow => {
                pass(Duration::from_mins(1)).await;
                Answer::Rejects(0)
            }
            State::Late => {
                pass(LATE).await;
                Answer::Rejects(0)
            }
            _ => Answer::Rejects(0),
        };
        let (answered, (path, _, body)) = take(request, answer).await;
        if matches!(answer, Answer::Rejects(_)) {
            self.taken.fetch_add(held(&path, body), Ordering::SeqCst);
        }
        Ok(answered)
    }

    fn transport(self: &Arc<Self>, protocol: Protocol) -> Transport {
        let far = Arc::clone(self);
        Transport::new(&over(protocol), None).in_memory(Arc::new(move || far.connect()))
    }
}

/// The client's end of a connection, which tells the collector when the client is done with it.
struct Near(DuplexStream, Arc<Far>);

impl Drop for Near {
    fn drop(&mut self) {
        self.1.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl AsyncRead for Near {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Near {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// How many spans or events are in a request.
fn held(path: &str, body: Bytes) -> u64 {
    let count = if path.to_ascii_lowercase().contains("trace") {
        let request = trace::ExportTraceServiceRequest::decode(body).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|of| of.scope_spans);
        scopes.map(|scope| scope.spans.len()).sum::<usize>()
    } else if path.contains("logs") {
        let request = logs::ExportLogsServiceRequest::decode(body).unwrap();
        let scopes = request.resource_logs.into_iter().flat_map(|of| of.scope_logs);
        scopes.map(|scope| scope.log_records.len()).sum()
    } else {
        0
    };
    count as u64
}

/// What became of all that came.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Fate {
    exported: u64,
    queue: u64,
    failed: u64,
}

impl Fate {
    const fn all(self) -> u64 {
        self.exported + self.queue + self.failed
    }
}

/// An exporter that runs.
struct Exporting {
    /// One more.
    push: Box<dyn Fn()>,
    fate: Box<dyn Fn() -> Fate>,
    stop: oneshot::Sender<()>,
    runs: JoinSet<()>,
}

fn exporting_spans(transport: &Transport) -> Exporting {
    let (spans, records) = Spans::new(Rules { head: 0.0, slow: None, errors: false }, QUEUE);
    let spans = Arc::new(spans);
    let parts = crate::traces::Parts {
        identity: identity(),
        spans: Arc::clone(&spans),
        records,
        bridged: None,
        clock: Arc::new(RuntimeClock(Instant::now())),
        code_name: |_| "",
        enrich: None,
    };
    let config = crate::traces::Config { endpoint: ENDPOINT.to_owned(), ..Default::default() };
    let exporter = crate::traces::TraceExporter::new(&config, transport, parts).unwrap();
    let (stop, stopped) = oneshot::channel();
    let mut runs = JoinSet::new();
    runs.spawn(exporter.run(async { drop(stopped.await) }));
    let counts = Arc::clone(&spans);
    let fate = move || Fate {
        exported: counts.counts.exported.read(),
        queue: counts.counts.dropped.read(DropReason::Queue),
        failed: counts.counts.dropped.read(DropReason::Failed),
    };
    let push = move || {
        let (picked, topic) = (spans.picked(None, Reason::Head), spans.name("orders"));
        let peer = ([127, 0, 0, 1], 9).into();
        let record = StageRecord::new(picked, Operation::Send, Duration::ZERO, peer, topic);
        spans.push(Record::Stages(record));
    };
    Exporting { push: Box::new(push), fate: Box::new(fate), stop, runs }
}

fn exporting_events(transport: &Transport) -> Exporting {
    let (queue, events) = crate::logs::LogQueue::new(QUEUE);
    let counts: Arc<LogCounts> = Arc::clone(queue.counts());
    let parts = crate::logs::Parts {
        identity: identity(),
        events,
        counts: Arc::clone(&counts),
        clock: Arc::new(RuntimeClock(Instant::now())),
    };
    let config = crate::logs::Config { endpoint: ENDPOINT.to_owned(), ..Default::default() };
    let exporter = crate::logs::LogExporter::new(&config, transport, parts).unwrap();
    let (stop, stopped) = oneshot::channel();
    let mut runs = JoinSet::new();
    runs.spawn(exporter.run(async { drop(stopped.await) }));
    let fate = move || Fate {
        exported: counts.taken(),
        queue: counts.lost(DropReason::Queue),
        failed: counts.lost(DropReason::Failed),
    };
    let push = move || {
        queue.push(event());
    };
    Exporting { push: Box::new(push), fate: Box::new(fate), stop, runs }
}

/// Nobody looks it up.
const ENDPOINT: &str = "http://127.0.0.1:4317";

/// A collector works, fails for ten minutes, and works again.
async fn outage(state: State, protocol: Protocol, export: fn(&Transport) -> Exporting) {
    let far = Far::new();
    let Exporting { push, fate, stop, mut runs } = export(&far.transport(protocol));
    let few = 10;
    (0..few).for_each(|_| push());
    until(|| fate().all() == few).await;
    let usual = Fate { exported: few, ..Fate::default() };
    assert_eq!(fate(), usual, "{state:?} {protocol:?}: before");

    far.becomes(state);
    let (mut pushed, mut most_waiting, began) = (few, 0, Instant::now());
    while began.elapsed() < OUTAGE {
        (0..BURST).for_each(|_| push());
        pushed += BURST as u64;
        // In the queue, or in the request that is under way.
        most_waiting = most_waiting.max(pushed - fate().all());
        pass(EVERY).await;
    }
    let lost = fate();
    assert!(most_waiting <= 2 * QUEUE as u64, "{state:?} {protocol:?}: {most_waiting} wait");
    assert!(lost.failed > 0 && lost.queue > 0, "{state:?} {protocol:?}: {lost:?}");
    assert_eq!(
        (lost.exported, far.taken.load(Ordering::SeqCst)),
        (few, few),
        "{state:?}: it failed"
    );
    let most_open = far.most_open.load(Ordering::SeqCst);
    assert!(most_open <= 2, "{state:?} {protocol:?}: {most_open} connections at a time");

    far.becomes(State::Working);
    until(|| fate().all() >= pushed).await;
    let over = fate();
    assert_eq!(over.all(), pushed, "{state:?} {protocol:?}: each is counted, and once: {over:?}");
    assert_eq!(over.queue, lost.queue);
    (0..few).for_each(|_| push());
    until(|| fate().all() >= pushed + few).await;
    let after = Fate { exported: over.exported + few, ..over };
    assert_eq!(fate(), after, "{state:?} {protocol:?}: it works again");
    let taken = far.taken.load(Ordering::SeqCst);
    assert_eq!(taken, after.exported, "{state:?} {protocol:?}: what it took is what is counted");
    stop.send(()).unwrap();
    runs.join_next().await.unwrap().unwrap();
    assert_eq!(fate(), after, "{state:?} {protocol:?}: the last word");
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_without_a_collector_cost_spans_that_are_counted_and_no_more() {
    for state in FAILING {
        for protocol in BOTH {
            outage(state, protocol, exporting_spans).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_without_a_collector_cost_events_that_are_counted_and_no_more() {
    for state in FAILING {
        for protocol in BOTH {
            outage(state, protocol, exporting_events).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_without_a_collector_cost_metrics_that_the_next_request_makes_good() {
    for state in FAILING {
        for protocol in BOTH {
            metrics_outage(state, protocol).await;
        }
    }
}

async fn metrics_outage(state: State, protocol: Protocol) {
    let far = Far::new();
    let clock: Arc<dyn Clock> = Arc::new(RuntimeClock(Instant::now()));
    let meter: Arc<Meter> = Arc::default();
    let counts: Arc<MetricCounts> = Arc::default();
    meter.watch_metric_exports(&counts);
    let exporter = Exporter::new(identity(), Arc::clone(&meter), Arc::clone(&clock)).unwrap();
    let parts =
        crate::metrics::Parts { identity: identity(), exporter: Arc::new(exporter), counts, clock };
    let config = crate::metrics::Config { endpoint: ENDPOINT.to_owned(), interval_ms: 10_000 };
    let transport = far.transport(protocol);
    let sending = crate::metrics::MetricExporter::new(&config, &transport, parts).unwrap();
    let (stop, stopped) = oneshot::channel();
    let mut runs = JoinSet::new();
    runs.spawn(sending.run(async { drop(stopped.await) }));
    let outcomes = || {
        let mut found = [0.0; 2];
        meter.read(&mut |sample| {
            if sample.metric.name == "blockhouse_metric_exports_total" {
                match sample.labels {
                    ["ok"] => found[0] = sample.value,
                    ["failed"] => found[1] = sample.value,
                    _ => assert_eq!(sample.value, 0.0),
                }
            }
        });
        found
    };
    // Between two turns.
    pass(Duration::from_secs(5)).await;
    far.becomes(state);
    pass(OUTAGE).await;
    // The one of the last turn may be under way.
    let [ok, failed] = outcomes();
    assert!(ok == 0.0 && (59.0..=60.0).contains(&failed), "{state:?} {protocol:?}: {ok} {failed}");
    far.becomes(State::Working);
    pass(Duration::from_secs(100)).await;
    let [again, lost] = outcomes();
    assert!(again + lost >= 69.0 && again >= 9.0 && lost <= 60.0, "{state:?}: {again} {lost}");
    let most_open = far.most_open.load(Ordering::SeqCst);
    assert!(most_open <= 2, "{state:?} {protocol:?}: {most_open} connections at a time");
    stop.send(()).unwrap();
    runs.join_next().await.unwrap().unwrap();
}

/// A stop comes while a request waits for its answer, and more has come since.
async fn stopped_under_way(state: State, protocol: Protocol, export: fn(&Transport) -> Exporting) {
    let far = Far::new();
    far.becomes(state);
    let Exporting { push, fate, stop, mut runs } = export(&far.transport(protocol));
    // The first look is over.
    pass(Duration::from_millis(10)).await;
    (0..10).for_each(|_| push());
    until(|| far.asked.load(Ordering::SeqCst) == 1).await;
    (0..5).for_each(|_| push());
    let began = Instant::now();
    stop.send(()).unwrap();
    runs.join_next().await.unwrap().unwrap();
    assert!(began.elapsed() <= 2 * LAST_PATIENCE, "{state:?} {protocol:?}: {:?}", began.elapsed());
    let over = match state {
        State::Late => Fate { exported: 15, ..Fate::default() },
        _ => Fate { failed: 15, ..Fate::default() },
    };
    assert_eq!(fate(), over, "{state:?} {protocol:?}");
    assert_eq!(far.taken.load(Ordering::SeqCst), over.exported, "{state:?} {protocol:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_at_a_stop_arrives_or_is_counted() {
    for state in [State::Late, State::Hanging] {
        for protocol in BOTH {
            stopped_under_way(state, protocol, exporting_events).await;
        }
    }
}
