//! The store's options. The doc comments are the text of `docs/config.md`.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

const DAY_MS: u64 = 86_400_000;
const PERCENT: RangeInclusive<u64> = 1..=100;

/// When an append counts as stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Flush {
    /// Written to the page cache: survives the process, not a power cut.
    #[default]
    Async,
    /// Synced to the disk.
    Sync,
}

/// Section `[store]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The data directory (RocketMQ: `storePathRootDir`). `commitlog/`, `consumequeue/`, `index/`,
    /// `checkpoint`, `abort` and `lock` are in it.
    #[serde(skip)]
    pub dir: PathBuf,
    /// Where the CommitLog files are (RocketMQ: `storePathCommitLog`). Empty: `commitlog` in `dir`.
    pub commit_log_dir: PathBuf,
    /// When a send is answered (RocketMQ: `flushDiskType`). `async`: once the message is in the
    /// page cache, and it is synced within `flush_interval_ms`. `sync`: once it is synced to disk;
    /// sends that arrive during one sync share the next.
    pub flush: Flush,
    /// How long a send waits for the disk under `flush = "sync"`, in milliseconds, until it is
    /// answered with `FLUSH_DISK_TIMEOUT` (RocketMQ: `syncFlushTimeout`).
    #[schemars(range(min = 1, max = 86_400_000))]
    pub sync_flush_timeout_ms: u64,
    /// How often written messages are synced under `flush = "async"`, and ConsumeQueue and index
    /// are written behind, in milliseconds (RocketMQ: `flushIntervalCommitLog`).
    #[schemars(range(min = 1, max = 86_400_000))]
    pub flush_interval_ms: u64,
    /// How often `checkpoint` is brought up to date, in milliseconds. What came after it is read
    /// again after an unclean stop.
    pub checkpoint_interval_ms: u64,
    /// Size of a CommitLog file in bytes (RocketMQ: `mappedFileSizeCommitLog`). Existing files must
    /// have this size.
    #[schemars(range(min = 1_024, max = 4_294_967_296_u64))]
    pub segment_size: u64,
    /// Entries per ConsumeQueue file, 20 bytes each (RocketMQ: `mappedFileSizeConsumeQueue`, in
    /// bytes). Existing files must have this size.
    #[schemars(range(min = 1, max = 67_108_864))]
    pub queue_file_entries: u64,
    /// Hash slots per IndexFile (RocketMQ: `maxHashSlotNum`). Existing files must have this many.
    #[schemars(range(min = 1, max = 268_435_456))]
    pub index_slots: u32,
    /// Entries per IndexFile (RocketMQ: `maxIndexNum`). Existing files must have this many.
    #[schemars(range(min = 2))]
    pub index_entries: u32,
    /// Whether messages are indexed by key and unique key (RocketMQ: `messageIndexEnable`).
    pub index: bool,
    /// Whether messages are indexed by tag as well, as RocketMQ 5.4 does. Tools then find them by
    /// tag, for one more index entry per message.
    pub index_tags: bool,
    /// Largest message body in bytes (RocketMQ: `maxMessageSize`).
    #[serde(skip)]
    pub max_message_size: usize,
    /// Size of each of the two write buffers in bytes. Both full: sends are refused as busy. At
    /// least `max_message_size` and 128 KiB.
    #[schemars(range(max = 4_294_967_296_u64))]
    pub write_buffer_size: usize,
    /// How long CommitLog files are kept, in hours after their last message (RocketMQ:
    /// `fileReservedTime`).
    pub file_reserved_hours: u64,
    /// The hours of the day, in UTC, at which expired files are removed, separated by `;`
    /// (RocketMQ: `deleteWhen`, in local time).
    pub delete_when: String,
    /// Above this use of the filesystem, in percent, expired files are removed at any hour
    /// (RocketMQ: `diskMaxUsedSpaceRatio`).
    #[schemars(range(min = 1, max = 100))]
    pub disk_clean_percent: u64,
    /// Above this use of the filesystem, in percent, the oldest files are removed though they are
    /// not expired (RocketMQ: `diskSpaceCleanForciblyRatio`). The last file always stays. `off`:
    /// never, so that a full disk refuses sends instead of losing messages.
    #[schemars(range(min = 1, max = 100))]
    pub disk_force_clean_percent: Option<u64>,
    /// Above this use of the filesystem, in percent, sends are refused (RocketMQ:
    /// `diskSpaceWarningLevelRatio`).
    #[schemars(range(min = 1, max = 100))]
    pub disk_max_used_percent: u64,
    /// How many ConsumeQueue files are open at a time.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub open_queue_files: usize,
    /// How many of the newest CommitLog bytes are read through memory maps, as far as they are in
    /// memory. Others are read with system calls that do not wait for the disk.
    pub hot_bytes: u64,
    /// How many entries of a queue one read looks at in search of matching messages (RocketMQ:
    /// `maxFilterMessageSize`, in bytes).
    #[schemars(range(min = 1, max = 67_108_864))]
    pub filter_scan_entries: u64,
    /// The waiting times of the delay levels, counted from 1 (RocketMQ: `messageDelayLevel`). The
    /// broker's delay queues use the same list.
    #[serde(skip)]
    pub delay_levels: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("blockhouse-data"),
            commit_log_dir: PathBuf::new(),
            flush: Flush::Async,
            sync_flush_timeout_ms: 5_000,
            flush_interval_ms: 500,
            checkpoint_interval_ms: 10_000,
            segment_size: 1 << 30,
            queue_file_entries: 300_000,
            index_slots: 5_000_000,
            index_entries: 20_000_000,
            index: true,
            index_tags: false,
            max_message_size: 4 << 20,
            write_buffer_size: 8 << 20,
            file_reserved_hours: 72,
            delete_when: String::from("04"),
            disk_clean_percent: 75,
            disk_force_clean_percent: Some(85),
            disk_max_used_percent: 90,
            open_queue_files: 512,
            hot_bytes: 1 << 30,
            filter_scan_entries: 800,
            delay_levels: String::from(blockhouse_model::delay::DEFAULT_LEVELS),
        }
    }
}

impl Config {
    /// Checks what types cannot say.
    ///
    /// # Errors
    /// The option that is out of its range.
    pub fn validate(&self) -> Result<(), Error> {
        let bad = |option, problem: String| Err(Error::Config { option, problem });
        let buffer_min = self.max_message_size.saturating_add(128 << 10);
        if self.write_buffer_size < buffer_min {
            let problem = format!("must be at least max_message_size and 128 KiB ({buffer_min})");
            return bad("store.write_buffer_size", problem);
        }
        if self.hours().is_none() {
            let problem = "must be hours from 00 to 23, separated by `;`".to_owned();
            return bad("store.delete_when", problem);
        }
        if blockhouse_model::DelayLevels::parse(&self.delay_levels).is_none() {
            return bad("store.delay_levels", "must be a list like `1s 5s 10m 2h`".to_owned());
        }
        let as_u64 = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        let ranges = [
            ("store.write_buffer_size", as_u64(self.write_buffer_size), 1..=4 << 30),
            ("store.segment_size", self.segment_size, 1 << 10..=4 << 30),
            ("store.queue_file_entries", self.queue_file_entries, 1..=1 << 26),
            ("store.index_slots", self.index_slots.into(), 1..=1 << 28),
            ("store.index_entries", self.index_entries.into(), 2..=u64::from(u32::MAX)),
            ("store.sync_flush_timeout_ms", self.sync_flush_timeout_ms, 1..=DAY_MS),
            ("store.flush_interval_ms", self.flush_interval_ms, 1..=DAY_MS),
            ("store.disk_clean_percent", self.disk_clean_percent, PERCENT),
            ("store.disk_force_clean_percent", self.disk_force_clean_percent.unwrap_or(1), PERCENT),
            ("store.disk_max_used_percent", self.disk_max_used_percent, PERCENT),
            ("store.open_queue_files", as_u64(self.open_queue_files), 1..=1 << 20),
            ("store.filter_scan_entries", self.filter_scan_entries, 1..=1 << 26),
        ];
        for (option, value, range) in ranges {
            if !range.contains(&value) {
                return bad(option, format!("must be from {} to {}", range.start(), range.end()));
            }
        }
        Ok(())
    }

    /// The hours of `delete_when`.
    pub(crate) fn hours(&self) -> Option<Vec<i64>> {
        let hour = |word: &str| word.trim().parse::<i64>().ok().filter(|h| (0..24).contains(h));
        self.delete_when.split(';').map(hour).collect()
    }

    pub(crate) fn log_dir(&self) -> PathBuf {
        if self.commit_log_dir.as_os_str().is_empty() {
            self.dir.join("commitlog")
        } else {
            self.commit_log_dir.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The option that is to be refused, and what makes it wrong.
    type Case = (&'static str, fn(&mut Config));

    #[test]
    fn what_is_outside_its_bounds_is_refused_by_name() {
        assert!(Config::default().validate().is_ok());
        let set: [Case; 16] = [
            ("store.write_buffer_size", |c| c.write_buffer_size = 1),
            ("store.write_buffer_size", |c| c.write_buffer_size = 1 << 40),
            ("store.segment_size", |c| c.segment_size = 0),
            ("store.segment_size", |c| c.segment_size = 1 << 33),
            ("store.queue_file_entries", |c| c.queue_file_entries = 0),
            ("store.index_slots", |c| c.index_slots = 0),
            ("store.index_entries", |c| c.index_entries = 1),
            ("store.delete_when", |c| c.delete_when = "99".to_owned()),
            ("store.delay_levels", |c| c.delay_levels = "bogus".to_owned()),
            ("store.disk_clean_percent", |c| c.disk_clean_percent = 0),
            ("store.disk_force_clean_percent", |c| c.disk_force_clean_percent = Some(500)),
            ("store.disk_max_used_percent", |c| c.disk_max_used_percent = 101),
            ("store.flush_interval_ms", |c| c.flush_interval_ms = 0),
            ("store.sync_flush_timeout_ms", |c| c.sync_flush_timeout_ms = 0),
            ("store.open_queue_files", |c| c.open_queue_files = 0),
            ("store.filter_scan_entries", |c| c.filter_scan_entries = 0),
        ];
        for (named, set) in set {
            let mut config = Config::default();
            set(&mut config);
            let refused = config.validate().err();
            assert!(
                matches!(refused, Some(Error::Config { option, .. }) if option == named),
                "{named}: {refused:?}"
            );
        }
    }
}
