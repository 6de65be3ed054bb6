//! The consume queues' files as they are.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use blockhouse_disk::Disk;
use blockhouse_model::names::STORED_TOPIC_LEN_MAX;

use super::finding::{Findings, Kind, Remedy};
use super::site::Site;
use crate::Error;
use crate::queue::{UNIT_LEN, Unit};
use crate::segments::{file_name, parse_name};

const UNIT_LEN_U64: u64 = UNIT_LEN as u64;
/// Entries per file where no file tells.
const ENTRIES: u64 = 300_000;

/// Where the files of one queue begin, in entries.
pub(super) type Files = Vec<u64>;

/// Every ConsumeQueue that has a directory.
pub(super) struct QueueDirs {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// Entries per file.
    pub(super) per_file: u64,
    /// By topic and queue.
    pub(super) topics: BTreeMap<String, BTreeMap<u32, Files>>,
}

/// A file, before it is known how long it should be.
struct Raw {
    topic: String,
    queue: u32,
    base: u64,
    len: u64,
}

impl QueueDirs {
    pub(super) fn list(site: &Site, findings: &mut Findings) -> Result<Self, Error> {
        let root = site.dir.join("consumequeue");
        let mut topics: BTreeMap<String, BTreeMap<u32, Files>> = BTreeMap::new();
        let mut files = Vec::new();
        let list = |dir: &PathBuf| site.disk.list(dir).map_err(Error::io("list", dir));
        for topic in list(&root)? {
            if !topic.is_dir || topic.name.len() > STORED_TOPIC_LEN_MAX {
                continue;
            }
            let dir = root.join(&topic.name);
            for queue in list(&dir)? {
                let Some(id) = queue.name.parse::<u32>().ok().filter(|_| queue.is_dir) else {
                    continue;
                };
                topics.entry(topic.name.clone()).or_default().entry(id).or_default();
                files.extend(list(&dir.join(&queue.name))?.into_iter().filter_map(|file| {
                    let base = parse_name(&file.name)?;
                    Some(Raw { topic: topic.name.clone(), queue: id, base, len: file.len })
                }));
            }
        }
        let mut counts: HashMap<u64, usize> = HashMap::new();
        for file in files.iter().filter(|f| f.len > 0 && f.len % UNIT_LEN_U64 == 0) {
            *counts.entry(file.len).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(len, count)| (*count, *len));
        let most = most.map_or(ENTRIES, |(len, _)| len / UNIT_LEN_U64);
        let per_file = site.options.queue_file_entries.unwrap_or(most).max(1);
        let mut dirs = Self { disk: Arc::clone(&site.disk), root, per_file, topics };
        for file in files {
            dirs.add(site, &file, findings);
        }
        Ok(dirs)
    }

    fn add(&mut self, site: &Site, file: &Raw, findings: &mut Findings) {
        let expected = self.per_file * UNIT_LEN_U64;
        let name = site.name(&self.path(&file.topic, file.queue, file.base / UNIT_LEN_U64));
        if !file.base.is_multiple_of(expected) {
            let problem = format!("is at no multiple of the files' size, {expected}");
            findings.damage((Kind::QueueFile, Remedy::RebuildQueues), name, None, problem);
            return;
        }
        if file.len != expected {
            let problem = format!("is {} bytes long instead of {expected}", file.len);
            if file.len == 0 {
                findings.notice((Kind::QueueFile, Remedy::NextStart), name, None, problem);
            } else {
                findings.damage((Kind::QueueFile, Remedy::RebuildQueues), name, None, problem);
            }
        }
        let of_topic = self.topics.entry(file.topic.clone()).or_default();
        of_topic.entry(file.queue).or_default().push(file.base / UNIT_LEN_U64);
    }

    pub(super) fn has_topic(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// Where the queue's files begin.
    pub(super) fn files(&self, topic: &str, queue: u32) -> &[u64] {
        let files = self.topics.get(topic).and_then(|queues| queues.get(&queue));
        files.map_or(&[], Vec::as_slice)
    }

    /// The directory of a queue.
    pub(super) fn dir(&self, topic: &str, queue: u32) -> PathBuf {
        self.root.join(topic).join(queue.to_string())
    }

    /// The file that begins with the entry `first`.
    pub(super) fn path(&self, topic: &str, queue: u32, first: u64) -> PathBuf {
        self.dir(topic, queue).join(file_name(first.saturating_mul(UNIT_LEN_U64)))
    }

    /// Up to `count` entries from `first` on, within one file; none without that file.
    pub(super) fn read(
        &self,
        topic: &str,
        queue: u32,
        first: u64,
        count: u64,
    ) -> Result<Vec<Unit>, Error> {
        let start = first / self.per_file * self.per_file;
        if self.files(topic, queue).binary_search(&start).is_err() {
            return Ok(Vec::new());
        }
        let count = count.min(start + self.per_file - first);
        let mut bytes = vec![0; usize::try_from(count).unwrap_or(0) * UNIT_LEN];
        let path = self.path(topic, queue, start);
        let n = self
            .disk
            .open_read(&path)
            .and_then(|file| file.read_at(&mut bytes, (first - start) * UNIT_LEN_U64))
            .map_err(Error::io("read", &path))?;
        let (units, _) = bytes[..n].as_chunks::<UNIT_LEN>();
        Ok(units.iter().map(Unit::read).collect())
    }

    /// The first entry from `from` on, within its file, that may be something else than zeros.
    pub(super) fn next_data(
        &self,
        topic: &str,
        queue: u32,
        from: u64,
    ) -> Result<Option<u64>, Error> {
        let start = from / self.per_file * self.per_file;
        let path = self.path(topic, queue, start);
        let data = self
            .disk
            .open_read(&path)
            .and_then(|file| file.next_data((from - start) * UNIT_LEN_U64))
            .map_err(Error::io("read", &path))?;
        let data = data.map(|at| from.max(start + at / UNIT_LEN_U64));
        Ok(data.filter(|at| *at < start + self.per_file))
    }
}
