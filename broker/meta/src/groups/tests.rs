use std::path::{Path, PathBuf};

use blockhouse_disk::{MemDisk, whole};
use blockhouse_model::{ManualClock, Timestamp};

use super::*;
use crate::attributes::parse_changes;

fn open_with(disk: &MemDisk, settings: GroupSettings) -> Groups {
    let clock = Arc::new(ManualClock::at(Timestamp(100)));
    let home = Home { disk: Arc::new(disk.clone()), dir: PathBuf::from("/d"), clock };
    Groups::open(&home, settings).unwrap()
}

fn open(disk: &MemDisk) -> Groups {
    open_with(disk, GroupSettings::default())
}

fn group(name: &str) -> SubscriptionGroup {
    SubscriptionGroup::new(Group::trusted(name))
}

#[test]
fn a_new_broker_has_the_groups_of_a_java_one() {
    let groups = open(&MemDisk::new());
    let names: Vec<_> = groups.all().iter().map(|g| g.name.to_string()).collect();
    let expected = [
        "CID_ONS-HTTP-PROXY",
        "CID_ONSAPI_OWNER",
        "CID_ONSAPI_PERMISSION",
        "CID_ONSAPI_PULL",
        "CID_RMQ_SYS_TRANS",
        "FILTERSRV_CONSUMER",
        "SELF_TEST_C_GROUP",
        "TOOLS_CONSUMER",
    ];
    assert_eq!(names, expected);
}

#[test]
fn groups_appear_when_asked_for_if_they_may() {
    let groups = open(&MemDisk::new());
    let told = Arc::new(AtomicU64::new(0));
    let heard = Arc::clone(&told);
    groups.on_change(move |_| {
        heard.fetch_add(1, Ordering::SeqCst);
    });
    let made = groups.find_or_create("g").unwrap().unwrap();
    assert_eq!(made.retry_max_times, 16);
    assert!(Arc::ptr_eq(&made, &groups.find_or_create("g").unwrap().unwrap()));
    assert!(groups.find_or_create("a/b").unwrap().is_none());
    assert_eq!((groups.version().counter, told.load(Ordering::SeqCst)), (1, 1));

    let strict = GroupSettings { auto_create: false, ..GroupSettings::default() };
    let strict = open_with(&MemDisk::new(), strict);
    assert!(strict.find_or_create("g").unwrap().is_none() && !strict.contains("g"));
}

#[test]
fn there_are_as_many_groups_as_there_may_be_and_what_goes_makes_room() {
    let settings = GroupSettings { groups_max: OWN_GROUPS.len() + 1, ..GroupSettings::default() };
    let groups = open_with(&MemDisk::new(), settings);
    groups.find_or_create("g").unwrap().unwrap();
    let full = groups.find_or_create("h").unwrap_err().to_string();
    assert!(full.contains("broker.groups_max") && full.contains("admin group delete"), "{full}");
    assert!(groups.update(group("h"), &Changes::default(), None).is_err());
    assert_eq!((groups.count(), groups.refused()), (OWN_GROUPS.len() + 1, 2));
    assert!(groups.find_or_create("g").unwrap().is_some());
    assert!(groups.update(group("g"), &Changes::default(), None).is_ok());
    groups.remove("g").unwrap();
    assert!(groups.find_or_create("h").unwrap().is_some());
}

#[test]
fn updates_keep_what_only_java_knows() {
    let disk = MemDisk::new();
    let groups = open(&disk);
    let policy = r#"{"groupRetryPolicy":{"type":"EXPONENTIAL"},"retryMaxTimes":99}"#;
    let extra = Extra::parse(policy).unwrap();
    let changes = parse_changes("+priority.factor=50").unwrap();
    groups.update(group("g"), &changes, Some(extra)).unwrap();
    let wider = SubscriptionGroup { retry_queues: 3, ..group("g") };
    let made = groups.update(wider.clone(), &Changes::new(), None).unwrap();
    assert_eq!((made.retry_queues, made.retry_max_times), (3, 16), "ours win over extra fields");
    assert_eq!(made.attributes["priority.factor"], "50");
    let version = groups.version();
    groups.update(wider, &Changes::new(), None).unwrap();
    assert_eq!(groups.version(), version, "nothing changed");
    groups.persist().unwrap();

    let again = open(&disk);
    assert_eq!(again.snapshot(), groups.snapshot());
    let policy = again.extra("g").unwrap().json("groupRetryPolicy").unwrap();
    assert_eq!(policy, r#"{"type":"EXPONENTIAL"}"#);
    assert!(groups.update(group("a b"), &Changes::new(), None).is_err());
}

#[test]
fn groups_are_disabled_and_removed() {
    let groups = open(&MemDisk::new());
    groups.find_or_create("g").unwrap();
    assert!(groups.disable("g") && !groups.disable("unknown"));
    assert!(!groups.find("g").unwrap().consume_enable);
    groups.forbid("g", "t", 0, true).unwrap();
    assert!(groups.remove("g").is_some() && groups.remove("g").is_none());
    assert!(!groups.is_forbidden("g", "t"));
}

#[test]
fn forbidding_is_by_bit_topic_and_group() {
    let disk = MemDisk::new();
    let groups = open(&disk);
    groups.forbid("g", "t", 0, true).unwrap();
    groups.forbid("g", "t", 3, true).unwrap();
    groups.forbid("g", "u", 1, true).unwrap();
    assert!(groups.is_forbidden("g", "t") && !groups.is_forbidden("g", "u"));
    assert_eq!(groups.forbidden_bits("g", "t"), 9);
    assert!(!groups.is_forbidden("h", "t"));
    groups.persist().unwrap();
    let again = open(&disk);
    assert_eq!(again.forbidden(), groups.forbidden());
    again.forbid("g", "t", 0, false).unwrap();
    assert_eq!(again.forbidden_bits("g", "t"), 8);
    again.forbid("g", "t", 3, false).unwrap();
    again.forbid("g", "u", 1, false).unwrap();
    assert!(again.forbidden().is_empty());
}

/// As RocketMQ 5.4.0 writes it, shortened, with a forbidden topic and two optional fields.
const OF_JAVA: &str = "{\n\t\"dataVersion\":{\n\t\t\"counter\":31,\n\t\t\"stateVersion\":0,\n\t\t\"timestamp\":1795460311330\n\t},\n\t\"forbiddenTable\":{\n\t\t\"g\":{\n\t\t\t\"t\":1\n\t\t}\n\t},\n\t\"subscriptionGroupTable\":{\n\t\t\"g\":{\n\t\t\t\"attributes\":{\n\t\t\t\t\n\t\t\t},\n\t\t\t\"brokerId\":0,\n\t\t\t\"consumeBroadcastEnable\":true,\n\t\t\t\"consumeEnable\":false,\n\t\t\t\"consumeFromMinEnable\":true,\n\t\t\t\"consumeMessageOrderly\":true,\n\t\t\t\"consumeTimeoutMinute\":16,\n\t\t\t\"groupName\":\"g\",\n\t\t\t\"groupRetryPolicy\":{\n\t\t\t\t\"type\":\"CUSTOMIZED\"\n\t\t\t},\n\t\t\t\"groupSysFlag\":1,\n\t\t\t\"notifyConsumerIdsChangedEnable\":false,\n\t\t\t\"retryMaxTimes\":-1,\n\t\t\t\"retryQueueNums\":2,\n\t\t\t\"subscriptionDataSet\":[\n\t\t\t\t{\n\t\t\t\t\t\"expression\":\"*\",\n\t\t\t\t\t\"expressionType\":\"TAG\",\n\t\t\t\t\t\"topic\":\"t\",\n\t\t\t\t\t\"version\":5\n\t\t\t\t}\n\t\t\t],\n\t\t\t\"whichBrokerWhenConsumeSlowly\":1\n\t\t}\n\t}\n}";

#[test]
fn files_of_java_come_back_byte_for_byte() {
    let state = codec::decode(OF_JAVA.as_bytes()).unwrap();
    let config = &state.entries[0].config;
    assert!(!config.consume_enable && config.consume_message_orderly);
    assert_eq!((config.retry_max_times, config.retry_queues, config.sys_flag), (-1, 2, 1));
    assert!(!config.notify_consumer_ids_changed_enable);
    assert_eq!(codec::encode(state.version, &state.forbidden, state.entries), OF_JAVA);
}

#[test]
fn a_torn_file_without_bak_stops_the_start() {
    let disk = MemDisk::new();
    let path = Path::new("/d/config/subscriptionGroup.json");
    whole::replace(&disk, path, &OF_JAVA.as_bytes()[..200]).unwrap();
    let clock = Arc::new(ManualClock::default());
    let home = Home { disk: Arc::new(disk.clone()), dir: PathBuf::from("/d"), clock };
    let error = Groups::open(&home, GroupSettings::default()).err().unwrap();
    assert!(error.to_string().contains("subscriptionGroup.json"), "{error}");
    whole::replace(&disk, &whole::with_suffix(path, ".bak"), OF_JAVA.as_bytes()).unwrap();
    assert!(open(&disk).contains("g"));
}
