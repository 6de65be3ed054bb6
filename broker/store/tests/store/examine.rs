//! Looking at stopped stores: each kind of damage is found, and mended, and then all other messages
//! are there.

mod again;
mod expired;
mod flips;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blockhouse_disk::{Disk, MemDisk};
use blockhouse_model::{Clock, QueueId, SysFlag, Timestamp, names};
use blockhouse_record::Draft;
use blockhouse_store::Store;
use blockhouse_store::examine::{
    Access, Filter, Finding, Kind, Options, Remedy, Report, Severity, Site, Step, check, dump,
    plan, repair, survey,
};

use crate::rig::{DIR, Rig, bodies, draft, send};

const SEGMENT: u64 = 16 << 10;
/// Rounds of `fill`.
const ROUNDS: u32 = 120;

fn fill(store: &Store, rounds: std::ops::Range<u32>) {
    for n in rounds {
        let body = [n.to_be_bytes().to_vec(), vec![7; 60]].concat();
        let text = format!("UNIQ_KEY\u{1}u{n}\u{2}KEYS\u{1}k{} all\u{2}TAGS\u{1}a\u{2}", n % 10);
        let delayed = draft(names::SCHEDULE_TOPIC, 2, &body, "DELAY\u{1}3\u{2}UNIQ_KEY\u{1}d\u{2}");
        let prepared = Draft {
            sys_flag: SysFlag(SysFlag::TRANSACTION_PREPARED),
            ..draft("t", 0, b"prepared", "UNIQ_KEY\u{1}p\u{2}")
        };
        let rolled_back = Draft {
            sys_flag: SysFlag(SysFlag::TRANSACTION_ROLLBACK),
            ..draft("t", 0, b"back", "UNIQ_KEY\u{1}b\u{2}")
        };
        send(store, &[draft("t", n % 3, &body, &text), draft("u", 0, &body, "")]);
        if n % 10 == 0 {
            send(store, &[delayed, prepared, rolled_back]);
        }
    }
}

/// A store after a clean stop.
fn stopped() -> Rig {
    let rig = Rig::new();
    let store = rig.open();
    fill(&store, 0..ROUNDS);
    store.close().unwrap();
    drop(store);
    rig
}

fn site_with(disk: &MemDisk, options: Options, access: Access) -> Site {
    Site::open(Arc::new(disk.clone()), Path::new(DIR), options, access).unwrap()
}

/// What no file tells when it is gone.
fn options() -> Options {
    Options { index_slots: Some(50), ..Options::default() }
}

fn checked(disk: &MemDisk) -> Report {
    let mut last = 0;
    let report = check(&site_with(disk, options(), Access::Read), &mut |done, of| {
        assert!(done >= last && done <= of);
        last = done;
    });
    report.unwrap()
}

fn kinds(report: &Report) -> BTreeSet<Kind> {
    let damage = report.findings.list.iter().filter(|f| f.severity == Severity::Damage);
    damage.map(|f| f.kind).collect()
}

fn clock() -> Arc<dyn Clock> {
    Rig::new().clock
}

/// Mends everything; the directory must be whole then, and a repair must have nothing to do.
fn mend(disk: &MemDisk) -> PathBuf {
    let site = site_with(disk, options(), Access::Write);
    let report = check(&site, &mut |_, _| ()).unwrap();
    let steps = plan(&report, true);
    assert_eq!(steps.refused, None);
    assert!(!steps.steps.is_empty());
    let repaired = repair(&site, (&report, &steps), &[], &clock(), &mut |_, _| ()).unwrap();
    drop(site);
    assert_whole(disk);
    assert!(disk.exists(&repaired.saved), "something was saved");
    repaired.saved
}

fn assert_whole(disk: &MemDisk) {
    let report = checked(disk);
    assert_eq!(report.findings.list, []);
    assert_eq!(plan(&report, true).steps, []);
}

/// All numbers in the queues, by topic and queue, as consumers get them from the opened store.
fn served(rig: &Rig) -> BTreeMap<(String, u32), Vec<u32>> {
    let store = rig.open();
    assert_eq!(store.stats().replayed, 0, "a repaired store needs no recovery");
    let mut all = BTreeMap::new();
    for (topic, queue) in [("t", 0), ("t", 1), ("t", 2), ("u", 0), (names::SCHEDULE_TOPIC, 2)] {
        let bodies = numbers(&store, topic, queue);
        all.insert((topic.to_owned(), queue), bodies);
    }
    store.close().unwrap();
    all
}

/// As `rig::bodies`, but at the offset of a lost message is the next one once more.
fn numbers(store: &Store, topic: &str, queue: u32) -> Vec<u32> {
    let mut all = Vec::new();
    let mut next = 0;
    while next < store.max_offset(topic, QueueId(queue)).0 {
        let outcome = crate::rig::read(store, topic, queue, next, 32);
        for view in crate::rig::views(&outcome) {
            assert!(view.is_intact());
            assert_eq!((view.topic, view.queue.0), (topic, queue));
            all.push(u32::from_be_bytes(*view.body.first_chunk().unwrap()));
        }
        assert!(outcome.next.0 > next, "{outcome:?}");
        next = outcome.next.0;
    }
    all.dedup();
    all
}

/// Where the records are: position, length, topic, number.
fn records(disk: &MemDisk) -> Vec<(u64, u64, String)> {
    let mut all = Vec::new();
    let site = site_with(disk, Options::default(), Access::Read);
    dump(&site, &Filter::default(), &mut |record| {
        let len = record.bytes.len() as u64;
        all.push((record.physical_offset.0, len, record.topic.to_owned()));
        true
    })
    .unwrap();
    all
}

fn log_path(at: u64) -> PathBuf {
    Path::new(DIR).join(format!("commitlog/{:020}", at / SEGMENT * SEGMENT))
}

/// Overwrites bytes of the log.
fn scribble(disk: &MemDisk, at: u64, bytes: &[u8]) {
    disk.open(&log_path(at)).unwrap().write_at(bytes, at % SEGMENT).unwrap();
}

fn write(disk: &MemDisk, path: &str, at: u64, bytes: &[u8]) {
    disk.open(&Path::new(DIR).join(path)).unwrap().write_at(bytes, at).unwrap();
}

fn queue_file(topic: &str, queue: u32) -> String {
    format!("consumequeue/{topic}/{queue}/{:020}", 0)
}

fn index_file(disk: &MemDisk) -> PathBuf {
    disk.paths().into_iter().find(|path| path.starts_with("/data/index")).unwrap()
}

#[test]
fn a_clean_store_has_nothing_wrong_and_is_not_touched() {
    let rig = stopped();
    let before = rig.disk.snapshot();
    let writes = rig.disk.writes();
    let report = checked(&rig.disk);
    assert_eq!(report.findings.list, []);
    let site = site_with(&rig.disk, Options::default(), Access::Read);
    let seen = survey(&site, &mut |_, _| ()).unwrap();
    assert_eq!(seen, report.survey);
    assert!(seen.log.files >= 3, "{seen:?}");
    assert_eq!(seen.log.records, u64::from(ROUNDS) * 2 + 12 * 3);
    let kinds = (seen.kinds.normal, seen.kinds.delayed, seen.kinds.half, seen.kinds.rolled_back);
    assert_eq!(kinds, (240, 12, 12, 12));
    let queue = seen.queues.iter().find(|q| q.topic == "u").unwrap();
    assert_eq!((queue.min, queue.max, queue.records), (0, 120, 120));
    assert!(!seen.index.is_empty());
    assert!(seen.marks.own.unwrap().clean && !seen.marks.aborted);
    assert_eq!((rig.disk.writes(), rig.disk.paths()), (writes, before.paths()));
}

#[test]
fn a_store_in_use_is_left_alone() {
    let rig = Rig::new();
    let store = rig.open();
    for access in [Access::Read, Access::Write] {
        let disk = Arc::new(rig.disk.clone());
        let refused = Site::open(disk, Path::new(DIR), Options::default(), access).err();
        assert!(matches!(refused, Some(blockhouse_store::Error::InUse(_))), "{refused:?}");
    }
    drop(store);
    let site = site_with(&rig.disk, Options::default(), Access::Read);
    let none =
        Site::open(Arc::new(MemDisk::new()), Path::new("/x"), Options::default(), Access::Read);
    assert!(none.is_err());
    drop(site);
}

#[test]
fn what_a_kill_leaves_is_no_damage() {
    let rig = Rig::new();
    let store = rig.open();
    fill(&store, 0..40);
    store.flush().unwrap();
    fill(&store, 40..80);
    let killed = rig.killed();
    let report = checked(&killed.disk);
    assert_eq!(report.findings.damage, 0, "{:?}", report.findings.list);
    assert!(report.survey.marks.aborted);
    let remedies: BTreeSet<_> = report.findings.list.iter().map(|f| f.remedy).collect();
    assert_eq!(remedies, BTreeSet::from([Remedy::NextStart]));
    assert_eq!(plan(&report, false).steps, []);
}

#[test]
fn a_torn_tail_is_cut_and_what_lies_behind_it_goes() {
    let rig = stopped();
    let whole = served(&rig);
    let (at, len, topic) = records(&rig.disk).pop().unwrap();
    assert_eq!(topic, "u");
    scribble(&rig.disk, at + 100, b"x");
    scribble(&rig.disk, at + len + 1_000, b"old");
    let report = checked(&rig.disk);
    let expected = [Kind::TornTail, Kind::QueueEntry, Kind::Checkpoint];
    assert_eq!(kinds(&report), BTreeSet::from(expected));
    assert!(plan(&report, false).steps.contains(&Step::ZeroTail { from: at }));
    let saved = mend(&rig.disk);
    let kept = saved.join(format!("commitlog/{:020}.from-{at}", at / SEGMENT * SEGMENT));
    let kept = blockhouse_disk::whole::read(&rig.disk, &kept).unwrap().unwrap();
    assert_eq!((kept.len() as u64, kept[100]), (SEGMENT - at % SEGMENT, b'x'));
    let mut all = whole;
    all.get_mut(&("u".to_owned(), 0)).unwrap().pop();
    assert_eq!(served(&rig), all);
}

#[test]
fn stale_records_behind_the_end_are_found_and_zeroed() {
    let rig = stopped();
    let end = records(&rig.disk).pop().map(|(at, len, _)| at + len).unwrap();
    // As Apache RocketMQ leaves them: a former record at its own place, older than the last.
    let mut bytes = Vec::new();
    let old = draft("u", 0, &[1; 30], "");
    blockhouse_record::encode(&old, &mut bytes).unwrap();
    let at = blockhouse_record::Stamp {
        queue_offset: blockhouse_model::QueueOffset(ROUNDS.into()),
        physical_offset: blockhouse_model::PhysicalOffset(end + 50),
        store_timestamp: Timestamp(1_600_000_000_000),
    };
    blockhouse_record::stamp(&mut bytes, at);
    scribble(&rig.disk, end + 50, &bytes);
    let report = checked(&rig.disk);
    assert_eq!(kinds(&report), BTreeSet::from([Kind::StaleBytes]));
    assert!(report.findings.list[0].problem.starts_with("1 records of a former end"));
    assert_eq!(report.survey.log.end, end);
    let whole = served(&rig.killed());
    mend(&rig.disk);
    assert_eq!(served(&rig), whole);
}

/// Damages the log inside, mends it, and compares with what should be left.
fn inside(damage: impl Fn(&MemDisk, &[(u64, u64, String)]) -> Vec<usize>) -> Report {
    let rig = stopped();
    let all = records(&rig.disk);
    let gone = damage(&rig.disk, &all);
    let report = checked(&rig.disk);
    let found = kinds(&report);
    assert!(found.contains(&Kind::DamagedRange), "{:?}", report.findings.list);
    let refused = plan(&report, false).refused.unwrap();
    assert!(refused.contains("--skip-damaged"), "{refused}");
    mend(&rig.disk);
    let left = records(&rig.disk);
    for (i, record) in all.iter().enumerate() {
        assert_eq!(left.contains(record), !gone.contains(&i), "record {i}: {record:?}");
    }
    let placeholders = left.iter().filter(|(_, _, topic)| topic == "DAMAGED").count();
    assert_eq!(placeholders > 0, !gone.is_empty());
    // The store serves the rest, and takes more.
    let counts: usize = served(&rig).values().map(Vec::len).sum();
    assert_eq!(counts, 240 + 12 - report.lost.len());
    let store = rig.open();
    fill(&store, ROUNDS..ROUNDS + 20);
    store.close().unwrap();
    drop(store);
    assert_whole(&rig.disk);
    report
}

#[test]
fn a_flipped_bit_inside_the_log_costs_one_message() {
    let report = inside(|disk, all| {
        let i = all.iter().position(|(at, _, topic)| *at > 3_000 && topic == "u").unwrap();
        scribble(disk, all[i].0 + 95, b"!");
        vec![i]
    });
    assert_eq!((report.lost_count, report.lost[0].topic.as_str()), (1, "u"));
    assert!(report.survey.log.damaged[0].problem.contains("checksum"));
}

#[test]
fn zeroed_pages_and_wrong_sizes_cost_what_they_hit() {
    inside(|disk, all| {
        scribble(disk, 4_096, &[0; 4_096]);
        let hit = |(at, len, _): &(u64, u64, String)| *at < 8_192 && at + len > 4_096;
        (0..all.len()).filter(|i| hit(&all[*i])).collect()
    });
    inside(|disk, all| {
        scribble(disk, all[20].0, &u32::MAX.to_be_bytes());
        scribble(disk, all[40].0 + 28, &7_u64.to_be_bytes());
        vec![20, 40]
    });
    // The first record of all, and the last of a file with its filler.
    inside(|disk, all| {
        let last = all.iter().position(|(at, len, _)| at + len > SEGMENT - 150).unwrap();
        let last = if all[last].0 >= SEGMENT { last - 1 } else { last };
        scribble(disk, 4, b"zzzz");
        scribble(disk, all[last].0 + 4, b"zzzz");
        scribble(disk, all[last].0 + all[last].1, &[9; 8]);
        vec![0, last]
    });
}

#[test]
fn a_lost_file_is_made_anew_without_records() {
    let report = inside(|disk, all| {
        disk.remove(&log_path(SEGMENT)).unwrap();
        let hit = |at: u64| (SEGMENT..2 * SEGMENT).contains(&at);
        (0..all.len()).filter(|i| hit(all[*i].0)).collect()
    });
    assert_eq!(report.survey.log.damaged[0].problem, "the file is missing");
}

#[test]
fn files_of_wrong_lengths_get_their_length() {
    let rig = stopped();
    let whole = served(&rig);
    rig.disk.open(&log_path(0)).unwrap().set_len(SEGMENT + 100).unwrap();
    rig.disk.open(&log_path(0)).unwrap().write_at(b"more", SEGMENT + 50).unwrap();
    let report = checked(&rig.disk);
    assert_eq!(kinds(&report), BTreeSet::from([Kind::LogFile]));
    let saved = mend(&rig.disk);
    assert!(rig.disk.exists(&saved.join(format!("commitlog/{:020}.from-{SEGMENT}", 0))));
    assert_eq!(served(&rig), whole);
    // Cut in the middle: what it held is lost.
    inside(|disk, all| {
        disk.open(&log_path(0)).unwrap().set_len(SEGMENT / 2).unwrap();
        let hit = |(at, len, _): &(u64, u64, String)| at + len > SEGMENT / 2 && *at < SEGMENT;
        (0..all.len()).filter(|i| hit(&all[*i])).collect()
    });
}

/// Damages something that the log can tell, and mends it.
fn beside(damage: impl Fn(&MemDisk), expected: &[Kind]) -> Vec<Finding> {
    let rig = stopped();
    let whole = served(&rig);
    damage(&rig.disk);
    let report = checked(&rig.disk);
    let expected: BTreeSet<_> = expected.iter().copied().collect();
    assert_eq!(kinds(&report), expected, "{:?}", report.findings.list);
    assert_eq!(plan(&report, false).refused, None);
    mend(&rig.disk);
    assert_eq!(served(&rig), whole);
    let store = rig.open();
    for n in (0..ROUNDS).step_by(7) {
        let found = store.query("t", &format!("u{n}"), 9, Timestamp(0), Timestamp(i64::MAX));
        assert_eq!(found.records.len(), 1, "u{n}");
    }
    report.findings.list
}

#[test]
fn queue_entries_are_mended_from_the_log() {
    let u = queue_file("u", 0);
    let entries = [Kind::QueueEntry];
    beside(|disk| write(disk, &u, 20 * 7, &[0; 20]), &entries);
    beside(|disk| write(disk, &u, 20 * 7, &[0, 0, 0, 0, 0, 0, 9]), &entries);
    let tags = beside(|disk| write(disk, &queue_file("t", 1), 20 * 3 + 12, &[1; 8]), &entries);
    assert!(tags[0].problem.contains("tags code"), "{tags:?}");
    // Due times of delayed messages are tags codes, too.
    let delayed = queue_file(names::SCHEDULE_TOPIC, 2);
    beside(|disk| write(disk, &delayed, 12, &[0; 8]), &entries);
    // An entry behind the last.
    let behind = format!("consumequeue/u/0/{:020}", 2_000);
    let stray = beside(
        |disk| write(disk, &behind, 20 * 20, &[0, 0, 0, 0, 0, 0, 9, 9, 0, 0, 0, 99]),
        &entries,
    );
    assert!(stray[0].problem.contains("have no record"), "{stray:?}");
    // A lost file, a lost queue, a queue that nobody has messages for.
    let file = Path::new(DIR).join(&u);
    beside(|disk| disk.remove(&file).unwrap(), &entries);
    beside(|disk| disk.remove_dir(&Path::new(DIR).join("consumequeue/t")).unwrap(), &entries);
    let path = Path::new(DIR).join(queue_file("ghost", 0));
    beside(
        |disk| {
            let file = disk.create(&path).unwrap();
            file.set_len(2_000).unwrap();
            file.write_at(&[0, 0, 0, 0, 0, 0, 9, 9, 0, 0, 0, 99], 0).unwrap();
        },
        &entries,
    );
    let short = [Kind::QueueFile, Kind::QueueEntry];
    beside(|disk| disk.open(&file).unwrap().set_len(1_990).unwrap(), &short);
}

#[test]
fn the_index_is_mended_from_the_log() {
    let (entry, file) = ([Kind::IndexEntry], [Kind::IndexFile]);
    let first_entry = 40 + 50 * 4 + 20;
    let put = |disk: &MemDisk, at: u64, bytes: &[u8]| {
        disk.open(&index_file(disk)).unwrap().write_at(bytes, at).unwrap();
    };
    // A position where no record is; then the key that was there is missing, too.
    beside(|disk| put(disk, first_entry + 20 * 5 + 4, &[0, 0, 0, 0, 0, 0, 0, 1]), &entry);
    // A hash, which also puts the entry into another chain.
    beside(|disk| put(disk, first_entry + 20 * 5, &[1; 4]), &[Kind::IndexEntry, Kind::IndexFile]);
    // A slot, the chain, the header's counts, the length, all of it.
    beside(|disk| put(disk, 40 + 4 * 7, &[0, 0, 0, 0]), &file);
    beside(|disk| put(disk, first_entry + 20 * 150 + 16, &[0, 0, 0, 1]), &file);
    beside(|disk| put(disk, 32, &[0, 0, 0, 0]), &file);
    beside(|disk| put(disk, 36, &[1; 4]), &[Kind::IndexFile, Kind::IndexEntry]);
    beside(
        |disk| disk.open(&index_file(disk)).unwrap().set_len(41).unwrap(),
        &[Kind::IndexFile, Kind::IndexEntry],
    );
    beside(|disk| disk.remove_dir(&Path::new(DIR).join("index")).unwrap(), &entry);
}

#[test]
fn without_an_index_nothing_of_it_is_looked_at() {
    let rig = stopped();
    rig.disk.remove_dir(&Path::new(DIR).join("index")).unwrap();
    let options = Options { no_index: true, ..Options::default() };
    let report = check(&site_with(&rig.disk, options, Access::Read), &mut |_, _| ()).unwrap();
    assert_eq!(report.findings.list, []);
}

#[test]
fn checkpoints_that_do_not_fit_the_log_are_written_anew() {
    let marks = [Kind::Checkpoint];
    beside(|disk| write(disk, "checkpoint", 0, &i64::MAX.to_be_bytes()), &marks);
    beside(|disk| disk.open(Path::new("/data/checkpoint")).unwrap().set_len(24).unwrap(), &marks);
    let own = Path::new("/data/blockhouse/checkpoint");
    beside(|disk| disk.open(own).unwrap().write_at(&[1], 9).unwrap(), &marks);
}

#[test]
fn fields_without_a_checksum_are_doubted() {
    let rig = stopped();
    let all = records(&rig.disk);
    let i = all.iter().position(|(at, _, topic)| *at > 3_000 && topic == "t").unwrap();
    let (at, len, _) = &all[i];
    // The name of the last property pair loses its separator.
    scribble(&rig.disk, at + len - 3, b"x");
    let report = checked(&rig.disk);
    assert!(kinds(&report).contains(&Kind::Record), "{:?}", report.findings.list);
    // A queue offset that would make the queue endless: the queue knows better.
    let rig = stopped();
    scribble(&rig.disk, at + 20, &(1_u64 << 50).to_be_bytes());
    let report = checked(&rig.disk);
    assert_eq!(kinds(&report), BTreeSet::from([Kind::Record]));
    assert!(report.findings.list[0].problem.contains("not "), "{:?}", report.findings.list);
    assert_eq!(plan(&report, true).steps, []);
}

#[test]
fn a_damaged_index_file_refuses_the_start_says_what_to_do_and_nothing_is_changed() {
    type Harm = fn(&dyn blockhouse_disk::DiskFile);
    let whole = stopped();
    let path = index_file(&whole.disk);
    let harms: [Harm; 2] = [
        |file| file.set_len(777).unwrap(),
        |file| {
            file.write_at(&[0x7f; 4], 36).unwrap();
        },
    ];
    for harm in harms {
        let rig = whole.killed();
        harm(&*rig.disk.open(&path).unwrap());
        // What a crash leaves of a file that was being made.
        rig.disk.create(&path.with_file_name("20990101000000000")).unwrap();
        let (paths, writes) = (rig.disk.paths(), rig.disk.writes());
        let refused = rig.open_on(Arc::new(rig.disk.clone())).err().unwrap().to_string();
        assert!(refused.starts_with(&path.display().to_string()), "{refused}");
        assert!(refused.contains("blockhouse admin store repair --yes"), "{refused}");
        assert_eq!((rig.disk.paths(), rig.disk.writes()), (paths, writes));
        mend(&rig.disk);
        assert_eq!(served(&rig), served(&whole.killed()));
    }
}

#[test]
fn queues_whose_messages_have_expired_keep_their_offsets() {
    let mut rig = Rig::new();
    rig.config.file_reserved_hours = 0;
    let store = rig.open();
    for _ in 0..5 {
        send(&store, &[draft("gone", 0, &[1; 100], "")]);
    }
    fill(&store, 0..ROUNDS);
    store.flush().unwrap();
    assert!(store.delete_expired().unwrap() > 0);
    store.close().unwrap();
    drop(store);
    let report = checked(&rig.disk);
    assert_eq!(report.findings.damage, 0, "{:?}", report.findings.list);
    assert!(report.queue_ends().any(|end| end == ("gone", 0, 5)));
    // A repair for the sake of another queue leaves that one alone.
    let last = report.queue_ends().find(|(topic, ..)| *topic == "u").unwrap().2 - 1;
    let file = format!("consumequeue/u/0/{:020}", last / 100 * 2_000);
    write(&rig.disk, &file, last % 100 * 20, &[0; 20]);
    mend(&rig.disk);
    let store = rig.open();
    assert_eq!(store.max_offset("gone", QueueId(0)).0, 5);
    assert_eq!(store.max_offset("u", QueueId(0)).0, last + 1);
}

#[test]
fn a_repair_needs_leave_and_survives_being_interrupted() {
    let rig = stopped();
    let whole = served(&rig);
    scribble(&rig.disk, records(&rig.disk)[30].0 + 95, b"!");
    let site = site_with(&rig.disk, Options::default(), Access::Write);
    let report = check(&site, &mut |_, _| ()).unwrap();
    let writes = rig.disk.writes();
    assert!(
        repair(&site, (&report, &plan(&report, false)), &[], &clock(), &mut |_, _| ()).is_err()
    );
    assert_eq!(rig.disk.writes(), writes, "nothing was changed");
    // Stopped while queues and index are written: another repair, or a start, goes on.
    let mut interrupted = None;
    let steps = plan(&report, true);
    repair(&site, (&report, &steps), &[], &clock(), &mut |_, _| {
        interrupted.get_or_insert_with(|| rig.disk.snapshot());
    })
    .unwrap();
    drop(site);
    let half = Rig { disk: interrupted.unwrap(), ..Rig::new() };
    assert!(half.has("abort"));
    let started = half.killed();
    let store = started.open();
    let lost: usize = 1;
    let count = |all: &BTreeMap<(String, u32), Vec<u32>>| all.values().map(Vec::len).sum::<usize>();
    let there: usize =
        whole.keys().map(|(topic, queue)| numbers(&store, topic, *queue).len()).sum();
    assert_eq!(there, count(&whole) - lost);
    drop(store);
    assert_eq!(checked(&half.disk).survey.log.damaged, []);
}

#[test]
fn a_dump_gives_what_is_wanted() {
    let rig = stopped();
    let all = records(&rig.disk);
    let site = site_with(&rig.disk, Options::default(), Access::Read);
    let count = |filter: &Filter| {
        let mut places = Vec::new();
        let dumped = dump(&site, filter, &mut |record| {
            places.push(record.physical_offset.0);
            true
        });
        assert_eq!(dumped.unwrap().records, places.len() as u64);
        places
    };
    let topic = |topic: &str| Some(topic.to_owned());
    assert_eq!(count(&Filter { topic: topic("u"), ..Filter::default() }).len(), 120);
    let queue = Filter { topic: topic("t"), queue: Some(1), ..Filter::default() };
    assert_eq!(count(&queue).len(), 40);
    assert_eq!(count(&Filter { key: topic("u7"), ..Filter::default() }).len(), 1);
    assert_eq!(count(&Filter { key: topic("k3"), ..Filter::default() }).len(), 12);
    assert_eq!(count(&Filter { limit: Some(5), ..Filter::default() }).len(), 5);
    // From inside a record, to a place.
    let range = Filter { from: Some(all[10].0 + 1), to: Some(all[14].0), ..Filter::default() };
    assert_eq!(count(&range), all[11..14].iter().map(|(at, ..)| *at).collect::<Vec<_>>());
    assert!(count(&Filter { from: Some(1 << 40), ..Filter::default() }).is_empty());
}
