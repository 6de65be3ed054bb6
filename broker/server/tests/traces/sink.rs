//! A collector: takes spans over OTLP, as the real one does, and hands them to the test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use blockhouse_service::Tasks;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Only a test that is going to fail waits this long.
const PATIENCE: Duration = Duration::from_secs(30);

struct Taker {
    taken: Sender<ExportTraceServiceRequest>,
    refuses: Arc<AtomicBool>,
    rejects: Arc<AtomicI64>,
}

#[tonic::async_trait]
impl TraceService for Taker {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(tonic::Status::invalid_argument("not now"));
        }
        let _gone = self.taken.send(request.into_inner()).await;
        let partial_success = Some(ExportTracePartialSuccess {
            rejected_spans: self.rejects.load(Ordering::SeqCst),
            error_message: "too many".to_owned(),
        });
        Ok(tonic::Response::new(ExportTraceServiceResponse { partial_success }))
    }
}

/// What it took, as far as the test has not looked yet.
pub(crate) struct Sink {
    pub(crate) addr: SocketAddr,
    requests: Receiver<ExportTraceServiceRequest>,
    spans: Vec<Span>,
    /// Whether it takes nothing.
    pub(crate) refuses: Arc<AtomicBool>,
    /// How many of each request it does not take.
    pub(crate) rejects: Arc<AtomicI64>,
    _tasks: Tasks,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (taken, requests) = channel(1_024);
        let tasks = Tasks::new("sink");
        let connections = tasks.clone();
        let refuses = Arc::new(AtomicBool::new(false));
        let rejects = Arc::new(AtomicI64::new(0));
        let taker = Taker { taken, refuses: Arc::clone(&refuses), rejects: Arc::clone(&rejects) };
        let service = TraceServiceServer::new(taker);
        tasks.spawn("listener", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(service.clone());
                connections.spawn("connection", async move {
                    let http = Builder::new(TokioExecutor::new()).http2_only();
                    http.serve_connection(TokioIo::new(stream), service).await
                });
            }
        });
        Self { addr, requests, spans: Vec::new(), refuses, rejects, _tasks: tasks }
    }

    /// Waits until spans of all these names are there; takes them, in this order.
    pub(crate) async fn take<const N: usize>(&mut self, names: [&str; N]) -> [Span; N] {
        let all = async {
            let mut taken = Vec::new();
            for name in names {
                taken.push(self.next(|span| span.name == name).await);
            }
            taken
        };
        let taken = tokio::time::timeout(PATIENCE, all).await;
        let there: Vec<&str> = self.spans.iter().map(|span| span.name.as_str()).collect();
        assert!(taken.is_ok(), "not all of {names:?} came, but {there:?}");
        taken.unwrap().try_into().unwrap()
    }

    async fn next(&mut self, is_it: impl Fn(&Span) -> bool) -> Span {
        loop {
            if let Some(at) = self.spans.iter().position(&is_it) {
                return self.spans.remove(at);
            }
            self.more().await;
        }
    }

    async fn more(&mut self) {
        let request = self.requests.recv().await.unwrap();
        for of_resource in request.resource_spans {
            let resource = of_resource.resource.unwrap_or_default().attributes;
            let named = resource.iter().any(|a| a.key == "service.name");
            assert!(named, "{resource:?}");
            self.spans.extend(of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }

    /// Those that were not taken.
    pub(crate) fn left(&mut self) -> &[Span] {
        while let Ok(request) = self.requests.try_recv() {
            let spans = request.resource_spans.into_iter().flat_map(|r| r.scope_spans);
            self.spans.extend(spans.flat_map(|scope| scope.spans));
        }
        &self.spans
    }
}

/// An attribute as text.
pub(crate) fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|a| a.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}
