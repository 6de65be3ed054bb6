//! Spans of one request, written as it carries them. What a span is, is told once and kept nowhere: structures for
//! spans, and others for their encoding, cost a dozen times what they say.

use blockhouse_model::TraceParent;
use hyper::body::Bytes;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message as _;

use super::wire::{Wire, bytes_len, varint_len};

/// The version of the conventions that names follow.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.44.0";

/// Fields of the messages, by their numbers in `opentelemetry/proto/trace/v1/trace.proto` and its sisters.
mod field {
    pub(super) mod request {
        pub(crate) const RESOURCE_SPANS: u32 = 1;
    }
    pub(super) mod resource_spans {
        pub(crate) const RESOURCE: u32 = 1;
        pub(crate) const SCOPE_SPANS: u32 = 2;
    }
    pub(super) mod scope_spans {
        pub(crate) const SCOPE: u32 = 1;
        pub(crate) const SPANS: u32 = 2;
        pub(crate) const SCHEMA_URL: u32 = 3;
    }
    pub(super) mod span {
        pub(crate) const TRACE_ID: u32 = 1;
        pub(crate) const SPAN_ID: u32 = 2;
        pub(crate) const PARENT_SPAN_ID: u32 = 4;
        pub(crate) const NAME: u32 = 5;
        pub(crate) const KIND: u32 = 6;
        pub(crate) const START: u32 = 7;
        pub(crate) const END: u32 = 8;
        pub(crate) const ATTRIBUTES: u32 = 9;
        pub(crate) const LINKS: u32 = 13;
        pub(crate) const DROPPED_LINKS: u32 = 14;
        pub(crate) const STATUS: u32 = 15;
        pub(crate) const FLAGS: u32 = 16;
    }
    pub(super) mod link {
        pub(crate) const TRACE_ID: u32 = 1;
        pub(crate) const SPAN_ID: u32 = 2;
        pub(crate) const FLAGS: u32 = 6;
    }
    pub(super) mod status {
        pub(crate) const MESSAGE: u32 = 2;
        pub(crate) const CODE: u32 = 3;
    }
    pub(super) mod key_value {
        pub(crate) const KEY: u32 = 1;
        pub(crate) const VALUE: u32 = 2;
    }
    pub(super) mod any_value {
        pub(crate) const TEXT: u32 = 1;
        pub(crate) const NUMBER: u32 = 3;
    }
}

/// Flags of what is recorded, and says whether its parent is another process's.
const SAMPLED: u32 = 0x101;
const IS_REMOTE: u32 = 0x200;
/// Two ids and flags, each with what is before it.
const LINK_LEN: usize = 18 + 10 + 5;

/// Whose spans they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The broker's.
    Broker,
    /// The name server's.
    NameServer,
    /// What clients tell in RocketMQ's own trace topic.
    TraceTopic,
}

const SCOPES: [&str; 3] = ["blockhouse.broker", "blockhouse.namesrv", "blockhouse.trace-topic"];

/// A span, but for its attributes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    /// What it is.
    pub(crate) own: TraceParent,
    /// The span that it is a child of; 0 without one.
    pub(crate) parent: u64,
    /// Whether that is another process's.
    pub(crate) is_parent_remote: bool,
    /// What was done.
    pub(crate) name: &'a str,
    /// What it was about, if anything: the rest of its name.
    pub(crate) about: &'a str,
    pub(crate) kind: SpanKind,
    /// When it began and ended, in nanoseconds since 1970-01-01 UTC.
    pub(crate) times: (u64, u64),
    /// Other spans.
    pub(crate) links: &'a [TraceParent],
    /// How many more there are.
    pub(crate) links_dropped: u32,
    /// Why it is an error, if it is one.
    pub(crate) error: Option<&'a str>,
}

impl<'a> Head<'a> {
    /// Of a span of which nothing is known but what it is, and when.
    pub(crate) const fn new(own: TraceParent, name: &'a str, times: (u64, u64)) -> Self {
        Self {
            own,
            parent: 0,
            is_parent_remote: false,
            name,
            about: "",
            kind: SpanKind::Internal,
            times,
            links: &[],
            links_dropped: 0,
            error: None,
        }
    }
}

/// Who is told attributes.
pub(crate) trait Attributes {
    /// One that is text.
    fn text(&mut self, key: &str, value: &str);
    /// One that is a number.
    fn number(&mut self, key: &str, value: i64);
}

/// As text, for those who do not write them.
impl Attributes for Vec<(String, String)> {
    fn text(&mut self, key: &str, value: &str) {
        self.push((key.to_owned(), value.to_owned()));
    }

    fn number(&mut self, key: &str, value: i64) {
        self.push((key.to_owned(), value.to_string()));
    }
}

/// Writes them into their span.
pub(crate) struct Written<'a>(&'a mut Vec<u8>);

impl Written<'_> {
    /// The key, and that so much follows for the value.
    fn begin(&mut self, key: &str, value_len: usize) {
        let len = bytes_len(key.len()) + bytes_len(value_len);
        self.0.begin(field::span::ATTRIBUTES, len);
        self.0.bytes(field::key_value::KEY, key.as_bytes());
        self.0.begin(field::key_value::VALUE, value_len);
    }
}

impl Attributes for Written<'_> {
    fn text(&mut self, key: &str, value: &str) {
        self.begin(key, bytes_len(value.len()));
        self.0.bytes(field::any_value::TEXT, value.as_bytes());
    }

    fn number(&mut self, key: &str, value: i64) {
        let value = value.cast_unsigned();
        self.begin(key, 1 + varint_len(value));
        self.0.number(field::any_value::NUMBER, value);
    }
}

/// Spans that leave together.
#[derive(Default)]
pub(crate) struct Batch {
    /// Those of each scope, with their lengths.
    scopes: [Vec<u8>; SCOPES.len()],
    count: u64,
    /// The one that is being written: its length is known when it is through.
    span: Vec<u8>,
}

impl Batch {
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// How many bytes they take.
    pub(crate) fn size(&self) -> usize {
        self.scopes.iter().map(Vec::len).sum()
    }

    /// One more, whose attributes are told to what `tell` is given.
    pub(crate) fn push(&mut self, of: Scope, head: &Head<'_>, tell: impl FnOnce(&mut Written<'_>)) {
        let Self { scopes, count, span } = self;
        span.clear();
        begin_span(span, head);
        tell(&mut Written(span));
        end_span(span, head);
        let [broker, name_server, trace_topic] = scopes;
        let to = match of {
            Scope::Broker => broker,
            Scope::NameServer => name_server,
            Scope::TraceTopic => trace_topic,
        };
        to.bytes(field::scope_spans::SPANS, span);
        *count += 1;
    }

    /// The request that has them all.
    pub(crate) fn request(&self, sender: &Sender) -> Bytes {
        let filled =
            || self.scopes.iter().zip(&sender.scopes).filter(|(spans, _)| !spans.is_empty());
        let inner = |(spans, (head, tail)): (&Vec<u8>, &(Vec<u8>, Vec<u8>))| {
            head.len() + spans.len() + tail.len()
        };
        // Fields below 16 throughout.
        let all = sender.resource.len() + filled().map(|all| bytes_len(inner(all))).sum::<usize>();
        let mut to = Vec::with_capacity(bytes_len(all));
        to.begin(field::request::RESOURCE_SPANS, all);
        to.extend_from_slice(&sender.resource);
        for (spans, ends) in filled() {
            to.begin(field::resource_spans::SCOPE_SPANS, inner((spans, ends)));
            to.extend_from_slice(&ends.0);
            to.extend_from_slice(spans);
            to.extend_from_slice(&ends.1);
        }
        to.into()
    }

    /// As others read them: those of a scope, in order.
    #[cfg(test)]
    pub(crate) fn read(&self) -> Vec<opentelemetry_proto::tonic::trace::v1::Span> {
        use opentelemetry_proto::tonic::trace::v1::ScopeSpans;
        let all = self.scopes.iter().map(|scope| ScopeSpans::decode(&scope[..]).unwrap());
        all.flat_map(|scope| scope.spans).collect()
    }
}

fn begin_span(to: &mut Vec<u8>, head: &Head<'_>) {
    to.bytes(field::span::TRACE_ID, &head.own.trace_id.to_be_bytes());
    to.bytes(field::span::SPAN_ID, &head.own.span_id.to_be_bytes());
    if head.parent != 0 {
        to.bytes(field::span::PARENT_SPAN_ID, &head.parent.to_be_bytes());
    }
    let about = head.about.trim_end();
    if about.is_empty() {
        to.bytes(field::span::NAME, head.name.as_bytes());
    } else {
        to.begin(field::span::NAME, head.name.len() + 1 + about.len());
        for part in [head.name, " ", about] {
            to.extend_from_slice(part.as_bytes());
        }
    }
    to.number(field::span::KIND, u64::from((head.kind as i32).unsigned_abs()));
    to.fixed64(field::span::START, head.times.0);
    to.fixed64(field::span::END, head.times.1);
    let remote = if head.is_parent_remote { IS_REMOTE } else { 0 };
    to.fixed32(field::span::FLAGS, SAMPLED | remote);
}

fn end_span(to: &mut Vec<u8>, head: &Head<'_>) {
    for link in head.links {
        to.begin(field::span::LINKS, LINK_LEN);
        to.bytes(field::link::TRACE_ID, &link.trace_id.to_be_bytes());
        to.bytes(field::link::SPAN_ID, &link.span_id.to_be_bytes());
        to.fixed32(field::link::FLAGS, SAMPLED | IS_REMOTE);
    }
    if head.links_dropped > 0 {
        to.number(field::span::DROPPED_LINKS, head.links_dropped.into());
    }
    let Some(message) = head.error else {
        to.begin(field::span::STATUS, 0);
        return;
    };
    let message_len = if message.is_empty() { 0 } else { bytes_len(message.len()) };
    to.begin(field::span::STATUS, message_len + 2);
    if !message.is_empty() {
        to.bytes(field::status::MESSAGE, message.as_bytes());
    }
    to.number(field::status::CODE, u64::from((StatusCode::Error as i32).unsigned_abs()));
}

/// Who sends spans: what is said of him once a request.
pub(crate) struct Sender {
    resource: Vec<u8>,
    /// What is before and behind the spans of each scope.
    scopes: [(Vec<u8>, Vec<u8>); SCOPES.len()],
}

impl Sender {
    pub(crate) fn new(resource: &opentelemetry_sdk::Resource, version: &str) -> Self {
        let mut encoded = Vec::new();
        let resource = opentelemetry_proto::tonic::resource::v1::Resource::from(resource);
        encoded.bytes(field::resource_spans::RESOURCE, &resource.encode_to_vec());
        let scopes = SCOPES.map(|name| {
            let (mut head, mut tail) = (Vec::new(), Vec::new());
            let (name, version) = (name.to_owned(), version.to_owned());
            let scope = InstrumentationScope { name, version, ..InstrumentationScope::default() };
            head.bytes(field::scope_spans::SCOPE, &scope.encode_to_vec());
            tail.bytes(field::scope_spans::SCHEMA_URL, SCHEMA.as_bytes());
            (head, tail)
        });
        Self { resource: encoded, scopes }
    }
}

#[cfg(test)]
mod tests;
