//! Topics that were deleted, and made again.

use super::*;

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
