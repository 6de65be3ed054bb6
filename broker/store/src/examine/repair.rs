//! Doing what a plan says.

mod log;
mod rebuild;
mod saved;

use std::path::PathBuf;
use std::sync::Arc;

use blockhouse_model::{Clock, Timestamp};

use super::check::Report;
use super::log_files::LogFiles;
use super::plan::{Plan, Step};
use super::site::{Access, Site};
use super::{Findings, queue_dirs::QueueDirs};
use crate::Error;
use crate::checkpoint::{JavaCheckpoint, OwnCheckpoint};
use crate::index;
use crate::stamp::{self, Stamp};
use rebuild::Rebuild;
use saved::Saved;

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// Where everything is that was overwritten or removed.
    pub saved: PathBuf,
}

/// The directory for what a repair at `now` overwrites.
fn saved_dir(site: &Site, now: Timestamp) -> PathBuf {
    site.dir.join("blockhouse").join(format!("repair-{}", index::name_at(now)))
}

/// Does what `plan` says about `report`, which must be of this site and still be true. `progress`
/// is told how many bytes of the log, of how many, were read again.
///
/// If it fails half-way, the next start or another repair takes the log for what is true: the
/// first thing that changes is that no checkpoint promises anything. `also` are files below the
/// directory that the caller is going to change; they are saved, too.
///
/// # Errors
/// The plan is refused, the site was opened for reading, or what the filesystem says.
pub fn repair(
    site: &Site,
    (report, plan): (&Report, &Plan),
    also: &[&str],
    clock: &Arc<dyn Clock>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Repaired, Error> {
    if let Some(why) = &plan.refused {
        return Err(Error::Refused(why.clone()));
    }
    if let Stamp::Newer(layout) = stamp::read(&*site.disk, &site.dir)? {
        let why = format!("a newer version wrote the directory (layout {layout}): use that one");
        return Err(Error::Refused(why));
    }
    if site.access != Access::Write {
        return Err(Error::Refused("the directory was opened for reading".to_owned()));
    }
    let saved = Saved::new(site, saved_dir(site, clock.now()));
    for file in also {
        saved.keep_file(&site.dir.join(file))?;
    }
    if plan.steps.is_empty() {
        return Ok(Repaired { saved: saved.dir });
    }
    promise_nothing(site, &saved)?;
    for step in &plan.steps {
        match step {
            Step::ResizeLogFiles => log::resize(site, &saved)?,
            Step::SkipDamaged { ranges } => log::skip(site, &saved, ranges)?,
            Step::ZeroTail { from } => log::zero_from(site, &saved, *from)?,
            Step::RebuildQueues | Step::RebuildIndex | Step::RewriteCheckpoint => {}
        }
    }
    let rebuild = Rebuild {
        site,
        report,
        clock: Arc::clone(clock),
        queues: plan.steps.contains(&Step::RebuildQueues),
        index: plan.steps.contains(&Step::RebuildIndex) && !site.options.no_index,
    };
    let mut findings = Findings::default();
    let log = LogFiles::list(site, &mut findings)?;
    let dirs = QueueDirs::list(site, &mut findings)?;
    rebuild.run((&log, &dirs), &saved, progress)?;
    let dir = if log.list.is_empty() { &site.dir } else { &site.log_dir };
    site.disk.sync_all(dir).map_err(Error::io("sync", dir))?;
    site.disk.sync_all(&site.dir).map_err(Error::io("sync", &site.dir))?;
    if plan.steps.contains(&Step::RewriteCheckpoint) {
        let stored = Timestamp(report.survey.log.last_stored);
        let applied = report.facts.end.at;
        let java = JavaCheckpoint { physical: stored, queues: stored, index: stored };
        site.marks.write(
            java,
            OwnCheckpoint { applied, clean: true, timestamp: stored, last: None, queues: None },
        )?;
        if stamp::read(&*site.disk, &site.dir)? == Stamp::Damaged {
            saved.keep_file(&site.dir.join(stamp::NAME))?;
            stamp::put(&*site.disk, &site.dir)?;
        }
        site.marks.clear_abort()?;
    }
    Ok(Repaired { saved: saved.dir })
}

/// Until the end a start must read the whole log.
fn promise_nothing(site: &Site, saved: &Saved<'_>) -> Result<(), Error> {
    saved.keep_file(&site.dir.join("checkpoint"))?;
    for own in ["blockhouse/checkpoint", "blockhouse/flushed", "blockhouse/queues"] {
        saved.keep_file(&site.dir.join(own))?;
    }
    site.marks.set_abort()?;
    site.marks.write_java(JavaCheckpoint::default())?;
    site.marks.forget()
}
