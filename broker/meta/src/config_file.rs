//! One of RocketMQ's `config/*.json` files, with its `.bak`.

use std::path::PathBuf;
use std::sync::Arc;

use blockhouse_disk::{Disk, whole};
use parking_lot::Mutex;

use crate::Error;
use crate::failure::Failure;

/// The file, and what of the owner's state is in it.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    written: Mutex<Written>,
    failure: Failure,
}

#[derive(Debug, Default)]
struct Written {
    /// The owner's change count when the file was last written.
    changes: u64,
    /// The file is damaged, and its `.bak` is all there is: it must not become the `.bak`.
    spoilt: bool,
}

/// What was read, and the bytes it was read from.
pub(crate) struct Loaded<T> {
    pub(crate) value: T,
    pub(crate) bytes: Vec<u8>,
}

impl ConfigFile {
    pub(crate) fn new(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self { disk, path, written: Mutex::default(), failure: Failure::default() }
    }

    /// Reads the file or, if it is missing, empty or damaged, its `.bak`. `None` if there is
    /// neither, as on a broker's first start.
    ///
    /// # Errors
    /// Both are unusable, or the disk fails: starting empty would forget what the `.bak` of the
    /// next write then overwrites.
    pub(crate) fn load<T>(
        &self,
        decode: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<Option<Loaded<T>>, Error> {
        let mut problem = None;
        for path in [self.path.clone(), whole::with_suffix(&self.path, ".bak")] {
            let bytes = whole::read(&*self.disk, &path)
                .map_err(|e| Error::disk("read", &path, e))?
                .unwrap_or_default();
            if bytes.is_empty() {
                continue;
            }
            match decode(&bytes) {
                Ok(value) => {
                    if path != self.path {
                        tracing::warn!(file = %self.path.display(), "read from .bak");
                        self.written.lock().spoilt = problem.is_some();
                    }
                    return Ok(Some(Loaded { value, bytes }));
                }
                Err(what) => {
                    tracing::error!(file = %path.display(), problem = what, "damaged file");
                    problem.get_or_insert(what);
                }
            }
        }
        match problem {
            None => Ok(None),
            Some(problem) => Err(Error::Corrupt { path: self.path.clone(), problem }),
        }
    }

    /// Whether the file holds the state after `changes` changes.
    pub(crate) fn holds(&self, changes: u64) -> bool {
        self.written.lock().changes >= changes
    }

    /// Why the last write failed, if it did: changes are only in memory since.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.text()
    }

    /// Writes the file unless it already holds the state after `changes` changes; the former file
    /// becomes the `.bak`. Tells whether it wrote.
    ///
    /// # Errors
    /// The disk fails; the former file is still there then, and the next call tries again.
    pub(crate) fn persist(
        &self,
        changes: u64,
        encode: impl FnOnce() -> String,
    ) -> Result<bool, Error> {
        let mut written = self.written.lock();
        if written.changes >= changes {
            return Ok(false);
        }
        let text = encode();
        let put = if written.spoilt { whole::replace } else { whole::replace_keeping };
        let put = put(&*self.disk, &self.path, text.as_bytes());
        self.failure.note(put.map_err(|e| Error::disk("write", &self.path, e)))?;
        *written = Written { changes, spoilt: false };
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use blockhouse_disk::MemDisk;

    use super::*;

    fn decode(bytes: &[u8]) -> Result<String, String> {
        let text = String::from_utf8(bytes.to_vec()).map_err(|e| e.to_string())?;
        if text.ends_with('.') { Ok(text) } else { Err("torn".to_owned()) }
    }

    fn load(disk: &MemDisk) -> Result<Option<String>, Error> {
        let file = ConfigFile::new(Arc::new(disk.clone()), PathBuf::from("/c/f.json"));
        file.load(decode).map(|loaded| loaded.map(|l| l.value))
    }

    fn put(disk: &MemDisk, name: &str, text: &str) {
        whole::replace(disk, &Path::new("/c").join(name), text.as_bytes()).unwrap();
    }

    #[test]
    fn the_bak_stands_in_for_a_missing_empty_or_torn_file() {
        let disk = MemDisk::new();
        assert_eq!(load(&disk).unwrap(), None);
        put(&disk, "f.json.bak", "old.");
        assert_eq!(load(&disk).unwrap().unwrap(), "old.");
        for torn in ["", "ne"] {
            put(&disk, "f.json", torn);
            assert_eq!(load(&disk).unwrap().unwrap(), "old.", "{torn:?}");
        }
        put(&disk, "f.json", "new.");
        assert_eq!(load(&disk).unwrap().unwrap(), "new.");
    }

    #[test]
    fn without_a_usable_file_the_error_names_it() {
        let disk = MemDisk::new();
        put(&disk, "f.json", "ne");
        assert!(load(&disk).unwrap_err().to_string().contains("/c/f.json"));
        put(&disk, "f.json.bak", "ol");
        assert!(matches!(load(&disk), Err(Error::Corrupt { .. })));
    }

    #[test]
    fn a_spoilt_file_never_becomes_the_bak() {
        let disk = MemDisk::new();
        put(&disk, "f.json", "ne");
        put(&disk, "f.json.bak", "old.");
        let file = ConfigFile::new(Arc::new(disk.clone()), PathBuf::from("/c/f.json"));
        file.load(decode).unwrap();
        assert!(file.persist(1, || "newer.".to_owned()).unwrap());
        let bak = whole::read(&disk, Path::new("/c/f.json.bak")).unwrap().unwrap();
        assert_eq!(bak, b"old.");
        assert!(file.persist(2, || "newest.".to_owned()).unwrap());
        let bak = whole::read(&disk, Path::new("/c/f.json.bak")).unwrap().unwrap();
        assert_eq!(bak, b"newer.");
    }

    #[test]
    fn only_changes_are_written_and_failures_are_tried_again() {
        let disk = MemDisk::new();
        let file = ConfigFile::new(Arc::new(disk.clone()), PathBuf::from("/c/f.json"));
        disk.fail_writes(true);
        assert!(file.persist(1, || "a.".to_owned()).is_err());
        assert!(file.failure().unwrap().contains("/c/f.json"));
        disk.fail_writes(false);
        assert!(file.persist(1, || "a.".to_owned()).unwrap());
        assert_eq!(file.failure(), None);
        assert!(!file.persist(1, || unreachable!("nothing changed")).unwrap());
    }
}
