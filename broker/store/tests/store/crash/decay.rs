//! Bytes that change on the disk: flipped bits, pages of zeros, files that are cut. A start is refused
//! and changes nothing, or serves nothing wrong and says what it does not serve: in the log, or a
//! check finds it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blockhouse_disk::{Disk, MemDisk, whole};
use blockhouse_model::{QueueId, Timestamp};
use blockhouse_record::View;
use blockhouse_store::examine::{self, Access, Options};
use blockhouse_store::{Config, Error, Flush, Placed, Store};

use super::seeds::{beginnings, images_wanted, variable};
use crate::log_lines::LogLines;
use crate::rig::{DIR, Rig, config, draft, read, send, views};

/// What happened to a file: from where to where it is not what it was.
#[derive(Clone, Debug)]
struct Harm {
    path: PathBuf,
    from: u64,
    to: u64,
}

struct Site {
    rig: Rig,
    /// All messages of the queues 0 to 2, in order.
    sent: Vec<Vec<Placed>>,
}

/// A message that is not served any more.
#[derive(Clone, Copy, Debug)]
struct Lost {
    queue: u32,
    offset: u64,
    /// Where its record lies.
    at: u64,
}

impl Lost {
    /// Whether a line names it.
    fn is_named(self, lines: &[String]) -> bool {
        let Self { queue, offset, at } = self;
        // Under the name or number that the record has now.
        let place = format!("the record at {at} says that it is message ");
        let is_elsewhere = lines.iter().any(|line| line.contains(&place));
        is_elsewhere
            || lines.iter().filter_map(|line| line.strip_prefix(&format!("t {queue}: "))).any(
                |line| {
                    // The numbers of the line, up to the first word that is none of these.
                    let known = ["message", "messages", "no", "from", "to"];
                    let words = line.split(' ').take_while(|word| {
                        known.contains(word) || word.bytes().all(|byte| byte.is_ascii_digit())
                    });
                    let numbers: Vec<u64> =
                        words.clone().filter_map(|word| word.parse().ok()).collect();
                    match (line.starts_with("no "), &numbers[..]) {
                        (false, [only]) => *only == offset,
                        (false, [first, last]) => (*first..=*last).contains(&offset),
                        // Between two messages of a log that is read again.
                        (true, [first, next]) => (*first..*next).contains(&offset),
                        _ => false,
                    }
                },
            )
    }
}

const COUNT: u64 = 600;
/// Once found something: the name of a topic that decayed behind the checkpoint, with more messages of its queue
/// behind it and without; a key that became another message's.
const KNOWN: [u64; 3] = [12_449_327, 7_181_757, 2_870_808];
const INDEX_SLOTS: u32 = 700;

fn body(queue: u32, offset: u64) -> Vec<u8> {
    format!("{queue} {offset} {}", "b".repeat(usize::try_from(offset % 150).unwrap())).into_bytes()
}

/// A stopped store: closed, or killed after a checkpoint with more behind it.
fn site(is_clean: bool) -> Site {
    let rig = Rig::with(Config {
        flush: Flush::Sync,
        queue_file_entries: 150,
        index_entries: 500,
        index_slots: INDEX_SLOTS,
        segment_size: 32 << 10,
        checkpoint_interval_ms: u64::MAX,
        ..config()
    });
    let store = rig.open();
    let mut sent = vec![Vec::new(); 3];
    for n in 0..COUNT {
        rig.clock.advance(std::time::Duration::from_millis(50));
        let (queue, offset) = (u32::try_from(n % 3).unwrap(), n / 3);
        let text = format!("UNIQ_KEY\u{1}q{queue}-{offset}\u{2}");
        let body = body(queue, offset);
        sent[queue as usize].extend(send(&store, &[draft("t", queue, &body, &text)]));
        if n == COUNT * 3 / 4 {
            store.flush().unwrap();
        }
    }
    if is_clean {
        store.close().unwrap();
    } else {
        store.tick();
    }
    drop(store);
    Site { rig: rig.killed(), sent }
}

/// Numbers from a seed.
fn dice(seed: &mut u64, end: u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    (*seed >> 9) % end.max(1)
}

/// Does something to one file.
fn harm(disk: &MemDisk, seed: &mut u64) -> Harm {
    let all: Vec<_> = disk.paths().into_iter().filter(|p| !p.ends_with("abort")).collect();
    let path = all[usize::try_from(dice(seed, all.len() as u64)).unwrap()].clone();
    let file = disk.open(&path).unwrap();
    let len = file.len().unwrap();
    match dice(seed, 5) {
        0 => {
            let page = dice(seed, len.div_ceil(4096));
            let (from, to) = (page * 4096, (page * 4096 + 4096).min(len));
            file.write_at(&vec![0; usize::try_from(to - from).unwrap()], from).unwrap();
            Harm { path, from, to }
        }
        1 => {
            let from = dice(seed, len);
            file.set_len(from).unwrap();
            Harm { path, from, to: len }
        }
        _ => {
            let from = dice(seed, len);
            let mut byte = [0];
            file.read_at(&mut byte, from).unwrap();
            file.write_at(&[byte[0] ^ (1 << dice(seed, 8))], from).unwrap();
            Harm { path, from, to: from + 1 }
        }
    }
}

/// All offsets that a queue gives; each with the right message.
fn served(store: &Store, queue: u32) -> Vec<u64> {
    let mut got = Vec::new();
    let mut next = store.min_offset("t", QueueId(queue)).0;
    while next < store.max_offset("t", QueueId(queue)).0 {
        let outcome = read(store, "t", queue, next, 16);
        for view in views(&outcome) {
            assert_true(&view, queue);
            assert!(view.queue_offset.0 >= next);
            got.push(view.queue_offset.0);
        }
        assert!(outcome.next.0 > next, "{outcome:?}");
        next = outcome.next.0;
    }
    got
}

fn contents(disk: &MemDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    let read = |path: &PathBuf| whole::read(disk, path).unwrap().unwrap();
    disk.paths().into_iter().map(|path| (path.clone(), read(&path))).collect()
}

/// Whether a check of the stopped store finds damage.
fn is_found(disk: &MemDisk) -> bool {
    let options = Options { index_slots: Some(INDEX_SLOTS), ..Options::default() };
    let disk = Arc::new(disk.clone());
    let site = examine::Site::open(disk, Path::new(DIR), options, Access::Read).unwrap();
    examine::check(&site, &mut |_, _| ()).unwrap().findings.damage > 0
}

fn assert_true(view: &View<'_>, queue: u32) {
    assert_eq!((view.topic, view.queue.0), ("t", queue));
    assert_eq!(view.body, body(queue, view.queue_offset.0));
}

impl Site {
    fn lies_in(&self, harm: &Harm, placed: &Placed) -> bool {
        let size = self.rig.config.segment_size;
        let at = placed.physical_offset.0;
        let name = format!("commitlog/{:020}", at - at % size);
        let (from, to) = (at % size, at % size + u64::from(placed.size));
        harm.path.ends_with(name) && from < harm.to && harm.from < to
    }

    /// Whether the harm lies in this record.
    fn is_hit(&self, harm: &Harm, view: &View<'_>) -> bool {
        let mut all = self.sent.iter().flatten();
        all.any(|at| at.physical_offset == view.physical_offset && self.lies_in(harm, at))
    }

    /// Whether the harm may have taken this message away: its record, or its entry.
    fn may_lack(&self, harm: &Harm, queue: u32, offset: u64) -> bool {
        let placed = &self.sent[queue as usize][usize::try_from(offset).unwrap()];
        if self.lies_in(harm, placed) {
            return true;
        }
        let dir = format!("/data/consumequeue/t/{queue}");
        let base = harm.path.file_name().unwrap().to_string_lossy().parse::<u64>().unwrap_or(0);
        let (from, to) = (base + harm.from, base + harm.to);
        harm.path.starts_with(dir) && from < offset * 20 + 20 && offset * 20 < to
    }

    /// No checksum covers QUEUEID and QUEUEOFFSET: behind the checkpoint they alone say where a message
    /// belongs, so wrong ones that are possible are believed (`docs/storage-format.md`).
    fn is_queue_or_offset(&self, harm: &Harm) -> bool {
        let mut all = self.sent.iter().flatten();
        all.any(|placed| self.lies_in(harm, &Placed { size: 28, ..*placed }))
    }

    fn check(&self, disk: &MemDisk, harm: &Harm, log: &LogLines) -> bool {
        let before = disk.snapshot();
        log.take();
        let store = match self.rig.open_on(Arc::new(disk.clone())) {
            Ok(store) => store,
            Err(Error::Damaged { .. } | Error::Format { .. }) => {
                assert!(contents(disk) == contents(&before), "{harm:?}: refused, and changed");
                return false;
            }
            Err(e) => {
                assert_eq!(e.to_string(), "", "{harm:?}");
                return false;
            }
        };
        let log_end = store.stats().log_end;
        let mut lost = Vec::new();
        for queue in 0..3 {
            let got = served(&store, queue);
            for offset in 0..COUNT / 3 {
                let placed = &self.sent[queue as usize][usize::try_from(offset).unwrap()];
                assert!(placed.physical_offset < log_end, "{harm:?} cut what was synced");
                if got.binary_search(&offset).is_err() {
                    assert!(self.may_lack(harm, queue, offset), "{harm:?}: {queue} {offset}");
                    lost.push(Lost { queue, offset, at: placed.physical_offset.0 });
                }
            }
        }
        let lines = log.take();
        let unnamed: Vec<_> = lost.iter().filter(|lost| !lost.is_named(&lines)).collect();
        assert!(unnamed.is_empty(), "{harm:?}: {lines:?} and no line of {unnamed:?}");
        // Whoever asks by key does not know that there was a message.
        let lost_keys = self.lost_keys(&store, harm);
        let is_told = lost_keys + lost.len() == 0 || is_found(&before);
        assert!(is_told, "{harm:?}: a check finds nothing of {lost:?}, {lost_keys} keys");
        // It goes on working.
        send(&store, &[draft("t", 0, b"more", "")]);
        store.close().unwrap();
        true
    }

    /// How many of some keys find nothing though their records were not touched; none finds something
    /// wrong.
    fn lost_keys(&self, store: &Store, harm: &Harm) -> usize {
        let mut lost = 0;
        for n in (0..COUNT / 3).step_by(9) {
            let found = store.query("t", &format!("q1-{n}"), 9, Timestamp(0), Timestamp(i64::MAX));
            let views = found.records.iter().map(|record| View::parse(record).unwrap());
            // Properties have no checksum: the key itself may be another one, also one of these.
            let whole: Vec<_> = views.filter(|view| !self.is_hit(harm, view)).collect();
            assert!(whole.len() <= 1, "{harm:?}");
            // Which queue it is in is not held against the queue.
            assert!(whole.iter().all(|view| view.body == body(1, n)), "{harm:?}");
            let placed = &self.sent[1][usize::try_from(n).unwrap()];
            if found.records.is_empty() && !self.lies_in(harm, placed) {
                assert!(harm.path.starts_with("/data/index"), "{harm:?}: key of {n}");
                lost += 1;
            }
        }
        lost
    }
}

fn decay(is_clean: bool) {
    let site = site(is_clean);
    let only = variable("BLOCKHOUSE_DECAY_SEED").and_then(|n| n.parse::<u64>().ok());
    let mut opened = 0;
    let log = LogLines::default();
    let count = images_wanted() as u64 / 20;
    let [fixed, drawn] = beginnings().map(|first| first..first + count.div_ceil(2));
    let all = only.map_or_else(|| fixed.chain(drawn), |n| (n..n + 1).chain(0..0));
    for n in KNOWN.into_iter().chain(all) {
        let disk = site.rig.disk.snapshot();
        let mut seed = (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let harm = harm(&disk, &mut seed);
        if !is_clean && site.is_queue_or_offset(&harm) {
            continue;
        }
        let tried = || log.while_doing(|| site.check(&disk, &harm, &log));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(tried));
        assert!(result.is_ok(), "to run this again: BLOCKHOUSE_DECAY_SEED={n} ({harm:?})");
        opened += u64::from(result.unwrap_or(false));
    }
    assert!(only.is_some() || opened > count / 4, "{opened} of {count} opened");
}

#[test]
fn decay_of_a_closed_store_is_never_served() {
    decay(true);
}

#[test]
fn decay_of_a_killed_store_is_never_served() {
    decay(false);
}
