use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue as Pair};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Link;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::*;

const OWN: TraceParent = TraceParent { trace_id: 7 << 100 | 1, span_id: 9 << 50, sampled: true };
const OTHER: TraceParent = TraceParent { trace_id: 3, span_id: 4, sampled: true };

fn pair(key: &str, value: Value) -> Pair {
    let value = Some(AnyValue { value: Some(value) });
    Pair { key: key.to_owned(), value, ..Pair::default() }
}

fn text(key: &str, value: &str) -> Pair {
    pair(key, Value::StringValue(value.to_owned()))
}

fn ids(of: TraceParent) -> (Vec<u8>, Vec<u8>) {
    (of.trace_id.to_be_bytes().into(), of.span_id.to_be_bytes().into())
}

fn link(to: TraceParent) -> Link {
    let (trace_id, span_id) = ids(to);
    Link { trace_id, span_id, flags: 0x301, ..Link::default() }
}

fn plain(own: TraceParent, name: &str, times: (u64, u64)) -> Span {
    let (trace_id, span_id) = ids(own);
    Span {
        trace_id,
        span_id,
        name: name.to_owned(),
        kind: SpanKind::Internal as i32,
        start_time_unix_nano: times.0,
        end_time_unix_nano: times.1,
        flags: 0x101,
        status: Some(Status::default()),
        ..Span::default()
    }
}

fn error(message: &str) -> Option<Status> {
    Some(Status { message: message.to_owned(), code: 2 })
}

fn scope(name: &str, spans: Vec<Span>) -> ScopeSpans {
    let scope = InstrumentationScope {
        name: name.to_owned(),
        version: "1.2.3".to_owned(),
        ..InstrumentationScope::default()
    };
    ScopeSpans { scope: Some(scope), spans, schema_url: SCHEMA.to_owned() }
}

#[test]
fn a_request_is_what_opentelemetry_would_write() {
    let long = "x".repeat(300);
    let mut batch = Batch::default();
    let head = Head {
        parent: 5,
        is_parent_remote: true,
        about: "orders ",
        kind: SpanKind::Server,
        links: &[OTHER, OWN],
        links_dropped: 300,
        error: Some("SYSTEM_BUSY"),
        ..Head::new(OWN, "send", (1_700_000_000_000_000_001, 1_700_000_000_000_000_900))
    };
    batch.push(Scope::Broker, &head, |to| {
        to.text("a", &long);
        to.number("b", -1);
        to.number("c", 0);
        to.text(&long, "");
    });
    batch.push(Scope::Broker, &Head::new(OTHER, "append", (3, 4)), |_| {});
    let failed = Head { error: Some(""), ..Head::new(OWN, "recall", (1, 2)) };
    batch.push(Scope::TraceTopic, &failed, |_| {});
    assert_eq!(batch.count(), 3);

    let whole = Span {
        parent_span_id: 5_u64.to_be_bytes().into(),
        kind: SpanKind::Server as i32,
        attributes: vec![
            text("a", &long),
            pair("b", Value::IntValue(-1)),
            pair("c", Value::IntValue(0)),
            text(&long, ""),
        ],
        links: vec![link(OTHER), link(OWN)],
        dropped_links_count: 300,
        status: error("SYSTEM_BUSY"),
        flags: 0x301,
        ..plain(OWN, "send orders", head.times)
    };
    let recall = Span { status: error(""), ..plain(OWN, "recall", (1, 2)) };
    let attributes = vec![text("service.name", "blockhouse")];
    let of_all = ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![
            scope("blockhouse.broker", vec![whole, plain(OTHER, "append", (3, 4))]),
            scope("blockhouse.trace-topic", vec![recall]),
        ],
        ..ResourceSpans::default()
    };
    let wanted = ExportTraceServiceRequest { resource_spans: vec![of_all] };
    let resource = opentelemetry_sdk::Resource::builder_empty()
        .with_attributes([KeyValue::new("service.name", "blockhouse")])
        .build();
    let request = batch.request(&Sender::new(&resource, "1.2.3"));
    assert_eq!(ExportTraceServiceRequest::decode(request.clone()).unwrap(), wanted);
    assert_eq!(request.len(), wanted.encoded_len(), "in as few bytes as theirs");
}
