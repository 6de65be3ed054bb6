//! What a restart starts from: RocketMQ's `checkpoint` and `abort`, and our own checkpoint beside.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use blockhouse_disk::{Disk, LockGuard, whole};
use blockhouse_model::Timestamp;

use crate::Error;

/// Length of RocketMQ's checkpoint file.
const LEN: u64 = 4096;
const MAGIC: u32 = 0x4248_4350;
const VERSION: u32 = 1;
const OWN_LEN: usize = 36;

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
        Timestamp((self.physical.0.min(self.queues.0) - 3_000).max(0))
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
}

impl OwnCheckpoint {
    fn encode(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(OWN_LEN);
        bytes.extend_from_slice(&MAGIC.to_be_bytes());
        bytes.extend_from_slice(&VERSION.to_be_bytes());
        bytes.extend_from_slice(&self.applied.to_be_bytes());
        bytes.extend_from_slice(&self.timestamp.0.to_be_bytes());
        bytes.extend_from_slice(&u64::from(self.clean).to_be_bytes());
        let crc = blockhouse_record::draft::body_crc(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, crc) = bytes.split_at_checked(OWN_LEN - 4)?;
        if crc != blockhouse_record::draft::body_crc(body).to_be_bytes() {
            return None;
        }
        let wide = |at: usize| body.get(at..)?.first_chunk().map(|b| u64::from_be_bytes(*b));
        let expected = u64::from(MAGIC) << 32 | u64::from(VERSION);
        (wide(0)? == expected).then_some(())?;
        Some(Self {
            applied: wide(8)?,
            timestamp: Timestamp(wide(16)?.cast_signed()),
            clean: wide(24)? == 1,
        })
    }
}

/// The small files of a data directory.
#[derive(Debug)]
pub(crate) struct Marks {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    _lock: Box<dyn LockGuard>,
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
        Ok(Self { disk, dir: dir.to_owned(), _lock: lock })
    }

    fn java_path(&self) -> PathBuf {
        self.dir.join("checkpoint")
    }

    fn own_path(&self) -> PathBuf {
        self.dir.join("blockhouse/checkpoint")
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
            .map_err(Error::io("write", &path))?;
        let path = self.own_path();
        whole::replace(&*self.disk, &path, &own.encode()).map_err(Error::io("write", &path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_checkpoint_is_believed_only_when_whole() {
        let own = OwnCheckpoint { applied: 77, clean: true, timestamp: Timestamp(5) };
        let bytes = own.encode();
        assert_eq!(bytes.len(), OWN_LEN);
        assert_eq!(OwnCheckpoint::decode(&bytes), Some(own));
        for i in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[i] ^= 1;
            assert_eq!(OwnCheckpoint::decode(&bad), None, "byte {i}");
            assert_eq!(OwnCheckpoint::decode(&bytes[..i]), None);
        }
    }
}
