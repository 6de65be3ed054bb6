//! What a directory must not hold: layouts of RocketMQ that are not read here. Looked for before
//! anything is changed, since a store that passed them over would begin anew beside the messages.

use std::path::Path;

use blockhouse_disk::Disk;

use crate::segments::parse_name;
use crate::{Config, Error};

/// Where RocketMQ keeps what this store does not read, and what can be done about it.
const REFUSED: &[(&str, Mark, &str)] = &[
    ("consumequeue", Mark::RocksDb, QUEUES_IN_ROCKSDB),
    ("consumequeue_r", Mark::RocksDb, QUEUES_IN_ROCKSDB),
    (
        "batchconsumequeue",
        Mark::Content,
        "there are topics with queue.type=BatchCQ, which are not served here: consume them with \
         Apache RocketMQ, delete them there, and then remove the directory",
    ),
    (
        "compaction/compactionLog",
        Mark::Content,
        "there are topics with cleanup.policy=COMPACTION, which are not served here: their older \
         messages are nowhere else. Copy them to an ordinary topic with Apache RocketMQ, delete \
         them there, and then remove `compaction`",
    ),
];

const QUEUES_IN_ROCKSDB: &str = "the ConsumeQueues are in RocksDB (storeType=defaultRocksDB), which is not read here. They can \
     be built anew from the CommitLog: write topics, groups and offsets to files with `mqadmin \
     rocksDBConfigToJson`, move this directory and `checkpoint` away, and make an empty file \
     `abort`, so that the whole log is read";

/// How to see that a directory is used.
#[derive(Clone, Copy)]
enum Mark {
    /// Anything is in it.
    Content,
    /// The file with which `RocksDB` names its newest manifest is in it.
    RocksDb,
}

impl Mark {
    fn is_on(self, disk: &dyn Disk, dir: &Path) -> Result<bool, Error> {
        match self {
            Self::Content => Ok(!list(disk, dir)?.is_empty()),
            Self::RocksDb => Ok(disk.exists(&dir.join("CURRENT"))),
        }
    }
}

/// Refuses a directory that another kind of store wrote.
pub(crate) fn check(disk: &dyn Disk, config: &Config) -> Result<(), Error> {
    for (name, mark, problem) in REFUSED {
        let path = config.dir.join(name);
        if mark.is_on(disk, &path)? {
            return Err(refused(&path, problem));
        }
    }
    no_dledger(disk, &config.dir)?;
    no_rocksdb_config(disk, &config.dir.join("config"))?;
    log_is_here(disk, config)
}

fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<blockhouse_disk::Entry>, Error> {
    disk.list(dir).map_err(Error::io("list", dir))
}

fn refused(path: &Path, problem: &str) -> Error {
    Error::Format { path: path.to_owned(), problem: problem.to_owned() }
}

/// `dledger-ID` beside the other directories.
fn no_dledger(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    let found = list(disk, dir)?.into_iter().find(|e| e.is_dir && e.name.starts_with("dledger-"));
    found.map_or(Ok(()), |entry| {
        Err(refused(
            &dir.join(entry.name),
            "the log is DLedger's (enableDLegerCommitLog=true), which wraps every message in a \
             record of its own and is not read here: give Blockhouse an empty directory and a \
             brokerName of its own in the same cluster, take the write permission from the old \
             brokers (`mqadmin wipeWritePerm`), and stop them once everything is consumed",
        ))
    })
}

/// `config/topics` and the like as `RocksDB`.
fn no_rocksdb_config(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    for entry in list(disk, dir)?.iter().filter(|entry| entry.is_dir) {
        let path = dir.join(&entry.name);
        if Mark::RocksDb.is_on(disk, &path)? {
            return Err(refused(
                &path,
                "topics, groups or offsets are in RocksDB, which is not read here: write them to \
                 files with `mqadmin rocksDBConfigToJson`, and then move the directory away",
            ));
        }
    }
    Ok(())
}

/// Queues without a log: the log is elsewhere. RocketMQ would throw the queues away.
fn log_is_here(disk: &dyn Disk, config: &Config) -> Result<(), Error> {
    let log = config.log_dir();
    if list(disk, &log)?.iter().any(|entry| parse_name(&entry.name).is_some()) {
        return Ok(());
    }
    let root = config.dir.join("consumequeue");
    for topic in list(disk, &root)? {
        if topic.is_dir && !list(disk, &root.join(&topic.name))?.is_empty() {
            return Err(refused(
                &log,
                "holds no CommitLog, but `consumequeue` has queues. If the log is elsewhere, name \
                 its directory with store.commit_log_dir (RocketMQ: storePathCommitLog); if it is \
                 lost, remove `consumequeue` to begin anew: index and checkpoints go with it, topics, \
                 groups and users stay",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use blockhouse_disk::{MemDisk, whole};

    use super::*;

    /// What `check` says of a directory with these files.
    fn said(files: &[&str]) -> String {
        let disk = MemDisk::new();
        for file in files {
            whole::replace(&disk, &Path::new("/d").join(file), b"x").unwrap();
        }
        let config = Config { dir: PathBuf::from("/d"), ..Config::default() };
        check(&disk, &config).map_or_else(|e| e.to_string(), |()| String::new())
    }

    const LOG: &str = "commitlog/00000000000000000000";

    #[test]
    fn what_another_kind_of_store_wrote_is_refused_with_advice() {
        for (file, path, advice) in [
            ("consumequeue/CURRENT", "/d/consumequeue", "rocksDBConfigToJson"),
            ("consumequeue_r/CURRENT", "/d/consumequeue_r", "rocksDBConfigToJson"),
            ("batchconsumequeue/t/0/00000000000000000000", "/d/batchconsumequeue", "BatchCQ"),
            ("compaction/compactionLog/t/0/x", "/d/compaction/compactionLog", "Copy them"),
            ("dledger-n0/data/0", "/d/dledger-n0", "wipeWritePerm"),
            ("config/topics/CURRENT", "/d/config/topics", "rocksDBConfigToJson"),
        ] {
            let text = said(&[LOG, file]);
            assert!(text.starts_with(&format!("{path}: ")), "{file}: {text}");
            assert!(text.contains(advice), "{file}: {text}");
        }
    }

    #[test]
    fn what_rocketmq_makes_in_any_case_is_no_hindrance() {
        assert_eq!(said(&[]), "");
        let files = [
            LOG,
            "consumequeue/t/0/00000000000000000000",
            "config/topics.json",
            "config/timercheck",
            "rocksdbstore/CURRENT",
            "timerwheel",
            "abort",
        ];
        assert_eq!(said(&files), "");
    }

    #[test]
    fn queues_without_their_log_are_not_thrown_away() {
        let text = said(&["consumequeue/t/0/00000000000000000000"]);
        assert!(text.starts_with("/d/commitlog: holds no CommitLog"), "{text}");
        assert!(text.contains("store.commit_log_dir"), "{text}");
        // Users, policies and more are in `blockhouse/`.
        assert!(
            text.contains("remove `consumequeue` to") && !text.contains("`blockhouse"),
            "{text}"
        );
    }
}
