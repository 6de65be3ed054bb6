//! Compiled code, kept from one start to the next.
//!
//! Compiled code is native code, so that nothing is taken that this node did not write itself. A
//! file is
//!
//! | bytes | what |
//! |---|---|
//! | 8 | what it is, and the version of this form |
//! | 32 | its name: SHA-256 of the component's digest, the engine, [`SETTINGS`] |
//! | 8 | when it was made, in milliseconds since 1970 |
//! | 8 | the length of the code |
//! | n | the code |
//! | 12 | a random number |
//! | 16 | with that number, AES-256-GMAC of all before it, by the node's key |
//!
//! What does not fit is counted, logged and compiled anew.

mod file;

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use blockhouse_disk::{Disk, whole};
use blockhouse_model::Clock;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::compiler::CODE_MAX;
use crate::precompiled::Code;
use file::{Key, Name};

/// To be raised when the engine's settings change in a way that its own hash does not tell, or when files get
/// another form: those of the old one are not looked for then, and go when there are too many.
const SETTINGS: u32 = 2;
/// Files that are kept: more than there are bindings, with three versions each.
const FILES_MAX: usize = 256;
/// Bytes that are kept.
const BYTES_MAX: u64 = 4 << 30;

/// The files of one node.
pub(crate) struct Cache {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    /// `None` where nothing can be kept.
    key: Option<Key>,
    /// What this process used, last used last.
    used: Mutex<VecDeque<Name>>,
    refused: AtomicU64,
}

impl Cache {
    /// The cache in `plugins`, the directory of components, with its key beside it.
    pub(crate) fn open(disk: &Arc<dyn Disk>, plugins: &Path, clock: &Arc<dyn Clock>) -> Self {
        let mut cache = Self {
            disk: Arc::clone(disk),
            dir: plugins.join("cache"),
            clock: Arc::clone(clock),
            key: None,
            used: Mutex::default(),
            refused: AtomicU64::new(0),
        };
        let key = cache.prepare().and_then(|()| cache.key(&plugins.join("cache.key")));
        match key {
            Ok(key) => cache.key = Some(key),
            Err(e) => tracing::warn!("compiled plugins are not kept: {}: {e}", cache.dir.display()),
        }
        cache
    }

    /// The name of the code that `engine` compiles the component of `digest` to.
    pub(crate) fn name(engine: &wasmtime::Engine, digest: &str) -> Name {
        let mut hash = Hash256(Sha256::new());
        (SETTINGS, digest).hash(&mut hash);
        engine.precompile_compatibility_hash().hash(&mut hash);
        Name(hash.0.finalize().into())
    }

    /// What is kept under this name, if it is whole and this node's own.
    pub(crate) fn load(&self, name: Name) -> Option<Code> {
        let key = self.key.as_ref()?;
        let path = self.path(name);
        let bytes = match self.read(&path) {
            Ok(bytes) => bytes?,
            Err(why) => {
                self.refuse(&path, &why);
                return None;
            }
        };
        match file::open(key, name, bytes) {
            Ok(code) => {
                self.use_now(name);
                Some(Code::made_here(code))
            }
            Err(why) => {
                self.refuse(&path, why);
                None
            }
        }
    }

    /// Keeps code for the next start. Where it cannot, that start compiles again.
    pub(crate) fn store(&self, name: Name, code: &Code) {
        let Some(key) = &self.key else { return };
        let path = self.path(name);
        let Some(bytes) = file::seal(key, name, self.clock.now().0, code.bytes()) else {
            tracing::warn!("a compiled plugin is not kept: {}: no randomness", path.display());
            return;
        };
        match whole::replace_private(self.disk.as_ref(), &path, &bytes) {
            Ok(()) => {
                self.use_now(name);
                self.prune(FILES_MAX, BYTES_MAX);
            }
            Err(e) => {
                let _left = self.disk.remove(&whole::with_suffix(&path, ".tmp"));
                tracing::warn!("a compiled plugin is not kept: {}: {e}", path.display());
            }
        }
    }

    /// Says that the file of this name is not taken, and removes it.
    pub(crate) fn refuse_named(&self, name: Name, why: &str) {
        self.refuse(&self.path(name), why);
    }

    /// Files that were not taken.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn path(&self, name: Name) -> PathBuf {
        self.dir.join(name.file())
    }

    /// Makes the directory, in place of one that others may write.
    fn prepare(&self) -> io::Result<()> {
        match self.disk.is_own(&self.dir) {
            Ok(true) => return Ok(()),
            Ok(false) => {
                self.count(&self.dir, "others may write there, or it is a link");
                self.disk.remove_dir(&self.dir).or_else(|_| self.disk.remove(&self.dir))?;
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        self.disk.create_private_dir(&self.dir)
    }

    /// The node's key, made if there is none that nobody else could have read or written.
    fn key(&self, path: &Path) -> io::Result<Key> {
        let disk = self.disk.as_ref();
        match disk.is_own(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Key::make(disk, path),
            Ok(true) if disk.is_private(path)? => {
                if let Some(key) = Key::read(disk, path)? {
                    return Ok(key);
                }
                self.count(path, "it is no key");
            }
            Ok(_) => self.count(path, "others may read or write it, or it is a link"),
            Err(e) => return Err(e),
        }
        disk.remove(path).or_else(|_| disk.remove_dir(path))?;
        Key::make(disk, path)
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        // The directory may have been opened to others since.
        self.prepare().map_err(|e| e.to_string())?;
        match self.disk.is_own(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Ok(true) => {}
            Ok(false) => return Err("others may write it, or it is a link".to_owned()),
            Err(e) => return Err(e.to_string()),
        }
        let text = |e: io::Error| e.to_string();
        let len = self.disk.open_read(path).and_then(|file| file.len()).map_err(text)?;
        if len > CODE_MAX + file::AROUND as u64 {
            return Err("it is too long".to_owned());
        }
        whole::read(self.disk.as_ref(), path).map_err(text)
    }

    fn refuse(&self, path: &Path, why: &str) {
        self.count(path, why);
        // The code that is made in its place replaces it where this could not remove it.
        let _left = self.disk.remove(path).or_else(|_| self.disk.remove_dir(path));
    }

    fn count(&self, path: &Path, why: &str) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        tracing::warn!("{} is not taken: {why}. It is made anew", path.display());
    }

    fn use_now(&self, name: Name) {
        let mut used = self.used.lock();
        used.retain(|other| *other != name);
        used.push_back(name);
        if used.len() > FILES_MAX {
            used.pop_front();
        }
    }

    /// Removes what is over: first what this process did not use, the oldest first.
    fn prune(&self, files_max: usize, bytes_max: u64) {
        let Ok(entries) = self.disk.list(&self.dir) else { return };
        let mut files = entries.len();
        let mut bytes: u64 = entries.iter().map(|entry| entry.len).sum();
        if files <= files_max && bytes <= bytes_max {
            return;
        }
        let used = self.used.lock();
        let mut ranked: Vec<_> = entries
            .iter()
            .map(|entry| {
                let use_of = used.iter().position(|name| name.file() == entry.name);
                let path = self.dir.join(&entry.name);
                (use_of, file::made(self.disk.as_ref(), &path), entry)
            })
            .collect();
        ranked.sort_by_key(|(use_of, made, _)| (*use_of, *made));
        for (_, _, entry) in ranked {
            if files <= files_max && bytes <= bytes_max {
                return;
            }
            if let Err(e) = self.disk.remove(&self.dir.join(&entry.name)) {
                tracing::warn!("a compiled plugin cannot be removed: {}: {e}", entry.name);
                continue;
            }
            files -= 1;
            bytes -= entry.len;
        }
    }
}

/// What a hash is made of, hashed well.
struct Hash256(Sha256);

impl Hasher for Hash256 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests;
