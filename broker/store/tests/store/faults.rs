//! A disk that refuses for a while: who notices, and what is left when it is over.

use blockhouse_model::{QueueId, Timestamp};
use blockhouse_store::{AppendError, Cause, Config, Flush, Part, ReadStatus, Trouble};

use crate::rig::{Rig, bodies, config, draft, read, send, try_send};

#[test]
fn what_cannot_be_written_behind_refuses_sends_until_it_can() {
    let rig = Rig::new();
    let store = rig.open();
    send(&store, &[draft("t", 0, b"before", "")]);
    rig.disk.fail_writes(true);
    store.flush().unwrap_err();
    store.tick();
    let trouble = Trouble { part: Part::ConsumeQueue, cause: Cause::Failed };
    let refused = try_send(&store, &[draft("t", 0, b"refused", "")]).err();
    assert_eq!(refused, Some(AppendError::Disk(trouble)));
    let faults = store.faults();
    assert!(faults.iter().any(|f| f.name == "consume_queue" && f.refuses && !f.lasting));
    assert!(!store.stats().poisoned, "nothing of the log was lost");
    assert_eq!(bodies(&store, "t", 0, 0), [b"before"], "reads go on");

    rig.disk.fail_writes(false);
    store.tick();
    assert_eq!(store.faults(), []);
    send(&store, &[draft("t", 0, b"after", "")]);
    let again = rig.killed().open();
    assert_eq!(bodies(&again, "t", 0, 0), [b"before".as_slice(), b"after"]);
}

#[test]
fn keys_are_found_though_the_index_could_not_be_written_for_a_while() {
    let rig = Rig::new();
    let store = rig.open();
    // More than one IndexFile holds.
    let count = rig.config.index_entries + 50;
    for n in 0..count {
        send(&store, &[draft("t", 0, &n.to_be_bytes(), &format!("KEYS\u{1}k{n}\u{2}"))]);
    }
    rig.disk.fail_writes(true);
    store.tick();
    assert!(store.faults().iter().any(|fault| fault.name == "index"));
    assert!(store.stats().index_backlog > 0, "what did not fit in waits");
    rig.disk.fail_writes(false);
    store.tick();
    assert_eq!(store.faults(), []);
    for n in 0..count {
        let found = store.query("t", &format!("k{n}"), 64, Timestamp(0), Timestamp(i64::MAX));
        assert_eq!(found.records.len(), 1, "k{n}");
    }
}

#[test]
fn a_poisoned_store_says_so() {
    let rig = Rig::new();
    let store = rig.open();
    rig.disk.fail_writes(true);
    assert_eq!(store.faults(), []);
    let mut placed = Vec::new();
    drop(store.append(&[draft("t", 0, b"bad", "")], &mut placed));
    rig.disk.fail_writes(false);
    let faults = store.faults();
    assert_eq!(faults.len(), 1);
    assert!(faults[0].name == "poisoned" && faults[0].lasting && faults[0].refuses);
}

#[test]
fn a_read_that_fails_passes_no_message_over() {
    let rig = Rig::with(Config { hot_bytes: 0, ..config() });
    let store = rig.open();
    for n in 0..100_u32 {
        send(&store, &[draft("t", 0, &n.to_be_bytes(), "")]);
    }
    store.flush().unwrap();
    rig.disk.fail_reads(true);
    // The entries of the first are in files alone, those of the last in memory.
    for from in [0, 95] {
        let outcome = read(&store, "t", 0, from, 10);
        assert_eq!((outcome.status, outcome.next.0), (ReadStatus::Failed, from));
        assert_eq!(outcome.count, 0);
    }
    rig.disk.fail_reads(false);
    assert_eq!(bodies(&store, "t", 0, 0).len(), 100);
}

#[test]
fn a_checkpoint_that_could_not_be_synced_is_told_whoever_asked_for_it() {
    let rig = Rig::with(Config { flush: Flush::Sync, ..config() });
    let store = rig.open();
    send(&store, &[draft("t", 0, b"kept", ""), draft("gone", 0, b"x", "")]);
    rig.disk.fail_syncs(true);
    store.delete_topic("gone").unwrap_err();
    rig.disk.fail_syncs(false);
    store.tick();
    let faults = store.faults();
    assert!(faults.len() == 1 && faults[0].name == "checkpoint", "{faults:?}");
    assert!(!faults[0].refuses && !store.stats().poisoned, "nothing acknowledged is in doubt");
    send(&store, &[draft("t", 0, b"kept", "")]);
    store.close().unwrap_err();
    assert_eq!(bodies(&rig.killed().open(), "t", 0, 0), [b"kept"; 2]);
}

#[test]
fn a_checkpoint_that_found_no_descriptor_is_made_when_there_is_one() {
    let rig = Rig::with(Config { flush: Flush::Sync, ..config() });
    let store = rig.open();
    send(&store, &[draft("t", 0, b"1", ""), draft("gone", 0, b"x", "")]);
    store.flush().unwrap();
    send(&store, &[draft("t", 0, b"2", "")]);
    rig.disk.deny_descriptors(true);
    store.flush().unwrap_err();
    let faults = store.faults();
    assert!(faults.len() == 1 && faults[0].name == "checkpoint", "{faults:?}");
    assert!(faults[0].text.starts_with("too many open files: "), "{faults:?}");
    rig.disk.deny_descriptors(false);
    store.tick();
    assert_eq!(store.faults(), []);

    // Also where nothing but the queues has changed since the last. (The first of these gets no further
    // than to the table of queues, which goes first.)
    rig.disk.deny_descriptors(true);
    store.delete_topic("gone").unwrap_err();
    store.delete_topic("gone").unwrap_err();
    rig.disk.deny_descriptors(false);
    assert!(!rig.has("blockhouse/queues"));
    assert_eq!(store.max_offset("gone", QueueId(0)).0, 1, "it is there to be deleted");
    // Once it says that it is deleted, it is, whatever failed before.
    store.delete_topic("gone").unwrap();
    assert!(rig.has("blockhouse/queues"));
    let store = rig.killed().open();
    assert_eq!(store.max_offset("gone", QueueId(0)).0, 0);
    assert_eq!(bodies(&store, "t", 0, 0), [b"1", b"2"]);
}
