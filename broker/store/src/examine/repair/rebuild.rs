//! Consume queues and index files anew from the log.

use std::collections::HashMap;
use std::sync::Arc;

use blockhouse_model::{Clock, QueueId, names};
use blockhouse_record::View;

use super::saved::Saved;
use crate::Error;
use crate::examine::check::{QueueFacts, Report};
use crate::examine::log_files::LogFiles;
use crate::examine::queue_dirs::QueueDirs;
use crate::examine::site::Site;
use crate::examine::walk::{Next, Walker};
use crate::index::{Index, Put};
use crate::queue::Unit;
use crate::queue_files::QueueFiles;
use crate::queues::Queues;
use crate::shape::Shaper;
use crate::worker::Signal;

/// Records after which what has piled up is written.
const AT_ONCE: u64 = 1 << 16;
/// Queue files that are open at a time.
const OPEN_FILES: usize = 256;

/// What is written anew.
pub(super) struct Rebuild<'a> {
    pub(super) site: &'a Site,
    pub(super) report: &'a Report,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) queues: bool,
    pub(super) index: bool,
}

/// What is being written.
struct Target {
    queues: Queues,
    index: Index,
    shaper: Shaper,
    /// By topic and queue: records before this place are nobody's.
    began_at: HashMap<String, HashMap<u32, u64>>,
}

impl Rebuild<'_> {
    pub(super) fn run(
        &self,
        (log, dirs): (&LogFiles, &QueueDirs),
        saved: &Saved<'_>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), Error> {
        if !self.queues && !self.index {
            return Ok(());
        }
        if self.queues {
            self.clear_queues(dirs, saved)?;
        }
        if self.index {
            self.clear_index(saved)?;
        }
        let target = self.target()?;
        let mut walker = Walker::new(log, dirs);
        let mut records = 0_u64;
        while let Some(next) = walker.step()? {
            let Next::Record { at, len } = next else { continue };
            if let Some(record) = walker.record(at, len)? {
                self.record(&record, &target);
            }
            records += 1;
            if records.is_multiple_of(AT_ONCE) {
                target.queues.write_behind(u64::MAX)?;
                target.index.write_out()?;
            }
            progress(walker.at() - log.begin(), log.limit() - log.begin());
        }
        target.queues.write_behind(u64::MAX)?;
        target.index.write_out()
    }

    fn target(&self) -> Result<Target, Error> {
        let disk = || Arc::clone(&self.site.disk);
        let facts = &self.report.facts;
        let root = self.site.dir.join("consumequeue");
        let files = QueueFiles::new(disk(), root, facts.queue_file_entries, OPEN_FILES);
        let shape = facts.index_shape;
        let signal = (self.index, Arc::new(Signal::default()));
        let clock = Arc::clone(&self.clock);
        // What is not written anew must not be opened either: it may be damaged.
        let dir = if self.index { "index" } else { "blockhouse/no-index" };
        let index = Index::open(disk(), self.site.dir.join(dir), shape, clock, signal)?;
        let mut began_at: HashMap<String, HashMap<u32, u64>> = HashMap::new();
        for queue in &facts.queues {
            // What the check took for no ordinary queue is left alone.
            let began = if queue.has_records { queue.began_at } else { u64::MAX };
            began_at.entry(queue.topic.clone()).or_default().insert(queue.queue, began);
        }
        let levels = self.site.options.delay_levels.clone();
        let shaper = Shaper { levels, index: self.index, index_tags: facts.index_tags };
        Ok(Target { queues: Queues::new(files), index, shaper, began_at })
    }

    fn record(&self, record: &View<'_>, target: &Target) {
        let Some(queue) = target.queues.find_or_make(record.topic, record.queue) else { return };
        let at = record.physical_offset.0;
        let mut hashes = Vec::new();
        let shape = target.shaper.shape(&queue, record.sys_flag, record.properties, &mut hashes);
        if self.index {
            let stored = record.store_timestamp.0;
            let put = |hash| Put { hash, physical: at, store_timestamp: stored };
            target.index.put(&mut hashes.into_iter().map(put).collect());
        }
        let began_at = target.began_at.get(record.topic).and_then(|q| q.get(&record.queue.0));
        let is_former = began_at.is_some_and(|began| at < *began);
        let is_misplaced = self.report.facts.misplaced.contains(&at);
        if !self.queues || !shape.visible || is_former || is_misplaced {
            return;
        }
        let unit = Unit {
            physical: at,
            size: u32::try_from(record.bytes.len()).unwrap_or(u32::MAX),
            tags_code: shape.tags_code(record.store_timestamp),
        };
        if queue.push(record.queue_offset.0, unit).is_some() {
            target.queues.mark_dirty(&queue);
        }
    }

    /// Moves the files of all queues away that have records. Of the others, whose records have
    /// expired, entries that are nobody's become zeros: the queue must not begin again at 0.
    fn clear_queues(&self, dirs: &QueueDirs, saved: &Saved<'_>) -> Result<(), Error> {
        let known: HashMap<(&str, u32), &QueueFacts> = self
            .report
            .facts
            .queues
            .iter()
            .map(|queue| ((queue.topic.as_str(), queue.queue), queue))
            .collect();
        for (topic, queues) in &dirs.topics {
            // Their entries are of other topics' records.
            if topic.starts_with(names::LMQ_PREFIX) {
                continue;
            }
            for (id, files) in queues {
                let facts = known.get(&(topic.as_str(), *id));
                for first in files {
                    let path = dirs.path(topic, *id, *first);
                    match facts {
                        Some(facts) if !facts.has_records => saved.keep_file(&path)?,
                        _ => saved.take_file(&path)?,
                    }
                }
                if let Some(facts) = facts.filter(|facts| !facts.has_records) {
                    self.cut_queue(facts)?;
                }
            }
        }
        Ok(())
    }

    fn cut_queue(&self, facts: &QueueFacts) -> Result<(), Error> {
        let root = self.site.dir.join("consumequeue");
        let entries = self.report.facts.queue_file_entries;
        let files = QueueFiles::new(Arc::clone(&self.site.disk), root, entries, 1);
        let queues = Queues::new(files);
        let probe = queues.probe(&facts.topic, QueueId(facts.queue));
        queues.files.cut(&probe, facts.end)
    }

    fn clear_index(&self, saved: &Saved<'_>) -> Result<(), Error> {
        let dir = self.site.dir.join("index");
        for entry in self.site.disk.list(&dir).map_err(Error::io("list", &dir))? {
            if !entry.is_dir {
                saved.take_file(&dir.join(&entry.name))?;
            }
        }
        Ok(())
    }
}
