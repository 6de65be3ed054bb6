//! Records that are written, and read again.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use blockhouse_disk::{Disk, MemDisk, RealDisk};
use blockhouse_flight::reader::files;
use blockhouse_flight::{
    BEFORE, Config, DIR, Flight, FlightRecorder, Found, NAMESRV_DIR, NOW, Select, copies, find,
};
use blockhouse_meter::flight::Subject;
use blockhouse_meter::{CopyCause, FlightRecord, NameNumber, Recorder as _};
use blockhouse_model::{Clock as _, ManualClock, Timestamp};

const START: Timestamp = Timestamp(1_800_000_000_000);
const NAMES: [fn(i32) -> &'static str; 2] = [
    |code| if code == 310 { "SEND_MESSAGE_V2" } else { "PULL_MESSAGE" },
    |code| if code == 0 { "SUCCESS" } else { "SYSTEM_BUSY" },
];

fn clock() -> ManualClock {
    let clock = ManualClock::at(START);
    clock.advance(Duration::from_secs(5));
    clock
}

fn config(records: u32) -> Config {
    Config { records, ..Config::default() }
}

fn record(clock: &ManualClock, topic: NameNumber, total: Duration) -> FlightRecord {
    FlightRecord {
        ended: clock.monotonic(),
        total,
        request: 310,
        response: 0,
        requests: 1,
        is_held: false,
        is_late: false,
        is_one_way: false,
        peer: SocketAddr::from(([10, 0, 0, 5], 51_000)),
        connection: 7,
        client: NameNumber::NONE,
        subject: Subject { topic, messages: 1, ..Subject::default() },
    }
}

fn all(disk: &dyn Disk, path: &Path, select: &Select) -> Found {
    let limit = if select.limit == 0 { 1_000_000 } else { select.limit };
    let select = Select { limit, ..select.clone() };
    find(disk, &files(disk, path).unwrap(), &select, NAMES).unwrap()
}

#[test]
fn what_was_recorded_is_there_without_an_end_and_with_its_names() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join(DIR);
    let clock = clock();
    let recorder = FlightRecorder::start(&config(1_024), &RealDisk, &at, &clock).unwrap();
    assert!(RealDisk.is_private(&at.join(NOW)).unwrap());
    let orders = recorder.name("orders");
    let began = clock.now().0;
    for n in 0..10 {
        clock.advance(Duration::from_millis(1));
        let client = recorder.name("10.0.0.5@4711");
        let taken = record(&clock, orders, Duration::from_micros(n));
        recorder.record(&FlightRecord { client, ..taken });
    }
    // It still runs: nobody closed anything, as after `kill -9`.
    assert_eq!(recorder.text(orders).as_deref(), Some("orders"));
    assert_eq!((recorder.text(NameNumber::NONE), recorder.text(NameNumber(99))), (None, None));
    let found = all(&RealDisk, dir.path(), &Select::default());
    assert_eq!((found.records.len(), found.seen, found.torn), (10, 10, 0));
    for (row, n) in found.records.iter().zip(0..) {
        assert_eq!((row.topic.as_deref(), row.total_us), (Some("orders"), n));
        assert_eq!(row.client.as_deref(), Some("10.0.0.5@4711"));
        assert_eq!(row.at_us, (began + 1 + i64::try_from(n).unwrap()) * 1_000);
    }
}

#[test]
fn a_ring_has_the_last_ones() {
    let (disk, clock, dir) = (MemDisk::new(), clock(), Path::new("/d"));
    let recorder = FlightRecorder::start(&config(1_024), &disk, dir, &clock).unwrap();
    let topic = recorder.name("t");
    for _ in 0..3_000 {
        clock.advance(Duration::from_micros(10));
        recorder.record(&record(&clock, topic, Duration::ZERO));
    }
    let found = all(&disk, dir, &Select::default());
    let numbers: Vec<u64> = found.records.iter().map(|row| row.sequence).collect();
    assert_eq!(numbers, (1_977..=3_000).collect::<Vec<u64>>());
    let last = all(&disk, dir, &Select { limit: 3, ..Select::default() });
    assert_eq!((last.records.as_slice(), last.fitting), (&found.records[1_021..], 1_024));
}

#[test]
fn records_are_selected() {
    let (disk, clock, dir) = (MemDisk::new(), clock(), Path::new("/d"));
    let recorder = FlightRecorder::start(&config(1_024), &disk, dir, &clock).unwrap();
    let [orders, bills, group] = ["orders", "bills", "g"].map(|name| recorder.name(name));
    let millis = Duration::from_millis;
    let fast = record(&clock, orders, millis(1));
    recorder.record(&fast);
    let held = FlightRecord { is_held: true, request: 11, total: millis(15_000), ..fast };
    recorder.record(&FlightRecord { subject: Subject { group, ..held.subject }, ..held });
    clock.advance(Duration::from_secs(60));
    let slow = record(&clock, bills, millis(50));
    recorder.record(&slow);
    let trace = Subject { trace_id: 0xabc, ..slow.subject };
    let refused = FlightRecord { response: 2, total: Duration::ZERO, subject: trace, ..slow };
    recorder.record(&refused);
    let client = recorder.name("me@1");
    recorder.record(&FlightRecord { peer: SocketAddr::from(([10, 0, 0, 6], 1)), client, ..slow });

    let counts = |select: Select| all(&disk, dir, &select).records.len();
    let text = |text: &str| Some(text.to_owned());
    let none = Select::default();
    assert_eq!(counts(none.clone()), 5);
    assert_eq!(counts(Select { topic: text("orders"), ..none.clone() }), 2);
    assert_eq!(counts(Select { group: text("g"), ..none.clone() }), 1);
    assert_eq!(counts(Select { slower_us: Some(50_000), ..none.clone() }), 2, "not the held one");
    assert_eq!(counts(Select { failed: true, ..none.clone() }), 1);
    for code in ["2", "system_busy"] {
        assert_eq!(counts(Select { answer: text(code), ..none.clone() }), 1, "{code}");
    }
    for code in ["11", "pull_message", "PULL_MESSAGE"] {
        assert_eq!(counts(Select { code: text(code), ..none.clone() }), 1, "{code}");
    }
    for (client, fitting) in [("10.0.0.5", 4), ("10.0.0.5:51000", 4), ("10.0.0.6", 1), ("me@1", 1)]
    {
        assert_eq!(counts(Select { client: text(client), ..none.clone() }), fitting, "{client}");
    }
    let hex = format!("{:032x}", 0xabc);
    assert_eq!(counts(Select { trace: Some(hex), ..none.clone() }), 1);
    assert_eq!(counts(Select { trace: text("abc"), ..none.clone() }), 0);
    let since = (clock.now().0 - 1_000) * 1_000;
    assert_eq!(counts(Select { since_us: Some(since), ..none }), 3);
}

#[test]
fn a_start_leaves_the_records_of_the_run_before() {
    let (disk, clock, dir) = (MemDisk::new(), clock(), Path::new("/d"));
    for (run, known) in [
        ("first", vec!["first"]),
        ("second", vec!["first", "second"]),
        ("third", vec!["second", "third"]),
    ] {
        let recorder = FlightRecorder::start(&config(1_024), &disk, dir, &clock).unwrap();
        clock.advance(Duration::from_secs(1));
        let topic = recorder.name(run);
        recorder.record(&record(&clock, topic, Duration::ZERO));
        let again = FlightRecorder::start(&config(1_024), &disk, dir, &clock).unwrap_err();
        assert_eq!(again.kind(), std::io::ErrorKind::WouldBlock, "a second process");
        let found = all(&disk, dir, &Select::default());
        let topics: Vec<&str> = found.records.iter().filter_map(|r| r.topic.as_deref()).collect();
        assert_eq!(topics, known);
    }
}

#[test]
fn threads_share_rings_and_lose_nothing() {
    let (disk, clock) = (RealDisk, clock());
    let dir = tempfile::tempdir().unwrap();
    let recorder = FlightRecorder::start(&config(65_536), &disk, dir.path(), &clock).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..6_u64 {
            let (recorder, clock) = (&recorder, &clock);
            scope.spawn(move || {
                for n in 0..2_000 {
                    let topic = recorder.name(&format!("t{}", n % 50));
                    let taken = record(clock, topic, Duration::from_micros(n));
                    recorder.record(&FlightRecord { connection: thread, ..taken });
                }
            });
        }
    });
    let found = all(&disk, dir.path(), &Select::default());
    assert_eq!((found.records.len(), found.torn), (12_000, 0));
    for row in &found.records {
        assert_eq!(row.topic.as_deref(), Some(format!("t{}", row.total_us % 50).as_str()));
    }
}

#[test]
fn readers_pass_over_what_is_not_whole() {
    let (disk, clock, dir) = (MemDisk::new(), clock(), Path::new("/d"));
    let recorder = FlightRecorder::start(&config(1_024), &disk, dir, &clock).unwrap();
    let topic = recorder.name("t");
    (0..20).for_each(|_| recorder.record(&record(&clock, topic, Duration::ZERO)));
    let path = dir.join(NOW);
    let file = disk.open(&path).unwrap();
    let head = *Flight::open(&disk, &path).unwrap().head();
    // Somewhere in each ring, as not to know which one this thread has.
    for ring in 0..head.rings {
        file.write_at(&[0xff; 200], head.ring_at(ring) + 128 * 3 + 64).unwrap();
    }
    let found = all(&disk, dir, &Select::default());
    assert_eq!(found.records.len(), 17, "three of them, or parts, are overwritten");
    assert!(found.torn >= 3, "{}", found.torn);
    // A copy that was cut, and names that are gone.
    file.write_at(&[0; 8_192 * 4], 4_096).unwrap();
    file.set_len(head.ring_at(0) + 128 * 2 + 5).unwrap();
    let cut = all(&disk, dir, &Select::default());
    assert!(
        cut.records.len() <= 2 && cut.records.iter().all(|row| row.topic.as_deref() == Some("?"))
    );
    for junk in [&b"BHFLIGHT"[..], &[0; 5_000], b""] {
        let other = Path::new("/d/other.flight");
        disk.remove(other).unwrap();
        disk.create(other).unwrap().write_at(junk, 0).unwrap();
        assert!(Flight::open(&disk, other).is_err());
    }
    assert!(files(&disk, Path::new("/nothing")).is_err());
}

#[test]
fn whatever_a_file_holds_it_is_read_or_refused() {
    let (disk, clock, dir) = (MemDisk::new(), clock(), Path::new("/d"));
    let recorder = FlightRecorder::start(&config(1_024), &disk, dir, &clock).unwrap();
    for n in 0..200 {
        let topic = recorder.name(&format!("t{n}"));
        recorder.record(&record(&clock, topic, Duration::from_micros(n)));
    }
    let file = disk.open(&dir.join(NOW)).unwrap();
    let head = *Flight::open(&disk, &dir.join(NOW)).unwrap().head();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for round in 0..300 {
        // A few bytes anywhere, among them the head, names that are used, and records.
        let parts =
            [(0, 64), (4_096, 256 * 210), (head.ring_at(0), 128 * 1_024 * u64::from(head.rings))];
        let (begin, len) = parts[usize::try_from(next() % 3).unwrap()];
        file.write_at(&next().to_le_bytes(), begin + next() % (len - 8)).unwrap();
        let Ok(found) =
            find(&disk, &[dir.join(NOW)], &Select { limit: 50, ..Select::default() }, NAMES)
        else {
            file.write_at(&head_bytes(&disk, dir, &clock), 0).unwrap();
            continue;
        };
        assert!(found.records.len() <= 50 && found.seen <= 200, "{round}");
    }
}

/// The head of a file that was just begun.
fn head_bytes(disk: &MemDisk, dir: &Path, clock: &ManualClock) -> Vec<u8> {
    let other = dir.join("other");
    let recorder = FlightRecorder::start(&config(1_024), disk, &other, clock).unwrap();
    let mut bytes = vec![0; 64];
    disk.open(&other.join(NOW)).unwrap().read_at(&mut bytes, 0).unwrap();
    drop(recorder);
    bytes
}

#[test]
fn without_room_there_is_no_recorder_and_no_file() {
    let (disk, clock, dir) = (MemDisk::new(), clock(), Path::new("/d"));
    disk.fail_allocations(true);
    let full = FlightRecorder::start(&config(1_024), &disk, dir, &clock).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    assert!(!disk.exists(&dir.join(NOW)) && !disk.exists(&dir.join(BEFORE)));
}

#[test]
fn copies_are_kept_up_to_a_number() {
    let (disk, clock, dir) = (MemDisk::new(), clock(), Path::new("/d"));
    let recorder = FlightRecorder::start(&config(1_024), &disk, dir, &clock).unwrap();
    let topic = recorder.name("t");
    let copies: Vec<PathBuf> = (0..6)
        .map(|n| {
            recorder.record(&record(&clock, topic, Duration::ZERO));
            copies::copy(&disk, dir, 999 + n, CopyCause::Signal).unwrap()
        })
        .collect();
    let is_there: Vec<bool> = copies.iter().map(|path| disk.exists(path)).collect();
    assert_eq!(is_there, [false, false, true, true, true, true]);
    for (path, records) in copies.iter().zip(1..).skip(2) {
        let found = all(&disk, path, &Select::default());
        assert_eq!(found.records.len(), records);
        assert!(found.records.iter().all(|row| row.topic.as_deref() == Some("t")));
    }
}

#[test]
fn copies_that_a_node_makes_by_itself_leave_those_that_were_asked_for() {
    let (disk, clock, dir) = (MemDisk::new(), clock(), Path::new("/d"));
    let _recorder = FlightRecorder::start(&config(1_024), &disk, dir, &clock).unwrap();
    let copy = |at_ms, cause| copies::copy(&disk, dir, at_ms, cause).unwrap();
    let asked = [copy(998, CopyCause::Command), copy(999, CopyCause::Signal)];
    let other = dir.join("copy-of-mine.flight");
    disk.create(&other).unwrap();
    // The name of the first panic is shorter, and its number has fewer digits.
    let own: Vec<PathBuf> = (0..6)
        .map(|n| copy(997 + n, if n % 2 == 0 { CopyCause::Latency } else { CopyCause::Panic }))
        .collect();
    let is_there = |paths: &[PathBuf]| paths.iter().filter(|path| disk.exists(path)).count();
    assert_eq!((is_there(&asked), is_there(&[other])), (2, 1));
    assert_eq!((is_there(&own[..2]), is_there(&own[2..])), (0, 4), "the oldest go");
}

#[test]
fn a_data_directory_may_have_the_records_of_a_name_server_beside_those_of_a_broker() {
    let (disk, clock, data) = (MemDisk::new(), clock(), Path::new("/data"));
    for (dir, name) in [(DIR, "orders"), (NAMESRV_DIR, "routes")] {
        let at = data.join(dir);
        let recorder = FlightRecorder::start(&config(1_024), &disk, &at, &clock).unwrap();
        let (topic, reason) = (recorder.name(name), recorder.name("too many"));
        let taken = record(&clock, topic, Duration::ZERO);
        let subject = Subject { reason, ..taken.subject };
        recorder.record(&FlightRecord { response: 2, subject, ..taken });
        let found = all(&disk, &at, &Select::default());
        assert_eq!(found.records.len(), 1);
        assert_eq!(found.records[0].reason.as_deref(), Some("too many"));
    }
    let found = all(&disk, data, &Select::default());
    let topics: Vec<&str> = found.records.iter().filter_map(|r| r.topic.as_deref()).collect();
    assert_eq!(topics, ["orders", "routes"]);
}
