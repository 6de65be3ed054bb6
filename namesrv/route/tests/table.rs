//! The route table through its API, case by case.

use std::sync::Arc;
use std::time::Duration;

use blockhouse_model::{DataVersion, Perm};
use blockhouse_route::query::{UNIT, UNIT_SUB};
use blockhouse_route::{
    ConnectionId, Policy, QueueConfig, QueueRoute, Registered, Registration, ReportedTopics, Routes,
};

const SECOND: Duration = Duration::from_secs(1);

fn queues(count: u32) -> QueueConfig {
    QueueConfig { read_queues: count, write_queues: count, perm: Perm::RW, sys_flag: 0 }
}

fn topics(version: i64, names: &[&str]) -> ReportedTopics {
    ReportedTopics {
        version: DataVersion { state_version: 0, timestamp: 1, counter: version },
        queues: names.iter().map(|n| (Arc::from(*n), queues(4))).collect(),
    }
}

fn report<'a>(
    broker: &'a str,
    id: u64,
    addr: &'a str,
    connection: u64,
    topics: ReportedTopics,
) -> Registration<'a> {
    Registration {
        cluster: "c",
        broker,
        id,
        addr,
        ha_addr: Some("ha"),
        zone: None,
        timeout: None,
        acting_master: Some(false),
        topics,
        filter_servers: Some(Vec::new()),
        connection: ConnectionId(connection),
    }
}

fn with_broker_a() -> Routes {
    let mut routes = Routes::default();
    let accepted = routes.register(&report("a", 0, "a:1", 1, topics(1, &["t", "u"])), SECOND);
    assert_eq!(
        accepted,
        Registered::Accepted { master: None, first: true, topics_changed: 2, instead_of: None }
    );
    routes
}

fn served(routes: &Routes, topic: &str) -> Vec<String> {
    let route = routes.route(topic).unwrap_or_default();
    assert_eq!(route.queues.len(), route.brokers.len());
    route.brokers.iter().map(|b| b.name.to_string()).collect()
}

#[test]
fn a_registered_broker_serves_its_topics() {
    let routes = with_broker_a();
    let route = routes.route("t").unwrap();
    assert_eq!(*route.queues[0].broker, *"a");
    assert_eq!(route.queues[0].queues, queues(4));
    assert_eq!(route.brokers[0].addrs.get(&0).map(AsRef::as_ref), Some("a:1"));
    assert!(routes.route("nowhere").is_none());
    assert!(routes.clusters()["c"].contains("a"));
}

#[test]
fn the_same_version_changes_nothing_but_adds_what_is_missing() {
    let mut routes = with_broker_a();
    assert_eq!(routes.wipe_write_perm("a"), 2);
    routes.delete_topic("u", None);
    let again = routes.register(&report("a", 0, "a:1", 1, topics(1, &["t", "u"])), SECOND);
    assert_eq!(
        again,
        Registered::Accepted { master: None, first: false, topics_changed: 1, instead_of: None }
    );
    assert!(!routes.queues("t", "a").unwrap().perm.writeable(), "a wiped permission stays wiped");
    assert!(routes.queues("u", "a").unwrap().perm.writeable());

    let newer = routes.register(&report("a", 0, "a:1", 1, topics(2, &["t", "u"])), SECOND);
    assert_eq!(
        newer,
        Registered::Accepted { master: None, first: false, topics_changed: 1, instead_of: None }
    );
    assert!(routes.queues("t", "a").unwrap().perm.writeable());
}

#[test]
fn a_topic_that_a_report_leaves_out_stays_unless_the_policy_says_otherwise() {
    let mut routes = with_broker_a();
    routes.register(&report("a", 0, "a:1", 1, topics(2, &["t"])), SECOND);
    assert_eq!(served(&routes, "u"), ["a"]);
    routes.choose(Policy { delete_topics_with_registration: true, ..Policy::default() });
    routes.register(&report("a", 0, "a:1", 1, topics(3, &["t"])), SECOND);
    assert!(routes.route("u").is_none());
    assert_eq!(served(&routes, "t"), ["a"]);
}

#[test]
fn an_unknown_broker_with_one_topic_must_report_in_full_first() {
    let mut routes = Routes::default();
    let single = report("a", 0, "a:1", 1, topics(1, &["t"]));
    assert_eq!(routes.register(&single, SECOND), Registered::FullReportFirst);
    assert!(routes.brokers().is_empty() && routes.clusters().is_empty());
}

#[test]
fn a_new_address_takes_an_id_over_unless_its_state_is_older() {
    let mut routes = with_broker_a();
    let mut newer = topics(1, &["t", "u"]);
    newer.version.state_version = 2;
    let taken = routes.register(&report("a", 0, "b:1", 2, newer), SECOND);
    let Registered::Accepted { instead_of, first: false, .. } = taken else { panic!("{taken:?}") };
    assert_eq!(instead_of.as_deref(), Some("a:1"));
    assert_eq!(routes.member_group("a")[&0].as_ref(), "b:1");
    // The fenced master comes back with its old state.
    let old = report("a", 0, "a:1", 3, topics(9, &["t", "u"]));
    assert_eq!(routes.register(&old, SECOND), Registered::Outdated);
    assert_eq!(routes.member_group("a")[&0].as_ref(), "b:1");
    assert_eq!(routes.known_version("c", "a:1"), None);
    // What the replaced address had registered over does not matter any more.
    assert!(routes.connection_closed(ConnectionId(1)).is_empty());
}

#[test]
fn a_slave_learns_its_master_and_brings_no_topics_while_there_is_one() {
    let mut routes = with_broker_a();
    let slave = routes.register(&report("a", 1, "s:1", 2, topics(1, &["t", "only"])), SECOND);
    let master = Some((Arc::from("a:1"), Some(Arc::from("ha"))));
    assert_eq!(
        slave,
        Registered::Accepted { master, first: true, topics_changed: 0, instead_of: None }
    );
    assert!(routes.route("only").is_none());
    // Without the master the lowest slave's topics count, and the old ones stay readable.
    let gone = routes.connection_closed(ConnectionId(1));
    assert_eq!((gone.len(), gone[0].last), (1, false));
    assert_eq!(routes.route("t").unwrap().brokers[0].addrs.len(), 1);
    routes.register(&report("a", 1, "s:1", 2, topics(2, &["t", "only"])), SECOND);
    assert_eq!(served(&routes, "only"), ["a"]);
    // A slave older than RocketMQ 5.0 never brings any.
    let mut old = report("b", 1, "o:1", 3, topics(1, &["x", "y"]));
    old.acting_master = None;
    routes.register(&old, SECOND);
    assert!(routes.route("x").is_none());
}

#[test]
fn a_slave_that_becomes_master_stands_under_its_new_id_only() {
    let mut routes = with_broker_a();
    routes.register(&report("a", 1, "s:1", 2, topics(1, &["t", "u"])), SECOND);
    routes.unregister("a", "a:1").unwrap();
    routes.register(&report("a", 0, "s:1", 2, topics(1, &["t", "u"])), SECOND);
    let members = routes.member_group("a");
    assert_eq!(members.len(), 1);
    assert_eq!(members[&0].as_ref(), "s:1");
}

#[test]
fn a_lost_master_is_stood_in_for_by_its_lowest_slave_read_only() {
    let mut routes = Routes::new(Policy { support_acting_master: true, ..Policy::default() });
    for (id, addr) in [(0, "m:1"), (2, "s2:1"), (1, "s1:1")] {
        let mut broker = report("a", id, addr, id, topics(1, &["t", "u"]));
        broker.acting_master = Some(true);
        routes.register(&broker, SECOND);
    }
    routes.unregister("a", "m:1").unwrap();
    let route = routes.route("t").unwrap();
    assert!(!route.queues[0].queues.perm.writeable());
    let addrs: Vec<_> = route.brokers[0].addrs.iter().map(|(id, a)| (*id, a.as_ref())).collect();
    assert_eq!(addrs, [(0, "s1:1"), (2, "s2:1")]);
    // The member group shows what is.
    assert_eq!(routes.member_group("a").keys().copied().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn silence_beyond_a_brokers_own_limit_expires_it() {
    let mut routes = with_broker_a();
    let mut quick = report("b", 0, "b:1", 2, topics(1, &["t", "v"]));
    quick.timeout = Some(10 * SECOND);
    routes.register(&quick, SECOND);
    assert!(routes.expire(11 * SECOND).is_empty());
    let gone = routes.expire(12 * SECOND);
    assert_eq!(
        (gone.len(), gone[0].broker.as_ref(), gone[0].connection),
        (1, "b", ConnectionId(2))
    );
    assert_eq!(served(&routes, "t"), ["a"]);
    assert!(routes.route("v").is_none());
    assert!(routes.heartbeat("c", "a:1", 100 * SECOND));
    assert!(!routes.heartbeat("c", "b:1", 100 * SECOND));
    assert!(routes.expire(220 * SECOND).is_empty());
    assert_eq!(routes.expire(221 * SECOND).len(), 1);
    assert!(routes.topics().is_empty() && routes.brokers().is_empty());
}

#[test]
fn a_closed_connection_takes_out_who_registered_over_it_last() {
    let mut routes = with_broker_a();
    routes.register(&report("a", 0, "a:1", 7, topics(1, &["t", "u"])), SECOND);
    assert!(routes.connection_closed(ConnectionId(1)).is_empty(), "the broker had reconnected");
    assert_eq!(routes.connection_closed(ConnectionId(7)).len(), 1);
    assert!(routes.route("t").is_none());
}

#[test]
fn a_renamed_broker_leaves_its_old_name() {
    let mut routes = with_broker_a();
    routes.register(&report("new", 0, "a:1", 2, topics(1, &["t", "u"])), SECOND);
    assert_eq!(served(&routes, "t"), ["new"]);
    assert!(routes.member_group("a").is_empty());
}

#[test]
fn data_versions_tell_whether_topics_changed() {
    let routes = with_broker_a();
    assert!(!routes.topics_changed("c", "a:1", topics(1, &[]).version));
    assert!(routes.topics_changed("c", "a:1", topics(2, &[]).version));
    assert!(routes.topics_changed("other", "a:1", topics(1, &[]).version));
}

#[test]
fn topics_are_deleted_everywhere_or_in_one_cluster() {
    let mut routes = with_broker_a();
    let mut other = report("b", 0, "b:1", 2, topics(1, &["t", "v"]));
    other.cluster = "d";
    routes.register(&other, SECOND);
    assert!(!routes.delete_topic("t", Some("nowhere")));
    assert!(routes.delete_topic("t", Some("c")));
    assert_eq!(served(&routes, "t"), ["b"]);
    assert!(routes.delete_topic("t", Some("d")));
    assert!(routes.route("t").is_none());
    assert!(routes.delete_topic("u", None));
    assert!(!routes.delete_topic("u", None));
}

#[test]
fn a_topic_can_be_registered_on_known_brokers_only() {
    let mut routes = with_broker_a();
    let on = |broker: &str| QueueRoute { broker: Arc::from(broker), queues: queues(2) };
    assert!(routes.register_topic("new", &[on("a")]));
    assert_eq!(routes.queues("new", "a"), Some(queues(2)));
    assert!(!routes.register_topic("other", &[on("a"), on("x")]));
    assert!(!routes.register_topic("other", &[]));
    assert!(routes.route("other").is_none());
}

#[test]
fn write_permission_is_taken_and_given_back_with_counts() {
    let mut routes = with_broker_a();
    assert_eq!(routes.wipe_write_perm("nobody"), 0);
    assert_eq!(routes.wipe_write_perm("a"), 2);
    assert_eq!(routes.queues("t", "a").unwrap().perm, Perm(Perm::READ));
    assert_eq!(routes.add_write_perm("a"), 2);
    assert_eq!(routes.queues("t", "a").unwrap().perm, Perm::RW);
}

#[test]
fn lists_name_topics_by_cluster_flag_and_owner() {
    let mut routes = with_broker_a();
    let mut flagged = topics(2, &["t", "u"]);
    flagged.queues.entry("t".into()).and_modify(|q| q.sys_flag = UNIT | UNIT_SUB);
    flagged.queues.entry("u".into()).and_modify(|q| q.sys_flag = UNIT_SUB);
    routes.register(&report("a", 0, "a:1", 1, flagged), SECOND);
    assert_eq!(routes.topics_of_cluster("c").len(), 2);
    assert!(routes.topics_of_cluster("x").is_empty());
    let unit = routes.topics_by_flag(|f| f & UNIT != 0);
    assert_eq!(unit.iter().map(AsRef::as_ref).collect::<Vec<_>>(), ["t"]);
    let sub = routes.topics_by_flag(|f| f & UNIT_SUB != 0 && f & UNIT == 0);
    assert_eq!(sub.iter().map(AsRef::as_ref).collect::<Vec<_>>(), ["u"]);
    let (system, addr) = routes.system_topics();
    assert_eq!(system.iter().map(AsRef::as_ref).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(addr.as_deref(), Some("a:1"));
}

#[test]
fn a_zone_keeps_its_brokers_and_those_without_a_master() {
    let mut routes = Routes::default();
    for (name, id, zone) in [("near", 0, "Z1"), ("far", 0, "z2"), ("lost", 1, "z2")] {
        let addr = format!("{name}:1");
        let mut broker = report(name, id, &addr, 1, topics(1, &["t", "u"]));
        broker.zone = Some(zone);
        broker.filter_servers = Some(vec![Arc::from("f:1")]);
        routes.register(&broker, SECOND);
    }
    let mut route = routes.route("t").unwrap();
    route.keep_zone("z1");
    let names: Vec<_> = route.brokers.iter().map(|b| b.name.as_ref()).collect();
    assert_eq!(names, ["lost", "near"]);
    assert_eq!(route.queues.len(), 2);
    assert!(!route.filter_servers.contains_key("far:1"));
    assert!(route.filter_servers.contains_key("near:1"));
}
