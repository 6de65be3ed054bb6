//! Random histories against the table's invariants and a plain model of who is registered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use blockhouse_model::{DataVersion, Perm};
use blockhouse_route::{
    ConnectionId, Policy, QueueConfig, QueueRoute, Registered, Registration, ReportedTopics, Routes,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Register { cluster: u8, broker: u8, id: u64, addr: u8, version: i64, state: i64, topics: u8 },
    Unregister { broker: u8, addr: u8 },
    Heartbeat { cluster: u8, addr: u8 },
    Pass(u64),
    Expire,
    Close(u8),
    Wipe(u8),
    Add(u8),
    DeleteTopic { topic: u8, cluster: Option<u8> },
    RegisterTopic { topic: u8, broker: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let register = (0..2u8, 0..3u8, 0..3u64, 0..4u8, 0..3i64, 0..2i64, any::<u8>());
    prop_oneof![
        6 => register.prop_map(|(cluster, broker, id, addr, version, state, topics)| {
            Step::Register { cluster, broker, id, addr, version, state, topics }
        }),
        1 => (0..3u8, 0..4u8).prop_map(|(broker, addr)| Step::Unregister { broker, addr }),
        1 => (0..2u8, 0..4u8).prop_map(|(cluster, addr)| Step::Heartbeat { cluster, addr }),
        1 => (0..100u64).prop_map(Step::Pass),
        1 => Just(Step::Expire),
        1 => (0..4u8).prop_map(Step::Close),
        1 => (0..3u8).prop_map(Step::Wipe),
        1 => (0..3u8).prop_map(Step::Add),
        1 => (0..8u8, proptest::option::of(0..2u8))
            .prop_map(|(topic, cluster)| Step::DeleteTopic { topic, cluster }),
        1 => (0..8u8, 0..3u8).prop_map(|(topic, broker)| Step::RegisterTopic { topic, broker }),
    ]
}

fn queues() -> QueueConfig {
    QueueConfig { read_queues: 4, write_queues: 4, perm: Perm::RW, sys_flag: 0 }
}

fn name(kind: &str, n: u8) -> String {
    format!("{kind}{n}")
}

/// Who is registered: (broker, addr) -> (cluster, id, connection, seen). Connections are per addr.
type Alive = BTreeMap<(String, String), (String, u64, u64, Duration)>;

fn register(routes: &mut Routes, alive: &mut Alive, now: Duration, step: &Step) {
    let &Step::Register { cluster, broker, id, addr, version, state, topics } = step else {
        return;
    };
    let (c, b, a) = (name("c", cluster), name("b", broker), name("a", addr));
    let set = (0..8).filter(|n| topics & (1 << n) != 0);
    let report = Registration {
        cluster: &c,
        broker: &b,
        id,
        addr: &a,
        ha_addr: None,
        zone: None,
        timeout: None,
        acting_master: (version != 0).then_some(state == 1),
        topics: ReportedTopics {
            version: DataVersion { state_version: state, timestamp: 0, counter: version },
            queues: set.map(|n| (Arc::from(format!("t{n}")), queues())).collect(),
        },
        filter_servers: None,
        connection: ConnectionId(u64::from(addr)),
    };
    match routes.register(&report, now) {
        Registered::Accepted { .. } => {
            // The broker name is of the reported cluster now, all of it.
            for ((name, _), (cluster, ..)) in alive.iter_mut() {
                if *name == b {
                    cluster.clone_from(&c);
                }
            }
            alive.retain(|(name, at), (cluster, their_id, ..)| {
                let same_id = *name == b && *their_id == id;
                let same_addr = *at == a && *cluster == c;
                !same_id && !same_addr
            });
            alive.insert((b, a), (c, id, u64::from(addr), now));
        }
        Registered::Outdated => {
            alive.remove(&(b, a));
        }
        _ => {}
    }
}

fn amend(routes: &mut Routes, step: &Step) {
    match *step {
        Step::Wipe(broker) => {
            let broker = name("b", broker);
            let count = routes.wipe_write_perm(&broker);
            let of_broker = routes.topics().values().filter_map(|s| s.get(broker.as_str()));
            assert_eq!(of_broker.clone().count(), count);
            assert!(of_broker.clone().all(|q| !q.perm.writeable()));
        }
        Step::Add(broker) => {
            let broker = name("b", broker);
            routes.add_write_perm(&broker);
            let mut of_broker = routes.topics().values().filter_map(|s| s.get(broker.as_str()));
            assert!(of_broker.all(|q| q.perm == Perm::RW));
        }
        Step::DeleteTopic { topic, cluster } => {
            let (topic, cluster) = (name("t", topic), cluster.map(|c| name("c", c)));
            routes.delete_topic(&topic, cluster.as_deref());
            match cluster {
                None => assert!(routes.route(&topic).is_none()),
                Some(cluster) => {
                    let left = routes.route(&topic).unwrap_or_default().brokers;
                    assert!(left.iter().all(|b| *b.cluster != *cluster));
                }
            }
        }
        Step::RegisterTopic { topic, broker } => {
            let (topic, broker) = (name("t", topic), name("b", broker));
            let known = routes.brokers().contains_key(broker.as_str());
            let queue = QueueRoute { broker: Arc::from(broker), queues: queues() };
            assert_eq!(routes.register_topic(&topic, &[queue]), known);
        }
        _ => {}
    }
}

fn run(routes: &mut Routes, alive: &mut Alive, now: &mut Duration, step: &Step) {
    match *step {
        Step::Register { .. } => register(routes, alive, *now, step),
        Step::Unregister { broker, addr } => {
            let key = (name("b", broker), name("a", addr));
            let was = alive.remove(&key).is_some();
            assert_eq!(routes.unregister(&key.0, &key.1).is_some(), was);
        }
        Step::Heartbeat { cluster, addr } => {
            let (c, a) = (name("c", cluster), name("a", addr));
            let known = alive.iter_mut().find(|((_, at), (of, ..))| *at == a && *of == c);
            assert_eq!(routes.heartbeat(&c, &a, *now), known.is_some());
            if let Some((_, (_, _, _, seen))) = known {
                *seen = *now;
            }
        }
        Step::Pass(seconds) => *now += Duration::from_secs(seconds),
        Step::Expire => {
            let before = alive.len();
            alive.retain(|_, (_, _, _, seen)| *seen + Duration::from_secs(120) >= *now);
            assert_eq!(routes.expire(*now).len(), before - alive.len());
        }
        Step::Close(connection) => {
            let before = alive.len();
            alive.retain(|_, (_, _, over, _)| *over != u64::from(connection));
            let gone = routes.connection_closed(ConnectionId(u64::from(connection)));
            assert_eq!(gone.len(), before - alive.len());
        }
        _ => amend(routes, step),
    }
}

fn check(routes: &Routes, alive: &Alive) {
    let mut found = BTreeMap::new();
    for (name, broker) in routes.brokers() {
        assert!(!broker.members.is_empty(), "an empty broker name");
        let addrs: BTreeSet<_> = broker.members.values().map(|m| &m.addr).collect();
        assert_eq!(addrs.len(), broker.members.len(), "an address under two ids");
        for (id, m) in &broker.members {
            let value = (broker.cluster.to_string(), *id, m.connection.0, m.seen);
            found.insert((name.to_string(), m.addr.to_string()), value);
        }
    }
    assert_eq!(&found, alive);
    for (topic, served) in routes.topics() {
        assert!(!served.is_empty(), "a topic that nobody serves");
        for name in served.keys() {
            assert!(routes.brokers().contains_key(name), "a topic on a missing broker");
        }
        let route = routes.route(topic).unwrap_or_default();
        assert_eq!(route.queues.len(), served.len());
        assert_eq!(route.brokers.len(), served.len());
    }
    let places: usize = routes.topics().values().map(BTreeMap::len).sum();
    assert_eq!(routes.places(), places);
    let named: BTreeSet<_> = routes.clusters().into_values().flatten().collect();
    assert!(named.iter().eq(routes.brokers().keys()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_breaks_the_table(
        steps in proptest::collection::vec(step(), 1..60),
        acting in any::<bool>(),
        deleting in any::<bool>(),
    ) {
        let mut routes = Routes::new(Policy {
            support_acting_master: acting,
            delete_topics_with_registration: deleting,
            ..Policy::default()
        });
        let (mut alive, mut now) = (Alive::new(), Duration::from_secs(1));
        for step in &steps {
            run(&mut routes, &mut alive, &mut now, step);
            check(&routes, &alive);
        }
    }
}
