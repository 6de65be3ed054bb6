//! Topics that were deleted, and made again.

use super::*;
use crate::log_lines::LogLines;

#[test]
fn a_deleted_topic_needs_no_entries_and_may_come_again() {
    let rig = Rig::new();
    let store = rig.open();
    fill(&store, 0..30);
    store.delete_topic("u").unwrap();
    store.delete_topic("t").unwrap();
    for n in 0..10_u32 {
        send(&store, &[draft("t", 1, &n.to_be_bytes(), "UNIQ_KEY\u{1}again\u{2}")]);
    }
    store.close().unwrap();
    drop(store);
    let topics = Some(BTreeSet::from(["t".to_owned()]));
    let options = Options { topics, ..Options::default() };
    let site = site_with(&rig.disk, options.clone(), Access::Write);
    let report = check(&site, &mut |_, _| ()).unwrap();
    assert_eq!(report.findings.damage, 0, "{:?}", report.findings.list);
    // And a repair does not bring the old messages back.
    write(&rig.disk, &queue_file("t", 1), 20 * 3, &[0; 20]);
    let report = check(&site, &mut |_, _| ()).unwrap();
    assert_eq!(kinds(&report), BTreeSet::from([Kind::QueueEntry]));
    repair(&site, (&report, &plan(&report, false)), &[], &clock(), &mut |_, _| ()).unwrap();
    drop(site);
    let store = rig.open();
    let all: Vec<Vec<u8>> = (0..10_u32).map(|n| n.to_be_bytes().to_vec()).collect();
    assert_eq!(bodies(&store, "t", 1, 0), all);
    assert_eq!(store.max_offset("u", QueueId(0)).0, 0);
    assert_eq!(store.max_offset("t", QueueId(0)).0, 0);
}

#[test]
fn a_topic_made_again_needs_none_of_its_former_queues() {
    let rig = Rig::new();
    let store = rig.open();
    fill(&store, 0..20);
    store.delete_topic("t").unwrap();
    // Made again: so far without messages, and then with some in a queue that it did not have.
    store.close().unwrap();
    drop(store);
    let topics = Some(["t", "u"].map(String::from).into());
    let site = site_with(&rig.disk, Options { topics, ..options() }, Access::Read);
    let report = check(&site, &mut |_, _| ()).unwrap();
    assert_eq!(kinds(&report), BTreeSet::new(), "{:?}", report.findings.list);
    assert_eq!(plan(&report, true).steps, []);
    drop(site);
    let store = rig.open();
    for _ in 0..3 {
        send(&store, &[draft("t", 7, b"new", "")]);
    }
    store.close().unwrap();
    drop(store);
    let report = checked(&rig.disk);
    assert_eq!(kinds(&report), BTreeSet::new(), "{:?}", report.findings.list);
    assert!(report.findings.list.iter().any(|f| f.problem.contains("of a deleted topic")));

    // A queue whose files are gone is another matter, whatever the other queues are.
    for topic in ["t/7", "u/0"] {
        let disk = rig.disk.snapshot();
        disk.remove_dir(&Path::new(DIR).join("consumequeue").join(topic)).unwrap();
        assert_eq!(kinds(&checked(&disk)), BTreeSet::from([Kind::QueueEntry]), "{topic}");
    }
}

/// A record's topic has no checksum. Here it is the last of its queue, behind the checkpoint of a killed store: no
/// later one tells, and the queue that it seems to be of has no other.
#[test]
fn a_queue_that_does_not_begin_with_its_first_message_is_found_and_warned_of() {
    let rig = Rig::new();
    let store = rig.open();
    for n in 0..5_u32 {
        send(&store, &[draft("t", 1, &n.to_be_bytes(), "")]);
    }
    store.flush().unwrap();
    let last = send(&store, &[draft("t", 1, b"last", "")])[0];
    let rig = rig.killed();
    let at = last.physical_offset.0;
    let segment = format!("commitlog/{:020}", 0);
    let topic = at + u64::from(last.size) - 2 - 1;
    assert_eq!(rig.bytes(&segment)[usize::try_from(topic).unwrap()], b't');
    write(&rig.disk, &segment, topic, b"d");
    let report = checked(&rig.disk);
    assert!(
        report.findings.list.iter().any(|f| f.kind == Kind::Record && f.offset == Some(at)),
        "{:?}",
        report.findings.list
    );
    let log = LogLines::default();
    let store = log.while_doing(|| rig.open());
    let lines = log.take();
    let begins =
        format!("d 1: the record at {at} says that it is message 5, and none before it is known");
    assert_eq!(lines.iter().filter(|line| line.starts_with(&begins)).count(), 1, "{lines:?}");
    assert_eq!(store.max_offset("t", QueueId(1)).0, 5);
    drop(store);

    // A log that begins later says nothing of where queues begin.
    let rig = Rig::new();
    let store = rig.open();
    fill(&store, 0..400);
    store.close().unwrap();
    drop(store);
    rig.disk.remove(&Path::new(DIR).join(format!("commitlog/{:020}", 0))).unwrap();
    let report = checked(&rig.disk);
    assert!(
        report.findings.list.iter().all(|f| f.kind != Kind::Record),
        "{:?}",
        report.findings.list
    );
}
