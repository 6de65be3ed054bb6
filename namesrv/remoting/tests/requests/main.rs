//! Requests through the service, without sockets: answers, refusals, hooks.

mod bench;
mod chain;
mod flight;
mod login;
mod owners;
mod recorded;
mod spans;
mod users;

use std::sync::Arc;
use std::time::Duration;

use blockhouse_hook::{
    AdminCommand, BrokerRegistration, ConnectionInfo, Credentials, Hook, HookChain, Identity,
    Point, Points, Rejection, RouteEntry, Verdict,
};
use blockhouse_model::{Access, Action, Principal, RequestContext, Resource};
use blockhouse_namesrv_remoting::Settings;
use blockhouse_namesrv_remoting::table::{Needs, ROWS};
use blockhouse_protocol::codes::{request_code as code, response_code};
use blockhouse_transport::Sessions;
use parking_lot::Mutex;
use proptest::prelude::*;

use bench::{Answer, BROKER_FIELDS, Bench, two_topics};

#[test]
fn a_broker_registers_and_clients_find_its_topics() {
    let bench = Bench::new();
    let answer = bench.register();
    assert_eq!((answer.code, answer.remark.as_deref()), (0, None));

    let strict = bench.ask(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "t")], b"");
    assert_eq!(
        strict.body(),
        r#"{"brokerDatas":[{"brokerAddrs":{"0":"127.0.0.1:10911"},"brokerName":"a","cluster":"c","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}"#
    );
    let old = bench.ask_as(399, code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "t")], b"");
    assert_eq!(old.body(), strict.body().replace("\"0\":", "0:"));
    let fields = [("topic", "t"), ("acceptStandardJsonOnly", "true")];
    let asked = bench.ask_as(399, code::GET_ROUTEINFO_BY_TOPIC, &fields, b"");
    assert_eq!(asked.body(), strict.body());

    let missing = bench.ask(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "x")], b"");
    assert_eq!(missing.code, response_code::TOPIC_NOT_EXIST);
    let remark = "No topic route info in name server for the topic: x\n";
    assert!(missing.remark.unwrap().starts_with(remark));
}

#[test]
fn requests_of_one_burst_wait_for_room_for_their_answers() {
    let bench = Bench::new();
    let answered = |room| bench.answered_with_room(room, code::GET_BROKER_CLUSTER_INFO, 5);
    assert_eq!((answered(1), answered(usize::MAX)), (1, 5));
}

#[test]
fn what_is_wrong_with_a_request_is_named() {
    let bench = Bench::new();
    let unknown = bench.ask(10, &[], b"");
    assert_eq!(unknown.code, response_code::REQUEST_CODE_NOT_SUPPORTED);
    assert_eq!(unknown.remark.as_deref(), Some(" request type 10 not supported"));
    let missing = bench.ask(code::GET_ROUTEINFO_BY_TOPIC, &[], b"");
    assert_eq!(missing.code, response_code::SYSTEM_ERROR);
    assert_eq!(missing.remark.as_deref(), Some("the header field topic is missing"));
    let long = bench.ask(code::GET_KV_CONFIG, &[("namespace", "n"), ("key", "k")], &[b'x'; 2000]);
    assert_eq!(long.code, response_code::MESSAGE_ILLEGAL);
    assert!(long.remark.unwrap().contains("GET_KV_CONFIG"));
    let garbled = bench.ask(code::REGISTER_BROKER, BROKER_FIELDS, b"{\"topicConfig");
    assert_eq!(garbled.code, response_code::SYSTEM_ERROR);
    let mut negative = BROKER_FIELDS.to_vec();
    negative.push(("brokerId", "-1"));
    let negative = bench.ask(code::REGISTER_BROKER, &negative, two_topics(1).as_bytes());
    assert_eq!(negative.remark.as_deref(), Some("the header field brokerId is negative: -1"));
    assert_eq!(bench.service.counts(), (0, 0));
}

#[test]
fn a_body_that_does_not_match_its_checksum_is_refused() {
    let bench = Bench::new();
    let body = two_topics(1);
    let crc = crc32fast::hash(body.as_bytes()) & 0x7FFF_FFFF;
    let with = |crc: u32| {
        let crc = crc.to_string();
        let fields: Vec<_> = BROKER_FIELDS.iter().copied().chain([("bodyCrc32", &*crc)]).collect();
        bench.ask(code::REGISTER_BROKER, &fields, body.as_bytes())
    };
    assert_eq!(with(crc ^ 1).remark.as_deref(), Some("crc32 not match"));
    assert_eq!(bench.service.counts(), (0, 0));
    assert_eq!(with(crc).code, 0);
    assert_eq!(bench.service.counts(), (1, 2));
}

#[test]
fn an_unknown_broker_with_one_topic_is_refused_as_by_rocketmq() {
    let bench = Bench::new();
    let body = r#"{"topicConfigSerializeWrapper":{"topicConfigTable":{"t":{"topicName":"t"}}}}"#;
    let refused = bench.ask(code::REGISTER_BROKER, BROKER_FIELDS, body.as_bytes());
    assert_eq!((refused.code, refused.remark.as_deref()), (1, Some("register broker failed")));
}

#[test]
fn versions_tell_a_broker_whether_it_must_report_again() {
    let bench = Bench::new();
    let version = |counter| format!(r#"{{"stateVersion":0,"timestamp":5,"counter":{counter}}}"#);
    let query =
        |counter| bench.ask(code::QUERY_DATA_VERSION, BROKER_FIELDS, version(counter).as_bytes());
    let unknown = query(1);
    assert_eq!((unknown.field("changed"), unknown.body()), (Some("true"), String::new()));
    bench.register();
    let same = query(1);
    assert_eq!((same.field("changed"), same.body()), (Some("false"), version(1)));
    assert_eq!(query(2).field("changed"), Some("true"));
}

#[test]
fn a_closed_connection_and_silence_take_brokers_out() {
    let bench = Bench::new();
    bench.register();
    bench.service.closed(&bench.connection);
    assert_eq!(bench.service.counts(), (0, 0));

    bench.register();
    bench.clock.advance(Duration::from_secs(120));
    assert_eq!(bench.service.expire(), 0);
    assert_eq!(bench.ask(code::BROKER_HEARTBEAT, BROKER_FIELDS, b"").code, 0);
    bench.clock.advance(Duration::from_secs(120));
    assert_eq!(bench.service.expire(), 0);
    bench.clock.advance(Duration::from_millis(1));
    assert_eq!(bench.service.expire(), 1);
    assert!(bench.connection.is_closed());
}

#[test]
fn unregistering_takes_the_broker_out() {
    let bench = Bench::new();
    bench.register();
    assert_eq!(bench.ask(code::UNREGISTER_BROKER, BROKER_FIELDS, b"").code, 0);
    assert_eq!(bench.service.counts(), (0, 0));
    assert_eq!(bench.ask(code::UNREGISTER_BROKER, BROKER_FIELDS, b"").code, 0);
}

#[test]
fn permissions_topics_and_lists() {
    let bench = Bench::new();
    bench.register();
    let broker = [("brokerName", "a")];
    let wiped = bench.ask(code::WIPE_WRITE_PERM_OF_BROKER, &broker, b"");
    assert_eq!(wiped.field("wipeTopicCount"), Some("2"));
    let route = bench.ask(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "t")], b"");
    assert!(route.body().contains("\"perm\":4"));
    let added = bench.ask(code::ADD_WRITE_PERM_OF_BROKER, &broker, b"");
    assert_eq!(added.field("addTopicCount"), Some("2"));

    let list = |code, fields: &[(&str, &str)]| bench.ask(code, fields, b"").body();
    assert_eq!(list(code::GET_ALL_TOPIC_LIST_FROM_NAMESERVER, &[]), r#"{"topicList":["t","u"]}"#);
    let cluster = [("cluster", "c")];
    assert_eq!(list(code::GET_TOPICS_BY_CLUSTER, &cluster), r#"{"topicList":["t","u"]}"#);
    let system = r#"{"brokerAddr":"127.0.0.1:10911","topicList":["a","c"]}"#;
    assert_eq!(list(code::GET_SYSTEM_TOPIC_LIST_FROM_NS, &[]), system);
    for code in [
        code::GET_UNIT_TOPIC_LIST,
        code::GET_HAS_UNIT_SUB_TOPIC_LIST,
        code::GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST,
    ] {
        assert_eq!(list(code, &[]), r#"{"topicList":[]}"#);
    }

    let body = r#"{"queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":1,"writeQueueNums":1,"topicSysFlag":3}]}"#;
    bench.ask(code::REGISTER_TOPIC_IN_NAMESRV, &[("topic", "new")], body.as_bytes());
    assert_eq!(list(code::GET_UNIT_TOPIC_LIST, &[]), r#"{"topicList":["new"]}"#);
    bench.ask(code::DELETE_TOPIC_IN_NAMESRV, &[("topic", "new"), ("clusterName", "c")], b"");
    bench.ask(code::DELETE_TOPIC_IN_NAMESRV, &[("topic", "t")], b"");
    assert_eq!(list(code::GET_ALL_TOPIC_LIST_FROM_NAMESERVER, &[]), r#"{"topicList":["u"]}"#);

    let group = bench.ask(code::GET_BROKER_MEMBER_GROUP, BROKER_FIELDS, b"");
    assert!(group.body().starts_with(r#"{"brokerMemberGroup":{"brokerAddrs":{0:"#));
    let cluster = bench.ask(code::GET_BROKER_CLUSTER_INFO, &[], b"").body();
    assert!(cluster.ends_with(r#""clusterAddrTable":{"c":["a"]}}"#), "{cluster}");
}

#[test]
fn kv_entries_are_kept_on_disk_and_joined_to_routes() {
    let bench = Bench::new();
    let (namespace, t) = (("namespace", "ORDER_TOPIC_CONFIG"), ("key", "t"));
    let missing = bench.ask(code::GET_KVLIST_BY_NAMESPACE, &[namespace], b"");
    assert_eq!(missing.code, response_code::QUERY_NOT_FOUND);
    let put = bench.ask(code::PUT_KV_CONFIG, &[namespace, t, ("value", "a:4")], b"");
    assert_eq!(put.code, 0);
    assert_eq!(bench.file(), r#"{"configTable":{"ORDER_TOPIC_CONFIG":{"t":"a:4"}}}"#);
    let got = bench.ask(code::GET_KV_CONFIG, &[namespace, t], b"");
    assert_eq!(got.field("value"), Some("a:4"));
    // A broker that registers is told, and with the option on clients are too.
    assert_eq!(bench.register().body(), r#"{"table":{"t":"a:4"}}"#);
    let topic = [("topic", "t")];
    let route = || bench.ask(code::GET_ROUTEINFO_BY_TOPIC, &topic, b"").body();
    assert!(!route().contains("orderTopicConf"));
    bench.ask(code::UPDATE_NAMESRV_CONFIG, &[], b"orderMessageEnable=true\n");
    assert!(route().contains(r#""orderTopicConf":"a:4""#));

    assert_eq!(bench.ask(code::DELETE_KV_CONFIG, &[namespace, t], b"").code, 0);
    assert_eq!(bench.file(), r#"{"configTable":{"ORDER_TOPIC_CONFIG":{}}}"#);
    let gone = bench.ask(code::GET_KV_CONFIG, &[namespace, t], b"");
    let remark = "No config item, Namespace: ORDER_TOPIC_CONFIG Key: t";
    assert_eq!((gone.code, gone.remark.as_deref()), (response_code::QUERY_NOT_FOUND, Some(remark)));
    bench.disk.fail_writes(true);
    let unsaved = bench.ask(code::PUT_KV_CONFIG, &[namespace, t, ("value", "a:4")], b"");
    assert_eq!(unsaved.code, response_code::SYSTEM_ERROR);
    assert!(unsaved.remark.unwrap().starts_with("the change is in force but could not be saved"));
}

#[test]
fn options_are_shown_and_changed_as_properties() {
    let bench = Bench::new();
    let shown = bench.ask(code::GET_NAMESRV_CONFIG, &[], b"").body();
    assert!(shown.contains("listenPort=9876\n") && shown.contains("needWaitForService=false\n"));
    let update = |text: &str| bench.ask(code::UPDATE_NAMESRV_CONFIG, &[], text.as_bytes());
    assert_eq!(update("kvConfigPath=/x").code, response_code::NO_PERMISSION);
    assert_eq!(update("listenPort=1").code, response_code::NO_PERMISSION);
    let unknown = update("enableTopicList=false\nnoSuch=1");
    assert_eq!(unknown.code, response_code::INVALID_PARAMETER);
    assert_eq!(unknown.remark.as_deref(), Some("noSuch is not an option of this name server"));
    let shown = bench.ask(code::GET_NAMESRV_CONFIG, &[], b"").body();
    assert!(shown.contains("enableTopicList=true\n"), "all or nothing");
    assert_eq!(update("enableTopicList=false\nenableAllTopicList=false").code, 0);
    let list = bench.ask(code::GET_ALL_TOPIC_LIST_FROM_NAMESERVER, &[], b"");
    assert_eq!((list.code, list.remark.as_deref()), (1, Some("disable")));
    let list = bench.ask(code::GET_TOPICS_BY_CLUSTER, &[("cluster", "c")], b"");
    assert_eq!((list.code, list.remark.as_deref()), (1, Some("disable")));
}

#[test]
fn routes_can_wait_for_brokers_to_report() {
    let settings = Settings { need_wait_for_service: true, ..Settings::default() };
    let bench = Bench::with(settings, &[]);
    bench.register();
    let route = || bench.ask(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "t")], b"");
    assert_eq!(route().remark.as_deref(), Some("name server not ready"));
    bench.clock.advance(Duration::from_secs(45));
    assert_eq!(route().code, 0);
}

/// Frames between a Java broker 5.4.0 and a Java name server 5.4.0.
macro_rules! captured {
    ($name:literal) => {
        include_bytes!(concat!("captured/", $name, ".bin"))
    };
}

#[test]
fn what_an_official_broker_sends_is_understood_and_answered_as_by_an_official_name_server() {
    // The compressed one says that it is not compressed; official name servers refuse it.
    for register in [
        &captured!("103_register_broker.request")[..],
        captured!("103_register_broker.compressed.request"),
    ] {
        let bench = Bench::new();
        let answers = bench.ask_raw(register);
        assert_eq!((answers[0].code, answers[0].remark()), (0, None));
        assert_eq!(bench.service.counts(), (1, 15));
        let cluster = &bench.ask_raw(captured!("106_get_broker_cluster_info.request"))[0];
        let official = bytes_after_header(captured!("106_get_broker_cluster_info.response"));
        let address = String::from_utf8_lossy(&cluster.body).replace("40951", "40932");
        assert_eq!(address, String::from_utf8_lossy(official));
        bench.ask_raw(captured!("104_unregister_broker.request"));
        assert_eq!(bench.service.counts(), (0, 0));
    }
}

fn bytes_after_header(frame: &[u8]) -> &[u8] {
    let header = u32::from_be_bytes([0, frame[5], frame[6], frame[7]]);
    &frame[8 + header as usize..]
}

#[test]
fn a_one_way_request_is_carried_out_and_not_answered() {
    let bench = Bench::new();
    let answers = bench.one_way(code::REGISTER_BROKER, BROKER_FIELDS, two_topics(1).as_bytes());
    assert_eq!(answers, 0);
    assert_eq!(bench.service.counts(), (1, 2));
    assert_eq!(bench.one_way(9_999, &[], b""), 0);
}

/// Refuses what it is told to, and writes down what it sees.
struct Guard {
    refuses: &'static str,
    seen: Mutex<Vec<String>>,
}

impl Guard {
    fn note(&self, what: String) -> Verdict {
        let refused = !self.refuses.is_empty() && what.starts_with(self.refuses);
        self.seen.lock().push(what);
        if refused { Verdict::Reject(Rejection::new("not you")) } else { Verdict::Continue }
    }
}

impl Hook for Guard {
    fn name(&self) -> &'static str {
        "guard"
    }
    fn points(&self) -> Points {
        Points::all()
    }
    fn connection_opened(&self, _: &ConnectionInfo) -> Verdict {
        self.note("opened".to_owned())
    }
    fn connection_closed(&self, _: &ConnectionInfo) {
        self.note("closed".to_owned());
    }
    fn authenticate(&self, _: &RequestContext, credentials: &Credentials<'_>) -> Identity {
        if credentials.access_key.is_empty() {
            self.note("authenticate nobody".to_owned());
            return Identity::Unknown;
        }
        let signed = String::from_utf8_lossy(credentials.signed_fields);
        self.note(format!("authenticate {} {signed}", credentials.access_key));
        Identity::Known(Principal::User(credentials.access_key.into()))
    }
    fn authorize(&self, cx: &RequestContext, accesses: &[Access<'_>]) -> Verdict {
        self.note(format!(
            "authorize {:?} {:?} {:?}",
            cx.principal, accesses[0].action, accesses[0].resource
        ))
    }
    fn admin_command(&self, _: &RequestContext, command: &AdminCommand<'_>) -> Verdict {
        self.note(format!("admin {} {}", command.name, command.target))
    }
    fn broker_registration(&self, _: &RequestContext, r: &BrokerRegistration<'_>) -> Verdict {
        self.note(format!("registration {} {} {} {}", r.cluster, r.broker, r.address, r.topics))
    }
    fn route_query(&self, _: &RequestContext, topic: &str, route: &mut Vec<RouteEntry>) -> Verdict {
        route.reverse();
        route.retain(|entry| entry.broker != "hidden");
        self.note(format!("route {topic}"))
    }
}

fn guarded(refuses: &'static str) -> (Bench, Arc<Guard>) {
    let guard = Arc::new(Guard { refuses, seen: Mutex::default() });
    (Bench::with(Settings::default(), &[Arc::clone(&guard) as Arc<dyn Hook>]), guard)
}

fn refused(answer: &Answer) -> bool {
    answer.code == response_code::NO_PERMISSION && answer.remark.as_deref() == Some("not you")
}

#[test]
fn hooks_are_asked_at_their_points() {
    let (bench, guard) = guarded("");
    assert!(bench.service.opened(&bench.connection));
    let mut fields = BROKER_FIELDS.to_vec();
    fields.extend([("Signature", "s"), ("AccessKey", "me")]);
    bench.ask(code::REGISTER_BROKER, &fields, two_topics(1).as_bytes());
    bench.ask(code::WIPE_WRITE_PERM_OF_BROKER, &[("brokerName", "a")], b"");
    bench.ask(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "t")], b"");
    bench.service.closed(&bench.connection);
    let expected = [
        "opened",
        "authenticate me me127.0.0.1:109110ac127.0.0.1:10912",
        "authorize User(\"me\") Update Cluster",
        "registration c a 127.0.0.1:10911 2",
        "authenticate nobody",
        "authorize Anonymous Update Cluster",
        "admin WIPE_WRITE_PERM_OF_BROKER a",
        "authenticate nobody",
        "authorize Anonymous Get Topic(\"t\")",
        "route t",
        "closed",
    ];
    assert_eq!(*guard.seen.lock(), expected);
}

#[test]
fn requests_are_counted_by_code_and_result() {
    let bench = Bench::new();
    bench.register();
    let topics = [("topic", "t"), ("topic", "none"), ("topic", "none")];
    for topic in topics {
        bench.ask(code::GET_ROUTEINFO_BY_TOPIC, &[topic], b"");
    }
    bench.ask(code::PUT_KV_CONFIG, &[("namespace", "n"), ("key", "k"), ("value", "v")], b"");
    let counted = bench.meter.requests.read();
    let count = |request, result| counted.get(&Some((request, result))).copied();
    assert_eq!(count(code::GET_ROUTEINFO_BY_TOPIC, 0), Some(1));
    let missing = response_code::TOPIC_NOT_EXIST;
    assert_eq!(count(code::GET_ROUTEINFO_BY_TOPIC, missing), Some(2));
    assert_eq!(count(code::PUT_KV_CONFIG, 0), Some(1));
}

#[test]
fn a_refusal_stops_the_request_before_it_takes_effect() {
    let (bench, _) = guarded("opened");
    assert!(!bench.service.opened(&bench.connection));
    for point in ["registration", "authorize"] {
        let (bench, _) = guarded(point);
        assert!(refused(&bench.register()));
        assert_eq!(bench.service.counts(), (0, 0));
    }
    let (bench, _) = guarded("admin");
    bench.register();
    let broker = [("brokerName", "a")];
    assert!(refused(&bench.ask(code::WIPE_WRITE_PERM_OF_BROKER, &broker, b"")));
    let route = bench.ask(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "t")], b"");
    assert!(route.body().contains("\"perm\":6"));
}

#[test]
fn a_hook_takes_brokers_out_of_a_route_and_reorders_it() {
    let (bench, _) = guarded("");
    for (name, port) in [("a", "1"), ("b", "2"), ("hidden", "3")] {
        let addr = format!("127.0.0.1:{port}");
        let mut fields = BROKER_FIELDS.to_vec();
        fields.extend([("brokerName", name), ("brokerAddr", &addr)]);
        assert_eq!(bench.ask(code::REGISTER_BROKER, &fields, two_topics(1).as_bytes()).code, 0);
    }
    let body = bench.ask(code::GET_ROUTEINFO_BY_TOPIC, &[("topic", "t")], b"").body();
    assert!(!body.contains("hidden"));
    let place = |text: &str| body.find(text).unwrap();
    assert!(place(r#""brokerName":"b""#) < place(r#""brokerName":"a""#), "{body}");
}

#[test]
fn every_code_is_authorized_before_anything_else() {
    for row in ROWS {
        let (bench, guard) = guarded("authorize");
        let fields = [("topic", "t"), ("brokerName", "a"), ("namespace", "n"), ("key", "k")];
        assert!(refused(&bench.ask(row.code, &fields, b"")), "{}", row.code);
        let needs = match row.access {
            Needs::Cluster(action) | Needs::User(action) => (action, Resource::Cluster),
            Needs::Policy(action) => (action, Resource::Policy),
            Needs::Topic(action, _) => (action, Resource::Topic("t")),
        };
        let (action, resource): (Action, Resource<'_>) = needs;
        let asked = format!("authorize Anonymous {action:?} {resource:?}");
        assert_eq!(*guard.seen.lock(), ["authenticate nobody", &asked]);
    }
    // The chain without hooks asks nobody.
    assert!(!HookChain::new(&[]).has(Point::Authorize));
}

#[test]
fn codes_without_a_row_are_not_supported() {
    let (bench, _) = guarded("");
    let all = (0..65_536).chain(200_000..201_001);
    for code in all.filter(|code| !ROWS.iter().any(|row| row.code == *code)) {
        let answer = bench.ask(code, &[("topic", "t")], b"");
        assert_eq!(answer.code, response_code::REQUEST_CODE_NOT_SUPPORTED, "{code}");
    }
}

const FIELDS: [&str; 12] = [
    "topic",
    "brokerName",
    "brokerAddr",
    "clusterName",
    "brokerId",
    "haServerAddr",
    "bodyCrc32",
    "heartbeatTimeoutMillis",
    "namespace",
    "key",
    "value",
    "cluster",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{0,2}", "-?[0-9]{1,20}", Just("0".to_owned()), any::<String>()]
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let damaged = (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| {
        let mut body = two_topics(1).into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        body
    });
    prop_oneof![
        Just(two_topics(1).into_bytes()),
        damaged,
        prop::collection::vec(any::<u8>(), 0..200)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_request_gets_one_answer(
        requests in prop::collection::vec(
            (
                0..ROWS.len(),
                prop::collection::vec((0..FIELDS.len(), text()), 0..12),
                body(),
            ),
            1..8,
        ),
    ) {
        let bench = Bench::new();
        for (row, fields, body) in &requests {
            let fields: Vec<_> = fields.iter().map(|(at, text)| (FIELDS[*at], text.as_str())).collect();
            let answer = bench.ask(ROWS[*row].code, &fields, body);
            prop_assert_eq!(answer.code == 0, answer.remark.is_none_or(|r| r.starts_with("not set")));
        }
    }
}
