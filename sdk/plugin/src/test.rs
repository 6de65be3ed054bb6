//! For tests of plugins, without WASM: a double of the host, and batches by hand.
//!
//! ```
//! use blockhouse_plugin::{Plugin as _, log, test};
//! # use blockhouse_plugin::*;
//! # struct Quiet;
//! # impl Plugin for Quiet {
//! #     type Config = NoConfig;
//! #     fn init(_: &Node, _: NoConfig) -> Result<Self, String> { log::info("ready"); Ok(Self) }
//! # }
//! # impl BeforeSend for Quiet {
//! #     fn before_send(&mut self, _: &Context, drafts: &Drafts<'_>, changes: &mut Changes) {
//! #         for draft in drafts.iter().filter(|d| d.tag() == Some("noise")) { changes.drop_message(draft.index()); }
//! #     }
//! # }
//! let host = test::Host::new();
//! let mut plugin: Quiet = test::init(r#"{}"#).unwrap();
//! let batch = test::Batch::of("orders").message(&[("TAGS", "noise")], b"hello");
//! let changes = batch.send(&mut plugin, &test::context());
//! assert_eq!(changes.len(), 1);
//! assert_eq!(host.lines(), ["ready"]);
//! ```

use std::net::SocketAddr;

use crate::bindings::imports::blockhouse::plugin as contract;
use crate::bindings::{after_append, authenticate, before_deliver, before_send};
pub use crate::double::Published;
use crate::double::{self, with};
use crate::message::Lender;
use crate::raw::{Addition, Answer, Change};
use crate::{
    AfterAppend, Appended, Authenticate, BeforeDeliver, BeforeSend, BodyMode, Changes, Context,
    Credentials, Deliveries, Delivery, Drafts, EnrichSpan, Event, Identity, Kind, Node, Outbound,
    Outcome, Plugin, Principal, Role, Span, Spans,
};

/// The double of the host on this thread: what plugins ask of the host, it answers and remembers.
/// Making one forgets what was before.
#[derive(Debug)]
pub struct Host(());

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// A host that has seen nothing, at time 0.
    #[must_use]
    pub fn new() -> Self {
        double::reset();
        Self(())
    }

    /// The lines that were logged; fields follow the line as ` name=value`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        with(|double| double.lines.iter().map(|(_, line)| line.clone()).collect())
    }

    /// The lines that were logged at one level.
    #[must_use]
    pub fn lines_at(&self, level: crate::log::Level) -> Vec<String> {
        let at = |(other, line): &(_, String)| (*other == level).then(|| line.clone());
        with(|double| double.lines.iter().filter_map(at).collect())
    }

    /// Keeps lines of this level and above only, as far as plugins ask.
    pub fn set_log_level(&self, level: crate::log::Level) {
        with(|double| double.level = level);
    }

    /// Sets the clock, in milliseconds since 1970-01-01 UTC.
    pub fn set_time_ms(&self, now_ms: u64) {
        with(|double| double.now_ms = now_ms);
    }

    /// Moves the clock on.
    pub fn advance_ms(&self, by_ms: u64) {
        with(|double| double.now_ms = double.now_ms.saturating_add(by_ms));
    }

    /// The values that a metric was given, in order; `None` if there is no such metric.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<Vec<f64>> {
        with(|double| {
            let found = double.metrics.iter().find(|(other, ..)| other == name);
            found.map(|(.., values)| values.clone())
        })
    }

    /// Lets the next HTTP request get this. A request that nothing was laid out for is not granted.
    pub fn answer_http(&self, answer: Result<crate::http::Response, crate::http::Failure>) {
        with(|double| double.responses.push_back(answer));
    }

    /// The HTTP requests that were made.
    #[must_use]
    pub fn requests(&self) -> Vec<crate::http::Request> {
        with(|double| double.requests.clone())
    }

    /// Lets every publish fail from now on; `None` lets them succeed again.
    pub fn fail_publish(&self, failure: Option<crate::publish::Failure>) {
        with(|double| double.publish_failure = failure);
    }

    /// The messages that were published.
    #[must_use]
    pub fn published(&self) -> Vec<Published> {
        with(|double| double.published.clone())
    }

    /// Lets the store refuse new values as full.
    pub fn set_kv_full(&self, full: bool) {
        with(|double| double.kv_full = full);
    }
}

/// A broker that a plugin runs on.
#[must_use]
pub fn node() -> Node {
    Node {
        role: Role::Broker,
        name: "broker-a".to_owned(),
        cluster: "DefaultCluster".to_owned(),
        address: "10.0.0.1:10911".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        binding: "test".to_owned(),
    }
}

/// Makes a plugin from a configuration in JSON.
///
/// # Errors
/// What the operator would read.
pub fn init<P: Plugin>(config: &str) -> Result<P, String> {
    P::init(&node(), serde_json::from_str(config).map_err(|e| format!("config: {e}"))?)
}

/// A request of nobody's, from 192.0.2.1.
#[must_use]
pub fn context() -> Context {
    Context {
        code: 310,
        connection: 1,
        peer: SocketAddr::from(([192, 0, 2, 1], 40_000)).into(),
        principal: Principal::Anonymous,
        secure: false,
        client_id: None,
        trace_parent: None,
        deadline_ms: 1000,
    }
}

/// A request of a user's.
#[must_use]
pub fn context_of(user: &str) -> Context {
    Context { principal: Principal::User(user.to_owned()), ..context() }
}

/// Messages of one topic, to be given to a hook.
#[derive(Clone, Debug)]
pub struct Batch {
    topic: String,
    messages: Vec<(Vec<u8>, Vec<u8>)>,
    /// The producer's or the consumer's group.
    pub group: String,
    /// How hooks see bodies.
    pub bodies: BodyMode,
}

impl Batch {
    /// A batch without messages. Bodies are shown flat; set [`Batch::bodies`] for another way.
    #[must_use]
    pub fn of(topic: &str) -> Self {
        let (topic, group) = (topic.to_owned(), "group".to_owned());
        Self { topic, messages: Vec::new(), group, bodies: BodyMode::Flat }
    }

    /// The batch and one more message.
    #[must_use]
    pub fn message(mut self, properties: &[(&str, &str)], body: &[u8]) -> Self {
        let text: String = properties.iter().map(|(n, v)| format!("{n}\u{1}{v}\u{2}")).collect();
        self.messages.push((text.into_bytes(), body.to_vec()));
        self
    }

    /// What a before-send hook changes.
    pub fn send<P: BeforeSend>(&self, plugin: &mut P, cx: &Context) -> Vec<Change> {
        let (ends, properties, bodies) = self.columns();
        let raw = before_send::Drafts {
            topic: self.topic.clone(),
            producer_group: self.group.clone(),
            queues: vec![-1; self.messages.len()],
            ends,
            properties,
            bodies,
        };
        let mut changes = Changes::default();
        plugin.before_send(cx, &Drafts::new(&raw, self.lender()), &mut changes);
        changes.into_raw()
    }

    /// What a before-deliver hook leaves.
    pub fn deliver<P: BeforeDeliver>(&self, plugin: &mut P, cx: &Context) -> Answer {
        let (ends, properties, bodies) = self.columns();
        let queue_offsets = (0..).take(self.messages.len()).collect();
        let raw = before_deliver::Outbound { queue_offsets, ends, properties, bodies };
        let (group, topic) = (self.group.clone(), self.topic.clone());
        let delivery = Delivery { group, topic, queue: 0 };
        let outbound = Outbound::new(&raw, self.lender());
        let mut deliveries = Deliveries::all(outbound.len());
        plugin.before_deliver(cx, &delivery, &outbound, &mut deliveries);
        deliveries.into_raw()
    }

    /// Tells an after-append hook that the messages are stored.
    pub fn append<P: AfterAppend>(&self, plugin: &mut P, cx: &Context) {
        let count = self.messages.len();
        let (ends, properties, _) = self.columns();
        let raw = after_append::Appended {
            topic: self.topic.clone(),
            queues: vec![0; count],
            queue_offsets: (0..).take(count).collect(),
            log_offsets: (0..).step_by(1024).take(count).collect(),
            body_sizes: self.messages.iter().map(|(_, body)| length(body)).collect(),
            property_ends: ends.into_iter().step_by(2).collect(),
            properties,
        };
        plugin.after_append(cx, &Appended::new(&raw));
    }

    fn lender(&self) -> Option<&dyn Lender> {
        (self.bodies == BodyMode::Lent).then_some(self as &dyn Lender)
    }

    fn columns(&self) -> (Vec<u32>, Vec<u8>, Vec<u8>) {
        let (mut ends, mut properties, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
        for (text, body) in &self.messages {
            properties.extend_from_slice(text);
            bodies.extend_from_slice(body);
            ends.extend([length(&properties), length(&bodies)]);
        }
        if self.bodies != BodyMode::Flat {
            bodies.clear();
        }
        (ends, properties, bodies)
    }
}

impl Lender for Batch {
    fn read(&self, message: u32, offset: u32, length_max: u32) -> Vec<u8> {
        let body = self.messages.get(message as usize).map(|(_, body)| body.iter());
        let part = body.unwrap_or_default().skip(offset as usize).take(length_max as usize);
        part.copied().collect()
    }
}

/// What an authenticate hook says of a request's credentials.
pub fn authenticate<P: Authenticate>(
    plugin: &mut P,
    access_key: &str,
    signature: &str,
    signed: &[u8],
    body: &[u8],
) -> Identity {
    let raw = authenticate::Credentials {
        access_key: access_key.to_owned(),
        signature: signature.to_owned(),
        signed_fields: signed.to_vec(),
        body_size: length(body),
    };
    let lent = Batch::of("").message(&[], body);
    let credentials = Credentials { raw: &raw, body: (!body.is_empty()).then_some(&lent) };
    plugin.authenticate(&context(), &credentials)
}

/// What an enrich-span hook adds; `body` is the body of each span's message, as far as it is lent.
pub fn enrich<P: EnrichSpan>(plugin: &mut P, spans: &[Span], bodies: &[&[u8]]) -> Vec<Addition> {
    let lent = bodies.iter().fold(Batch::of(""), |batch, body| batch.message(&[], body));
    let mut spans = Spans::new(spans, (!bodies.is_empty()).then_some(&lent));
    plugin.enrich_span(&mut spans);
    spans.into_raw()
}

/// A span without anything, to be filled in.
#[must_use]
pub fn span(name: &str) -> Span {
    Span {
        name: name.to_owned(),
        id: contract::types::TraceParent {
            trace_id_high: 1,
            trace_id_low: 2,
            span_id: 3,
            sampled: true,
        },
        parent_span_id: 0,
        start_ns: 0,
        duration_ns: 0,
        failed: false,
        principal: Principal::Anonymous,
        peer: context().peer,
        attributes: Vec::new(),
        properties: Vec::new(),
        body_size: 0,
    }
}

/// A decision on a message that is sent, to be filled in.
#[must_use]
pub fn event(outcome: Outcome, resource: &str) -> Event {
    Event {
        sequence: 1,
        time_ms: 0,
        kind: Kind::Send,
        outcome,
        principal: Principal::Anonymous,
        peer: context().peer,
        connection: 1,
        code: 310,
        action: "Pub".to_owned(),
        resource: resource.to_owned(),
        decided_by: "acl".to_owned(),
        shadow: false,
        reason: String::new(),
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
