//! What comes of requests: against a collector in the same process, over gRPC and HTTP alike.

mod outages;

use std::convert::Infallible;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blockhouse_meter::spans::DropReason;
use blockhouse_meter::{LogCounts, Meter, MetricCounts};
use blockhouse_model::{ManualClock, Timestamp};
use flate2::read::GzDecoder;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use opentelemetry_proto::tonic::collector::logs::v1 as logs;
use opentelemetry_proto::tonic::collector::metrics::v1 as metrics;
use opentelemetry_proto::tonic::collector::trace::v1 as trace;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::{Exporter, Identity};

/// What it answers, in turn; the last one again and again.
#[derive(Clone, Copy)]
enum Answer {
    /// Takes all but so many.
    Rejects(i64),
    /// Is busy.
    Busy,
    /// Does not want it.
    Refuses,
}

/// What came in: the path, the headers, the body as it was before it was packed.
type Came = (String, HeaderMap, Bytes);

struct Collector {
    endpoint: String,
    came: tokio::sync::mpsc::Receiver<Came>,
    _tasks: JoinSet<()>,
}

impl Collector {
    async fn start(answers: &'static [Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (tell, came) = tokio::sync::mpsc::channel(64);
        let turn = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (tell, turn) = (tell.clone(), Arc::clone(&turn));
                let service = hyper::service::service_fn(move |request| {
                    let at = usize::try_from(turn.fetch_add(1, Ordering::SeqCst)).unwrap();
                    let answer = answers[at.min(answers.len() - 1)];
                    let tell = tell.clone();
                    async move {
                        let (answered, seen) = take(request, answer).await;
                        let _full = tell.try_send(seen);
                        Ok::<_, Infallible>(answered)
                    }
                });
                connections.spawn(async move {
                    let http = Builder::new(TokioExecutor::new());
                    let _ended = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { endpoint, came, _tasks: tasks }
    }
}

/// Over HTTP or gRPC.
fn says_packed(headers: &HeaderMap) -> bool {
    let named = headers.get(CONTENT_ENCODING).or_else(|| headers.get("grpc-encoding"));
    named.is_some_and(|how| how == "gzip")
}

async fn take(
    request: Request<Incoming>,
    answer: Answer,
) -> (Response<BoxBody<Bytes, Infallible>>, Came) {
    let (head, body) = request.into_parts();
    let mut body = body.collect().await.unwrap().to_bytes();
    let is_grpc = head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/grpc");
    if is_grpc {
        let is_packed = says_packed(&head.headers);
        assert_eq!(body[0], u8::from(is_packed), "each message says it as well");
        body = body.split_off(5);
    }
    if says_packed(&head.headers) {
        let mut plain = Vec::new();
        GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
        body = plain.into();
    }
    let path = head.uri.path().to_owned();
    let answered = match answer {
        Answer::Rejects(count) => Ok(partial(&path, count)),
        Answer::Busy => Err((14, StatusCode::SERVICE_UNAVAILABLE)),
        Answer::Refuses => Err((3, StatusCode::BAD_REQUEST)),
    };
    let answered = if is_grpc { grpc(answered) } else { plain(answered) };
    (answered, (path, head.headers, body))
}

/// The answer's message. All three have the same fields; it is written as each of them all the same.
fn partial(path: &str, count: i64) -> Vec<u8> {
    let error_message = "too many".to_owned();
    let path = path.to_ascii_lowercase();
    if path.contains("trace") {
        let partial = trace::ExportTracePartialSuccess { rejected_spans: count, error_message };
        trace::ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
    } else if path.contains("metrics") {
        let partial =
            metrics::ExportMetricsPartialSuccess { rejected_data_points: count, error_message };
        metrics::ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
    } else {
        let partial = logs::ExportLogsPartialSuccess { rejected_log_records: count, error_message };
        logs::ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
    }
}

fn grpc(answer: Result<Vec<u8>, (i32, StatusCode)>) -> Response<BoxBody<Bytes, Infallible>> {
    let status = answer.as_ref().err().map_or(0, |(code, _)| *code);
    let message = answer.unwrap_or_default();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let framed = [&[0], &length[..], &message].concat();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(status));
    let body = Full::new(Bytes::from(framed)).with_trailers(async { Some(Ok(trailers)) });
    let kind = HeaderValue::from_static("application/grpc");
    let mut response = Response::new(body.boxed());
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn plain(answer: Result<Vec<u8>, (i32, StatusCode)>) -> Response<BoxBody<Bytes, Infallible>> {
    let status = answer.as_ref().err().map_or(StatusCode::OK, |(_, status)| *status);
    let body = Full::new(Bytes::from(answer.unwrap_or_default()));
    let mut response = Response::new(body.boxed());
    *response.status_mut() = status;
    response
}

const BOTH: [Protocol; 2] = [Protocol::Grpc, Protocol::Http];

fn over(protocol: Protocol) -> Config {
    Config { protocol, ..Config::default() }
}

async fn send<S: Signal + Message>(to: &Requests, all: &S) -> Result<Taken, String> {
    to.send::<S>(all.encode_to_vec().into()).await
}

fn spans() -> trace::ExportTraceServiceRequest {
    let resource_spans = vec![opentelemetry_proto::tonic::trace::v1::ResourceSpans {
        schema_url: "s".repeat(1_000),
        ..Default::default()
    }];
    trace::ExportTraceServiceRequest { resource_spans }
}

#[tokio::test]
async fn what_is_rejected_is_told_for_each_kind_over_each_way() {
    let collector = Collector::start(&[Answer::Rejects(3)]).await;
    let three = Ok(Taken { rejected: 3, why: "too many".to_owned() });
    for protocol in BOTH {
        let to = Transport::new(&over(protocol), None).requests(&collector.endpoint).unwrap();
        assert_eq!(send(&to, &spans()).await, three);
        assert_eq!(send(&to, &metrics::ExportMetricsServiceRequest::default()).await, three);
        assert_eq!(send(&to, &logs::ExportLogsServiceRequest::default()).await, three);
    }
}

#[tokio::test]
async fn headers_of_the_moment_go_with_each_request_and_bodies_are_packed() {
    let mut collector = Collector::start(&[Answer::Rejects(0)]).await;
    let packings = [Packing::None, Packing::Gzip];
    for (protocol, packing) in BOTH.into_iter().flat_map(|way| packings.map(|how| (way, how))) {
        let asked = AtomicU64::new(0);
        let secrets: Secrets = Arc::new(move || {
            let turn = asked.fetch_add(1, Ordering::SeqCst);
            headers_of_text(&format!("authorization=Bearer {turn}")).unwrap()
        });
        let config = Config {
            headers: vec!["x-scope-orgid=blue".to_owned()],
            compression: packing,
            ..over(protocol)
        };
        let transport = Transport::new(&config, None).with_secrets(Some(secrets));
        let to = transport.requests(&collector.endpoint).unwrap();
        for turn in 0..2 {
            assert_eq!(
                send(&to, &spans()).await,
                Ok(Taken { rejected: 0, why: "too many".into() })
            );
            let (_, headers, body) = collector.came.recv().await.unwrap();
            assert_eq!(headers.get("authorization").unwrap(), &format!("Bearer {turn}"));
            assert_eq!(headers.get("x-scope-orgid").unwrap(), "blue");
            assert_eq!(says_packed(&headers), packing == Packing::Gzip, "{headers:?}");
            assert_eq!(trace::ExportTraceServiceRequest::decode(body).unwrap(), spans());
        }
    }
}

#[tokio::test]
async fn a_busy_collector_is_asked_again_and_one_that_refuses_is_not() {
    for protocol in BOTH {
        let mut collector = Collector::start(&[Answer::Busy, Answer::Rejects(0)]).await;
        let to = Transport::new(&over(protocol), None).requests(&collector.endpoint).unwrap();
        assert_eq!(send(&to, &spans()).await.unwrap().rejected, 0);
        for _ in 0..2 {
            let (_, _, body) = collector.came.recv().await.unwrap();
            assert_eq!(trace::ExportTraceServiceRequest::decode(body).unwrap(), spans());
        }
        let mut collector = Collector::start(&[Answer::Refuses]).await;
        let to = Transport::new(&over(protocol), None).requests(&collector.endpoint).unwrap();
        send(&to, &spans()).await.unwrap_err();
        assert!(collector.came.recv().await.is_some() && collector.came.try_recv().is_err());
        let collector = Collector::start(&[Answer::Busy]).await;
        let to = Transport::new(&over(protocol), None).requests(&collector.endpoint).unwrap();
        send(&to, &spans()).await.unwrap_err();
    }
}

fn event() -> crate::logs::LogEvent {
    crate::logs::LogEvent {
        at_ms: 1,
        level: tracing::Level::INFO,
        target: "blockhouse",
        text: "something".to_owned(),
        fields: Vec::new(),
    }
}

fn identity() -> Identity {
    Identity {
        cluster: "c".to_owned(),
        node_type: "broker".to_owned(),
        node_id: "broker-a".to_owned(),
        version: "1.2.3".to_owned(),
    }
}

/// Runs until `is_done` says so.
async fn run_until(running: impl Future<Output = ()>, is_done: impl Fn() -> bool) {
    let done = async {
        while !is_done() {
            tokio::task::yield_now().await;
        }
    };
    let either = async {
        tokio::select! {
            () = running => {}
            () = done => {}
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), either).await.is_ok());
}

#[tokio::test]
async fn metrics_and_events_that_are_rejected_are_counted_as_such() {
    let collector = Collector::start(&[Answer::Rejects(2)]).await;
    let clock = Arc::new(ManualClock::at(Timestamp(1_700_000_000_000)));
    for protocol in BOTH {
        let transport = Transport::new(&over(protocol), None);
        let meter = Arc::new(Meter::default());
        let counts: Arc<MetricCounts> = Arc::default();
        meter.watch_metric_exports(&counts);
        let exporter = Exporter::new(identity(), Arc::clone(&meter), clock.clone()).unwrap();
        let exporter = Arc::new(exporter);
        let parts = crate::metrics::Parts {
            identity: identity(),
            exporter: Arc::clone(&exporter),
            counts,
            clock: clock.clone(),
        };
        let config =
            crate::metrics::Config { endpoint: collector.endpoint.clone(), interval_ms: 100 };
        let sending = crate::metrics::MetricExporter::new(&config, &transport, parts).unwrap();
        let counted = || {
            let mut found = Vec::new();
            meter.read(&mut |sample| {
                if sample.metric.name == "blockhouse_metric_exports_total" && sample.value > 0.0 {
                    found.push(sample.labels.concat());
                }
            });
            found
        };
        run_until(sending.run(std::future::pending()), || !counted().is_empty()).await;
        assert_eq!(counted(), ["rejected"]);

        let (queue, events) = crate::logs::LogQueue::new(8);
        let counts: Arc<LogCounts> = Arc::clone(queue.counts());
        for _ in 0..3 {
            queue.push(event());
        }
        let parts = crate::logs::Parts {
            identity: identity(),
            events,
            counts: Arc::clone(&counts),
            clock: clock.clone(),
        };
        let config = crate::logs::Config {
            endpoint: collector.endpoint.clone(),
            ..crate::logs::Config::default()
        };
        let sending = crate::logs::LogExporter::new(&config, &transport, parts).unwrap();
        let rejected = || counts.lost(DropReason::Rejected);
        run_until(sending.run(std::future::pending()), || rejected() > 0).await;
        assert_eq!((rejected(), counts.lost(DropReason::Failed), counts.taken()), (2, 0, 1));
    }
}
