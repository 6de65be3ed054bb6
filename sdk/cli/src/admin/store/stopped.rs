//! A stopped broker's directory, opened.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use blockhouse_disk::{Disk, RealDisk};
use blockhouse_meta::Home;
use blockhouse_meta::examine::{Examined, delay_queue, examine};
use blockhouse_model::{Clock, DelayLevels, QueueId, names};
use blockhouse_service::SystemClock;
use blockhouse_store::Error;
use blockhouse_store::examine::{Access, Options, Report, Site, check};

use super::SiteArgs;
use super::bar::Bar;
use super::findings::Row;
use crate::given;

/// A stopped broker's directory.
pub(super) struct Stopped {
    pub(super) site: Site,
    pub(super) config: Examined,
    pub(super) home: Home,
}

/// What a check of store and metadata found.
pub(super) struct Checked {
    pub(super) report: Report,
    pub(super) rows: Vec<Row>,
    /// Progress that is ahead of its queue.
    pub(super) ahead: usize,
    /// The ends of queues.
    pub(super) ends: BTreeMap<String, BTreeMap<u32, u64>>,
}

impl Stopped {
    pub(super) fn open(args: &SiteArgs, access: Access) -> anyhow::Result<Self> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let delay_levels = DelayLevels::parse(&args.delay_levels)
            .ok_or_else(|| anyhow!("--delay-levels must be a list like `1s 5s 10m 2h`"))?;
        if args.data.is_file() {
            given::directory(&args.data)?;
        }
        let is_store = ["commitlog", "consumequeue", "config", "checkpoint", "lock"]
            .iter()
            .any(|name| disk.exists(&args.data.join(name)));
        if !is_store && args.commit_log_dir.is_none() {
            anyhow::bail!(
                "{} is no data directory: nothing of a broker is in it (--data DIR names another)",
                args.data.display()
            );
        }
        if let Some(dir) = args.commit_log_dir.as_ref().filter(|dir| !disk.exists(dir)) {
            given::directory(dir).map_err(|error| anyhow!("--commit-log-dir: {error}"))?;
        }
        let options = Options {
            commit_log_dir: args.commit_log_dir.clone(),
            segment_size: args.segment_size,
            queue_file_entries: args.queue_file_entries,
            index_slots: args.index_slots,
            no_index: args.no_index,
            delay_levels,
            topics: None,
        };
        let config = examine(&*disk, &args.data)?;
        let options = Options { topics: config.topics.clone(), ..options };
        let site = Site::open(Arc::clone(&disk), &args.data, options, access);
        let site = site.map_err(|e| match e {
            Error::InUse(dir) => anyhow!(
                "a broker works on {}: stop it first, or look at a copy of the directory",
                dir.display()
            ),
            other => other.into(),
        })?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let home = Home { disk, dir: args.data.clone(), clock };
        Ok(Self { site, config, home })
    }

    /// Checks everything.
    pub(super) fn check(&self) -> anyhow::Result<Checked> {
        let bar = Bar::new("checking");
        let report = check(&self.site, &mut |done, of| bar.show(done, of));
        let report = report.context("cannot check the store")?;
        bar.finish();
        let mut ends: BTreeMap<String, BTreeMap<u32, u64>> = BTreeMap::new();
        for (topic, queue, end) in report.queue_ends() {
            ends.entry(topic.to_owned()).or_default().insert(queue, end);
        }
        let mut rows: Vec<Row> = report.findings.list.iter().map(Row::of).collect();
        rows.extend(self.config.unreadable.iter().map(Row::of_config));
        let mut checked = Checked { report, rows, ahead: 0, ends };
        self.progress(&mut checked);
        Ok(checked)
    }

    /// Progress against queues.
    fn progress(&self, checked: &mut Checked) {
        let groups = self.config.progress.iter().map(|p| {
            let who = format!("group {}", p.group);
            ("config/consumerOffset.json", who, p.topic.as_str(), p.queue, p.offset.0)
        });
        let levels = self.config.delay_levels.iter().filter_map(|(level, offset)| {
            let (who, queue) = (format!("level {level}"), delay_queue(*level)?);
            Some(("config/delayOffset.json", who, names::SCHEDULE_TOPIC, queue, offset.0))
        });
        let mut found = Vec::new();
        for (file, who, topic, queue, offset) in groups.chain(levels) {
            let end = self.end(&checked.ends, topic, queue);
            if let Some(end) = end.filter(|end| offset > *end) {
                let problem = format!("{who} wants offset {offset}, the queue ends at {end}");
                found.push(Row::ahead(file, &format!("{topic} {queue}"), &problem));
            }
        }
        checked.ahead = found.len();
        checked.rows.extend(found);
    }

    /// Where a queue ends; nothing if it is not known whether there is such a queue.
    pub(super) fn end(
        &self,
        ends: &BTreeMap<String, BTreeMap<u32, u64>>,
        topic: &str,
        queue: QueueId,
    ) -> Option<u64> {
        if topic.starts_with(names::LMQ_PREFIX) {
            return None;
        }
        let end = ends.get(topic).and_then(|queues| queues.get(&queue.0)).copied();
        let exists = self.config.topics.as_ref().is_some_and(|topics| topics.contains(topic));
        end.or_else(|| (exists || topic == names::SCHEDULE_TOPIC).then_some(0))
    }
}
