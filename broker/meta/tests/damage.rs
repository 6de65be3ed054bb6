//! Whatever a disk says: metadata is read or refused, and what was read is written and read again
//! as the same.
#![expect(clippy::unwrap_used, reason = "helpers of tests; a failure is a failed test")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use blockhouse_disk::{Disk as _, MemDisk, whole};
use blockhouse_meta::{GroupSettings, Home, Meta, TopicSettings};
use blockhouse_model::{
    Group, ManualClock, QueueId, QueueOffset, SubscriptionGroup, Timestamp, Topic, TopicConfig,
};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

const FILES: [&str; 5] = [
    "/d/config/topics.json",
    "/d/config/subscriptionGroup.json",
    "/d/config/consumerOffset.json",
    "/d/config/delayOffset.json",
    "/d/blockhouse/offsets.log",
];
const JOURNAL: &str = FILES[4];

/// The members that these files have.
const NAMES: [&str; 24] = [
    "dataVersion",
    "counter",
    "stateVersion",
    "timestamp",
    "topicConfigTable",
    "subscriptionGroupTable",
    "forbiddenTable",
    "offsetTable",
    "groupTopicMap",
    "a-topic",
    "t@g",
    "0",
    "topicName",
    "readQueueNums",
    "writeQueueNums",
    "perm",
    "order",
    "topicSysFlag",
    "attributes",
    "groupName",
    "consumeEnable",
    "retryQueueNums",
    "retryMaxTimes",
    "brokerId",
];

fn open(disk: &MemDisk) -> Result<Meta, blockhouse_meta::Error> {
    let clock = Arc::new(ManualClock::at(Timestamp(7)));
    let home = Home { disk: Arc::new(disk.clone()), dir: PathBuf::from("/d"), clock };
    Meta::open(&home, TopicSettings::default(), GroupSettings::default())
}

fn read(disk: &MemDisk, path: &str) -> Vec<u8> {
    whole::read(disk, Path::new(path)).unwrap().unwrap_or_default()
}

fn write(disk: &MemDisk, path: &str, bytes: &[u8]) {
    let file = disk.create(Path::new(path)).unwrap();
    file.set_len(0).unwrap();
    file.write_at(bytes, 0).unwrap();
}

/// A broker that was used and killed: files, and a journal with commits that are not in them. Queue
/// 0 of `t` was committed at 1, 2, 3, ...
fn used() -> MemDisk {
    let disk = MemDisk::new();
    let meta = open(&disk).unwrap();
    let mut topic = TopicConfig::new(Topic::trusted("a-topic"), 4);
    topic.attributes.insert("message.type".to_owned(), "FIFO".to_owned());
    meta.topics.put_as_is(topic, None);
    meta.groups.update(SubscriptionGroup::new(Group::trusted("g")), &[].into(), None).unwrap();
    meta.groups.forbid("g", "a-topic", 1, true).unwrap();
    meta.delay_offsets.set(3, QueueOffset(9));
    let commit = |offset| meta.offsets.commit("g", "t", QueueId(0), QueueOffset(offset));
    commit(1);
    meta.persist(&|| true).unwrap();
    for offset in 2..20 {
        commit(offset);
        meta.offsets.commit("other", "t", QueueId(3), QueueOffset(offset));
        meta.offsets.flush_journal().unwrap();
    }
    disk.snapshot()
}

static USED: LazyLock<MemDisk> = LazyLock::new(used);

/// All that can be asked.
fn told(meta: &Meta) -> String {
    let topics = meta.topics.all();
    let extras: Vec<_> = topics.iter().map(|t| meta.topics.extra(&t.name)).collect();
    let groups = meta.groups.all();
    let forbidden = meta.groups.forbidden();
    let levels = meta.delay_offsets.all();
    let offsets = meta.offsets.all();
    format!("{topics:?} {extras:?} {groups:?} {forbidden:?} {levels:?} {offsets:?}")
}

/// What a disk says is refused, or known from then on.
fn read_or_refused(disk: &MemDisk) -> Option<Meta> {
    let meta = open(disk).ok()?;
    // It can be changed and written.
    meta.topics.put_as_is(TopicConfig::new(Topic::trusted("new"), 1), None);
    meta.offsets.commit("new", "t", QueueId(0), QueueOffset(1));
    meta.delay_offsets.set(1, QueueOffset(1));
    meta.persist(&|| true).unwrap();
    let again = open(&disk.snapshot()).unwrap();
    assert_eq!(told(&again), told(&meta));
    assert_eq!(again.offsets.query("new", "t", QueueId(0)), Some(QueueOffset(1)));
    Some(meta)
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (0..20_i32).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        8 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned),
        1 => "-?[0-9]{1,12}|[a-z@/.]{0,6}",
    ];
    leaf.prop_recursive(4, 48, 10, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            6 => prop::collection::btree_map(name.clone(), inner, 0..10).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_a_file_are_read_or_refused(
        which in 0..FILES.len(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let disk = USED.snapshot();
        write(&disk, FILES[which], &bytes);
        read_or_refused(&disk);
    }

    #[test]
    fn any_json_in_a_file_is_read_or_refused(which in 0..4_usize, value in json()) {
        let disk = MemDisk::new();
        write(&disk, FILES[which], value.to_string().as_bytes());
        read_or_refused(&disk);
    }

    #[test]
    fn damaged_files_are_read_or_refused(
        which in 0..FILES.len(),
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 1..5),
        cut: Index,
        is_cut: bool,
    ) {
        let disk = USED.snapshot();
        let mut bytes = read(&disk, FILES[which]);
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        write(&disk, FILES[which], &bytes);
        read_or_refused(&disk);
    }

    #[test]
    fn a_damaged_journal_gives_what_was_committed_before_the_damage(
        at: Index,
        value: u8,
        is_cut: bool,
    ) {
        let disk = USED.snapshot();
        let mut bytes = read(&disk, JOURNAL);
        let at = at.index(bytes.len());
        if is_cut {
            bytes.truncate(at);
        } else {
            bytes[at] = value;
        }
        write(&disk, JOURNAL, &bytes);
        let meta = read_or_refused(&disk).unwrap();
        let offset = meta.offsets.query("g", "t", QueueId(0)).unwrap().0;
        let other = meta.offsets.query("other", "t", QueueId(3)).map_or(1, |offset| offset.0);
        prop_assert!((1..20).contains(&offset), "{offset}");
        prop_assert!(other == offset || other + 1 == offset, "{offset} {other}: all up to one place");
    }

    #[test]
    fn any_records_with_right_sums_are_read_up_to_the_first_that_says_nothing(
        records in prop::collection::vec(record(), 0..6),
        is_old: bool,
    ) {
        let disk = USED.snapshot();
        let file = read(&disk, FILES[2]);
        let digest = [(file.len() as u64).to_le_bytes().to_vec(), sum(&file).to_vec()].concat();
        let mut journal = [b"BHOFFS\0".to_vec(), vec![2 - u8::from(is_old)], digest.clone(), digest].concat();
        journal.extend(sum(&journal));
        for record in records {
            journal.extend(u16::try_from(record.len()).unwrap().to_le_bytes());
            journal.extend(sum(&record));
            journal.extend(record);
        }
        write(&disk, JOURNAL, &journal);
        // A journal never keeps a broker from starting.
        prop_assert!(read_or_refused(&disk).is_some());
    }
}

fn sum(bytes: &[u8]) -> [u8; 4] {
    crc32fast::hash(bytes).to_le_bytes()
}

/// The body of a record: of a kind that there is, with anything in it, or nothing of the kind.
fn record() -> impl Strategy<Value = Vec<u8>> {
    let names = ("[a-z@%]{0,4}|\\PC{0,4}", "[a-z@%]{0,4}|\\PC{0,4}").prop_map(|(topic, group)| {
        let len = u16::try_from(topic.len()).unwrap().to_le_bytes();
        [&len[..], topic.as_bytes(), group.as_bytes()].concat()
    });
    let queue = prop_oneof![Just(0), Just(65_535), Just(65_536), any::<u32>()];
    let offset = prop_oneof![Just(5), any::<u64>()];
    let set = (queue, offset, names.clone()).prop_map(|(queue, offset, names)| {
        [&[1][..], &queue.to_le_bytes(), &offset.to_le_bytes(), &names].concat()
    });
    let remove = names.prop_map(|names| [&[2], &names[..]].concat());
    prop_oneof![
        4 => set,
        2 => remove,
        1 => any::<[u8; 12]>().prop_map(|digest| [&[3], &digest[..]].concat()),
        1 => any::<u64>().prop_map(|end| [&[4], &end.to_le_bytes()[..]].concat()),
        1 => prop::collection::vec(any::<u8>(), 0..30),
    ]
}
