//! The KV configuration and its file, in RocketMQ's own form.

use std::path::PathBuf;
use std::sync::Arc;
use std::{fmt, io};

use blockhouse_disk::{Disk, LockGuard, whole};
use blockhouse_route::KvConfig;
use blockhouse_route::kv::Namespaces;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use crate::StartError;

/// Below the data directory; a former version is kept as `kvConfig.json.bak`, as by RocketMQ.
const PATH: &str = "namesrv/kvConfig.json";
/// Held for as long as the file is somebody's.
const LOCK: &str = "namesrv/lock";

/// RocketMQ's `KVConfigSerializeWrapper`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored<T> {
    config_table: T,
}

/// The KV configuration, in memory and on disk.
pub struct KvStore {
    values: RwLock<KvConfig>,
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// One save at a time: each writes what is in force then, so the last one leaves the newest.
    saving: Mutex<()>,
    _lock: Box<dyn LockGuard>,
}

impl KvStore {
    /// Reads the file below `data_dir`, if there is one.
    ///
    /// # Errors
    /// It cannot be read, or holds something else.
    pub fn open(disk: Arc<dyn Disk>, data_dir: &std::path::Path) -> Result<Self, StartError> {
        let lock_path = data_dir.join(LOCK);
        let lock = disk.lock(&lock_path).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => StartError::InUse(data_dir.to_owned()),
            _ => StartError::Lock { path: lock_path, source },
        })?;
        let path = data_dir.join(PATH);
        let accept = |bytes: &[u8]| serde_json::from_slice::<Stored<Namespaces>>(bytes).ok();
        let stored = whole::read_or_bak(disk.as_ref(), &path, accept)
            .map_err(|source| StartError::Read { path: path.clone(), source })?;
        let table = match stored {
            Some(stored) => stored.config_table,
            None if disk.exists(&path) => return Err(StartError::Damaged { path }),
            None => Namespaces::default(),
        };
        let values = RwLock::new(KvConfig::from_table(table));
        Ok(Self { values, disk, path, saving: Mutex::new(()), _lock: lock })
    }

    /// Where it is kept.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Looks at the values.
    pub fn read<T>(&self, look: impl FnOnce(&KvConfig) -> T) -> T {
        look(&self.values.read())
    }

    /// Changes the values in memory; [`save`](Self::save) must follow.
    pub fn change<T>(&self, change: impl FnOnce(&mut KvConfig) -> T) -> T {
        change(&mut self.values.write())
    }

    /// Writes the values in force to disk. Blocks.
    ///
    /// # Errors
    /// What the filesystem says; the file then holds its former contents.
    pub fn save(&self) -> io::Result<()> {
        let _one_at_a_time = self.saving.lock();
        let stored =
            |values: &KvConfig| serde_json::to_vec(&Stored { config_table: values.table() });
        let bytes = self.read(stored)?;
        whole::replace_keeping(self.disk.as_ref(), &self.path, &bytes)
    }
}

impl fmt::Debug for KvStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvStore").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use blockhouse_disk::MemDisk;

    use super::*;

    const DIR: &str = "/data";

    fn open(disk: &MemDisk) -> Result<KvStore, StartError> {
        KvStore::open(Arc::new(disk.snapshot()), DIR.as_ref())
    }

    #[test]
    fn what_was_saved_is_there_after_a_restart_in_rocketmqs_form() {
        let disk = MemDisk::new();
        let kv = KvStore::open(Arc::new(disk.clone()), DIR.as_ref()).unwrap();
        kv.change(|kv| kv.put("ns", "k", "v")).unwrap();
        kv.save().unwrap();
        let bytes = whole::read(&disk, kv.path()).unwrap().unwrap();
        assert_eq!(bytes, br#"{"configTable":{"ns":{"k":"v"}}}"#);
        let again = open(&disk).unwrap();
        assert_eq!(again.read(|kv| kv.value("ns", "k").map(str::to_owned)).as_deref(), Some("v"));
    }

    #[test]
    fn a_directory_has_one_owner() {
        let disk: Arc<dyn Disk> = Arc::new(MemDisk::new());
        let first = KvStore::open(Arc::clone(&disk), DIR.as_ref()).unwrap();
        let second = KvStore::open(Arc::clone(&disk), DIR.as_ref());
        assert!(matches!(second, Err(StartError::InUse(_))));
        drop(first);
        KvStore::open(disk, DIR.as_ref()).unwrap();
    }

    #[test]
    fn a_damaged_file_is_replaced_by_its_bak_or_refused() {
        let disk = MemDisk::new();
        let path = std::path::Path::new(DIR).join(PATH);
        whole::replace(&disk, &path, b"{").unwrap();
        assert!(matches!(open(&disk), Err(StartError::Damaged { .. })));
        let bak = whole::with_suffix(&path, ".bak");
        whole::replace(&disk, &bak, br#"{"configTable":{"ns":{}}}"#).unwrap();
        assert!(open(&disk).unwrap().read(|kv| kv.namespace("ns").is_some()));
    }

    #[test]
    fn a_failed_save_is_reported_and_keeps_the_old_file() {
        let disk = MemDisk::new();
        let kv = KvStore::open(Arc::new(disk.clone()), DIR.as_ref()).unwrap();
        kv.save().unwrap();
        kv.change(|kv| kv.put("ns", "k", "v")).unwrap();
        disk.fail_writes(true);
        assert!(kv.save().is_err());
        disk.fail_writes(false);
        assert!(open(&disk).unwrap().read(|kv| kv.namespace("ns").is_none()));
        kv.save().unwrap();
        assert!(open(&disk).unwrap().read(|kv| kv.namespace("ns").is_some()));
    }
}
