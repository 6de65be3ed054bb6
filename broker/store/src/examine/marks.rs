//! The small files: what they say, where the next start begins, and whether they fit the log.

use blockhouse_disk::whole;
use serde::Serialize;

use super::finding::{Findings, Kind, Remedy};
use super::log_files::LogFiles;
use super::site::Site;
use super::walk::Walker;
use crate::Error;
use crate::checkpoint::{JavaCheckpoint, OwnCheckpoint};
use crate::queue_table::QueueTable;
use crate::stamp::{self, Stamp};

/// Length of RocketMQ's `checkpoint`.
const JAVA_LEN: usize = 4096;

/// The times in RocketMQ's `checkpoint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CheckpointTimes {
    /// Of the last record on disk.
    pub physical: i64,
    /// Of the last one in consume queues on disk.
    pub queues: i64,
    /// Of the last one in the index on disk.
    pub index: i64,
}

/// What `blockhouse/checkpoint` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OwnMark {
    /// Queues and index hold all records before this.
    pub applied: u64,
    /// The stop was clean.
    pub clean: bool,
    /// When the last record before `applied` was stored.
    pub timestamp: i64,
}

/// A file in `blockhouse/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SmallFile {
    /// Its name.
    pub name: String,
    /// Its length.
    pub len: u64,
}

/// The small files of a data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MarksSurvey {
    /// `abort` is there: the last stop was not clean.
    pub aborted: bool,
    /// `checkpoint`, if it is there.
    pub checkpoint: Option<CheckpointTimes>,
    /// `blockhouse/checkpoint`, if it is there and whole.
    pub own: Option<OwnMark>,
    /// What is in `blockhouse/`; nothing if only Apache RocketMQ worked here.
    pub blockhouse: Vec<SmallFile>,
}

/// The small files, read.
pub(super) struct Read {
    pub(super) aborted: bool,
    pub(super) java: JavaCheckpoint,
    java_len: Option<usize>,
    pub(super) own: Option<OwnCheckpoint>,
    /// It is there, whole or not.
    own_exists: bool,
    stamp: Stamp,
}

impl Read {
    pub(super) fn of(site: &Site) -> Result<Self, Error> {
        let path = site.dir.join("checkpoint");
        let bytes = whole::read(&*site.disk, &path).map_err(Error::io("read", &path))?;
        Ok(Self {
            aborted: site.marks.is_aborted(),
            java: site.marks.java()?,
            java_len: bytes.map(|bytes| bytes.len()),
            own: site.marks.own()?,
            own_exists: site.disk.exists(&site.dir.join("blockhouse/checkpoint")),
            stamp: stamp::read(&*site.disk, &site.dir)?,
        })
    }

    pub(super) fn survey(&self, site: &Site) -> Result<MarksSurvey, Error> {
        let dir = site.dir.join("blockhouse");
        let files = site.disk.list(&dir).map_err(Error::io("list", &dir))?;
        let files = files.into_iter().filter(|file| !file.is_dir);
        Ok(MarksSurvey {
            aborted: self.aborted,
            checkpoint: self.java_len.map(|_| CheckpointTimes {
                physical: self.java.physical.0,
                queues: self.java.queues.0,
                index: self.java.index.0,
            }),
            own: self.own.map(|own| OwnMark {
                applied: own.applied,
                clean: own.clean,
                timestamp: own.timestamp.0,
            }),
            blockhouse: files.map(|file| SmallFile { name: file.name, len: file.len }).collect(),
        })
    }

    /// From where the next start reads the log again: nothing is amiss if queues and index lack
    /// what follows. The end of time after a clean stop.
    pub(super) fn replay_from(
        &self,
        log: &LogFiles,
        walker: &mut Walker<'_>,
    ) -> Result<u64, Error> {
        if let Some(own) = self.own
            && own.applied >= log.begin()
            && own.applied <= log.limit()
            && walker.is_boundary(own.applied)?
        {
            let clean = own.clean && !self.aborted;
            return Ok(if clean { u64::MAX } else { own.applied });
        }
        if !self.aborted {
            return Ok(u64::MAX);
        }
        let safe = self.java.safe().0;
        for file in log.list.iter().rev() {
            if walker.time_at(file.base)?.is_some_and(|time| time <= safe) {
                return Ok(file.base);
            }
        }
        Ok(log.begin())
    }

    /// The table of queues that belongs to the checkpoint.
    pub(super) fn table(&self, site: &Site) -> Result<Option<QueueTable>, Error> {
        let Some((own, crc)) = self.own.and_then(|own| Some((own, own.queues?))) else {
            return Ok(None);
        };
        let table = site.marks.queues(crc)?;
        Ok(table.filter(|table| table.scope.applied == own.applied))
    }

    /// Whether the marks fit a log that ends at `end` with a record stored at `stored`.
    pub(super) fn judge(
        &self,
        (log, walker): (&LogFiles, &mut Walker<'_>),
        (end, stored): (u64, i64),
        findings: &mut Findings,
    ) -> Result<(), Error> {
        let damage = (Kind::Checkpoint, Remedy::RewriteCheckpoint);
        match self.stamp {
            Stamp::Known => {}
            Stamp::Damaged => {
                findings.damage(damage, stamp::NAME, None, "is no stamp of Blockhouse");
            }
            Stamp::Newer(layout) => {
                let problem = format!("a newer version wrote this directory (layout {layout})");
                findings.damage((Kind::Checkpoint, Remedy::None), stamp::NAME, None, problem);
            }
        }
        let name = "checkpoint";
        match self.java_len {
            Some(len) if len < JAVA_LEN => {
                let problem = format!("is {len} bytes long instead of {JAVA_LEN}");
                findings.damage(damage, name, None, problem);
            }
            None if !log.list.is_empty() && !self.own_exists => {
                let what = (Kind::Checkpoint, Remedy::NextStart);
                findings.notice(
                    what,
                    name,
                    None,
                    "is missing: the next start reads all of the log",
                );
            }
            _ => {}
        }
        if self.java.physical.0 > stored {
            let problem = format!(
                "says that records up to the time {} are on disk, the last is of {stored}",
                self.java.physical.0
            );
            findings.damage(damage, name, None, problem);
        }
        let name = "blockhouse/checkpoint";
        match self.own {
            None if self.own_exists => {
                findings.damage(damage, name, None, "is not whole; starts pass over it");
            }
            Some(own) if own.applied > end => {
                let problem =
                    format!("says that the log goes to {}, it ends at {end}", own.applied);
                findings.damage(damage, name, own.applied, problem);
            }
            Some(own) if own.applied >= log.begin() && !walker.is_boundary(own.applied)? => {
                let problem = format!("says {}, where no record begins", own.applied);
                findings.damage(damage, name, own.applied, problem);
            }
            _ => {}
        }
        Ok(())
    }
}
