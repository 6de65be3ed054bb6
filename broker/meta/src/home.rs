//! Where metadata lives, and all of it together.

use std::path::PathBuf;
use std::sync::Arc;

use blockhouse_disk::Disk;
use blockhouse_model::Clock;

use crate::{DelayOffsets, Error, GroupSettings, Groups, Offsets, TopicSettings, Topics};

/// The places and means that the owners of the files share.
#[derive(Clone)]
pub struct Home {
    /// The door to files.
    pub disk: Arc<dyn Disk>,
    /// The data directory (RocketMQ: `storePathRootDir`).
    pub dir: PathBuf,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Home {
    /// A file that RocketMQ has, too.
    pub(crate) fn config_file(&self, name: &str) -> PathBuf {
        self.dir.join("config").join(name)
    }

    /// A file that only Blockhouse has.
    pub(crate) fn own_file(&self, name: &str) -> PathBuf {
        self.dir.join("blockhouse").join(name)
    }
}

/// One word for each file that metadata is saved in, for metrics.
pub const UNSAVED_FILES: [&str; 5] =
    ["topics", "groups", "offsets", "delay_offsets", "offsets_journal"];

/// All metadata of a broker.
#[derive(Clone)]
pub struct Meta {
    /// The topics.
    pub topics: Arc<Topics>,
    /// The consumer groups.
    pub groups: Arc<Groups>,
    /// How far the groups are.
    pub offsets: Arc<Offsets>,
    /// How far the delay levels are delivered.
    pub delay_offsets: Arc<DelayOffsets>,
}

impl Meta {
    /// Reads everything.
    ///
    /// # Errors
    /// A file and its `.bak` are unusable, or the disk fails.
    pub fn open(home: &Home, topics: TopicSettings, groups: GroupSettings) -> Result<Self, Error> {
        Ok(Self {
            topics: Arc::new(Topics::open(home, topics)?),
            groups: Arc::new(Groups::open(home, groups)?),
            offsets: Arc::new(Offsets::open(home)?),
            delay_offsets: Arc::new(DelayOffsets::open(home)?),
        })
    }

    /// What could not be written the last time and is only in memory since: one of
    /// [`UNSAVED_FILES`], and why. Waits for no disk.
    #[must_use]
    pub fn unsaved(&self) -> Vec<(&'static str, String)> {
        let failures = [
            self.topics.file.failure(),
            self.groups.file.failure(),
            self.offsets.file.failure(),
            self.delay_offsets.file.failure(),
            self.offsets.journal_failure(),
        ];
        let named = UNSAVED_FILES.into_iter().zip(failures);
        named.filter_map(|(name, failure)| Some((name, failure?))).collect()
    }

    /// Writes everything that changed. Waits for the disk. All files are tried even if one fails.
    ///
    /// # Errors
    /// The first failure.
    pub fn persist(&self) -> Result<(), Error> {
        let results = [
            self.topics.persist(),
            self.groups.persist(),
            self.offsets.persist(),
            self.delay_offsets.persist(),
        ];
        results.into_iter().try_for_each(|result| result.map(drop))
    }
}

#[cfg(test)]
mod tests {
    use blockhouse_disk::MemDisk;
    use blockhouse_model::{ManualClock, QueueId, QueueOffset, Timestamp};

    use super::*;

    #[test]
    fn what_cannot_be_saved_is_told_until_it_can_be() {
        let disk = MemDisk::new();
        let clock = Arc::new(ManualClock::at(Timestamp(1)));
        let home = Home { disk: Arc::new(disk.clone()), dir: PathBuf::from("/d"), clock };
        let (topics, groups) = (TopicSettings::default(), GroupSettings::default());
        let meta = Meta::open(&home, topics, groups).unwrap();
        let commit = |offset| {
            meta.offsets.commit("g", "t", QueueId(0), QueueOffset(offset));
        };
        let unsaved = || meta.unsaved().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        meta.persist().unwrap();
        assert_eq!(unsaved(), [""; 0]);
        disk.fail_writes(true);
        commit(1);
        meta.offsets.flush_journal().unwrap_err();
        assert_eq!(unsaved(), ["offsets_journal"]);
        meta.persist().unwrap_err();
        assert_eq!(unsaved(), ["offsets", "offsets_journal"]);
        assert!(meta.unsaved()[0].1.contains("/d/config/consumerOffset.json"));
        disk.fail_writes(false);
        commit(2);
        meta.offsets.flush_journal().unwrap();
        assert_eq!(unsaved(), ["offsets"]);
        meta.persist().unwrap();
        assert_eq!(unsaved(), [""; 0]);
    }
}
