//! Messages that expired right before a crash.

use std::path::Path;

use blockhouse_disk::{Disk as _, whole};

use super::{SEGMENT, checked};
use crate::rig::{DIR, Rig, bodies, draft, send};

/// The log's first file is gone, and with it the message at offset 1, whose entry a crash had kept
/// from the disk.
#[test]
fn entries_that_lead_on_from_expired_messages_are_no_damage() {
    let rig = Rig::new();
    let store = rig.open();
    for n in 0..5_u8 {
        let placed = send(&store, &[draft("t", 0, &[n; 6 << 10], "")]);
        assert_eq!(placed[0].physical_offset.0 < SEGMENT, n < 2, "two in a file");
    }
    store.flush().unwrap();
    store.tick();
    drop(store);
    let file = |path: &str| Path::new(DIR).join(path);
    rig.disk.remove(&file("commitlog/00000000000000000000")).unwrap();
    let queue = file("consumequeue/t/0/00000000000000000000");
    let mut entries = whole::read(&rig.disk, &queue).unwrap().unwrap();
    entries[20..].fill(0);
    whole::replace(&rig.disk, &queue, &entries).unwrap();
    for lost in ["blockhouse/queues", "blockhouse/checkpoint", "checkpoint"] {
        rig.disk.remove(&file(lost)).unwrap();
    }
    let store = rig.open();
    assert_eq!(bodies(&store, "t", 0, 2).len(), 3);
    store.close().unwrap();
    drop(store);
    assert_eq!(checked(&rig.disk).findings.list, []);
}
