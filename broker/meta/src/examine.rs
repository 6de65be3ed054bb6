//! Looking at the files of a stopped broker without changing them, and clamping progress.

use std::collections::BTreeSet;
use std::path::Path;

use blockhouse_disk::{Disk, whole};
use blockhouse_model::{QueueId, QueueOffset};

use crate::ahead::End;
use crate::offsets::{self, Offsets};
use crate::{DelayOffsets, Error, Home, delay_offsets, groups, json, topics};

/// A file of `config/` that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unreadable {
    /// Below the data directory.
    pub file: String,
    /// What is wrong with it.
    pub problem: String,
    /// The next start reads its `.bak` instead.
    pub has_bak: bool,
}

/// How far a group is in a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Progress {
    /// The topic.
    pub topic: String,
    /// The group.
    pub group: String,
    /// The queue.
    pub queue: QueueId,
    /// The offset it wants next.
    pub offset: QueueOffset,
}

/// What the files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Examined {
    /// Files that cannot be understood.
    pub unreadable: Vec<Unreadable>,
    /// The topics, unless that is not known.
    pub topics: Option<BTreeSet<String>>,
    /// The progress of all groups, with the journal's.
    pub progress: Vec<Progress>,
    /// The next offset of each delay level.
    pub delay_levels: Vec<(u32, QueueOffset)>,
}

/// Reads the files of `config/` in `dir`.
///
/// # Errors
/// The disk fails. What is wrong with the files is no error.
pub fn examine(disk: &dyn Disk, dir: &Path) -> Result<Examined, Error> {
    let config = dir.join("config");
    let mut seen = Examined::default();
    let entries = disk.list(&config).map_err(|e| Error::disk("list", &config, e))?;
    for entry in entries.into_iter().filter(|e| !e.is_dir && e.name.ends_with(".json")) {
        let path = config.join(&entry.name);
        let read = |path: &Path| {
            whole::read(disk, path)
                .map_err(|e| Error::disk("read", path, e))
                .map(Option::unwrap_or_default)
        };
        let bytes = read(&path)?;
        let bak = read(&whole::with_suffix(&path, ".bak"))?;
        let problem = match decode(disk, dir, &entry.name, &bytes, &mut seen)? {
            Ok(()) => continue,
            Err(problem) => problem,
        };
        let has_bak = decode(disk, dir, &entry.name, &bak, &mut seen)?.is_ok();
        let file = format!("config/{}", entry.name);
        seen.unreadable.push(Unreadable { file, problem, has_bak });
    }
    Ok(seen)
}

/// Reads one file; the inner result says whether it can be understood.
fn decode(
    disk: &dyn Disk,
    dir: &Path,
    name: &str,
    bytes: &[u8],
    seen: &mut Examined,
) -> Result<Result<(), String>, Error> {
    if bytes.is_empty() {
        return Ok(Err("is empty".to_owned()));
    }
    let done = match name {
        "topics.json" => topics::names_in(bytes).map(|names| seen.topics = Some(names)),
        "subscriptionGroup.json" => groups::verify(bytes),
        "delayOffset.json" => {
            delay_offsets::levels_in(bytes).map(|levels| seen.delay_levels = levels)
        }
        "consumerOffset.json" => {
            let path = dir.join("blockhouse/offsets.log");
            let journal = whole::read(disk, &path).map_err(|e| Error::disk("read", &path, e))?;
            offsets::progress_in(bytes, journal.as_deref()).map(|progress| {
                let each = |(topic, group, queue, offset)| Progress { topic, group, queue, offset };
                seen.progress = progress.into_iter().map(each).collect();
            })
        }
        // Files of RocketMQ's that no part of Blockhouse reads.
        _ => json::parse(bytes).map(drop),
    };
    Ok(done)
}

/// Sets progress that `end` says is behind a queue's end to that end, in the files of a stopped
/// broker. `end` gives nothing for queues that are not known. Tells how many offsets were set.
///
/// # Errors
/// A file and its `.bak` are unusable, or the disk fails.
pub fn clamp(home: &Home, end: &End<'_>) -> Result<usize, Error> {
    let (progress, levels) = (Offsets::open(home)?, DelayOffsets::open(home)?);
    let set = progress.set_back(end).count + levels.set_back(end).count;
    progress.persist()?;
    levels.persist()?;
    Ok(set)
}

/// The queue of a delay level.
#[must_use]
pub fn delay_queue(level: u32) -> Option<QueueId> {
    level.checked_sub(1).map(QueueId)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use blockhouse_disk::MemDisk;
    use blockhouse_model::{ManualClock, Timestamp};

    use super::*;

    fn home(disk: &MemDisk) -> Home {
        Home {
            disk: Arc::new(disk.clone()),
            dir: "/d".into(),
            clock: Arc::new(ManualClock::at(Timestamp(1))),
        }
    }

    fn put(disk: &MemDisk, name: &str, text: &[u8]) {
        whole::replace(disk, &Path::new("/d").join(name), text).unwrap();
    }

    #[test]
    fn what_the_files_and_the_journal_say_is_read_without_changing_them() {
        let disk = MemDisk::new();
        let offsets = Offsets::open(&home(&disk)).unwrap();
        offsets.commit("g", "t", QueueId(1), QueueOffset(5));
        offsets.persist().unwrap();
        offsets.commit("g", "t", QueueId(1), QueueOffset(9));
        offsets.flush_journal().unwrap();
        put(&disk, "config/delayOffset.json", b"{\"offsetTable\":{3:7}}");
        put(&disk, "config/topics.json", b"{\"topicConfigTable\":{\"t\":{\"topicName\":\"t\"}}}");
        put(&disk, "config/consumerFilter.json", b"{}");
        let writes = disk.writes();
        let seen = examine(&disk, Path::new("/d")).unwrap();
        assert_eq!(disk.writes(), writes);
        assert_eq!(seen.unreadable, []);
        let (topic, group) = ("t".to_owned(), "g".to_owned());
        let progress = Progress { topic, group, queue: QueueId(1), offset: QueueOffset(9) };
        assert_eq!(seen.progress, [progress]);
        assert_eq!(seen.delay_levels, [(3, QueueOffset(7))]);
        assert_eq!(seen.topics, Some(BTreeSet::from(["t".to_owned()])));
    }

    #[test]
    fn damaged_files_are_named_and_their_bak_counts() {
        let disk = MemDisk::new();
        put(&disk, "config/topics.json", b"{\"topicConfig");
        put(&disk, "config/consumerOffset.json", b"");
        put(&disk, "config/consumerOffset.json.bak", b"{\"offsetTable\":{\"t@g\":{0:3}}}");
        put(&disk, "config/other.json", b"nothing");
        let seen = examine(&disk, Path::new("/d")).unwrap();
        let names: Vec<_> = seen.unreadable.iter().map(|u| (u.file.as_str(), u.has_bak)).collect();
        let expected = [
            ("config/consumerOffset.json", true),
            ("config/other.json", false),
            ("config/topics.json", false),
        ];
        assert_eq!(names, expected);
        assert_eq!((seen.progress.len(), seen.topics), (1, None));
    }

    #[test]
    fn progress_ahead_of_the_log_goes_back_to_its_end() {
        let disk = MemDisk::new();
        let text = b"{\"offsetTable\":{\"t@g\":{0:3,1:50},\"u@g\":{0:50}}}";
        put(&disk, "config/consumerOffset.json", text);
        put(&disk, "config/delayOffset.json", b"{\"offsetTable\":{3:7,4:2}}");
        let end = |topic: &str, queue: QueueId| match (topic, queue.0) {
            ("t", _) => Some(QueueOffset(10)),
            ("SCHEDULE_TOPIC_XXXX", 2) => Some(QueueOffset(4)),
            _ => None,
        };
        assert_eq!(clamp(&home(&disk), &end).unwrap(), 2);
        let seen = examine(&disk, Path::new("/d")).unwrap();
        let offsets: Vec<_> = seen.progress.iter().map(|p| p.offset.0).collect();
        assert_eq!(offsets, [3, 10, 50]);
        assert_eq!(seen.delay_levels, [(3, QueueOffset(4)), (4, QueueOffset(2))]);
        assert_eq!(clamp(&home(&disk), &end).unwrap(), 0);
    }
}
