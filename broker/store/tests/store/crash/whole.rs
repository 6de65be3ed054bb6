//! A recovered store that is stopped: all of its files are as the log wants them, to the entry.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use blockhouse_disk::CrashDisk;
use blockhouse_store::Store;
use blockhouse_store::examine::{Access, Finding, Kind, Options, Severity, Site, check};

use super::workload::INDEX_SLOTS;
use crate::rig::DIR;

/// Stops the store and has `admin store check` look at it. `keys`: how many entries the index must
/// have, if no message has expired and no topic was deleted.
pub(super) fn stop(store: Store, disk: &CrashDisk, keys: Option<u64>) {
    let queues = store.queues(None);
    // A broker knows which topics are deleted; here, those without queues.
    let topics: BTreeSet<String> = queues.iter().map(|q| q.topic.as_str().to_owned()).collect();
    let names = queues.iter().map(|q| format!("consumequeue/{}/{}", q.topic, q.queue.0));
    let names: BTreeSet<String> = names.collect();
    store.close().unwrap();
    drop(store);
    let options =
        Options { index_slots: Some(INDEX_SLOTS), topics: Some(topics), ..Options::default() };
    let site = Site::open(Arc::new(disk.clone()), Path::new(DIR), options, Access::Read).unwrap();
    let report = check(&site, &mut |_, _| ()).unwrap();
    // The log still has records of deleted topics, which the check tells. Where such a topic was made
    // again it sees that only if one of its queues began again.
    let is_deleted = |found: &Finding| {
        let is_notice = found.severity == Severity::Notice;
        let is_told = is_notice && found.problem.contains("records of a deleted topic");
        is_told || (found.kind == Kind::QueueEntry && !names.contains(&found.file))
    };
    let list = report.findings.list.iter();
    let wrong: Vec<_> = list.filter(|found| keys.is_some() || !is_deleted(found)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let entries: u64 = report.survey.index.iter().map(|file| u64::from(file.entries)).sum();
    assert_eq!(entries, keys.unwrap_or(entries), "entries of the index");
}
