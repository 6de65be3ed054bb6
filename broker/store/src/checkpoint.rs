//! What a restart starts from: RocketMQ's `checkpoint` and `abort`, and our own checkpoint beside.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use blockhouse_disk::{Disk, DiskFile, LockGuard, whole};
use blockhouse_model::Timestamp;

use crate::Error;
use crate::queue_table::QueueTable;

/// Length of RocketMQ's checkpoint file.
const LEN: u64 = 4096;
const MAGIC: u32 = 0x4248_4350;
const VERSION: u32 = 3;
const OWN_LEN: usize = 52;
/// Says that the place of the last record is not known.
const UNKNOWN: u64 = u64::MAX;
const FLUSHED_MAGIC: u32 = 0x4248_464C;
const FLUSHED_VERSION: u32 = 1;
const FLUSHED_LEN: usize = 20;

/// RocketMQ's `checkpoint`: store times up to which things are on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct JavaCheckpoint {
    pub(crate) physical: Timestamp,
    pub(crate) queues: Timestamp,
    pub(crate) index: Timestamp,
}

impl JavaCheckpoint {
    /// Messages stored before this need no second dispatch, by RocketMQ's rule.
    pub(crate) fn safe(self) -> Timestamp {
        Timestamp(self.physical.0.min(self.queues.0).saturating_sub(3_000).max(0))
    }
}

/// Our checkpoint: a position instead of times, so that a restart reads only what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwnCheckpoint {
    /// Queues and index hold all records before this, durably.
    pub(crate) applied: u64,
    /// The log ended there and the stop was clean, so nothing lies behind it.
    pub(crate) clean: bool,
    /// When the last record before `applied` was stored.
    pub(crate) timestamp: Timestamp,
    /// Where that record begins, if known: a start holds the checkpoint against it.
    pub(crate) last: Option<u64>,
    /// The checksum of the table of queues that belongs to this, if there is one.
    pub(crate) queues: Option<u32>,
}

impl OwnCheckpoint {
    fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(OWN_LEN);
        bytes.extend_from_slice(&MAGIC.to_be_bytes());
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&self.applied.to_be_bytes());
        bytes.extend_from_slice(&self.timestamp.0.to_be_bytes());
        bytes.extend_from_slice(&u64::from(self.clean).to_be_bytes());
        bytes.extend_from_slice(&self.last.unwrap_or(UNKNOWN).to_be_bytes());
        bytes.extend_from_slice(&self.queues.map_or(UNKNOWN, u64::from).to_be_bytes());
        with_crc(bytes)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let body = without_crc(bytes, OWN_LEN)?;
        let wide = |at: usize| body.get(at..)?.first_chunk().map(|b| u64::from_be_bytes(*b));
        let expected = u64::from(MAGIC) << 32 | u64::from(VERSION);
        (wide(0)? == expected).then_some(())?;
        Some(Self {
            applied: wide(8)?,
            timestamp: Timestamp(wide(16)?.cast_signed()),
            clean: wide(24)? == 1,
            last: wide(32).filter(|last| *last != UNKNOWN),
            queues: wide(40).and_then(|crc| u32::try_from(crc).ok()),
        })
    }
}

fn with_crc(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = blockhouse_record::draft::body_crc(&bytes);
    bytes.extend_from_slice(&crc.to_be_bytes());
    bytes
}

/// What a checksum follows, if it is right.
fn without_crc(bytes: &[u8], len: usize) -> Option<&[u8]> {
    let (body, crc) = bytes.split_at_checked(len - 4)?;
    (crc == blockhouse_record::draft::body_crc(body).to_be_bytes()).then_some(body)
}

fn encode_flushed(flushed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FLUSHED_LEN);
    bytes.extend_from_slice(&FLUSHED_MAGIC.to_be_bytes());
    bytes.extend_from_slice(&FLUSHED_VERSION.to_be_bytes());
    bytes.extend_from_slice(&flushed.to_be_bytes());
    with_crc(bytes)
}

fn decode_flushed(bytes: &[u8]) -> Option<u64> {
    let body = without_crc(bytes, FLUSHED_LEN)?;
    let wide = |at: usize| body.get(at..)?.first_chunk().map(|b| u64::from_be_bytes(*b));
    let expected = u64::from(FLUSHED_MAGIC) << 32 | u64::from(FLUSHED_VERSION);
    (wide(0)? == expected).then(|| wide(8))?
}

/// The small files of a data directory.
#[derive(Debug)]
pub(crate) struct Marks {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    _lock: Box<dyn LockGuard>,
    /// What `blockhouse/flushed` says.
    noted: AtomicU64,
}

impl Marks {
    /// Takes the directory's lock.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, Error> {
        let path = dir.join("lock");
        let lock = disk.lock(&path).map_err(|e| {
            if e.kind() == std::io::ErrorKind::WouldBlock {
                Error::InUse(dir.to_owned())
            } else {
                Error::io("lock", &path)(e)
            }
        })?;
        Ok(Self { disk, dir: dir.to_owned(), _lock: lock, noted: AtomicU64::new(UNKNOWN) })
    }

    /// The files of a directory whose lock is held, or is not there to be held.
    pub(crate) fn with_lock(disk: Arc<dyn Disk>, dir: &Path, lock: Box<dyn LockGuard>) -> Self {
        Self { disk, dir: dir.to_owned(), _lock: lock, noted: AtomicU64::new(UNKNOWN) }
    }

    fn java_path(&self) -> PathBuf {
        self.dir.join("checkpoint")
    }

    fn own_path(&self) -> PathBuf {
        self.dir.join("blockhouse/checkpoint")
    }

    fn flushed_path(&self) -> PathBuf {
        self.dir.join("blockhouse/flushed")
    }

    fn queues_path(&self) -> PathBuf {
        self.dir.join("blockhouse/queues")
    }

    fn abort_path(&self) -> PathBuf {
        self.dir.join("abort")
    }

    /// Whether the last stop was not clean.
    pub(crate) fn is_aborted(&self) -> bool {
        self.disk.exists(&self.abort_path())
    }

    /// Says that a process works here: until [`Marks::clear_abort`], a stop is not clean.
    pub(crate) fn set_abort(&self) -> Result<(), Error> {
        let path = self.abort_path();
        match whole::replace(&*self.disk, &path, std::process::id().to_string().as_bytes()) {
            // That it is there is what counts: on a full disk, messages can still be read.
            Err(e) if self.is_aborted() => {
                tracing::warn!("{} keeps an old process id: {e}", path.display());
                Ok(())
            }
            other => other.map_err(Error::io("write", &path)),
        }
    }

    pub(crate) fn clear_abort(&self) -> Result<(), Error> {
        let path = self.abort_path();
        self.disk
            .remove(&path)
            .and_then(|()| self.disk.sync_dir(&self.dir))
            .map_err(Error::io("remove", &path))
    }

    pub(crate) fn java(&self) -> Result<JavaCheckpoint, Error> {
        let path = self.java_path();
        let bytes = whole::read(&*self.disk, &path).map_err(Error::io("read", &path))?;
        let bytes = bytes.unwrap_or_default();
        let time = |at: usize| {
            let field = bytes.get(at..).and_then(<[u8]>::first_chunk);
            Timestamp(field.map_or(0, |b| i64::from_be_bytes(*b)))
        };
        Ok(JavaCheckpoint { physical: time(0), queues: time(8), index: time(16) })
    }

    pub(crate) fn own(&self) -> Result<Option<OwnCheckpoint>, Error> {
        let path = self.own_path();
        let bytes = whole::read(&*self.disk, &path).map_err(Error::io("read", &path))?;
        Ok(bytes.as_deref().and_then(OwnCheckpoint::decode))
    }

    pub(crate) fn write(&self, java: JavaCheckpoint, own: OwnCheckpoint) -> Result<(), Error> {
        self.write_java(java)?;
        self.noted.store(own.applied, Ordering::Release);
        self.write_flushed(own.applied)
            .and_then(|file| file.sync_data())
            .map_err(Error::io("write", &self.flushed_path()))?;
        self.write_own(own)
    }

    /// RocketMQ's file alone.
    pub(crate) fn write_java(&self, java: JavaCheckpoint) -> Result<(), Error> {
        let path = self.java_path();
        let times = [java.physical, java.queues, java.index];
        let bytes: Vec<u8> = times.iter().flat_map(|t| t.0.to_be_bytes()).collect();
        self.disk
            .create(&path)
            .and_then(|file| {
                if file.len()? < LEN {
                    file.set_len(LEN)?;
                }
                // One sector: torn by no crash. What RocketMQ keeps behind it stays as it is.
                file.write_at(&bytes, 0)?;
                file.sync_data()
            })
            .map_err(Error::io("write", &path))
    }

    /// The table of queues with that checksum.
    pub(crate) fn queues(&self, crc: u32) -> Result<Option<QueueTable>, Error> {
        let path = self.queues_path();
        let bytes = whole::read(&*self.disk, &path).map_err(Error::io("read", &path))?;
        Ok(bytes.and_then(|bytes| QueueTable::decode(&bytes, crc)))
    }

    /// Writes the table of queues, to which the next checkpoint belongs.
    pub(crate) fn write_queues(&self, table: &[u8]) -> Result<(), Error> {
        let path = self.queues_path();
        whole::replace(&*self.disk, &path, table).map_err(Error::io("write", &path))
    }

    /// Removes the table of queues, durably: files of queues are about to go.
    pub(crate) fn forget_queues(&self) -> Result<(), Error> {
        let path = self.queues_path();
        if !self.disk.exists(&path) {
            return Ok(());
        }
        self.disk
            .remove(&path)
            .and_then(|()| self.disk.sync_dir(&self.dir.join("blockhouse")))
            .map_err(Error::io("remove", &path))
    }

    fn write_own(&self, own: OwnCheckpoint) -> Result<(), Error> {
        let path = self.own_path();
        whole::replace(&*self.disk, &path, &own.encode()).map_err(Error::io("write", &path))
    }

    /// Sets our checkpoint back: queues and index are about to lose what follows.
    pub(crate) fn set_back(&self, applied: u64, timestamp: Timestamp) -> Result<(), Error> {
        self.write_own(OwnCheckpoint { applied, clean: false, timestamp, last: None, queues: None })
    }

    /// Up to where the log was known to be on disk.
    pub(crate) fn flushed(&self) -> Result<Option<u64>, Error> {
        let path = self.flushed_path();
        let bytes = whole::read(&*self.disk, &path).map_err(Error::io("read", &path))?;
        Ok(bytes.as_deref().and_then(decode_flushed))
    }

    /// Says that the log is on disk up to here. It must be. Not synced: any version that a crash
    /// leaves is true.
    pub(crate) fn note_flushed(&self, flushed: u64) -> Result<(), Error> {
        if self.noted.swap(flushed, Ordering::AcqRel) == flushed {
            return Ok(());
        }
        let written = self.write_flushed(flushed).map(|_| ());
        // Or the next call would take it for noted.
        written
            .inspect_err(|_| self.noted.store(!flushed, Ordering::Release))
            .map_err(Error::io("write", &self.flushed_path()))
    }

    fn write_flushed(&self, flushed: u64) -> std::io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.create(&self.flushed_path())?;
        // One sector: torn by no crash.
        file.write_at(&encode_flushed(flushed), 0)?;
        Ok(file)
    }

    /// The log is gone, and what was known about it is void.
    pub(crate) fn forget(&self) -> Result<(), Error> {
        for path in [self.own_path(), self.flushed_path(), self.queues_path()] {
            self.disk.remove(&path).map_err(Error::io("remove", &path))?;
        }
        let dir = self.dir.join("blockhouse");
        if self.disk.exists(&dir) {
            self.disk.sync_dir(&dir).map_err(Error::io("sync", &dir))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_files_are_believed_only_when_whole() {
        let timestamp = Timestamp(5);
        let own =
            OwnCheckpoint { applied: 77, clean: true, timestamp, last: Some(9), queues: Some(3) };
        for own in [own, OwnCheckpoint { last: None, queues: None, ..own }] {
            let bytes = own.encode();
            assert_eq!(bytes.len(), OWN_LEN);
            assert_eq!(OwnCheckpoint::decode(&bytes), Some(own));
            damaged(&bytes, |bytes| assert_eq!(OwnCheckpoint::decode(bytes), None));
        }
        let bytes = encode_flushed(99);
        assert_eq!((bytes.len(), decode_flushed(&bytes)), (FLUSHED_LEN, Some(99)));
        damaged(&bytes, |bytes| assert_eq!(decode_flushed(bytes), None));
    }

    fn damaged(bytes: &[u8], is_refused: impl Fn(&[u8])) {
        for i in 0..bytes.len() {
            let mut bad = bytes.to_vec();
            bad[i] ^= 1;
            is_refused(&bad);
            is_refused(&bytes[..i]);
        }
    }
}
