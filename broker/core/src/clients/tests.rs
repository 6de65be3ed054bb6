use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use blockhouse_filter::SubscriptionParts;
use blockhouse_model::ManualClock;
use parking_lot::Mutex;

use super::*;

struct Fake {
    id: u64,
    heard: Mutex<Vec<String>>,
    closed: AtomicBool,
}

impl ClientChannel for Fake {
    fn id(&self) -> u64 {
        self.id
    }

    fn peer(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], u16::try_from(self.id).unwrap()))
    }

    fn push(&self, event: ClientEvent) -> bool {
        let ClientEvent::ConsumerIdsChanged { group } = event else {
            unreachable!("nothing else is pushed here");
        };
        self.heard.lock().push(group.to_string());
        true
    }

    fn call(&self, _: ClientRequest, _: Duration) -> channel::Call {
        Box::pin(async { Err(CallError::Unsupported) })
    }

    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }
}

impl Fake {
    /// How many notices it got since the last call.
    fn notices(&self) -> usize {
        std::mem::take(&mut *self.heard.lock()).len()
    }
}

struct World {
    clients: Clients,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        Self::of(MEMBERS_MAX)
    }

    fn of(members_max: usize) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp(1_000)));
        Self { clients: Clients::new(Arc::clone(&clock) as _, members_max), clock }
    }

    fn beat(&self, fake: &Arc<Fake>, heartbeat: Heartbeat) -> HeartbeatOutcome {
        self.beat_with(fake, heartbeat, true)
    }

    fn beat_with(&self, fake: &Arc<Fake>, heartbeat: Heartbeat, notify: bool) -> HeartbeatOutcome {
        let channel: Arc<dyn ClientChannel> = Arc::clone(fake) as _;
        self.clients.heartbeat(&channel, heartbeat, |_| Some(Admission { notify })).unwrap()
    }
}

fn fake(id: u64) -> Arc<Fake> {
    Arc::new(Fake { id, heard: Mutex::default(), closed: AtomicBool::new(false) })
}

fn subscription(topic: &str, expression: &str, version: i64) -> Subscription {
    let parts = SubscriptionParts {
        expression: Some(expression),
        sub_version: version,
        ..SubscriptionParts::default()
    };
    Subscription::from_parts(Topic::trusted(topic), parts).unwrap()
}

fn consumer(group: &str, topics: &[&str]) -> ConsumerHeartbeat {
    ConsumerHeartbeat {
        group: Group::trusted(group),
        consume_type: ConsumeType::Passively,
        message_model: MessageModel::Clustering,
        from_where: ConsumeFromWhere::LastOffset,
        subscriptions: topics.iter().map(|t| subscription(t, "*", 1)).collect(),
        unit_mode: false,
    }
}

fn beat(client_id: &str, group: &str, topics: &[&str]) -> Heartbeat {
    Heartbeat {
        client_id: client_id.to_owned(),
        consumers: vec![consumer(group, topics)],
        ..Heartbeat::default()
    }
}

fn produce(client_id: &str, groups: &[&str]) -> Heartbeat {
    Heartbeat {
        client_id: client_id.to_owned(),
        producers: groups.iter().map(|g| Group::trusted(g)).collect(),
        ..Heartbeat::default()
    }
}

fn ids(clients: &Clients, group: &str) -> Vec<String> {
    clients.client_ids(group).iter().map(ToString::to_string).collect()
}

#[test]
fn members_hear_of_joins_and_leaves_and_of_nothing_else() {
    let world = World::new();
    let (a, b) = (fake(1), fake(2));
    world.beat(&a, beat("a", "g", &["t"]));
    assert_eq!(a.notices(), 1, "its own arrival, as in RocketMQ");
    world.beat(&a, beat("a", "g", &["t"]));
    assert_eq!(a.notices(), 0, "a sign of life is no news");
    world.beat(&b, beat("b", "g", &["t"]));
    assert_eq!((a.notices(), b.notices()), (1, 1));
    assert_eq!(ids(&world.clients, "g"), ["a", "b"]);
    world.clients.unregister(&*b, None, Some("g"));
    assert_eq!((a.notices(), b.notices()), (1, 0));
    world.clients.unregister(&*b, None, Some("g"));
    assert_eq!(a.notices(), 0, "it was gone already");
    assert_eq!(ids(&world.clients, "g"), ["a"]);
}

#[test]
fn broadcasting_groups_and_those_that_do_not_want_it_hear_nothing() {
    let world = World::new();
    let (a, b) = (fake(1), fake(2));
    let mut broadcast = beat("a", "g", &["t"]);
    broadcast.consumers[0].message_model = MessageModel::Broadcasting;
    world.beat(&a, broadcast);
    assert_eq!(a.notices(), 0);
    assert_eq!(world.clients.is_broadcasting("g"), Some(true));
    assert_eq!(world.clients.is_broadcasting("nobody"), None);

    world.beat_with(&a, beat("a", "h", &["t"]), false);
    world.beat_with(&b, beat("b", "h", &["t"]), false);
    world.clients.closed(2);
    assert_eq!(a.notices(), 0);
}

#[test]
fn subscriptions_come_go_and_get_newer() {
    let world = World::new();
    let a = fake(1);
    world.beat(&a, beat("a", "g", &["t"]));
    a.notices();
    world.beat(&a, beat("a", "g", &["t", "u"]));
    assert_eq!(a.notices(), 1, "a topic more");
    assert_eq!(world.clients.groups_of_topic("u"), [Group::trusted("g")]);
    world.beat(&a, beat("a", "g", &["u"]));
    assert_eq!(a.notices(), 1, "a topic less");
    assert!(world.clients.subscription("g", "t").is_none());
    assert!(world.clients.groups_of_topic("t").is_empty());

    let mut newer = beat("a", "g", &[]);
    newer.consumers[0].subscriptions = vec![subscription("u", "tag", 2)];
    world.beat(&a, newer);
    assert_eq!(a.notices(), 0, "another expression moves no queue");
    assert_eq!(&*world.clients.subscription("g", "u").unwrap().expression, "tag");
    let mut older = beat("a", "g", &[]);
    older.consumers[0].subscriptions = vec![subscription("u", "old", 1)];
    world.beat(&a, older);
    assert_eq!(&*world.clients.subscription("g", "u").unwrap().expression, "tag");
}

#[test]
fn a_closed_connection_takes_all_its_registrations_along() {
    let world = World::new();
    let (a, b) = (fake(1), fake(2));
    let mut all = beat("a", "g", &["t"]);
    all.consumers.push(consumer("h", &["t"]));
    all.producers = vec![Group::trusted("p"), Group::trusted("q")];
    world.beat(&a, all);
    world.beat(&b, beat("b", "g", &["t"]));
    a.notices();
    b.notices();
    world.clients.closed(1);
    assert_eq!((a.notices(), b.notices()), (0, 1));
    assert_eq!(ids(&world.clients, "g"), ["b"]);
    assert!(world.clients.consumer("h").is_none());
    assert!(world.clients.producers().is_empty());
    assert!(world.clients.producer_channel("a").is_none());
    world.clients.closed(1);
    assert_eq!(b.notices(), 0);
    world.clients.closed(2);
    let consumers = world.clients.consumers.read();
    assert!(consumers.names().is_empty());
}

#[test]
fn silent_clients_expire_after_120_seconds() {
    let world = World::new();
    let (a, b, p) = (fake(1), fake(2), fake(3));
    world.beat(&a, beat("a", "g", &["t"]));
    world.beat(&p, produce("p", &["p"]));
    world.clock.advance(Duration::from_secs(60));
    world.beat(&b, beat("b", "g", &["t"]));
    a.notices();
    b.notices();
    world.clock.advance(Duration::from_secs(60));
    world.clients.expire();
    assert_eq!(ids(&world.clients, "g"), ["a", "b"], "exactly 120 s is not too long");
    world.clock.advance(Duration::from_millis(1));
    world.clients.expire();
    assert_eq!(ids(&world.clients, "g"), ["b"]);
    assert_eq!((a.notices(), b.notices()), (0, 1));
    assert!(a.closed.load(Ordering::SeqCst) && p.closed.load(Ordering::SeqCst));
    assert!(!b.closed.load(Ordering::SeqCst));
    assert!(world.clients.any_producer("p").is_none());
    world.clients.expire();
    assert_eq!(b.notices(), 0);
}

#[test]
fn a_group_that_expires_as_a_whole_notifies_nobody() {
    let world = World::new();
    let (a, b) = (fake(1), fake(2));
    world.beat(&a, beat("a", "g", &["t"]));
    world.beat(&b, beat("b", "g", &["t"]));
    a.notices();
    b.notices();
    world.clock.advance(Duration::from_secs(121));
    world.clients.expire();
    assert_eq!((a.notices(), b.notices()), (0, 0));
    assert!(world.clients.consumer_groups().is_empty());
}

#[test]
fn fingerprints_save_subscriptions_until_they_differ() {
    let world = World::new();
    let a = fake(1);
    let with = |fingerprint, without| Heartbeat {
        fingerprint,
        without_subscriptions: without,
        ..beat("a", "g", if without { &[] } else { &["t"] })
    };
    let old_style = world.beat(&a, with(0, false));
    assert!(old_style.subscriptions_unknown, "as RocketMQ answers clients without fingerprint");
    assert!(world.beat(&a, with(7, false)).subscriptions_unknown, "it was 0");
    assert!(!world.beat(&a, with(7, true)).subscriptions_unknown);
    assert!(world.clients.subscription("g", "t").is_some(), "left as they were");
    assert!(world.beat(&a, with(8, true)).subscriptions_unknown);
    // A broker that knows nothing asks for everything.
    let fresh = World::new();
    assert!(fresh.beat(&a, with(7, true)).subscriptions_unknown);
    assert!(!World::new().beat(&a, with(7, false)).subscriptions_unknown);
}

#[test]
fn operators_see_groups_and_members() {
    let world = World::new();
    let (a, b) = (fake(1), fake(2));
    world.beat(&b, Heartbeat { version: 493, language: 5, ..beat("b", "g", &["u", "t"]) });
    world.beat(&a, beat("a", "g", &["u", "t"]));
    let view = world.clients.consumer("g").unwrap();
    let shown: Vec<_> = view.connections.iter().map(|c| (&*c.client_id, c.peer.port())).collect();
    assert_eq!(shown, [("a", 1), ("b", 2)]);
    assert_eq!((view.connections[1].version, view.connections[1].language), (493, 5));
    assert_eq!(view.consume_type.name(), "CONSUME_PASSIVELY");
    let topics: Vec<_> = world.clients.topics_of("g").iter().map(ToString::to_string).collect();
    assert_eq!(topics, ["t", "u"]);
    assert_eq!(world.clients.members("g").len(), 2);
    assert_eq!(world.clients.member("g", "b").unwrap().channel.id(), 2);
    assert!(world.clients.member("g", "c").is_none());
    assert!(world.clients.consumer("h").is_none() && world.clients.client_ids("h").is_empty());
}

#[test]
fn producers_are_found_by_group_and_id() {
    let world = World::new();
    let (a, b) = (fake(1), fake(2));
    world.beat(&a, produce("a", &["p", "q"]));
    world.beat(&b, produce("b", &["p"]));
    let turns: Vec<_> = (0..4).map(|_| world.clients.any_producer("p").unwrap().id()).collect();
    assert_eq!(turns[..2], turns[2..]);
    assert_ne!(turns[0], turns[1], "each in its turn");
    let all = world.clients.producers();
    assert_eq!(all.iter().map(|(g, c)| (&**g, c.len())).collect::<Vec<_>>(), [("p", 2), ("q", 1)]);
    assert_eq!(world.clients.producer_channel("a").unwrap().id(), 1);
    world.clients.unregister(&*a, Some("p"), None);
    assert!(world.clients.producer_channel("a").is_some(), "it still produces in q");
    // The same client comes back over another connection before the old one closes.
    let again = fake(3);
    world.beat(&again, produce("a", &["q"]));
    world.clients.closed(1);
    assert_eq!(world.clients.producer_channel("a").unwrap().id(), 3);
    assert_eq!(world.clients.producer("q").len(), 1);
}

#[test]
fn heartbeats_beyond_the_limits_are_refused_whole() {
    let world = World::new();
    let channel: Arc<dyn ClientChannel> = fake(1);
    let send = |h| world.clients.heartbeat(&channel, h, |_| Some(Admission { notify: true }));
    assert_eq!(send(beat(" ", "g", &[])), Err(HeartbeatError::Blank));
    assert_eq!(send(beat(&"x".repeat(2_000), "g", &[])), Err(HeartbeatError::LongId));
    let many: Vec<String> = (0..=heartbeat::GROUPS_MAX).map(|i| format!("g{i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(matches!(send(produce("a", &many)), Err(HeartbeatError::TooMany { .. })));
    assert!(matches!(send(beat("a", "g", &many)), Err(HeartbeatError::TooMany { .. })));
    assert!(world.clients.producers().is_empty() && world.clients.consumer_groups().is_empty());
    // Nor in small steps.
    send(produce("a", &many[1..])).unwrap();
    assert!(send(produce("a", &many[..1])).is_err());
    assert!(send(produce("a", &many[1..2])).is_ok());
}

#[test]
fn members_of_all_clients_are_bounded_and_there_is_room_when_some_leave() {
    let world = World::of(3);
    let (a, b) = (fake(1), fake(2));
    let send = |fake: &Arc<Fake>, h| {
        let channel: Arc<dyn ClientChannel> = Arc::clone(fake) as _;
        world.clients.heartbeat(&channel, h, |_| Some(Admission { notify: true }))
    };
    send(&a, produce("a", &["p", "q", "r"])).unwrap();
    send(&a, beat("a", "g", &["t"])).unwrap();
    send(&a, beat("a", "h", &["t"])).unwrap();
    send(&a, beat("a", "i", &["t"])).unwrap();
    let full = |of| Err(HeartbeatError::Members { of, max: 3 });
    assert_eq!(send(&b, produce("b", &["p"])), full("producer"));
    assert_eq!(send(&b, beat("b", "g", &["t"])), full("consumer"));
    assert_eq!(world.clients.refused(), 2);
    assert!(send(&a, beat("a", "g", &["t"])).is_ok(), "who is in stays in");
    world.clients.unregister(&*a, Some("q"), Some("h"));
    send(&b, produce("b", &["p"])).unwrap();
    send(&b, beat("b", "g", &["t"])).unwrap();
    assert!(send(&b, beat("b", "h", &["t"])).is_err());
    world.clients.closed(1);
    send(&b, produce("b", &["q", "r"])).unwrap();
    send(&b, beat("b", "h", &["t"])).unwrap();
}

#[test]
fn subscriptions_of_all_groups_are_bounded_in_bytes() {
    let world = World::new();
    let channel: Arc<dyn ClientChannel> = fake(1);
    let long = || {
        let tags = vec!["x".repeat(heartbeat::SUBSCRIPTION_BYTES_MAX / 4)];
        let parts = SubscriptionParts { tags, ..SubscriptionParts::default() };
        Subscription::from_parts(Topic::trusted("t"), parts).unwrap()
    };
    let send = |group: &str| {
        let mut heartbeat = beat("a", group, &[]);
        heartbeat.consumers[0].subscriptions = vec![long()];
        world.clients.heartbeat(&channel, heartbeat, |_| Some(Admission { notify: true }))
    };
    for group in ["g", "h", "i"] {
        send(group).unwrap();
    }
    let max = heartbeat::SUBSCRIPTION_BYTES_MAX;
    assert_eq!(send("j"), Err(HeartbeatError::Subscriptions { max }));
    assert!(send("g").is_ok(), "the same again");
    world.clients.unregister(&*channel, None, Some("g"));
    assert!(send("j").is_ok());
}

#[test]
fn a_connection_that_changes_its_client_id_leaves_nothing_behind() {
    let world = World::new();
    let channel = fake(1);
    world.beat(&channel, produce("stays", &["p"]));
    for number in 0..100 {
        world.beat(&channel, produce(&format!("id-{number}"), &["q"]));
        world.clients.unregister(&*channel, Some("q"), None);
    }
    let known = |id: &str| world.clients.producer_channel(id).is_some();
    assert!(!known("id-0") && !known("stays") && known("id-99"), "the last one");
    world.clients.closed(1);
    assert!((0..100).all(|number| !known(&format!("id-{number}"))));
}

#[test]
fn groups_that_are_not_admitted_are_passed_over() {
    let world = World::new();
    let channel: Arc<dyn ClientChannel> = fake(1);
    let mut heartbeat = beat("a", "no", &["t"]);
    heartbeat.consumers.push(consumer("yes", &["t"]));
    let admit = |c: &ConsumerHeartbeat| (&*c.group == "yes").then_some(Admission { notify: true });
    world.clients.heartbeat(&channel, heartbeat, admit).unwrap();
    assert_eq!(world.clients.consumer_groups(), [Group::trusted("yes")]);
}

#[test]
fn requests_speak_for_groups_without_heartbeats_for_a_while() {
    let world = World::new();
    let kind = (ConsumeType::Actively, MessageModel::Clustering);
    let sub = Arc::new(subscription("t", "*", 0));
    world.clients.compensate("g", kind, &sub);
    assert!(world.clients.subscription("g", "t").is_none());
    assert!(world.clients.subscription_or_compensation("g", "t").is_some());
    world.clock.advance(Duration::from_secs(400));
    world.clients.compensate("g", kind, &sub);
    world.clock.advance(Duration::from_secs(400));
    world.clients.expire();
    assert!(world.clients.subscription_or_compensation("g", "t").is_some(), "said again");
    world.clock.advance(Duration::from_secs(201));
    world.clients.expire();
    assert!(world.clients.subscription_or_compensation("g", "t").is_none());
    world.clients.compensate("not a group", kind, &sub);
    assert!(world.clients.subscription_or_compensation("not a group", "t").is_none());
}

#[test]
fn the_inventory_has_each_client_once_with_all_its_groups_since_it_came() {
    let world = World::new();
    let (a, b) = (fake(1), fake(2));
    let mut both = beat("a", "g", &["t"]);
    both.version = 479;
    both.consumers.push(consumer("f", &["t"]));
    both.consumers[1].message_model = MessageModel::Broadcasting;
    world.beat(&a, both.clone());
    world.clock.advance(Duration::from_secs(30));
    both.producers = vec![Group::trusted("q"), Group::trusted("p")];
    world.beat(&a, both);
    world.beat(&b, produce("b", &["p"]));
    let inventory = world.clients.inventory();
    let [first, second] = &inventory[..] else { panic!("{inventory:?}") };
    assert_eq!((&*first.client_id, first.peer, first.version), ("a", a.peer(), 479));
    assert_eq!((first.since, first.seen), (Timestamp(1_000), Timestamp(31_000)));
    assert_eq!(first.producers, [Group::trusted("p"), Group::trusted("q")]);
    let expected = [("f", MessageModel::Broadcasting), ("g", MessageModel::Clustering)]
        .map(|(name, model)| (Group::trusted(name), ConsumeType::Passively, model));
    assert_eq!(first.consumers, expected);
    assert_eq!((&*second.client_id, second.since), ("b", Timestamp(31_000)));

    // What is counted are members, as RocketMQ counts them: `a` in each of its groups.
    let kinds = world.clients.kinds();
    let of = |consumes: Option<&str>, version| {
        let consumes = consumes.map(|group| (Group::trusted(group), ConsumeType::Passively));
        kinds.get(&ClientKind { consumes, language: 0, version }).copied()
    };
    assert_eq!([of(None, 479), of(None, 0)], [Some(2), Some(1)]);
    assert_eq!(
        [of(Some("f"), 479), of(Some("g"), 479), of(Some("p"), 479)],
        [Some(1), Some(1), None]
    );

    // One that left and came again is there since then.
    world.clients.closed(1);
    world.clock.advance(Duration::from_secs(30));
    world.beat(&a, beat("a", "g", &["t"]));
    assert_eq!(world.clients.inventory()[0].since, Timestamp(61_000));
}
