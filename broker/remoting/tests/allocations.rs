//! What is not there costs nothing: a send or a delivery makes as many allocations with traces as without them, and a chain
//! without hooks none at any point. The allocator of this program counts, for each thread by itself.
#![expect(clippy::unwrap_used, reason = "a step that fails ends the test")]

#[path = "broker/support.rs"]
#[expect(dead_code, reason = "more is there for others")]
mod support;

use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use blockhouse_hook::{
    Ack, AdminCommand, Appended, BrokerRegistration, ConnectionInfo, Credentials, Decision,
    Delivery, Draft, Hook, HookChain, Hooks, Lifecycle, Outbound, PluginCall, Point, Points, Pull,
    RouteEntry, SpanRecord, Verdict, calls,
};
use blockhouse_meter::spans::{DropReason, Flush, Rules, Spans};
use blockhouse_model::{
    Access, Action, MessageId, PhysicalOffset, QueueId, QueueOffset, RequestContext, Resource,
    TraceParent,
};
use blockhouse_protocol::codes::{request_code, response_code as code};
use blockhouse_protocol::{RemotingCommand, RequestHead, encode, frame};
use blockhouse_remoting::Remoting;
use blockhouse_transport::{Connection, Replies, Service as _};
use bytes::BytesMut;

use support::{NoNode, World, bodies, pull_header, send_header};

/// So many bursts are looked at, once that which is made once is there.
const BURSTS: usize = 200;

/// Notes each of its calls, as plugins do.
struct Noting;

impl Hook for Noting {
    fn name(&self) -> &'static str {
        "noting"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::BeforeSend)
    }

    fn before_send(&self, _: &RequestContext, _: &mut [Draft<'_>]) {
        calls::note(|| PluginCall::new("noting", "before-send"));
    }
}

fn frames(count: usize, properties: &str) -> Vec<RemotingCommand> {
    let mut bytes = BytesMut::new();
    for opaque in 0..count {
        let head = RequestHead::new(request_code::SEND_MESSAGE_V2, i32::try_from(opaque).unwrap());
        let header = send_header("orders", properties);
        encode::request(&mut bytes, &head, |out| header.write(out), b"body");
    }
    std::iter::from_fn(|| frame::split(&mut bytes, 1 << 20).unwrap()).collect()
}

/// Allocations of this thread for a burst, as most of them make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Made {
    /// Until its messages have their places.
    placed: u64,
    /// Afterwards.
    answered: u64,
}

impl Made {
    const fn all(self) -> u64 {
        self.placed + self.answered
    }
}

/// What is made for bursts of so many sends, each with these properties. This thread and the one that writes
/// to the disk share work, as it happens: it is measured until it happens alike.
fn made(
    burst: (usize, &str),
    hooks: &[Arc<dyn Hook>],
    mut spans: impl FnMut() -> Option<Arc<Spans>>,
) -> Made {
    let mut seen = Vec::new();
    for _ in 0..20 {
        let bursts = each(burst, hooks, spans());
        let usual = bursts[bursts.len() / 2];
        let alike = bursts.iter().filter(|made| **made == usual).count();
        if alike * 4 >= bursts.len() * 3 {
            return usual;
        }
        seen.push(bursts);
    }
    unreachable!("never alike: {seen:?}");
}

/// What is made for each burst, from the least to the most.
fn each(
    (sends, properties): (usize, &str),
    hooks: &[Arc<dyn Hook>],
    spans: Option<Arc<Spans>>,
) -> Vec<Made> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::recording(hooks, spans));
    let remoting = Remoting::new(Arc::clone(&world.broker), Arc::new(NoNode), Arc::default());
    let at = |port| ([127, 0, 0, 1], port).into();
    let connection = Connection::detached(at(5), at(6));
    let mut sent = 0;
    let mut send = || {
        let (mut burst, mut replies) = (frames(sends, properties), Replies::new());
        let placed = measure(|| remoting.burst(&connection, &mut burst, &mut replies));
        let mut answers = BytesMut::new();
        let answered = measure(|| answers = runtime.block_on(replies.settled()).into());
        let each = std::iter::from_fn(|| frame::split(&mut answers, 1 << 20).unwrap());
        assert_eq!(each.filter(|answer| answer.code == code::SUCCESS).count(), sends);
        sent += sends as u64;
        while world.broker.store().max_offset("orders", QueueId(0)).0 < sent {
            std::thread::yield_now();
        }
        Made { placed: placed.count_total, answered: answered.count_total }
    };
    for _ in 0..50 {
        send();
    }
    let mut all: Vec<Made> = (0..BURSTS).map(|_| send()).collect();
    runtime.block_on(world.server.shutdown());
    all.sort_unstable();
    all
}

/// What is made for each pull of so many stored messages with these properties, from the least to the most.
fn each_pull((stored, properties): (usize, &str), spans: Option<Arc<Spans>>) -> Vec<Made> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::recording(&[], spans));
    let remoting = Remoting::new(Arc::clone(&world.broker), Arc::new(NoNode), Arc::default());
    let at = |port| ([127, 0, 0, 1], port).into();
    let connection = Connection::detached(at(5), at(6));
    let mut replies = Replies::new();
    remoting.burst(&connection, &mut frames(stored, properties), &mut replies);
    runtime.block_on(replies.settled());
    while world.broker.store().max_offset("orders", QueueId(0)).0 < stored as u64 {
        std::thread::yield_now();
    }
    let pull = || {
        let (mut bytes, mut replies) = (BytesMut::new(), Replies::new());
        let head = RequestHead::new(request_code::PULL_MESSAGE, 1);
        let header = pull_header("orders", 0, "*");
        encode::request(&mut bytes, &head, |out| header.write(out), b"");
        let mut burst = vec![frame::split(&mut bytes, 1 << 20).unwrap().unwrap()];
        let placed = measure(|| remoting.burst(&connection, &mut burst, &mut replies));
        let mut answer = BytesMut::new();
        let answered = measure(|| answer = runtime.block_on(replies.settled()).into());
        let answer = frame::split(&mut answer, 1 << 20).unwrap().unwrap();
        assert_eq!((answer.code, bodies(&answer).len()), (code::SUCCESS, stored));
        Made { placed: placed.count_total, answered: answered.count_total }
    };
    for _ in 0..50 {
        pull();
    }
    let mut all: Vec<Made> = (0..BURSTS).map(|_| pull()).collect();
    runtime.block_on(world.server.shutdown());
    all.sort_unstable();
    all
}

#[test]
fn a_delivery_of_what_is_not_recorded_makes_no_allocation_for_it() {
    let not_sampled =
        "traceparent\u{1}00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\u{2}";
    let usual = |stored, spans| each_pull(stored, spans)[BURSTS / 2];
    for stored in [(1, ""), (32, ""), (32, not_sampled)] {
        let without = usual(stored, None);
        let spans = recorder(0.0);
        assert_eq!(usual(stored, Some(Arc::clone(&spans))), without, "{stored:?}");
        assert!(without.all() > 0, "nothing is counted");
        assert_eq!(spans.counts.dropped.read(DropReason::Queue), 0, "something was recorded");
    }
    // What is recorded is another matter: the count notices it.
    assert!(usual((32, ""), Some(recorder(1.0))).all() > usual((32, ""), None).all());
}

const fn rules(head: f64) -> Rules {
    Rules { head, slow: Some(Duration::from_millis(500)), errors: true }
}

/// One whose records nobody takes.
fn recorder(head: f64) -> Arc<Spans> {
    Arc::new(Spans::new(rules(head), 1 << 16).0)
}

#[test]
fn a_send_that_is_not_recorded_makes_no_allocation_for_it() {
    let none: &[Arc<dyn Hook>] = &[];
    let noting: &[Arc<dyn Hook>] = &[Arc::new(Noting)];
    let not_sampled =
        "traceparent\u{1}00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\u{2}";
    for (sends, properties, hooks) in
        [(1, "", none), (32, "", none), (32, not_sampled, none), (1, "", noting), (32, "", noting)]
    {
        let burst = (sends, properties);
        let without = made(burst, hooks, || None);
        let spans = recorder(0.0);
        let with = made(burst, hooks, || Some(Arc::clone(&spans)));
        assert_eq!(with, without, "bursts of {sends} `{properties}`, {} hooks", hooks.len());
        assert!(without.placed > 0 && without.answered > 0, "nothing is counted");
        assert_eq!(spans.counts.dropped.read(DropReason::Queue), 0, "something was recorded");
    }
    // What is recorded is another matter, if there is room for it: the count notices it.
    let without = made((32, ""), none, || None).all();
    let mut taken = Vec::new();
    let with_room = || {
        let (spans, records) = Spans::new(rules(1.0), 1 << 16);
        taken.push(records);
        Some(Arc::new(spans))
    };
    assert!(made((32, ""), none, with_room).all() > without);
    assert_eq!(made((32, ""), none, || Some(recorder(1.0))).all(), without, "nobody takes records");
}

/// What hooks are shown: whoever asks has made it.
struct Shown {
    cx: RequestContext,
    connection: ConnectionInfo,
    drafts: Vec<Draft<'static>>,
    outbound: Vec<Outbound<'static>>,
    route: Vec<RouteEntry>,
    spans: Vec<SpanRecord>,
}

impl Shown {
    fn new() -> Self {
        let peer = ([127, 0, 0, 1], 5).into();
        let draft = |_| Draft {
            topic: "orders",
            producer_group: "producers",
            queue: None,
            body: b"body"[..].into(),
            properties: "".into(),
            decision: Decision::Admit,
        };
        let found = |_| Outbound {
            queue_offset: QueueOffset(0),
            properties: "",
            stored_body: b"body",
            body: None,
            keep: true,
        };
        let id = TraceParent { trace_id: 7, span_id: 9, sampled: true };
        Self {
            cx: RequestContext::new(peer, 1, request_code::SEND_MESSAGE_V2),
            connection: ConnectionInfo { id: 1, peer, local: peer, secure: false },
            drafts: (0..32).map(draft).collect(),
            outbound: (0..32).map(found).collect(),
            route: vec![RouteEntry { broker: "a".to_owned(), read_queues: 8, write_queues: 8 }],
            spans: vec![SpanRecord::new("send".to_owned(), id, peer, Vec::new())],
        }
    }

    /// What each point of a chain makes.
    fn at(&mut self, chain: &HookChain) -> Vec<(Point, u64)> {
        let Self { cx, connection, drafts, outbound, route, spans } = self;
        let (group, topic, queue) = ("consumers", "orders", QueueId(0));
        let delivery = Delivery { group, topic, queue };
        let pull = Pull { group, topic, queue, offset: QueueOffset(0), messages_max: 32 };
        let ack = Ack { group, topic, queue, offset: QueueOffset(9) };
        let id = MessageId { host: connection.peer, offset: PhysicalOffset(0) };
        let placed = Appended {
            topic,
            queue,
            queue_offset: QueueOffset(0),
            id,
            body_len: 4,
            properties: "",
        };
        let key = Credentials { access_key: "", signature: "", signed_fields: b"", body: b"" };
        let (cluster, broker, address) = ("c", "a", "127.0.0.1:10911");
        let report = BrokerRegistration { cluster, broker, broker_id: 0, address, topics: 3 };
        let accesses = [Access { action: Action::Pub, resource: Resource::Topic(topic) }];
        let command = AdminCommand { name: "DELETE_TOPIC_IN_BROKER", target: topic };
        vec![
            (Point::ConnectionOpened, of(|| chain.connection_opened(connection))),
            (Point::Authenticate, of(|| chain.authenticate(cx, &key))),
            (Point::Authorize, of(|| chain.authorize(cx, &accesses))),
            (Point::BeforeSend, of(|| chain.before_send(cx, drafts))),
            (Point::BeforeSend, of(|| chain.rerouted(cx, &drafts[0]))),
            (Point::AfterAppend, of(|| chain.after_append(cx, &[placed]))),
            (Point::Pull, of(|| chain.pull(cx, &pull))),
            (Point::BeforeDeliver, of(|| chain.before_deliver(cx, &delivery, outbound))),
            (Point::Ack, of(|| chain.ack(cx, &ack))),
            (Point::AdminCommand, of(|| chain.admin_command(cx, &command))),
            (Point::BrokerRegistration, of(|| chain.broker_registration(cx, &report))),
            (Point::RouteQuery, of(|| chain.route_query(cx, topic, route))),
            (Point::EnrichSpan, of(|| chain.enrich_span(spans))),
            (Point::Lifecycle, of(|| chain.lifecycle(Lifecycle::Started))),
            (Point::ConnectionClosed, of(|| chain.connection_closed(connection))),
        ]
    }
}

/// Allocations that this makes.
fn of<T>(ask: impl FnOnce() -> T) -> u64 {
    measure(|| drop(ask())).count_total
}

/// Makes something of each call that it listens to.
struct Remembering(parking_lot::Mutex<Vec<String>>);

impl Remembering {
    fn remember(&self, what: &str) {
        self.0.lock().push(what.to_owned());
    }
}

impl Hook for Remembering {
    fn name(&self) -> &'static str {
        "remembering"
    }

    fn points(&self) -> Points {
        Points::NONE.with(Point::Authorize).with(Point::Ack)
    }

    fn authorize(&self, _: &RequestContext, _: &[Access<'_>]) -> Verdict {
        self.remember("authorize");
        Verdict::Continue
    }

    fn ack(&self, _: &RequestContext, ack: &Ack<'_>) {
        self.remember(ack.group);
    }
}

#[test]
fn a_chain_without_hooks_makes_no_allocation_at_any_point() {
    let (hooks, mut shown) = (Hooks::none(), Shown::new());
    // What a thread makes once.
    drop(hooks.load());
    let loaded = measure(|| drop(hooks.load()));
    assert_eq!(loaded.count_total, 0, "to look at the chain in force");
    let chain = hooks.load_full();
    assert!(chain.is_empty() && Point::ALL.iter().all(|point| !chain.has(*point)));
    for (point, made) in shown.at(&chain) {
        assert_eq!(made, 0, "{point:?}");
    }
    // A chain with a hook elsewhere costs the other points nothing, and the count notices it where it is.
    let chain = HookChain::new(&[Arc::new(Remembering(parking_lot::Mutex::default())) as _]);
    for (point, made) in shown.at(&chain) {
        let listens = matches!(point, Point::Authorize | Point::Ack);
        assert_eq!(made > 0, listens, "{point:?}: {made}");
    }
}

#[test]
fn syncs_that_served_nobody_who_is_recorded_make_no_allocation() {
    let (spans, records) = Spans::new(Rules { head: 0.0, slow: None, errors: false }, 64);
    spans.watch_flushes();
    let flush = |at: u64| Flush { from: at, to: at + 1, messages: 1, ..Flush::default() };
    // More than are remembered.
    let made = measure(|| (0..5_000).for_each(|at| spans.flushed(flush(at))));
    assert_eq!(made.count_total, 0);
    let settled = measure(|| spans.settle_flushes(Duration::MAX));
    assert_eq!((settled.count_total, records.try_iter().count()), (0, 0));
    // The count notices those that did.
    spans.flushed(flush(5_000));
    let parent = TraceParent { trace_id: 1, span_id: 2, sampled: true };
    assert!(of(|| spans.answered_after_flush(5_001, parent)) > 0);
}
