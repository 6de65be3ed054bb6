//! Damaged bytes are never handed out as good ones.

use std::path::{Path, PathBuf};

use crate::rig::{DIR, Rig, draft, read, send, views};
use blockhouse_disk::Disk;
use blockhouse_model::{PhysicalOffset, QueueId, QueueOffset, Timestamp};
use blockhouse_record::View;
use blockhouse_store::{Accept, ColdRead, Placed, ReadStatus, Store};

const COUNT: u32 = 40;

fn body(topic: &str, queue: u32, offset: u64) -> Vec<u8> {
    format!("{topic} {queue} {offset} {}", "x".repeat(60)).into_bytes()
}

/// Forty messages in each of two queues of two topics; places of those of topic `t`, queue 0.
fn fill(store: &Store) -> Vec<Placed> {
    let mut places = Vec::new();
    for n in 0..COUNT {
        for (topic, queue) in [("t", 0), ("t", 1), ("u", 0), ("u", 1)] {
            let text = format!("UNIQ_KEY\u{1}{topic}{queue}-{n}\u{2}");
            let body = body(topic, queue, u64::from(n));
            // Every fourth of a queue has a neighbour in the log.
            let placed = send(store, &[draft(topic, queue, &body, &text)]);
            if (topic, queue) == ("t", 0) {
                places.extend(placed);
            }
        }
    }
    places
}

/// All messages of queue 0 of topic `t` as a consumer gets them: none is wrong, and no read hangs.
fn pulled(store: &Store, accept: &mut dyn Accept) -> Vec<u64> {
    let mut got = Vec::new();
    let mut next = 0;
    let max = store.max_offset("t", QueueId(0)).0;
    let mut reads = 0;
    while next < max {
        let outcome = store.read(&crate::rig::request("t", 0, next, 7), accept);
        let mut expected = 0;
        for view in views(&outcome) {
            assert_good(&view, "t", 0);
            got.push(view.queue_offset.0);
            expected += 1;
        }
        assert_eq!(outcome.count, expected);
        assert_eq!(outcome.bytes, outcome.slices.iter().map(bytes::Bytes::len).sum::<usize>());
        if outcome.status != ReadStatus::Found {
            assert_eq!(outcome.count, 0);
        }
        assert!(outcome.next.0 > next, "{outcome:?}");
        next = outcome.next.0;
        reads += 1;
        assert!(reads < 200);
    }
    got
}

fn assert_good(view: &View<'_>, topic: &str, queue: u32) {
    assert_eq!((view.topic, view.queue.0), (topic, queue));
    assert_eq!(view.body, body(topic, queue, view.queue_offset.0));
    assert!(view.is_intact());
}

/// Wants everything, but looks at the records.
struct Inside;

impl Accept for Inside {
    fn entry(&mut self, _: i64) -> bool {
        true
    }

    fn looks_inside(&self) -> bool {
        true
    }

    fn record(&mut self, record: &[u8]) -> bool {
        assert_good(&View::parse(record).unwrap(), "t", 0);
        true
    }
}

fn everything(_: i64) -> bool {
    true
}

fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

fn overwrite(disk: &dyn Disk, name: &str, at: u64, bytes: &[u8]) {
    disk.open(&path(name)).unwrap().write_at(bytes, at).unwrap();
}

#[test]
fn an_entry_that_leads_astray_gives_no_message() {
    let rig = Rig::new();
    let store = rig.open();
    let places = fill(&store);
    store.close().unwrap();
    drop(store);
    let other = |at: usize| places[at].physical_offset.0.to_be_bytes();
    let size = places[12].size.to_be_bytes();
    let neighbour = places[12].physical_offset.0 + u64::from(places[12].size);
    let damages: [(&str, u64, Vec<u8>); 9] = [
        ("another message of the queue", 0, other(20).to_vec()),
        ("a message of another queue", 0, neighbour.to_be_bytes().to_vec()),
        ("the middle of a message", 0, (places[12].physical_offset.0 + 8).to_be_bytes().to_vec()),
        ("nowhere", 0, (u64::MAX / 4).to_be_bytes().to_vec()),
        ("a size that is too small", 8, 91_u32.to_be_bytes().to_vec()),
        ("a size that is too large", 8, 400_u32.to_be_bytes().to_vec()),
        ("a size past the file's end", 8, 16_000_u32.to_be_bytes().to_vec()),
        ("nothing", 0, vec![0; 20]),
        ("a message and a half", 8, (places[12].size + 50).to_be_bytes().to_vec()),
    ];
    assert_ne!(size, 400_u32.to_be_bytes());
    for (what, inside, bytes) in damages {
        let rig = rig.killed();
        let store = rig.open();
        let name = "consumequeue/t/0/00000000000000000000";
        overwrite(&rig.disk, name, 12 * 20 + inside, &bytes);
        let expected: Vec<u64> = (0..u64::from(COUNT)).filter(|n| *n != 12).collect();
        assert_eq!(pulled(&store, &mut everything), expected, "{what}");
        assert_eq!(pulled(&store, &mut Inside), expected, "{what}, looked at");
    }
}

#[test]
fn a_damaged_record_is_passed_over_wherever_it_is_damaged() {
    let rig = Rig::new();
    let store = rig.open();
    let places = fill(&store);
    store.close().unwrap();
    drop(store);
    let rig = rig.killed();
    let store = rig.open();
    let at = places[12].physical_offset.0;
    let file = rig.disk.open(&path("commitlog/00000000000000000000")).unwrap();
    // FLAG, BORNTIMESTAMP, BORNHOST, STOREHOST, RECONSUMETIMES, PREPAREDOFFSET and properties
    // have no checksum; STORETIMESTAMP neither.
    let size = u64::from(places[12].size);
    let topic = size - 2 - 15 - 2;
    let checked = (0..16).chain(20..36).chain(84..topic + 2);
    let all: Vec<u64> = (0..u64::from(COUNT)).collect();
    let others: Vec<u64> = all.iter().copied().filter(|n| *n != 12).collect();
    for byte in checked {
        let mut old = [0];
        file.read_at(&mut old, at + byte).unwrap();
        file.write_at(&[old[0] ^ 0x10], at + byte).unwrap();
        assert_eq!(pulled(&store, &mut everything), others, "byte {byte}");
        assert_eq!(pulled(&store, &mut Inside), others, "byte {byte}, looked at");
        let place = PhysicalOffset(at);
        let by_id = store.message_at(place, ColdRead::Allow).unwrap();
        // By its place alone a record of another topic or queue cannot be told from a good one.
        let is_name = (12..28).contains(&byte) || byte == topic + 1;
        assert!(by_id.is_none() || is_name, "byte {byte}");
        let by_key = store.query("t", "t0-12", 9, Timestamp(0), Timestamp(i64::MAX));
        assert!(by_key.records.is_empty() || is_name, "byte {byte}");
        file.write_at(&old, at + byte).unwrap();
    }
    assert_eq!(pulled(&store, &mut everything), all);
}

#[test]
fn an_entry_is_held_against_its_record_in_memory_too() {
    let rig = Rig::new();
    let store = rig.open();
    let places = fill(&store);
    store.flush().unwrap();
    let name = "consumequeue/t/0/00000000000000000000";
    // The newest 32 entries are in memory; this one is not.
    let wrong = places[30].physical_offset.0.to_be_bytes();
    overwrite(&rig.disk, name, 3 * 20, &wrong);
    let outcome = read(&store, "t", 0, 3, 1);
    assert_eq!((outcome.status, outcome.count), (ReadStatus::MessageWasRemoving, 0));
    assert_eq!(outcome.next, QueueOffset(4));
    assert_eq!(pulled(&store, &mut everything).len(), COUNT as usize - 1);
}
