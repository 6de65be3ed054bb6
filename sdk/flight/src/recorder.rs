//! Keeping records.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use blockhouse_disk::{Disk, LockGuard, Window};
use blockhouse_meter::{FlightRecord, NameNumber, Recorder, own_shard, shard_count};
use blockhouse_model::Clock;

use crate::file::{Head, NAME, RECORD, decode_name, encode, name_at};
use crate::names::Names;
use crate::{BEFORE, Config, NOW};

/// Excludes a second process from the directory.
const LOCK: &str = "lock";

/// Keeps the records of a process.
#[derive(Debug)]
pub struct FlightRecorder {
    window: Window,
    head: Head,
    rings: Box<[Ring]>,
    names: Names,
    /// The disk does not take them, which was said once.
    is_lost: AtomicBool,
    _lock: Box<dyn LockGuard>,
}

/// How many records a ring was given. On a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Ring(AtomicU64);

impl FlightRecorder {
    /// Begins to keep records in `dir`. The file that is there stays beside the new one, until
    /// the next start.
    ///
    /// # Errors
    /// `WouldBlock` if another process keeps its records there; else what the disk says.
    pub fn start(
        config: &Config,
        disk: &dyn Disk,
        dir: &Path,
        clock: &dyn Clock,
    ) -> io::Result<Self> {
        let head = Head {
            rings: u32::try_from(shard_count()).unwrap_or(1),
            records: config.records,
            process: std::process::id(),
            began: clock.now(),
            began_monotonic: clock.monotonic(),
        };
        disk.create_private_dir(dir)?;
        let lock = disk.lock(&dir.join(LOCK))?;
        let now = dir.join(NOW);
        if disk.exists(&now) {
            disk.rename(&now, &dir.join(BEFORE))?;
        }
        let window = match window(disk, &now, &head) {
            Ok(window) => window,
            Err(error) => {
                disk.remove(&now)?;
                return Err(error);
            }
        };
        Ok(Self {
            window,
            head,
            rings: (0..head.rings).map(|_| Ring::default()).collect(),
            names: Names::default(),
            is_lost: AtomicBool::new(false),
            _lock: lock,
        })
    }

    fn place(&self, shard: usize) -> Option<(u64, usize)> {
        let (ring, number) = (self.rings.get(shard)?, u32::try_from(shard).ok()?);
        let given = ring.0.fetch_add(1, Ordering::Relaxed);
        let slot = given % u64::from(self.head.records);
        let at = self.head.ring_at(number) + slot * RECORD as u64;
        Some((given + 1, usize::try_from(at).ok()?))
    }
}

/// Makes the file.
fn window(disk: &dyn Disk, path: &Path, head: &Head) -> io::Result<Window> {
    let file = disk.create_private(path)?;
    // A page without room would be missed when it is written to.
    file.allocate(head.file_len())?;
    let window = file.window(head.file_len())?;
    window.write(0, &head.encode())?;
    Ok(window)
}

impl Recorder for FlightRecorder {
    fn name(&self, text: &str) -> NameNumber {
        NameNumber(self.names.number(text, own_shard(), &self.window))
    }

    fn text(&self, number: NameNumber) -> Option<String> {
        let mut bytes = [0; NAME];
        self.window.read(name_at(number.0), &mut bytes).ok()?;
        let (found, text) = decode_name(&bytes)?;
        (found == number.0).then(|| text.to_owned())
    }

    fn record(&self, record: &FlightRecord) {
        let Some((sequence, at)) = self.place(own_shard()) else { return };
        if let Err(error) = self.window.write(at, &encode(sequence, record))
            && !self.is_lost.swap(true, Ordering::Relaxed)
        {
            tracing::warn!("flight recorder: the disk does not take its records: {error}");
        }
    }
}
