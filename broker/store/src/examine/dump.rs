//! The records, as they lie in the log.

use blockhouse_model::properties;
use blockhouse_record::View;

use super::finding::Findings;
use super::log_files::LogFiles;
use super::queue_dirs::QueueDirs;
use super::site::Site;
use super::walk::{Damaged, Next, Walker};
use crate::Error;

/// Which records are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// From this place of the log on.
    pub from: Option<u64>,
    /// Before this place.
    pub to: Option<u64>,
    /// Of this topic.
    pub topic: Option<String>,
    /// Of this queue.
    pub queue: Option<u32>,
    /// With this unique key or key.
    pub key: Option<String>,
    /// At most so many.
    pub limit: Option<u64>,
}

impl Filter {
    fn wants(&self, record: &View<'_>) -> bool {
        let has_key = |key: &str| {
            let words = record.property(properties::KEYS).unwrap_or("");
            record.property(properties::UNIQUE_KEY) == Some(key)
                || words.split(' ').any(|word| word == key)
        };
        self.topic.as_deref().is_none_or(|topic| topic == record.topic)
            && self.queue.is_none_or(|queue| queue == record.queue.0)
            && self.key.as_deref().is_none_or(has_key)
    }
}

/// What was seen besides records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dumped {
    /// How many records were given.
    pub records: u64,
    /// Unreadable ranges that were passed.
    pub damaged: Vec<Damaged>,
}

/// Gives the records that are wanted to `each`, in the order of the log, until it says `false`.
///
/// # Errors
/// What the filesystem says.
pub fn dump(
    site: &Site,
    filter: &Filter,
    each: &mut dyn FnMut(&View<'_>) -> bool,
) -> Result<Dumped, Error> {
    let mut findings = Findings::default();
    let log = LogFiles::list(site, &mut findings)?;
    let dirs = QueueDirs::list(site, &mut findings)?;
    let mut walker = Walker::from(&log, &dirs, filter.from.unwrap_or(0))?;
    let mut dumped = Dumped::default();
    let to = filter.to.unwrap_or(u64::MAX);
    while walker.at() < to && filter.limit.is_none_or(|limit| dumped.records < limit) {
        match walker.step()? {
            None => break,
            Some(Next::Filler { .. }) => {}
            Some(Next::Damaged(range)) => dumped.damaged.push(range),
            Some(Next::Record { at, len }) => {
                let Some(record) = walker.record(at, len)? else { continue };
                if filter.wants(&record) {
                    dumped.records += 1;
                    if !each(&record) {
                        break;
                    }
                }
            }
        }
    }
    Ok(dumped)
}
