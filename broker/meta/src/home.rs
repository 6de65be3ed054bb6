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
