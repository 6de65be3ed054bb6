//! A recovered store that is stopped: all of its files are as the log wants them, to the entry.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use blockhouse_disk::CrashDisk;
use blockhouse_store::Store;
use blockhouse_store::examine::{Access, Finding, Options, Severity, Site, check};

use super::model::Model;
use super::workload::INDEX_SLOTS;
use crate::rig::DIR;

/// Stops the store and has `admin store check` look at it: with the topics that there are, it finds nothing, and
/// as many entries of the index as what was `found` has keys. Of files that are gone some may be left.
pub(super) fn stop(store: Store, disk: &CrashDisk, topics: BTreeSet<String>, found: &Model) {
    store.close().unwrap();
    let begin = store.stats().log_min.0;
    drop(store);
    let options =
        Options { index_slots: Some(INDEX_SLOTS), topics: Some(topics), ..Options::default() };
    let site = Site::open(Arc::new(disk.clone()), Path::new(DIR), options, Access::Read).unwrap();
    let report = check(&site, &mut |_, _| ()).unwrap();
    let wrong = report.findings.list.iter().filter(|found| found.severity == Severity::Damage);
    assert_eq!(wrong.collect::<Vec<_>>(), Vec::<&Finding>::new());
    // What is left of a deleted topic is the only thing worth a word after a stop.
    let left =
        report.findings.list.iter().all(|found| found.problem.contains("of a deleted topic"));
    assert!(left, "{:?}", report.findings.list);
    let entries: u64 = report.survey.index.iter().map(|file| u64::from(file.entries)).sum();
    let keys = found.keys_from(begin)..=found.keys_from(0);
    assert!(keys.contains(&entries), "{entries} entries of the index, not {keys:?}");
}
