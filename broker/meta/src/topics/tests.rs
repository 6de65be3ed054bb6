use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use blockhouse_disk::{MemDisk, whole};
use blockhouse_model::{ManualClock, Timestamp};

use super::*;
use crate::attributes::parse_changes;

const FILE: &str = "/d/config/topics.json";

fn home(disk: &MemDisk) -> (Home, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp(100)));
    let own: Arc<dyn Clock> = Arc::clone(&clock) as _;
    (Home { disk: Arc::new(disk.clone()), dir: PathBuf::from("/d"), clock: own }, clock)
}

fn open(disk: &MemDisk) -> Topics {
    Topics::open(&home(disk).0, TopicSettings::default()).unwrap()
}

fn config(name: &str, queues: u32) -> TopicConfig {
    TopicConfig::new(Topic::trusted(name), queues)
}

/// As a Java broker 5.4.0 with default settings lists them (but for two of its transactions).
#[test]
fn a_new_broker_has_the_topics_of_a_java_one() {
    let topics = open(&MemDisk::new());
    let shown: Vec<_> = topics
        .all()
        .iter()
        .map(|t| format!("{} {} {} {}", t.name, t.perm.0, t.read_queues, t.write_queues))
        .collect();
    let expected = [
        "BenchmarkTest 6 1024 1024",
        "DefaultCluster 7 16 16",
        "DefaultCluster_REPLY_TOPIC 6 1 1",
        "OFFSET_MOVED_EVENT 6 1 1",
        "RMQ_SYS_TRANS_HALF_TOPIC 6 1 1",
        "RMQ_SYS_TRANS_OP_HALF_TOPIC 6 1 1",
        "SCHEDULE_TOPIC_XXXX 6 18 18",
        "SELF_TEST_TOPIC 6 1 1",
        "TBW102 7 8 8",
        "broker-a 7 1 1",
        "rmq_sys_REVIVE_LOG_DefaultCluster 6 8 8",
        "rmq_sys_SYNC_BROKER_MEMBER_broker-a 1 1 1",
        "rmq_sys_wheel_timer 6 1 1",
    ];
    assert_eq!(shown, expected);
    assert_eq!(topics.system_topics().len(), expected.len());
    assert!(!topics.is_system("mine"));
    assert_eq!(topics.version().counter, 0);
}

#[test]
fn settings_decide_which_topics_there_are() {
    let settings = TopicSettings {
        auto_create: false,
        trace_topic: true,
        timer_topic: false,
        broker_topic: false,
        ..TopicSettings::default()
    };
    let topics = Topics::open(&home(&MemDisk::new()).0, settings).unwrap();
    assert!(!topics.contains("TBW102") && !topics.contains("rmq_sys_wheel_timer"));
    assert_eq!(topics.find("RMQ_SYS_TRACE_TOPIC").unwrap().write_queues, 1);
    assert_eq!(topics.find("broker-a").unwrap().perm, Perm(Perm::INHERIT));
}

#[test]
fn a_send_creates_its_topic_after_the_template() {
    let topics = open(&MemDisk::new());
    let made = topics.create_on_send("new", "TBW102", (4, 1), None).unwrap().unwrap();
    assert_eq!((made.read_queues, made.write_queues, made.sys_flag), (4, 4, 1));
    assert_eq!(made.perm, Perm::RW);
    let wide = topics.create_on_send("wide", "TBW102", (99, 0), None).unwrap().unwrap();
    assert_eq!(wide.write_queues, 8, "not more than the template");
    let again = topics.create_on_send("wide", "TBW102", (1, 0), None).unwrap().unwrap();
    assert!(Arc::ptr_eq(&wide, &again));
    assert!(topics.create_on_send("a", "no-such-template", (4, 0), None).unwrap().is_none());
    assert!(
        topics.create_on_send("a", "SELF_TEST_TOPIC", (4, 0), None).unwrap().is_none(),
        "not inherited"
    );
    assert!(topics.create_on_send("../a", "TBW102", (4, 0), None).unwrap().is_none());
    assert!(topics.find("a").is_none());
}

#[test]
fn without_auto_create_the_template_of_an_old_file_does_not_count() {
    let disk = MemDisk::new();
    open(&disk).persist().unwrap();
    let settings = TopicSettings { auto_create: false, ..TopicSettings::default() };
    let topics = Topics::open(&home(&disk).0, settings).unwrap();
    assert!(topics.contains("TBW102"));
    assert!(topics.create_on_send("new", "TBW102", (4, 0), None).unwrap().is_none());
    assert!(topics.create_on_send("new", "DefaultCluster", (4, 0), None).unwrap().is_some());
}

#[test]
fn a_user_has_as_many_topics_as_may_be_his_and_they_are_his_after_a_start() {
    let disk = MemDisk::new();
    let of = [("user:many".to_owned(), 3), ("user:free".to_owned(), 0)].into();
    let settings =
        TopicSettings { shares: TopicShares { each: 2, of }, ..TopicSettings::default() };
    let open = || Topics::open(&home(&disk).0, settings.clone()).unwrap();
    let topics = open();
    let config = |name: &str| TopicConfig::new(Topic::trusted(name), 1);
    let send = |topics: &Topics, name: &str, owner| {
        topics.create_on_send(name, "TBW102", (4, 0), owner).map(|made| made.is_some())
    };
    let ask = |topics: &Topics, name: &str, owner| {
        topics.update(config(name), &Changes::default(), owner).map(|_| true)
    };
    let alice = Some("user:alice");
    assert!(send(&topics, "a1", alice).unwrap() && ask(&topics, "a2", alice).unwrap());
    let refused = "user:alice has made 2 topics, as many as the quota of topics of this user allows: \
                   delete some that nobody needs (`blockhouse admin topic delete TOPIC`)";
    assert_eq!(send(&topics, "a3", alice).unwrap_err().to_string(), refused);
    assert_eq!(ask(&topics, "a3", alice).unwrap_err().to_string(), refused);
    assert!(!topics.contains("a3") && topics.refused_owners() == 2);
    // Those that are there are sent to and changed by anybody, and stay whose they were.
    assert!(send(&topics, "a1", Some("user:bob")).unwrap() && ask(&topics, "a1", alice).unwrap());
    for (number, owner) in (0..9).zip([Some("user:free"), None].into_iter().cycle()) {
        assert!(send(&topics, &format!("free{number}"), owner).unwrap());
    }
    let many = |topics: &Topics, from: u32| {
        let made = |n: &u32| send(topics, &format!("many{n}"), Some("user:many")).is_ok();
        (from..9).take_while(made).count()
    };
    assert_eq!(many(&topics, 0), 3);
    topics.persist().unwrap();
    let topics = open();
    assert!(send(&topics, "a3", alice).is_err() && many(&topics, 3) == 0);
    topics.remove("a1").unwrap();
    assert!(send(&topics, "a3", alice).unwrap() && send(&topics, "a4", alice).is_err());
}

#[test]
fn there_are_as_many_topics_as_there_may_be_and_what_goes_makes_room() {
    let disk = MemDisk::new();
    let own = open(&disk).count();
    let settings = TopicSettings { topics_max: own + 2, ..TopicSettings::default() };
    let topics = Topics::open(&home(&disk).0, settings).unwrap();
    topics.create_on_send("a", "TBW102", (4, 0), None).unwrap().unwrap();
    topics.create_retry("g", 1, 0, false).unwrap();
    let full = topics.create_on_send("b", "TBW102", (4, 0), None).unwrap_err().to_string();
    assert_eq!(
        full,
        format!(
            "there are {} topics, as many as broker.topics_max allows: delete some that nobody needs \
             (`blockhouse admin topic delete TOPIC`), or raise it",
            own + 2
        )
    );
    assert!(topics.create_retry("h", 1, 0, false).is_err());
    assert!(topics.create_for_send_back("%DLQ%g", 1, 0).is_err());
    let config = |name| TopicConfig::new(Topic::trusted(name), 1);
    assert!(topics.update(config("b"), &Changes::default(), None).is_err());
    assert_eq!((topics.count(), topics.refused()), (own + 2, 4));
    // What is there is found and changed.
    assert!(topics.create_on_send("a", "TBW102", (4, 0), None).unwrap().is_some());
    assert!(topics.create_retry("g", 1, 0, true).unwrap().order);
    assert_eq!(topics.update(config("a"), &Changes::default(), None).unwrap().write_queues, 1);
    topics.remove("a").unwrap();
    topics.update(config("b"), &Changes::default(), None).unwrap();
    topics.persist().unwrap();
    // A broker that has more keeps them.
    let settings = TopicSettings { topics_max: own, ..TopicSettings::default() };
    let fewer = Topics::open(&home(&disk).0, settings).unwrap();
    assert!(fewer.contains("b") && fewer.count() == own + 2);
    assert!(fewer.create_on_send("c", "TBW102", (4, 0), None).is_err());
}

#[test]
fn retry_topics_follow_their_groups() {
    let topics = open(&MemDisk::new());
    let made = topics.create_retry("g", 1, 2, false).unwrap();
    assert_eq!((&*made.name, made.write_queues, made.sys_flag), ("%RETRY%g", 1, 2));
    let version = topics.version();
    assert!(!topics.create_retry("g", 9, 0, false).unwrap().order);
    assert_eq!(topics.version(), version, "nothing changed");
    assert!(topics.create_retry("g", 1, 0, true).unwrap().order);
    assert_eq!(topics.find("%RETRY%g").unwrap().write_queues, 1);
    // Messages that are sent back leave the order as it is.
    assert!(topics.create_for_send_back("%RETRY%g", 1, 0).unwrap().order);
}

#[test]
fn updates_change_attributes_and_nothing_twice() {
    let disk = MemDisk::new();
    let (home, clock) = home(&disk);
    let topics = Topics::open(&home, TopicSettings::default()).unwrap();
    let fifo = parse_changes("+message.type=FIFO").unwrap();
    clock.advance(Duration::from_millis(5));
    let made = topics.update(config("t", 4), &fifo, None).unwrap();
    assert_eq!(made.attributes["message.type"], "FIFO");
    let version = topics.version();
    assert_eq!((version.counter, version.timestamp), (1, 105));
    let same = topics.update(config("t", 4), &BTreeMap::new(), None).unwrap();
    assert!(Arc::ptr_eq(&made, &same));
    assert_eq!(topics.version(), version);
    let wider = topics.update(config("t", 6), &BTreeMap::new(), None).unwrap();
    assert_eq!((wider.write_queues, wider.attributes.len()), (6, 1));
    assert_eq!(topics.version().counter, 2);
}

#[test]
fn bad_updates_name_what_is_wrong() {
    let topics = open(&MemDisk::new());
    let none = BTreeMap::new();
    let refused = |config: TopicConfig, changes: &Changes| {
        topics.update(config, changes, None).unwrap_err().to_string()
    };
    assert!(refused(config("a/b", 1), &none).contains("illegal characters"));
    assert!(refused(config("TBW102", 1), &none).contains("system topic"));
    assert!(refused(config("DefaultCluster", 1), &none).contains("system topic"));
    assert!(refused(config("t", QUEUES_MAX + 1), &none).contains("readQueueNums"));
    let mixed = parse_changes("+message.type=MIXED").unwrap();
    assert!(refused(config("t", 1), &mixed).contains("MIXED"));
    let odd = parse_changes("+colour=red").unwrap();
    assert!(refused(config("t", 1), &odd).contains("unsupported key: colour"));
    assert!(!topics.contains("t"));
    assert_eq!(topics.version().counter, 0);
}

#[test]
fn every_change_is_told_once() {
    let topics = open(&MemDisk::new());
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    topics.on_change(move |change| {
        heard.lock().push(match change {
            TopicChange::Put(config) => format!("put {}", config.name),
            TopicChange::Removed(name) => format!("removed {name}"),
        });
    });
    topics.create_on_send("a", "TBW102", (4, 0), None).unwrap();
    topics.create_on_send("a", "TBW102", (4, 0), None).unwrap();
    topics.update(config("b", 1), &BTreeMap::new(), None).unwrap();
    topics.set_ordered(["b", "b", "unknown"]);
    assert!(topics.remove("b").unwrap().order);
    assert!(topics.remove("b").is_none());
    assert_eq!(*told.lock(), ["put a", "put b", "put b", "removed b"]);
    assert_eq!(topics.version().counter, 4);
}

/// As RocketMQ 5.4.0 writes it, shortened; with a field of a later version.
const OF_JAVA: &str = "{\n\t\"dataVersion\":{\n\t\t\"counter\":48,\n\t\t\"stateVersion\":3,\n\t\t\"timestamp\":1795460451350\n\t},\n\t\"topicConfigTable\":{\n\t\t\"%RETRY%g\":{\n\t\t\t\"attributes\":{\n\t\t\t\t\n\t\t\t},\n\t\t\t\"liteTopic\":{\n\t\t\t\t\"x\":1\n\t\t\t},\n\t\t\t\"order\":false,\n\t\t\t\"perm\":6,\n\t\t\t\"readQueueNums\":1,\n\t\t\t\"topicFilterType\":\"SINGLE_TAG\",\n\t\t\t\"topicName\":\"%RETRY%g\",\n\t\t\t\"topicSysFlag\":0,\n\t\t\t\"writeQueueNums\":1\n\t\t},\n\t\t\"t\":{\n\t\t\t\"attributes\":{\n\t\t\t\t\"message.type\":\"FIFO\"\n\t\t\t},\n\t\t\t\"order\":true,\n\t\t\t\"perm\":4,\n\t\t\t\"readQueueNums\":5,\n\t\t\t\"topicFilterType\":\"MULTI_TAG\",\n\t\t\t\"topicName\":\"t\",\n\t\t\t\"topicSysFlag\":2,\n\t\t\t\"writeQueueNums\":3\n\t\t}\n\t}\n}";

#[test]
fn files_of_java_come_back_byte_for_byte() {
    let (version, entries) = codec::decode(OF_JAVA.as_bytes()).unwrap();
    assert_eq!((version.state_version, version.counter), (3, 48));
    let t = entries.iter().find(|e| &*e.config.name == "t").unwrap();
    assert_eq!((t.config.read_queues, t.config.write_queues, t.config.order), (5, 3, true));
    assert_eq!(t.extra.text("topicFilterType"), Some("MULTI_TAG"));
    assert_eq!(codec::encode(version, entries), OF_JAVA);
}

#[test]
fn the_file_is_written_on_change_and_read_again() {
    let disk = MemDisk::new();
    whole::replace(&disk, Path::new(FILE), OF_JAVA.as_bytes()).unwrap();
    let topics = open(&disk);
    assert_eq!(topics.version().counter, 48);
    assert!(topics.persist().unwrap(), "the broker's own topics are new");
    assert!(!topics.persist().unwrap());
    topics.update(config("t", 9), &BTreeMap::new(), None).unwrap();
    assert!(topics.persist().unwrap());
    let again = open(&disk);
    assert_eq!(again.snapshot(), topics.snapshot());
    assert_eq!(again.extra("%RETRY%g").unwrap().json("liteTopic").unwrap(), "{\"x\":1}");
    assert_eq!(again.extra("t").unwrap().text("topicFilterType"), Some("MULTI_TAG"));
    assert!(!again.persist().unwrap(), "nothing is new");
}

#[test]
fn odd_files_are_read_leniently_or_refused() {
    let read = |text: &str| codec::decode(text.as_bytes()).map(|(_, entries)| entries);
    let entries = read(
        r#"{"topicConfigTable":{"a/b":{},"ok":{"perm":"6","attributes":{"$ref":"$.x"}},"neg":{"readQueueNums":-4}}}"#,
    )
    .unwrap();
    let mut names: Vec<_> = entries.iter().map(|e| &*e.config.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["neg", "ok"], "a name with path meaning is left out");
    assert!(entries.iter().all(|e| e.config.attributes.is_empty()));
    assert!(entries.iter().any(|e| e.config.read_queues == 0));
    for bad in [
        r#"{"topicConfigTable":[]}"#,
        r#"{"topicConfigTable":{"a":7}}"#,
        r#"{"topicConfigTable":{"a":{"perm":"x"}}}"#,
        r#"{"topicConfigTable":{"a":{"order":1}}}"#,
        r#"{"topicConfigTable":{"a":{"perm":99999999999}}}"#,
        r#"{"dataVersion":"x"}"#,
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}
