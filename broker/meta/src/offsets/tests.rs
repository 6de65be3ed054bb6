use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use blockhouse_disk::{MemDisk, whole};
use blockhouse_model::{ManualClock, Timestamp};

use super::record::Record;
use super::*;

const FILE: &str = "/d/config/consumerOffset.json";
const JOURNAL: &str = "/d/blockhouse/offsets.log";
const Q0: QueueId = QueueId(0);

/// As RocketMQ 5.4.0 writes it, shortened.
const OF_JAVA: &str = "{\n\t\"dataVersion\":{\n\t\t\"counter\":1,\n\t\t\"stateVersion\":0,\n\t\t\"timestamp\":1795460211365\n\t},\n\t\"groupTopicMap\":{\n\t\t\"golde_pop\":[\n\t\t\t\"%RETRY%golde_pop\",\n\t\t\t\"golde_topic\"\n\t\t]\n\t},\n\t\"offsetTable\":{\n\t\t\"golde_topic@golde_pop\":{\n\t\t\t0:2,\n\t\t\t3:321\n\t\t},\n\t\t\"%RETRY%goldd_push@goldd_push\":{\n\t\t\t0:2\n\t\t}\n\t}\n}";

fn open(disk: &MemDisk) -> Offsets {
    let clock = Arc::new(ManualClock::at(Timestamp(7)));
    let home = Home { disk: Arc::new(disk.clone()), dir: PathBuf::from("/d"), clock };
    Offsets::open(&home).unwrap()
}

fn commit(offsets: &Offsets, group: &str, topic: &str, offset: u64) -> Committed {
    offsets.commit(group, topic, Q0, QueueOffset(offset))
}

fn at(offsets: &Offsets, group: &str, topic: &str) -> Option<u64> {
    offsets.query(group, topic, Q0).map(|offset| offset.0)
}

#[test]
fn commits_go_forward_back_and_nowhere() {
    let offsets = open(&MemDisk::new());
    assert_eq!(at(&offsets, "g", "t"), None);
    assert_eq!(commit(&offsets, "g", "t", 4), Committed::Moved { from: None });
    let from = Some(QueueOffset(4));
    assert_eq!(commit(&offsets, "g", "t", 5), Committed::Moved { from });
    assert_eq!(commit(&offsets, "g", "t", 5), Committed::Same);
    assert_eq!(commit(&offsets, "g", "t", 3), Committed::Back { from: QueueOffset(5) });
    assert_eq!(at(&offsets, "g", "t"), Some(3));
    assert_eq!(offsets.of("g", "t"), [(Q0, QueueOffset(3))]);
}

#[test]
fn impossible_names_and_queues_are_refused() {
    let offsets = open(&MemDisk::new());
    for (group, topic) in [("", "t"), ("g", ""), ("g@x", "t"), ("g", "../t")] {
        assert_eq!(commit(&offsets, group, topic, 1), Committed::Refused, "{group} {topic}");
    }
    let far = QueueId(QUEUES_MAX);
    assert_eq!(offsets.commit("g", "t", far, QueueOffset(1)), Committed::Refused);
    assert!(offsets.all().is_empty());
}

#[test]
fn pairs_and_queues_are_bounded_and_what_goes_makes_room() {
    let mut offsets = open(&MemDisk::new());
    offsets.most = [2, 3];
    let commit_in = |offsets: &Offsets, group, topic, queue| {
        offsets.commit(group, topic, QueueId(queue), QueueOffset(1)) != Committed::Refused
    };
    assert!(commit_in(&offsets, "g", "t", 0) && commit_in(&offsets, "h", "t", 0));
    assert!(!commit_in(&offsets, "i", "t", 0), "a third pair");
    assert!(commit_in(&offsets, "g", "t", 7));
    assert!(!commit_in(&offsets, "g", "t", 8), "a fourth queue");
    assert_eq!(offsets.refused(), 2);
    assert_eq!(commit(&offsets, "g", "t", 5), Committed::Moved { from: Some(QueueOffset(1)) });
    offsets.remove_group("g");
    assert!(commit_in(&offsets, "i", "t", 0) && commit_in(&offsets, "i", "t", 1));
    offsets.remove_topic("t");
    assert!(commit_in(&offsets, "g", "t", 0) && commit_in(&offsets, "g", "u", 0));
}

#[test]
fn what_was_flushed_survives_a_kill() {
    let disk = MemDisk::new();
    let offsets = open(&disk);
    commit(&offsets, "g", "t", 5);
    offsets.persist().unwrap();
    commit(&offsets, "g", "t", 6);
    commit(&offsets, "h", "t", 1);
    commit(&offsets, "x", "t", 1);
    offsets.remove_group("x");
    offsets.flush_journal().unwrap();
    commit(&offsets, "g", "t", 7);

    let killed = disk.snapshot();
    let again = open(&killed);
    assert_eq!(at(&again, "g", "t"), Some(6), "7 was not acknowledged");
    assert_eq!(at(&again, "h", "t"), Some(1));
    assert_eq!(at(&again, "x", "t"), None);

    // Killed once more before anything was committed or persisted.
    let again = open(&killed.snapshot());
    assert_eq!(at(&again, "g", "t"), Some(6));
}

#[test]
fn replayed_progress_reaches_the_file() {
    use blockhouse_disk::Disk as _;
    let disk = MemDisk::new();
    let offsets = open(&disk);
    commit(&offsets, "g", "t", 6);
    offsets.flush_journal().unwrap();
    drop(offsets);
    assert!(open(&disk).persist().unwrap());
    disk.remove(Path::new(JOURNAL)).unwrap();
    assert_eq!(at(&open(&disk), "g", "t"), Some(6));
}

#[test]
fn an_unflushed_commit_costs_no_system_call_and_a_repeated_flush_neither() {
    let disk = MemDisk::new();
    let offsets = open(&disk);
    let before = disk.writes();
    commit(&offsets, "g", "t", 5);
    commit(&offsets, "g", "t", 6);
    assert_eq!(disk.writes(), before);
    offsets.flush_journal().unwrap();
    offsets.flush_journal().unwrap();
    commit(&offsets, "g", "t", 6);
    offsets.flush_journal().unwrap();
    assert_eq!(disk.writes(), before + 1, "one write for the burst, none for what is known");
    assert_eq!(disk.syncs(), 0);
}

#[test]
fn a_file_that_java_rewrote_wins_over_the_journal() {
    let disk = MemDisk::new();
    let offsets = open(&disk);
    commit(&offsets, "g", "t", 5);
    offsets.persist().unwrap();
    commit(&offsets, "g", "t", 6);
    offsets.flush_journal().unwrap();
    drop(offsets);
    let ours = String::from_utf8(whole::read(&disk, Path::new(FILE)).unwrap().unwrap()).unwrap();
    let theirs = ours.replace("0:5", "0:9");
    assert_ne!(ours, theirs);
    whole::replace(&disk, Path::new(FILE), theirs.as_bytes()).unwrap();
    assert_eq!(at(&open(&disk), "g", "t"), Some(9));
}

#[test]
fn a_torn_end_of_the_journal_is_cut_off() {
    let disk = MemDisk::new();
    let offsets = open(&disk);
    commit(&offsets, "g", "t", 5);
    offsets.flush_journal().unwrap();
    commit(&offsets, "g", "t", 6);
    offsets.flush_journal().unwrap();
    let bytes = whole::read(&disk, Path::new(JOURNAL)).unwrap().unwrap();
    for cut in 1..20 {
        let disk = disk.snapshot();
        whole::replace(&disk, Path::new(JOURNAL), &bytes[..bytes.len() - cut]).unwrap();
        let offsets = open(&disk);
        assert_eq!(at(&offsets, "g", "t"), Some(5));
        // Later records follow the last whole one.
        commit(&offsets, "g", "t", 8);
        offsets.flush_journal().unwrap();
        assert_eq!(at(&open(&disk), "g", "t"), Some(8));
    }
    for garbage in [&b""[..], b"BHOFFS", &[0; 300]] {
        whole::replace(&disk, Path::new(JOURNAL), garbage).unwrap();
        assert_eq!(at(&open(&disk), "g", "t"), None);
    }
}

#[test]
fn the_journal_counts_as_far_as_the_log() {
    let disk = MemDisk::new();
    let clock = Arc::new(ManualClock::at(Timestamp(7)));
    let home = |disk: MemDisk| Home {
        disk: Arc::new(disk),
        dir: PathBuf::from("/d"),
        clock: Arc::<ManualClock>::clone(&clock),
    };
    let end = Arc::new(AtomicU64::new(100));
    let log = Arc::clone(&end);
    let log: LogEnd = Arc::new(move || log.load(Ordering::Relaxed));
    let offsets = Offsets::open_with(&home(disk.clone()), Some(log)).unwrap();
    for (offset, log_end) in [(1, 100), (2, 200), (3, 200), (4, 300)] {
        end.store(log_end, Ordering::Relaxed);
        commit(&offsets, "g", "t", offset);
        offsets.flush_journal().unwrap();
    }
    let found = |log_end: u64| {
        let (killed, log) = (disk.snapshot(), Arc::new(move || log_end) as LogEnd);
        let offsets = Offsets::open_with(&home(killed.clone()), Some(log)).unwrap();
        let found = at(&offsets, "g", "t");
        assert_eq!(at(&open(&killed), "g", "t"), found, "and it stays so");
        found
    };
    assert_eq!([99, 100, 199, 200].map(found), [None, Some(1), Some(1), Some(3)]);
    assert_eq!([299, 300, 1_000].map(found), [Some(3), Some(4), Some(4)]);
    // The file comes after the log, the new journal goes on with it.
    offsets.persist().unwrap();
    assert_eq!(found(0), Some(4));
    end.store(400, Ordering::Relaxed);
    commit(&offsets, "g", "t", 5);
    offsets.flush_journal().unwrap();
    assert_eq!([399, 400].map(found), [Some(4), Some(5)]);
}

#[test]
fn a_journal_of_before_is_believed() {
    let disk = MemDisk::new();
    let head = [&b"BHOFFS\x00\x01"[..], &[0; 24]].concat();
    let mut bytes = [&head[..], &crc32fast::hash(&head).to_le_bytes()].concat();
    Record::Change(Change::Set { topic: "t", group: "g", queue: Q0, offset: QueueOffset(7) })
        .write(&mut bytes);
    whole::replace(&disk, Path::new(JOURNAL), &bytes).unwrap();
    assert_eq!(at(&open(&disk), "g", "t"), Some(7));
    // Rewritten as it is written now.
    assert_eq!(at(&open(&disk), "g", "t"), Some(7));
}

#[test]
fn the_bak_and_the_journal_fit_too() {
    let disk = MemDisk::new();
    let offsets = open(&disk);
    commit(&offsets, "g", "t", 5);
    offsets.persist().unwrap();
    commit(&offsets, "g", "t", 6);
    offsets.persist().unwrap();
    commit(&offsets, "h", "t", 7);
    offsets.flush_journal().unwrap();
    whole::replace(&disk, Path::new(FILE), b"{\"offsetTable\":{\"t@").unwrap();
    let again = open(&disk);
    assert_eq!(at(&again, "g", "t"), Some(5), "from the .bak");
    assert_eq!(at(&again, "h", "t"), Some(7), "from the journal");
}

/// A kill at every write of `persist`, while commits go on.
#[test]
fn no_moment_of_persisting_forgets_a_flushed_commit() {
    let disk = MemDisk::new();
    let offsets = open(&disk);
    commit(&offsets, "g", "before", 1);
    offsets.flush_journal().unwrap();

    // The steps of `persist`, with a commit and a kill between each two.
    let mut base = offsets.base.lock();
    let mut step = 10;
    let mut check = |offsets: &Offsets, what: &str| {
        step += 1;
        commit(offsets, "g", "during", step);
        offsets.flush_journal().unwrap();
        let again = open(&disk.snapshot());
        assert_eq!(at(&again, "g", "before"), Some(1), "{what}");
        assert_eq!(at(&again, "g", "during"), Some(step), "{what}");
    };
    offsets.journal.cut();
    check(&offsets, "cut");
    let text = codec::encode(offsets.version(), &offsets.all(), true);
    let next = Digest::of(text.as_bytes());
    check(&offsets, "encoded");
    offsets.journal.continues(next).unwrap();
    check(&offsets, "continues");
    offsets.file.persist(1, || text).unwrap();
    check(&offsets, "file replaced");
    let previous = std::mem::replace(&mut *base, next);
    offsets.journal.rotate(next, previous).unwrap();
    check(&offsets, "rotated");
    drop(base);
    offsets.persist().unwrap();
    assert_eq!(at(&open(&disk.snapshot()), "g", "during"), Some(15));
}

#[test]
fn a_failing_disk_delays_but_does_not_lose() {
    let disk = MemDisk::new();
    let offsets = open(&disk);
    commit(&offsets, "g", "t", 5);
    disk.fail_writes(true);
    assert!(offsets.flush_journal().is_err());
    assert!(offsets.persist().is_err());
    commit(&offsets, "h", "t", 6);
    disk.fail_writes(false);
    offsets.flush_journal().unwrap();
    let again = open(&disk.snapshot());
    assert_eq!((at(&again, "g", "t"), at(&again, "h", "t")), (Some(5), Some(6)));
    assert!(offsets.persist().unwrap());
    let again = open(&disk);
    assert_eq!((at(&again, "g", "t"), at(&again, "h", "t")), (Some(5), Some(6)));
}

#[test]
fn the_journal_shrinks_with_the_file() {
    let disk = MemDisk::new();
    let offsets = open(&disk);
    let empty = offsets.journal_len();
    for i in 0..100 {
        commit(&offsets, "g", "t", i);
    }
    offsets.flush_journal().unwrap();
    assert!(offsets.journal_len() > empty + 100);
    offsets.persist().unwrap();
    let len = offsets.journal_len();
    assert!(len < empty + 40, "{len}: no more than its links to the file and to the log");
    assert!(!offsets.persist().unwrap(), "nothing changed");
}

#[test]
fn files_of_java_are_read_and_written_in_its_form() {
    let disk = MemDisk::new();
    whole::replace(&disk, Path::new(FILE), OF_JAVA.as_bytes()).unwrap();
    let offsets = open(&disk);
    assert_eq!(offsets.query("golde_pop", "golde_topic", QueueId(3)), Some(QueueOffset(321)));
    assert_eq!(at(&offsets, "goldd_push", "%RETRY%goldd_push"), Some(2));
    assert_eq!(offsets.version().timestamp, 1_795_460_211_365);
    assert!(!offsets.persist().unwrap(), "reading is no change");

    commit(&offsets, "goldd_push", "%RETRY%goldd_push", 3);
    offsets.persist().unwrap();
    let text = String::from_utf8(whole::read(&disk, Path::new(FILE)).unwrap().unwrap()).unwrap();
    // `groupTopicMap` is derived and never read; the maps are sorted by name.
    let expected = "{\n\t\"dataVersion\":{\n\t\t\"counter\":1,\n\t\t\"stateVersion\":0,\n\t\t\"timestamp\":1795460211365\n\t},\n\t\"offsetTable\":{\n\t\t\"%RETRY%goldd_push@goldd_push\":{\n\t\t\t0:3\n\t\t},\n\t\t\"golde_topic@golde_pop\":{\n\t\t\t0:2,\n\t\t\t3:321\n\t\t}\n\t}\n}";
    assert_eq!(text, expected);
    let compact = offsets.to_json();
    assert!(compact.ends_with("\"golde_topic@golde_pop\":{0:2,3:321}}}"), "{compact}");
}

#[test]
fn a_reset_is_told_once_and_hides_commits_until_then() {
    let offsets = open(&MemDisk::new());
    commit(&offsets, "g", "t", 50);
    assert_eq!(offsets.take_reset("g", "t", Q0), None);
    offsets.assign_reset("g", "t", Q0, QueueOffset(10));
    assert!(offsets.has_reset("g", "t", Q0));
    commit(&offsets, "g", "t", 51);
    assert_eq!(at(&offsets, "g", "t"), Some(10));
    assert_eq!(offsets.take_reset("g", "t", Q0), Some(QueueOffset(10)));
    assert_eq!(offsets.take_reset("g", "t", Q0), None);
    assert!(!offsets.has_reset("g", "t", Q0));
    assert_eq!(at(&offsets, "g", "t"), Some(51));
    // A group that never committed.
    offsets.assign_reset("h", "t", Q0, QueueOffset(4));
    assert_eq!(offsets.take_reset("h", "t", Q0), Some(QueueOffset(4)));
    assert_eq!(at(&offsets, "h", "t"), Some(4));
}

#[test]
fn pulled_offsets_are_not_progress() {
    let disk = MemDisk::new();
    let offsets = open(&disk);
    offsets.pulled("g", "t", Q0, QueueOffset(9));
    assert_eq!(offsets.query_pulled("g", "t", Q0), Some(QueueOffset(9)));
    assert_eq!(at(&offsets, "g", "t"), None);
    assert!(offsets.topics_of("g").is_empty() && offsets.groups_of("t").is_empty());
    assert!(!offsets.persist().unwrap());
    commit(&offsets, "g", "u", 3);
    assert_eq!(offsets.query_pulled("g", "u", Q0), Some(QueueOffset(3)));
}

#[test]
fn groups_and_topics_are_listed_cloned_and_forgotten() {
    let disk = MemDisk::new();
    let offsets = open(&disk);
    for (group, topic) in [("g", "t"), ("g", "u"), ("h", "t"), ("i", "u")] {
        commit(&offsets, group, topic, 5);
    }
    let names = |set: BTreeSet<Topic>| set.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(offsets.topics_of("g")), ["t", "u"]);
    assert_eq!(offsets.groups_of("t").len(), 2);
    offsets.clone_group("g", "j", "t");
    assert_eq!(at(&offsets, "j", "t"), Some(5));
    offsets.remove_topic("t");
    assert_eq!(names(offsets.topics_of("g")), ["u"]);
    offsets.retain(|group, _, queues| &**group != "i" && queues == [(Q0, QueueOffset(5))]);
    assert_eq!(offsets.all().len(), 1);
    assert_eq!(offsets.pairs.load(Ordering::Relaxed), 1);
    // All of it holds after a kill.
    offsets.flush_journal().unwrap();
    let again = open(&disk.snapshot());
    assert_eq!(again.all(), offsets.all());
    assert_eq!(again.pairs.load(Ordering::Relaxed), 1);
}

#[test]
fn the_version_rises_once_in_500_commits() {
    let offsets = open(&MemDisk::new());
    for i in 0..499 {
        commit(&offsets, "g", "t", i);
    }
    assert_eq!(offsets.version().counter, 0);
    commit(&offsets, "g", "t", 499);
    assert_eq!(offsets.version().counter, 1);
}

#[test]
fn commits_of_many_threads_meet_persisting() {
    let disk = MemDisk::new();
    let offsets = open(&disk);
    std::thread::scope(|scope| {
        for group in ["a", "b", "c"] {
            let offsets = &offsets;
            scope.spawn(move || {
                for i in 1..=2_000 {
                    commit(offsets, group, "t", i);
                    if i % 16 == 0 {
                        offsets.flush_journal().unwrap();
                    }
                }
            });
        }
        for _ in 0..50 {
            offsets.persist().unwrap();
        }
    });
    offsets.flush_journal().unwrap();
    let again = open(&disk.snapshot());
    for group in ["a", "b", "c"] {
        assert_eq!(at(&again, group, "t"), Some(2_000));
    }
}
