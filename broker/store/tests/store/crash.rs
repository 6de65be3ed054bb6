//! Power cuts at every write and sync of a working store, and again while it recovers.
//!
//! A workload runs on a [`CrashDisk`]; a [`Model`] writes down what was sent, and from which event
//! on it had to be durable. Then the history is gone through event by event: images of what a crash
//! at that point could leave are opened and held against the model.
//!
//! `BLOCKHOUSE_CRASH_IMAGES` sets how many images are opened in all (10,000 unless set). Half of the
//! workloads are the same in each run, the others begin at a number that is drawn and printed
//! (`BLOCKHOUSE_CRASH_BASE` sets it). A failure names its case; `BLOCKHOUSE_CRASH_SEED` with that
//! name runs it alone.

mod decay;
mod model;
pub(crate) mod seeds;
mod whole;
mod workload;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use blockhouse_disk::{CrashDisk, Disk};
use blockhouse_store::{Flush, Store};

use crate::rig::{DIR, Rig};
use model::Model;
use seeds::{images_wanted, variable};
use workload::{Kind, Workload};

/// Images of one workload.
const PER_WORKLOAD: usize = 500;
/// Of so many images, one is used further and crashes once more, and another is stopped and read
/// from end to end.
const ONE_OF: u64 = 3;

/// One image: which workload, where it crashed, and what was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Case {
    kind: Kind,
    workload: u64,
    event: usize,
    image: u64,
}

impl Case {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let kind = parts.next()?;
        let kind = Kind::ALL.into_iter().find(|k| format!("{k:?}").eq_ignore_ascii_case(kind))?;
        let workload = parts.next()?.parse().ok()?;
        let event = parts.next()?.parse().ok()?;
        Some(Self { kind, workload, event, image: parts.next()?.parse().ok()? })
    }

    fn name(self) -> String {
        format!("{:?}/{}/{}/{}", self.kind, self.workload, self.event, self.image)
    }
}

/// How many images were opened.
#[derive(Debug, Default)]
struct Opened(AtomicUsize);

fn open(rig: &Rig, disk: &CrashDisk) -> Store {
    rig.open_on(Arc::new(disk.clone()) as Arc<dyn Disk>).unwrap()
}

/// Directories of the simulated disk end with what is in them. On a real one `consumequeue` outlives
/// its last queue; without it a start reads the whole log again, deleted topics as well.
fn is_possible(disk: &CrashDisk, model: &Model, event: usize) -> bool {
    !model.has_removed(event) || disk.exists(&Path::new(DIR).join("consumequeue"))
}

/// Opens the image and holds it against the model. Some go on to a second crash, others are stopped.
fn try_image(done: &Workload, case: Case, disk: &CrashDisk, opened: &Opened) {
    if !is_possible(disk, &done.model, case.event) {
        return;
    }
    opened.0.fetch_add(1, Ordering::Relaxed);
    let store = open(&done.rig, disk);
    let found = done.model.inspect(&store, case.event);
    match case.image % ONE_OF {
        0 => crash_again(done, case, (store, disk), found, opened),
        1 => whole::stop(store, disk, done.model.topics(case.event), &found),
        _ => {}
    }
}

fn crash_again(
    done: &Workload,
    case: Case,
    (store, disk): (Store, &CrashDisk),
    mut second: Model,
    opened: &Opened,
) {
    let recovered_at = disk.events();
    second.all_durable_at(recovered_at, case.event);
    workload::go_on(&store, &done.rig, disk, &mut second, case.image);
    drop(store);
    let mut crashes = disk.crashes();
    // Three more points: in the recovery, in what came after it, at the end.
    let end = disk.events();
    let at = |n: usize| usize::try_from(case.image / 7).unwrap_or(0) % n.max(1);
    let mut points = [at(recovered_at), recovered_at + at(end - recovered_at), end];
    points.sort_unstable();
    for (n, point) in points.into_iter().enumerate() {
        while crashes.at() < point && crashes.step() {}
        let disk = crashes.image(case.image.wrapping_add(n as u64));
        if !is_possible(&disk, &second, point) {
            continue;
        }
        opened.0.fetch_add(1, Ordering::Relaxed);
        let store = open(&done.rig, &disk);
        second.inspect(&store, point);
    }
}

fn run_case(done: &Workload, case: Case, disk: &CrashDisk, opened: &Opened) {
    let result = catch_unwind(AssertUnwindSafe(|| try_image(done, case, disk, opened)));
    assert!(result.is_ok(), "to run this again: BLOCKHOUSE_CRASH_SEED={}", case.name());
}

fn crash_everywhere(kind: Kind) {
    if let Some(only) = variable("BLOCKHOUSE_CRASH_SEED") {
        let only = Case::parse(&only).unwrap();
        if only.kind == kind {
            let done = Workload::run(kind, only.workload);
            let mut crashes = done.disk.crashes();
            while crashes.at() < only.event && crashes.step() {}
            run_case(&done, only, &crashes.image(only.image), &Opened::default());
        }
        return;
    }
    let wanted = images_wanted() / Kind::ALL.len();
    for first in seeds::beginnings() {
        crash_from(kind, first, wanted.div_ceil(2));
    }
}

/// Crashes the workloads from the number `first` on, until so many images were opened.
fn crash_from(kind: Kind, first: u64, wanted: usize) {
    let opened = Opened::default();
    let mut workload = first;
    while opened.0.load(Ordering::Relaxed) < wanted {
        let done = Workload::run(kind, workload);
        let mut crashes = done.disk.crashes();
        // Every event is a point, the important ones (the last) more than once.
        let each = PER_WORKLOAD.div_ceil(done.disk.events().max(1));
        loop {
            for n in 0..each as u64 {
                let image = workload * 1_000_003 + crashes.at() as u64 * 31 + n;
                let case = Case { kind, workload, event: crashes.at(), image };
                run_case(&done, case, &crashes.image(image), &opened);
            }
            if !crashes.step() || opened.0.load(Ordering::Relaxed) >= wanted {
                break;
            }
        }
        workload += 1;
    }
}

#[test]
fn async_flush_keeps_what_was_flushed() {
    crash_everywhere(Kind::Async);
}

#[test]
fn sync_flush_keeps_what_was_acknowledged() {
    crash_everywhere(Kind::Sync);
}

#[test]
fn deleted_and_expired_things_stay_gone() {
    crash_everywhere(Kind::Removal);
}

#[test]
fn many_small_messages_keep_their_queues_dense() {
    crash_everywhere(Kind::Small);
}

#[test]
fn a_seed_gives_the_same_workload_again() {
    for kind in Kind::ALL {
        let (one, two) = (Workload::run(kind, 5), Workload::run(kind, 5));
        assert_eq!(one.disk.events(), two.disk.events(), "{kind:?}");
        assert_eq!(one.model, two.model, "{kind:?}");
        let is_sync = one.rig.config.flush == Flush::Sync;
        assert_eq!(is_sync, kind == Kind::Sync);
        assert!(one.model.len() > 30, "{kind:?} sends {}", one.model.len());
    }
    let case = Case { kind: Kind::Small, workload: 1, event: 2, image: 3 };
    assert_eq!(Case::parse(&case.name()), Some(case));
}
