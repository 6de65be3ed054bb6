//! Where metadata lives, and all of it together.

use std::path::PathBuf;
use std::sync::Arc;

use blockhouse_disk::Disk;
use blockhouse_model::Clock;

use crate::ahead::{End, SetBack};
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

/// Writes and syncs the messages that are in the log by the time of the call; says whether it could.
pub type SyncLog<'a> = dyn Fn() -> bool + 'a;

/// Where the log ends for whoever was told that a message is stored.
pub type LogEnd = Arc<dyn Fn() -> u64 + Send + Sync>;

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
    /// As [`Meta::open_with`], where there are no messages to be compared with.
    ///
    /// # Errors
    /// As there.
    pub fn open(home: &Home, topics: TopicSettings, groups: GroupSettings) -> Result<Self, Error> {
        Self::open_with(home, (topics, groups), None)
    }

    /// Reads everything.
    ///
    /// # Errors
    /// A file and its `.bak` are unusable, or the disk fails.
    pub fn open_with(
        home: &Home,
        (topics, groups): (TopicSettings, GroupSettings),
        log: Option<LogEnd>,
    ) -> Result<Self, Error> {
        Ok(Self {
            topics: Arc::new(Topics::open(home, topics)?),
            groups: Arc::new(Groups::open(home, groups)?),
            offsets: Arc::new(Offsets::open_with(home, log)?),
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

    /// Sets progress of groups and of delay levels that is ahead of its queue back to where `end`
    /// says that the queue ends, durably: call it before the first message is taken. Gives what was
    /// set back of each.
    ///
    /// # Errors
    /// It could not be saved.
    pub fn set_back(&self, end: &End<'_>) -> Result<[SetBack; 2], Error> {
        let back = [self.offsets.set_back(end), self.delay_offsets.set_back(end)];
        let [groups, levels] = &back;
        if groups.count > 0 {
            self.offsets.persist()?;
        }
        if levels.count > 0 {
            self.delay_offsets.persist()?;
        }
        Ok(back)
    }

    /// Writes everything that changed. Waits for the disk, first for the log's where a file says
    /// that messages are done with. All files are tried even if one fails.
    ///
    /// # Errors
    /// The first failure.
    pub fn persist(&self, sync_log: &SyncLog<'_>) -> Result<(), Error> {
        let results = [
            self.topics.persist(),
            self.groups.persist(),
            self.offsets.persist_after(sync_log),
            self.delay_offsets.persist_after(sync_log),
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
    fn progress_is_set_back_to_the_end_of_its_queue_for_good() {
        let disk = MemDisk::new();
        let clock = Arc::new(ManualClock::at(Timestamp(1)));
        let home = Home { disk: Arc::new(disk.clone()), dir: PathBuf::from("/d"), clock };
        let open =
            || Meta::open(&home, TopicSettings::default(), GroupSettings::default()).unwrap();
        let meta = open();
        let places = [("g", "t", 1, 50), ("f", "t", 2, 50), ("g", "t", 0, 10), ("g", "u", 0, 7)];
        for (group, topic, queue, offset) in places {
            meta.offsets.commit(group, topic, QueueId(queue), QueueOffset(offset));
        }
        meta.delay_offsets.set(3, QueueOffset(9));
        meta.delay_offsets.set(1, QueueOffset(2));
        meta.persist(&|| true).unwrap();
        // In the journal alone.
        meta.offsets.commit("g", "t", QueueId(3), QueueOffset(60));
        meta.offsets.flush_journal().unwrap();
        let end = |topic: &str, queue: QueueId| match (topic, queue.0) {
            ("t", _) => Some(QueueOffset(10)),
            ("u", _) => None,
            _ => Some(QueueOffset(4)),
        };
        let [groups, levels] = open().set_back(&end).unwrap();
        assert_eq!((groups.count, levels.count), (3, 1));
        let text = |first: Option<crate::ahead::Ahead>| first.unwrap().to_string();
        assert_eq!(text(groups.first), "group f, topic t, queue 2: from 50 to 10");
        assert_eq!(text(levels.first), "topic SCHEDULE_TOPIC_XXXX, queue 2: from 9 to 4");
        // Even without the journal, which no sync keeps.
        disk.remove(&PathBuf::from("/d/blockhouse/offsets.log")).unwrap();
        let meta = open();
        let at = |group, topic, queue| meta.offsets.query(group, topic, QueueId(queue)).unwrap().0;
        assert_eq!((at("g", "t", 1), at("f", "t", 2), at("g", "t", 3)), (10, 10, 10));
        assert_eq!((at("g", "t", 0), at("g", "u", 0)), (10, 7));
        assert_eq!(meta.delay_offsets.all(), [(1, QueueOffset(2)), (3, QueueOffset(4))]);
        let writes = disk.writes();
        assert_eq!(meta.set_back(&end).unwrap(), [SetBack::default(), SetBack::default()]);
        assert_eq!(disk.writes(), writes, "nothing was ahead");
    }

    #[test]
    fn offsets_are_saved_after_the_log_or_without_it_if_it_cannot_be() {
        let disk = MemDisk::new();
        let clock = Arc::new(ManualClock::at(Timestamp(1)));
        let home = Home { disk: Arc::new(disk.clone()), dir: PathBuf::from("/d"), clock };
        let file = home.config_file("consumerOffset.json");
        let offsets = Offsets::open(&home).unwrap();
        for (offset, can_be) in [(1, true), (2, false)] {
            offsets.commit("g", "t", QueueId(0), QueueOffset(offset));
            let before = blockhouse_disk::whole::read(&disk, &file).unwrap();
            let sync_log = || {
                assert_eq!(blockhouse_disk::whole::read(&disk, &file).unwrap(), before);
                can_be
            };
            assert!(offsets.persist_after(&sync_log).unwrap());
            assert_ne!(blockhouse_disk::whole::read(&disk, &file).unwrap(), before);
        }
    }

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
        meta.persist(&|| true).unwrap();
        assert_eq!(unsaved(), [""; 0]);
        disk.fail_writes(true);
        commit(1);
        meta.offsets.flush_journal().unwrap_err();
        assert_eq!(unsaved(), ["offsets_journal"]);
        meta.persist(&|| true).unwrap_err();
        assert_eq!(unsaved(), ["offsets", "offsets_journal"]);
        assert!(meta.unsaved()[0].1.contains("/d/config/consumerOffset.json"));
        disk.fail_writes(false);
        commit(2);
        meta.offsets.flush_journal().unwrap();
        assert_eq!(unsaved(), ["offsets"]);
        meta.persist(&|| true).unwrap();
        assert_eq!(unsaved(), [""; 0]);
    }
}
