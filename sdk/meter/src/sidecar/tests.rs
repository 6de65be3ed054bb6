use std::collections::{BTreeMap, HashSet};

use super::*;
use crate::Consumption;

fn lag(topic: &str, group: &str, messages: u64) -> GroupLag {
    GroupLag {
        topic: topic.into(),
        group: group.into(),
        messages,
        ready: 0,
        behind_ms: messages * 10,
        queueing_ms: 0,
        members: 2,
        stuck_seconds: 0,
    }
}

fn group(topic: &str, group: &str, messages: u64) -> GroupView {
    GroupView {
        lag: lag(topic, group, messages),
        committed: 100,
        is_broadcasting: false,
        rates: Some([1.004, 10.0]),
        sent_back: Some(3),
    }
}

fn topic(name: &str, end: u64) -> TopicView {
    let dead = names::is_dlq(name).then_some(DeadLetters { left: 1, members: 2 });
    TopicView { topic: name.into(), end, rates: Some([0.125, 2.0]), dead }
}

fn said(topic: &str) -> ClientView {
    let says = Consumption { failed: Some(3.0), consume_ms: Some(0.25), ..Consumption::default() };
    let name = |name: &str| Arc::from(name);
    ClientView {
        address: name("a"),
        client_id: name("i"),
        group: name("g"),
        topic: name(topic),
        says,
    }
}

fn view() -> SidecarView {
    SidecarView {
        cluster: "c".to_owned(),
        broker: "b".to_owned(),
        address: "10.0.0.1:10911".to_owned(),
        version: "V5_4_0",
        version_number: 500,
        started_ms: 77,
        rates: [12.345, 0.5],
        ..SidecarView::default()
    }
}

fn lines(view: SidecarView) -> Vec<String> {
    let mut lines = Vec::new();
    let mut seen = HashSet::new();
    view.read(&mut |s| {
        assert_eq!(s.labels.len(), s.metric.labels.len(), "{s:?}");
        let series = format!("{} {}", s.metric.name, s.labels.join("|"));
        assert!(seen.insert(series.clone()), "{series} comes twice");
        lines.push(format!("{series} {}", s.value));
    });
    lines
}

#[test]
fn there_are_the_89_families_of_rocketmq_exporter_each_once() {
    let served = f::SERVED.iter().map(|metric| (metric.name, metric.labels));
    let missing = f::MISSING.iter().map(|family| (family.name, family.labels));
    let all: BTreeMap<_, _> = served.chain(missing).collect();
    assert_eq!((all.len(), f::SERVED.len() + f::MISSING.len()), (89, 89));
    let of = |labels: &[&str]| all.values().filter(|own| **own == labels).count();
    let runtime = ["cluster", "brokerIP", "brokerHost", "des", "boottime", "broker_version"];
    assert_eq!(of(&runtime), 63);
    assert_eq!(all.keys().filter(|name| name.starts_with("rocketmq_brokeruntime_")).count(), 63);
    assert_eq!(of(&["clientAddr", "clientId", "group", "topic"]), 6);
    assert_eq!(of(&["group", "topic", "countOfOnlineConsumers", "msgModel"]), 3);
    assert_eq!(of(&["cluster", "broker", "topic", "group"]), 7);
    assert_eq!(of(&["cluster", "broker", "topic"]), 4);
    assert_eq!(of(&["cluster", "broker", "group"]), 2);
    assert_eq!(of(&["cluster", "brokerIP", "broker"]), 3);
    assert_eq!(of(&["caddr", "localaddr", "group"]), 1);
    assert!(f::SERVED.iter().all(|metric| metric.help.ends_with('.')));
}

#[test]
fn values_have_rocketmq_exporters_names_labels_and_two_digits() {
    let member = |n: u8| (format!("10.0.1.{n}:5"), Arc::from(format!("c{n}")));
    let lines = lines(SidecarView {
        topics: vec![topic("orders", 40), topic("%RETRY%g", 5), topic("%DLQ%g", 2)],
        groups: vec![
            group("orders", "g", 7),
            group("%RETRY%g", "g", 1),
            group("%DLQ%g", "g", 2),
            GroupView { is_broadcasting: true, rates: None, ..group("news", "all", 9) },
        ],
        members: vec![
            MembersView { group: "g".into(), members: vec![member(1), member(2)], count: 2 },
            MembersView { group: "gone".into(), members: vec![], count: 0 },
        ],
        producers: vec![("shop".into(), 3)],
        clients: ["orders", "%RETRY%g"].map(said).into(),
        values: vec![(&f::LOG_MAX, 4096.0)],
        ..view()
    });
    assert_eq!(
        lines,
        [
            "rocketmq_broker_tps c|10.0.0.1:10911|b 12.34",
            "rocketmq_broker_qps c|10.0.0.1:10911|b 0.5",
            "rocketmq_brokeruntime_commitlog_maxoffset c|10.0.0.1:10911||V5_4_0|77|500 4096",
            "rocketmq_producer_offset c|b|orders 40",
            "rocketmq_topic_retry_offset c|b|%RETRY%g 5",
            "rocketmq_topic_dlq_offset c|b|g 2",
            "rocketmq_group_dlqdiff g|%DLQ%g|2|1 1",
            "rocketmq_producer_tps c|b|orders 0.12",
            "rocketmq_producer_message_size c|b|orders 2",
            "rocketmq_producer_count c|b|shop 3",
            "rocketmq_group_diff g|orders|2|1 7",
            "rocketmq_group_retrydiff g|%RETRY%g|2|1 1",
            "rocketmq_consumer_offset c|b|orders|g 100",
            "rocketmq_consumer_offset c|b|news|all 100",
            "rocketmq_consumer_offset c|b|%RETRY%g|g 100",
            "rocketmq_group_consume_total_offset c|b|orders|g 100",
            "rocketmq_group_consume_total_offset c|b|news|all 100",
            "rocketmq_group_consume_total_offset c|b|%RETRY%g|g 100",
            "rocketmq_group_get_latency_by_storetime c|b|orders|g 70",
            "rocketmq_group_get_latency_by_storetime c|b|%RETRY%g|g 10",
            "rocketmq_consumer_tps c|b|orders|g 1",
            "rocketmq_consumer_tps c|b|%RETRY%g|g 1",
            "rocketmq_group_consume_tps c|b|orders|g 1",
            "rocketmq_group_consume_tps c|b|%RETRY%g|g 1",
            "rocketmq_consumer_message_size c|b|orders|g 10",
            "rocketmq_consumer_message_size c|b|%RETRY%g|g 10",
            "rocketmq_send_back_nums c|b|orders|g 3",
            "rocketmq_send_back_nums c|b|news|all 3",
            "rocketmq_send_back_nums c|b|%RETRY%g|g 3",
            "rocketmq_group_count 10.0.1.1:5,10.0.1.2:5|c1,c2|g 2",
            "rocketmq_group_count ||gone 0",
            "rocketmq_client_consume_fail_msg_count a|i|g|orders 3",
            "rocketmq_client_consume_fail_msg_count a|i|g|%RETRY%g 3",
            "rocketmq_client_consume_rt a|i|g|orders 0.25",
            "rocketmq_client_consume_rt a|i|g|%RETRY%g 0.25",
        ]
    );
}

#[test]
fn beyond_the_budgets_the_sums_are_exact() {
    let (many, pairs) = (TOPICS_MAX + 2, LAG_PAIRS_MAX + 2);
    let lines = lines(SidecarView {
        topics: (0..many)
            .flat_map(|n| [topic(&format!("t{n:06}"), 3), topic(&format!("%DLQ%g{n}"), 1)])
            .collect(),
        groups: (0..pairs)
            .flat_map(|n| [group("t", &format!("g{n}"), 5), group("%RETRY%t", &format!("g{n}"), 4)])
            .collect(),
        members: (0..many)
            .map(|n| MembersView { group: n.to_string().into(), members: vec![], count: 1 })
            .collect(),
        producers: (0..many).map(|n| (n.to_string().into(), 2)).collect(),
        ..view()
    });
    let of = |begin: &str| {
        let of = lines.iter().filter(|line| line.starts_with(begin));
        let values = of.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
        let values: Vec<f64> = values.collect();
        (values.len(), values.iter().sum::<f64>())
    };
    let (topics, groups) = (TOPICS_MAX + 1, LAG_PAIRS_MAX + 1);
    assert_eq!(of("rocketmq_producer_offset "), (topics, 3.0 * many as f64));
    assert_eq!(of("rocketmq_topic_dlq_offset "), (topics, many as f64));
    assert_eq!(of("rocketmq_group_dlqdiff "), (topics, many as f64));
    assert_eq!(of("rocketmq_group_diff "), (groups, 5.0 * pairs as f64));
    assert_eq!(of("rocketmq_group_retrydiff "), (groups, 4.0 * pairs as f64));
    assert_eq!(of("rocketmq_send_back_nums "), (2 * groups, 6.0 * pairs as f64));
    assert_eq!(of("rocketmq_producer_count "), (topics, 2.0 * many as f64));
    assert_eq!(of("rocketmq_group_count "), (topics, many as f64));
}

#[test]
fn of_a_large_group_some_members_are_named() {
    let members = (0..100).map(|n| (format!("a{n}"), Arc::from(format!("i{n}")))).collect();
    let lines = lines(SidecarView {
        members: vec![MembersView { group: "g".into(), members, count: 100 }],
        ..view()
    });
    let line = lines.last().unwrap();
    assert!(line.contains(",a31|i0,") && line.ends_with(",i31|g 100"), "{line}");
}

#[test]
fn what_clients_call_themselves_is_told_while_there_is_room() {
    let members = |number: usize| MembersView {
        group: format!("g{number:03}").into(),
        members: (0..32).map(|at| (format!("10.0.0.1:{at}"), "x".repeat(1_000).into())).collect(),
        count: 32,
    };
    let of_members = (0..200).map(members).collect();
    let lines = lines(SidecarView { members: of_members, ..view() });
    let counts: Vec<_> = lines.iter().filter(|l| l.starts_with("rocketmq_group_count ")).collect();
    assert_eq!(counts.len(), 200);
    assert!(counts[0].contains(",10.0.0.1:31|xxx") && counts[0].ends_with("|g000 32"));
    assert_eq!(counts[199], "rocketmq_group_count (other)|(other)|g199 32");
    let told: usize = counts.iter().map(|line| line.len()).sum();
    assert!(told < ADDRESS_BYTES_MAX + 200 * 64, "{told}");
}
